/* Settings that one thread may change while others read them. */
#ifndef FD_SHARED_H
#define FD_SHARED_H

#if defined(__STDC_NO_ATOMICS__)
#define FD_SHARED(type) volatile type /* whole words are written at once where this is needed */
#else
#include <stdatomic.h>
#define FD_SHARED(type) _Atomic(type)
#endif

#endif
