/* Walking strided arrays in C order, a run of the last axis at a time. */
#ifndef FD_LAYOUT_H
#define FD_LAYOUT_H

#include "call.h"

/* The same elements in the same order over as few axes as possible: axes of size 1 go, and an axis
 * joins its neighbour where all strides allow it. Leaves at least one axis. */
void fd_axes_merge(fd_axes *merged, const fd_axes *axes);

/* The same elements in the order that operand `by` has them in memory: 0 where the nearest ones are
 * not neighbours in all operands. */
int fd_axes_by_memory(fd_axes *ordered, const fd_axes *merged, int by, ptrdiff_t size);

/* One thing's strides. */
typedef struct fd_grid {
    int ndim;
    const size_t *shape;
    const ptrdiff_t *strides;
} fd_grid;

static inline fd_grid fd_grid_of(const fd_axes *axes, const ptrdiff_t *strides) {
    return (fd_grid){axes->ndim, axes->shape, strides};
}

size_t fd_size(int ndim, const size_t *shape);

/* Whether consecutive elements, in C order, lie `step` apart throughout. */
int fd_is_contiguous(fd_grid grid, ptrdiff_t step);

/* The strides of elements in C order, `step` apart. */
void fd_in_order(ptrdiff_t *strides, int ndim, const size_t *shape, ptrdiff_t step);

/* The bytes of a packed mask with these strides. */
size_t fd_mask_bytes(fd_grid mask);

/* A place in the C order of a grid, and how far it is from the first one. */
typedef struct fd_cursor {
    fd_grid grid;
    ptrdiff_t offset;
    size_t index[FD_MAX_DIMS];
} fd_cursor;

void fd_cursor_seek(fd_cursor *cursor, fd_grid grid, size_t element);

/* How many elements are left of this row, at most `limit`. */
size_t fd_cursor_run(const fd_cursor *cursor, size_t limit);

/* Past `count` places of an axis, at most to its end, from the start of those that come after it.
 */
void fd_cursor_skip(fd_cursor *cursor, int axis, size_t count);

/* The same on the last axis. */
void fd_cursor_advance(fd_cursor *cursor, size_t count);

/* Copies n elements of `size` bytes between a strided array and a contiguous buffer. */
void fd_gather(char *buffer, const char *array, fd_cursor *cursor, size_t n, size_t size);
void fd_scatter(char *array, const char *buffer, fd_cursor *cursor, size_t n, size_t size);

/* A walk over all indices of some axes, the last one fastest, with places that move by steps of
 * their own. A walk starts with the places in `at`, then come its axes, outermost first. */
enum { FD_PLACES = FD_OPERANDS + 2 };
typedef struct fd_walk {
    ptrdiff_t at[FD_PLACES];
    int ndim;
    size_t n[FD_MAX_DIMS], index[FD_MAX_DIMS];
    ptrdiff_t steps[FD_MAX_DIMS][FD_PLACES];
} fd_walk;

void fd_walk_axis(fd_walk *walk, size_t n, const ptrdiff_t steps[FD_PLACES]);
int fd_walk_next(fd_walk *walk); /* 0 after the last index */

/* Fills in `times` and `words` for so many rows, at least 1, by `run`. */
void fd_rows_make_words(fd_rows *rows, size_t count);

/* A packed mask that is broadcast over a grid, whose strides are in bits: on the last axis 0 or 1,
 * before it anything. */
typedef struct fd_broadcast {
    fd_grid grid;    /* merged */
    fd_rows rows;    /* of the last axis, where the mask is shared along that; else of 1 */
    fd_grid coarse;  /* the grid of these rows */
    int direct;      /* whether bits of neighbours among them are neighbours */
    unsigned times;  /* how many rows of its last axis a word has room for, at least 1 */
    uint64_t repeat; /* such a row, if not longer than a word, times this is so many */
} fd_broadcast;

void fd_broadcast_init(fd_broadcast *b, fd_grid grid, const uint8_t *bits);

/* The bits of elements first..first+n-1 as one packed run. */
void fd_expand_bits(uint8_t *out, const fd_broadcast *b, size_t first, size_t n);

/* Applies the mask of elements first..first+n-1, which are contiguous from x and y on; the mask is
 * direct, and is not spread over the last axis. */
void fd_apply_shared(const fd_broadcast *b, const fd_table *table, fd_dtype dtype, size_t size,
                     const char *x, char *y, size_t first, size_t n, double scale, int stream);

#endif
