/* Walking strided arrays in C order, a run of the last axis at a time. */
#ifndef FD_LAYOUT_H
#define FD_LAYOUT_H

#include "fastdrop.h"

/* The same elements in the same order over as few axes as possible: axes of size 1 go, and an axis
 * joins its neighbour where all strides allow it. Leaves at least one axis. */
fd_layout fd_layout_merge(const fd_layout *layout);

size_t fd_layout_size(const fd_layout *layout);

/* Whether consecutive elements lie `step` apart throughout; for merged layouts. */
int fd_is_contiguous(const fd_layout *layout, const ptrdiff_t *strides, ptrdiff_t step);

/* A place in the C order of a layout, and where one operand has it. */
typedef struct fd_cursor {
    const fd_layout *layout;
    const ptrdiff_t *strides;
    ptrdiff_t offset;
    size_t index[FD_MAX_DIMS];
} fd_cursor;

void fd_cursor_seek(fd_cursor *cursor, const fd_layout *layout, const ptrdiff_t *strides,
                    size_t element);

/* How many elements are left of this row, at most `limit`; and the step past that many. */
size_t fd_cursor_run(const fd_cursor *cursor, size_t limit);
void fd_cursor_advance(fd_cursor *cursor, size_t count);

/* Copies n elements of `size` bytes between a strided array and a contiguous buffer. */
void fd_gather(char *buffer, const char *array, fd_cursor *cursor, size_t n, size_t size);
void fd_scatter(char *array, const char *buffer, fd_cursor *cursor, size_t n, size_t size);

/* The bits that n elements have of a packed mask whose strides (in bits) are 0 or 1 on the last
 * axis and anything before it, as one packed run. */
void fd_expand_bits(uint8_t *out, const uint8_t *bits, fd_cursor *cursor, size_t n);

#endif
