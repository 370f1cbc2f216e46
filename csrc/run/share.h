/* Shares an operation out among the threads. */
#ifndef FD_SHARE_H
#define FD_SHARE_H

#include <stddef.h>

/* Handles elements first..end-1. */
typedef void fd_share_fn(const void *context, size_t first, size_t end);

/* Calls `fn` for pieces that make up elements 0..n-1, on this thread and, where the operation moves
 * enough, on helpers; `bytes` is what it moves for an element, all operands together. The pieces
 * are cut where blocks of the stream begin, if the first block lacks its first `lead` elements.
 * While `fn` runs, rounding is to nearest even and subnormals are kept. */
void fd_share(size_t n, size_t lead, size_t bytes, fd_share_fn *fn, const void *context);

/* The same for n tasks instead of elements, which are cut anywhere; `bytes` is what all of them
 * move, and 0 keeps them on this thread, whatever `fn` shares out in its turn. */
void fd_share_tasks(size_t n, size_t bytes, fd_share_fn *fn, const void *context);

/* Whether so few units move so many bytes each that the threads are better used by what is in a
 * unit than by units of their own. */
int fd_share_each(size_t units, size_t bytes);

/* The end of the chunk that element `first` begins or is in: at most `end`, and where a block does.
 */
static inline size_t fd_chunk_end(size_t first, size_t end, size_t lead) {
    size_t next = ((first + lead) / 4096 + 1) * 4096 - lead;
    return next < end ? next : end;
}

#endif
