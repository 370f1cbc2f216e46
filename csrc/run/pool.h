/* A small pool of threads. */
#ifndef FD_POOL_H
#define FD_POOL_H

#include <stddef.h>

typedef void fd_task_fn(void *context, size_t task);

/* Runs task 0..tasks-1, each once, on the caller and at most `threads` - 1 helpers, and returns
 * when all are done. When the pool is busy with another caller, or no thread can be had, the caller
 * runs all of them itself; and for a while after a call in which helpers gained nothing, because
 * other work had their processors. */
void fd_pool_run(size_t tasks, int threads, fd_task_fn *fn, void *context);

/* Helpers are asked again at once, whatever they cost before: tests of what they do want them. */
void fd_pool_forgive(void);

#endif
