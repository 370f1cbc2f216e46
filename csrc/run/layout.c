#include "layout.h"

#include "bits.h"

/* Whether axis `last` of `m` and axis d of `axes` are one axis. */
static int joins(const fd_axes *m, int last, const fd_axes *axes, int d) {
    ptrdiff_t n = (ptrdiff_t)axes->shape[d];
    if (last < 0 || m->steps[last] != axes->steps[d] * n) { return 0; }
    for (int i = 0; i < axes->operands; i++) {
        if (m->strides[i][last] != axes->strides[i][d] * n) { return 0; }
    }
    return 1;
}

static void put_axis(fd_axes *to, int at, const fd_axes *from, int d) {
    for (int i = 0; i < from->operands; i++) { to->strides[i][at] = from->strides[i][d]; }
    to->steps[at] = from->steps[d];
}

void fd_axes_merge(fd_axes *m, const fd_axes *axes) {
    int ndim = 0;
    m->operands = axes->operands;
    for (int d = 0; d < axes->ndim; d++) {
        size_t size = axes->shape[d];
        if (size == 1) { continue; }
        if (joins(m, ndim - 1, axes, d)) {
            m->shape[ndim - 1] *= size;
        } else {
            m->shape[ndim++] = size;
        }
        put_axis(m, ndim - 1, axes, d);
    }
    if (!ndim) {
        m->shape[ndim++] = 1;
        for (int i = 0; i < axes->operands; i++) { m->strides[i][0] = 0; }
        m->steps[0] = 0;
    }
    m->ndim = ndim;
}

int fd_axes_by_memory(fd_axes *ordered, const fd_axes *merged, int by, ptrdiff_t size) {
    fd_axes sorted;
    const ptrdiff_t *strides = merged->strides[by];
    sorted.ndim = merged->ndim;
    sorted.operands = merged->operands;
    for (int d = 0; d < merged->ndim; d++) {
        int i = d;
        if (strides[d] <= 0) { return 0; }
        for (; i > 0 && sorted.strides[by][i - 1] < strides[d]; i--) {
            sorted.shape[i] = sorted.shape[i - 1];
            put_axis(&sorted, i, &sorted, i - 1);
        }
        sorted.shape[i] = merged->shape[d];
        put_axis(&sorted, i, merged, d);
    }
    fd_axes_merge(ordered, &sorted);
    for (int i = 0; i < ordered->operands; i++) {
        if (ordered->strides[i][ordered->ndim - 1] != size) { return 0; }
    }
    return 1;
}

size_t fd_size(int ndim, const size_t *shape) {
    size_t n = 1;
    for (int d = 0; d < ndim; d++) { n *= shape[d]; }
    return n;
}

int fd_is_contiguous(fd_grid grid, ptrdiff_t step) {
    for (int d = grid.ndim - 1; d >= 0; d--) {
        if (grid.strides[d] != step && grid.shape[d] != 1) { return 0; }
        step *= (ptrdiff_t)grid.shape[d];
    }
    return 1;
}

void fd_in_order(ptrdiff_t *strides, int ndim, const size_t *shape, ptrdiff_t step) {
    for (int d = ndim - 1; d >= 0; d--) {
        strides[d] = step;
        step *= (ptrdiff_t)shape[d];
    }
}

size_t fd_mask_bytes(fd_grid mask) {
    size_t bits = 1;
    for (int d = 0; d < mask.ndim; d++) { bits += (mask.shape[d] - 1) * (size_t)mask.strides[d]; }
    return (bits + 7) / 8;
}

void fd_cursor_seek(fd_cursor *cursor, fd_grid grid, size_t element) {
    cursor->grid = grid;
    cursor->offset = 0;
    for (int d = grid.ndim - 1; d >= 0; d--) {
        cursor->index[d] = element % grid.shape[d];
        element /= grid.shape[d];
        cursor->offset += (ptrdiff_t)cursor->index[d] * grid.strides[d];
    }
}

size_t fd_cursor_run(const fd_cursor *cursor, size_t limit) {
    int d = cursor->grid.ndim - 1;
    size_t left = cursor->grid.shape[d] - cursor->index[d];
    return left < limit ? left : limit;
}

void fd_cursor_skip(fd_cursor *cursor, int axis, size_t count) {
    const fd_grid *grid = &cursor->grid;
    cursor->index[axis] += count;
    cursor->offset += (ptrdiff_t)count * grid->strides[axis];
    /* an axis that is at its end starts anew, and the one before it goes on by one */
    for (int d = axis; d > 0 && cursor->index[d] == grid->shape[d]; d--) {
        cursor->offset += grid->strides[d - 1];
        cursor->offset -= (ptrdiff_t)grid->shape[d] * grid->strides[d];
        cursor->index[d] = 0;
        cursor->index[d - 1]++;
    }
}

void fd_cursor_advance(fd_cursor *cursor, size_t count) {
    fd_cursor_skip(cursor, cursor->grid.ndim - 1, count);
}

/* With a constant size the copy is one load and one store. */
FD_INLINE void copy_run(char *to, ptrdiff_t to_step, const char *from, ptrdiff_t from_step,
                        size_t n, size_t size) {
    for (; n; n--, to += to_step, from += from_step) { memcpy(to, from, size); }
}

static void copy(char *to, ptrdiff_t to_step, const char *from, ptrdiff_t from_step, size_t n,
                 size_t size) {
    if (to_step == from_step && to_step == (ptrdiff_t)size) {
        memcpy(to, from, n * size);
    } else if (size == 4) {
        copy_run(to, to_step, from, from_step, n, 4);
    } else if (size == 8) {
        copy_run(to, to_step, from, from_step, n, 8);
    } else if (size == 2) {
        copy_run(to, to_step, from, from_step, n, 2);
    } else {
        copy_run(to, to_step, from, from_step, n, size);
    }
}

void fd_gather(char *buffer, const char *array, fd_cursor *cursor, size_t n, size_t size) {
    ptrdiff_t step = cursor->grid.strides[cursor->grid.ndim - 1];
    for (size_t run; n; n -= run, buffer += run * size) {
        run = fd_cursor_run(cursor, n);
        copy(buffer, (ptrdiff_t)size, array + cursor->offset, step, run, size);
        fd_cursor_advance(cursor, run);
    }
}

void fd_scatter(char *array, const char *buffer, fd_cursor *cursor, size_t n, size_t size) {
    ptrdiff_t step = cursor->grid.strides[cursor->grid.ndim - 1];
    for (size_t run; n; n -= run, buffer += run * size) {
        run = fd_cursor_run(cursor, n);
        copy(array + cursor->offset, step, buffer, (ptrdiff_t)size, run, size);
        fd_cursor_advance(cursor, run);
    }
}

void fd_walk_axis(fd_walk *walk, size_t n, const ptrdiff_t steps[FD_PLACES]) {
    if (n == 1) { return; }
    int d = walk->ndim++;
    walk->n[d] = n;
    walk->index[d] = 0;
    memcpy(walk->steps[d], steps, sizeof walk->steps[d]);
}

int fd_walk_next(fd_walk *walk) {
    for (int d = walk->ndim - 1; d >= 0; d--) {
        const ptrdiff_t *steps = walk->steps[d];
        if (++walk->index[d] < walk->n[d]) {
            for (int i = 0; i < FD_PLACES; i++) { walk->at[i] += steps[i]; }
            return 1;
        }
        for (int i = 0; i < FD_PLACES; i++) {
            walk->at[i] -= (ptrdiff_t)(walk->n[d] - 1) * steps[i];
        }
        walk->index[d] = 0;
    }
    return 0;
}
