/* Stores that bypass the cache. */
#ifndef FD_STREAMING_H
#define FD_STREAMING_H

#include <stddef.h>

/* Whether a call from this thread that moves so many bytes, and is not in place, uses them. */
int fd_bypasses_cache(size_t bytes);

#endif
