/* Walking strided arrays in C order, a run of the last axis at a time. */
#ifndef FD_LAYOUT_H
#define FD_LAYOUT_H

#include "fastdrop.h"

/* The same elements in the same order over as few axes as possible: axes of size 1 go, and an axis
 * joins its neighbour where all strides allow it. Leaves at least one axis. */
fd_layout fd_layout_merge(const fd_layout *layout);

size_t fd_layout_size(const fd_layout *layout);

/* Whether consecutive elements, in C order, lie `step` apart throughout. */
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

/* From the start of a row past `rows` rows, at most to the end of the axis before the last. */
void fd_cursor_rows(fd_cursor *cursor, size_t rows);

/* Copies n elements of `size` bytes between a strided array and a contiguous buffer. */
void fd_gather(char *buffer, const char *array, fd_cursor *cursor, size_t n, size_t size);
void fd_scatter(char *array, const char *buffer, fd_cursor *cursor, size_t n, size_t size);

/* A packed mask that is broadcast over a layout: on the last axis its strides (in bits) are 0 or 1,
 * before it they are anything. */
typedef struct fd_broadcast {
    const fd_layout *layout; /* merged; its mask strides count */
    const uint8_t *bits;
    size_t bytes; /* of the whole packed mask */
    /* Where rows are at most 8 long and share one bit each: 8 rows at once, by the mask's byte. */
    uint64_t rows8[256];
} fd_broadcast;

void fd_broadcast_init(fd_broadcast *b, const fd_layout *layout, const uint8_t *bits);

/* The bits of elements first..first+n-1 as one packed run. */
void fd_expand_bits(uint8_t *out, const fd_broadcast *b, size_t first, size_t n);

#endif
