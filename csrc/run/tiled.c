#include "tiled.h"

#include <string.h>

enum {
    LINE = 64,
    /* Shorter rows cost more to begin than to compute. */
    LEAST_ROW = 64,
    LEAST_ACROSS = 4,
    AHEAD = 16, /* lines */
    /* One buffer stays in the L1 cache, and two, or three, in the L2 cache. */
    BUFFER = 32768
};

/* The axis along which the elements of an operand are neighbours, or -1. */
static int near_axis(const fd_axes *axes, int operand, size_t size) {
    int d = axes->ndim - 1;
    while (d >= 0 && axes->strides[operand][d] != (ptrdiff_t)size) { d--; }
    return d;
}

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

/* Whether an operand takes the buffer of the first one: every operation may be done in place. */
static int shares_buffer(const fd_tiles *t, int operand) {
    return operand == t->job->reads && !t->direct[0];
}

size_t fd_tiles_cut(fd_tiles *t, size_t longest) {
    const fd_axes *axes = &t->axes;
    int last = axes->ndim - 1, buffered = 0;
    size_t size = t->job->size, total = 1;
    t->across = -1;
    for (int i = 0; i < t->job->operands; i++) {
        int near = near_axis(axes, i, size);
        t->direct[i] = near == last;
        buffered += !t->direct[i] && !shares_buffer(t, i);
        if (near >= 0 && near != last) { t->across = near; } /* rather what is written */
    }
    if (t->across < 0) { return 0; }
    size_t row = axes->shape[last], across = axes->shape[t->across];
    size_t bytes = smaller(BUFFER, FD_TILE_BUFFERS / (size_t)buffered);
    size_t most = smaller(longest, bytes / size);
    t->whole = t->across == last - 1 && row <= most / LEAST_ACROSS;
    for (int i = 0; i < t->job->operands; i++) {
        /* An operand without a buffer has them one after the other, or not. */
        t->whole &= !t->direct[i] || axes->strides[i][t->across] == (ptrdiff_t)(row * size);
    }
    if (t->whole) {
        t->rows = smaller(most / row, across);
        t->columns = row;
    } else {
        /* As many rows as elements are in a line, each followed by an empty line, which keeps them
         * from places of which a cache holds few. */
        t->rows = smaller(LINE / size, across);
        t->columns = (bytes / LINE / t->rows - 2) * (LINE / size);
        t->columns = smaller(t->columns, smaller(row, longest));
    }
    if (across < LEAST_ACROSS || (!t->whole && row < LEAST_ROW)) { return 0; }
    for (int d = 0; d <= last; d++) {
        size_t n = d == last ? t->columns : d == t->across ? t->rows : 1;
        total *= (axes->shape[d] + n - 1) / n;
    }
    return total;
}

/* A line of the array at a time. They lie too far apart for processors to fetch them in time, and
 * where a cache may hold few of them. */
FD_INLINE void copy(char *to, ptrdiff_t to_row, ptrdiff_t to_step, const char *from,
                    ptrdiff_t from_row, ptrdiff_t from_step, size_t rows, size_t columns,
                    size_t size) {
    for (size_t k = 0; k < columns; k++, to += to_step, from += from_step) {
        FD_PREFETCH((uintptr_t)to + (uintptr_t)(AHEAD * to_step));
        FD_PREFETCH((uintptr_t)from + (uintptr_t)(AHEAD * from_step));
        char *y = to;
        const char *x = from;
        for (size_t i = 0; i < rows; i++, y += to_row, x += from_row) { memcpy(y, x, size); }
    }
}

/* With a constant size an element's copy is one load and one store. */
static void copy_tile(char *to, ptrdiff_t to_row, ptrdiff_t to_step, const char *from,
                      ptrdiff_t from_row, ptrdiff_t from_step, size_t rows, size_t columns,
                      size_t size) {
    if (size == 4) {
        copy(to, to_row, to_step, from, from_row, from_step, rows, columns, 4);
    } else if (size == 2) {
        copy(to, to_row, to_step, from, from_row, from_step, rows, columns, 2);
    } else {
        copy(to, to_row, to_step, from, from_row, from_step, rows, columns, 8);
    }
}

void fd_tiles_run(const fd_tiles *t, size_t index, char *buffers) {
    const fd_axes *axes = &t->axes;
    const fd_job *job = t->job;
    size_t first = 0, step = 1, across_step = 0, n[2] = {1, 1}, size = job->size;
    ptrdiff_t places[FD_OPERANDS] = {0}, unit = (ptrdiff_t)size;
    int last = axes->ndim - 1;
    for (int d = last; d >= 0; d--) {
        size_t length = d == last ? t->columns : d == t->across ? t->rows : 1;
        size_t many = (axes->shape[d] + length - 1) / length, start = index % many * length;
        index /= many;
        if (d == last) { n[1] = smaller(length, axes->shape[d] - start); }
        if (d == t->across) {
            n[0] = smaller(length, axes->shape[d] - start);
            across_step = step;
        }
        first += start * step;
        step *= axes->shape[d];
        for (int i = 0; i < job->operands; i++) {
            places[i] += (ptrdiff_t)start * axes->strides[i][d];
        }
    }
    ptrdiff_t row = (ptrdiff_t)(n[1] * size), rows[FD_OPERANDS];
    if (!t->whole) { row = (row + 2 * LINE - 1) / LINE * LINE; }
    char *at[FD_OPERANDS];
    for (int i = 0; i < job->operands; i++) {
        const ptrdiff_t *strides = axes->strides[i];
        char *array = (char *)job->call->at[i] + places[i];
        at[i] = array;
        rows[i] = strides[t->across];
        if (t->direct[i]) { continue; }
        rows[i] = row;
        if (shares_buffer(t, i)) {
            at[i] = at[0];
        } else {
            at[i] = buffers;
            buffers += (ptrdiff_t)n[0] * row;
        }
        if (i < job->reads) {
            copy_tile(at[i], row, unit, array, strides[t->across], strides[last], n[0], n[1], size);
        }
    }
    size_t calls = t->whole ? 1 : n[0], elements = n[0] * n[1] / calls;
    for (size_t k = 0; k < calls; k++) {
        char *here[FD_OPERANDS];
        for (int i = 0; i < job->operands; i++) { here[i] = at[i] + (ptrdiff_t)k * rows[i]; }
        t->row(t->context, first + k * across_step, elements, here);
    }
    for (int i = job->reads; i < job->operands; i++) {
        if (t->direct[i]) { continue; }
        const ptrdiff_t *strides = axes->strides[i];
        copy_tile((char *)job->call->at[i] + places[i], strides[t->across], strides[last], at[i],
                  row, unit, n[0], n[1], size);
    }
}
