#include "layout.h"

#include "bits.h"

fd_layout fd_layout_merge(const fd_layout *layout) {
    fd_layout m;
    m.ndim = 0;
    for (int d = 0; d < layout->ndim; d++) {
        size_t size = layout->shape[d];
        if (size == 1) { continue; }
        ptrdiff_t n = (ptrdiff_t)size;
        int last = m.ndim - 1;
        if (last >= 0 && m.x_strides[last] == layout->x_strides[d] * n &&
            m.y_strides[last] == layout->y_strides[d] * n &&
            m.mask_strides[last] == layout->mask_strides[d] * n) {
            m.shape[last] *= size;
        } else {
            last = m.ndim++;
            m.shape[last] = size;
        }
        m.x_strides[last] = layout->x_strides[d];
        m.y_strides[last] = layout->y_strides[d];
        m.mask_strides[last] = layout->mask_strides[d];
    }
    if (!m.ndim) {
        m.ndim = 1;
        m.shape[0] = 1;
        m.x_strides[0] = m.y_strides[0] = m.mask_strides[0] = 0;
    }
    return m;
}

int fd_layout_by_memory(fd_layout *ordered, const fd_layout *merged, ptrdiff_t size) {
    fd_layout sorted;
    sorted.ndim = merged->ndim;
    for (int d = 0; d < merged->ndim; d++) {
        int i = d;
        if (merged->y_strides[d] <= 0) { return 0; }
        for (; i > 0 && sorted.y_strides[i - 1] < merged->y_strides[d]; i--) {
            sorted.shape[i] = sorted.shape[i - 1];
            sorted.x_strides[i] = sorted.x_strides[i - 1];
            sorted.y_strides[i] = sorted.y_strides[i - 1];
            sorted.mask_strides[i] = sorted.mask_strides[i - 1];
        }
        sorted.shape[i] = merged->shape[d];
        sorted.x_strides[i] = merged->x_strides[d];
        sorted.y_strides[i] = merged->y_strides[d];
        sorted.mask_strides[i] = merged->mask_strides[d];
    }
    *ordered = fd_layout_merge(&sorted);
    int last = ordered->ndim - 1;
    return ordered->x_strides[last] == size && ordered->y_strides[last] == size;
}

size_t fd_layout_size(const fd_layout *layout) {
    size_t n = 1;
    for (int d = 0; d < layout->ndim; d++) { n *= layout->shape[d]; }
    return n;
}

int fd_is_contiguous(const fd_layout *layout, const ptrdiff_t *strides, ptrdiff_t step) {
    for (int d = layout->ndim - 1; d >= 0; d--) {
        if (strides[d] != step && layout->shape[d] != 1) { return 0; }
        step *= (ptrdiff_t)layout->shape[d];
    }
    return 1;
}

void fd_mask_in_order(fd_layout *layout) {
    ptrdiff_t step = 1;
    for (int d = layout->ndim - 1; d >= 0; d--) {
        layout->mask_strides[d] = step;
        step *= (ptrdiff_t)layout->shape[d];
    }
}

size_t fd_mask_bytes(const fd_layout *layout) {
    size_t bits = 1;
    for (int d = 0; d < layout->ndim; d++) {
        bits += (layout->shape[d] - 1) * (size_t)layout->mask_strides[d];
    }
    return (bits + 7) / 8;
}

void fd_cursor_seek(fd_cursor *cursor, const fd_layout *layout, const ptrdiff_t *strides,
                    size_t element) {
    cursor->layout = layout;
    cursor->strides = strides;
    cursor->offset = 0;
    for (int d = layout->ndim - 1; d >= 0; d--) {
        cursor->index[d] = element % layout->shape[d];
        element /= layout->shape[d];
        cursor->offset += (ptrdiff_t)cursor->index[d] * strides[d];
    }
}

size_t fd_cursor_run(const fd_cursor *cursor, size_t limit) {
    int d = cursor->layout->ndim - 1;
    size_t left = cursor->layout->shape[d] - cursor->index[d];
    return left < limit ? left : limit;
}

void fd_cursor_skip(fd_cursor *cursor, int axis, size_t count) {
    const fd_layout *layout = cursor->layout;
    cursor->index[axis] += count;
    cursor->offset += (ptrdiff_t)count * cursor->strides[axis];
    /* an axis that is at its end starts anew, and the one before it goes on by one */
    for (int d = axis; d > 0 && cursor->index[d] == layout->shape[d]; d--) {
        cursor->offset += cursor->strides[d - 1];
        cursor->offset -= (ptrdiff_t)layout->shape[d] * cursor->strides[d];
        cursor->index[d] = 0;
        cursor->index[d - 1]++;
    }
}

void fd_cursor_advance(fd_cursor *cursor, size_t count) {
    fd_cursor_skip(cursor, cursor->layout->ndim - 1, count);
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
    ptrdiff_t step = cursor->strides[cursor->layout->ndim - 1];
    for (size_t run; n; n -= run, buffer += run * size) {
        run = fd_cursor_run(cursor, n);
        copy(buffer, (ptrdiff_t)size, array + cursor->offset, step, run, size);
        fd_cursor_advance(cursor, run);
    }
}

void fd_scatter(char *array, const char *buffer, fd_cursor *cursor, size_t n, size_t size) {
    ptrdiff_t step = cursor->strides[cursor->layout->ndim - 1];
    for (size_t run; n; n -= run, buffer += run * size) {
        run = fd_cursor_run(cursor, n);
        copy(array + cursor->offset, step, buffer, (ptrdiff_t)size, run, size);
        fd_cursor_advance(cursor, run);
    }
}

void fd_walk_axis(fd_walk *walk, size_t n, ptrdiff_t step0, ptrdiff_t step1, ptrdiff_t step2) {
    if (n == 1) { return; }
    int d = walk->ndim++;
    walk->n[d] = n;
    walk->index[d] = 0;
    walk->steps[d][0] = step0;
    walk->steps[d][1] = step1;
    walk->steps[d][2] = step2;
}

int fd_walk_next(fd_walk *walk) {
    for (int d = walk->ndim - 1; d >= 0; d--) {
        const ptrdiff_t *steps = walk->steps[d];
        int more = ++walk->index[d] < walk->n[d];
        ptrdiff_t times = more ? 1 : 1 - (ptrdiff_t)walk->n[d];
        for (int i = 0; i < 3; i++) { walk->at[i] += times * steps[i]; }
        if (more) { return 1; }
        walk->index[d] = 0;
    }
    return 0;
}
