/* Settings that one thread may change while others read them, or that each thread has for itself.
 */
#ifndef FD_SHARED_H
#define FD_SHARED_H

#if defined(__STDC_NO_ATOMICS__)
#define FD_SHARED(type) volatile type /* whole words are written at once where this is needed */
#else
#include <stdatomic.h>
#define FD_SHARED(type) _Atomic(type)
#endif

/* A setting of each thread's own. */
#if defined(_MSC_VER)
#define FD_PER_THREAD __declspec(thread)
#else
#define FD_PER_THREAD _Thread_local
#endif

#endif
