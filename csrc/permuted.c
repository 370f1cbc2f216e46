#include "permuted.h"

#include <string.h>

enum {
    /* Pieces of the mask shorter than this cost more to find in the stream than to draw, and
     * stretches of memory shorter than that more to start than to go through. */
    PIECE = 1024,
    STRETCH = FD_BOX / PIECE,
    LEAST_RUN = 64,
    /* Longer ones start at words, which takes an eighth more; a piece that is cut is one. */
    LONG_RUN = PIECE / 2,
    STREAMING_STRETCH = 4096,
    BOX_BYTES = FD_BOX / 8 * 9 / 8 + 64
};

static size_t round_up(size_t n, size_t unit) { return (n + unit - 1) / unit * unit; }

/* Makes a box longer along an axis, `length` of which it has so far, up to `most`. */
static void lengthen(fd_permuted *p, int d, size_t most) {
    size_t n = p->layout.shape[d] < most ? p->layout.shape[d] : most;
    if (n > p->length[d]) { p->length[d] = n; }
}

static size_t elements_of(const fd_permuted *p) {
    size_t n = 1;
    for (int d = 0; d < p->layout.ndim; d++) { n *= p->length[d]; }
    return n;
}

static void sort_by_mask(fd_permuted *p) {
    const ptrdiff_t *strides = p->layout.mask_strides;
    for (int i = 0; i < p->layout.ndim; i++) {
        int j = i;
        for (; j > 0 && strides[p->by_mask[j - 1]] > strides[i]; j--) {
            p->by_mask[j] = p->by_mask[j - 1];
        }
        p->by_mask[j] = i;
    }
}

/* Lengths that are all about the same, instead of a short rest: whole words where that fits. */
static size_t even_length(size_t size, size_t length) {
    size_t boxes = (size + length - 1) / length, even = (size + boxes - 1) / boxes;
    size_t words = round_up(even, 64);
    return words <= length ? words : even;
}

size_t fd_permuted_cut(fd_permuted *p) {
    const fd_layout *layout = &p->layout;
    int ndim = layout->ndim;
    size_t run = 1, total = 1;
    p->stretch = ndim;
    for (int d = ndim - 1; d >= 0; d--) {
        p->length[d] = 1;
        ptrdiff_t step = (ptrdiff_t)(run * p->size);
        if (p->stretch == d + 1 && layout->x_strides[d] == step && layout->y_strides[d] == step) {
            p->stretch = d;
            run *= layout->shape[d];
        }
    }
    if (run < LEAST_RUN && p->stretch > 0) { return 0; }
    sort_by_mask(p);

    run = 1;
    for (int i = 0; i < ndim && run < PIECE; i++) {
        lengthen(p, p->by_mask[i], PIECE / run);
        run *= p->length[p->by_mask[i]];
    }
    for (int pass = 0; pass < 2; pass++) {
        size_t most = pass ? LONG_RUN : STRETCH;
        run = 1;
        for (int d = ndim - 1; d >= p->stretch && run < most; d--) {
            size_t room = FD_BOX / elements_of(p) * p->length[d];
            lengthen(p, d, most / run < room ? most / run : room);
            run *= p->length[d];
        }
    }
    for (int i = 0; i < ndim; i++) {
        int d = p->by_mask[i];
        lengthen(p, d, FD_BOX / elements_of(p) * p->length[d]);
    }

    for (int d = 0; d < ndim; d++) {
        p->length[d] = even_length(layout->shape[d], p->length[d]);
        p->boxes[d] = (layout->shape[d] + p->length[d] - 1) / p->length[d];
        total *= p->boxes[d];
    }
    for (int d = ndim - 1; d > p->stretch; d--) {
        if (p->boxes[d] > 1) { p->stretch = d; }
    }
    for (p->piece = 0; p->piece < ndim - 1 && p->boxes[p->by_mask[p->piece]] == 1;) { p->piece++; }
    return total;
}

/* The steps of a box's bits as they are drawn: pieces of the stream, one after the other. */
static void from_pieces(const fd_permuted *p, fd_box *box) {
    size_t step = 1;
    for (int i = 0; i < box->ndim; i++) {
        box->from_steps[p->by_mask[i]] = step;
        step *= p->length[p->by_mask[i]];
        if (i == p->piece && step >= LONG_RUN) { step = round_up(step, 64); }
    }
}

static void draw_pieces(const fd_permuted *p, uint8_t *bits, const fd_box *box, size_t element) {
    int last = p->by_mask[p->piece];
    size_t n = box->from_steps[last] * box->n[last];
    fd_walk walk = {.at = {(ptrdiff_t)element, 0}};
    for (int i = box->ndim - 1; i > p->piece; i--) {
        int d = p->by_mask[i];
        fd_walk_axis(&walk, box->n[d], p->layout.mask_strides[d], (ptrdiff_t)box->from_steps[d], 0);
    }
    do {
        fd_draw draw = *p->draw;
        draw.position += (size_t)walk.at[0];
        p->table->mask_bits(bits + walk.at[1] / 8, n, &draw);
    } while (fd_walk_next(&walk));
}

/* The steps of the bits as they are applied: stretches of the memory, one after the other. */
static void to_stretches(const fd_permuted *p, fd_box *box) {
    size_t step = 1;
    for (int d = box->ndim - 1; d >= 0; d--) {
        box->to_steps[d] = step;
        step *= box->n[d];
        if (d == p->stretch && step >= LONG_RUN) { step = round_up(step, 64); }
    }
}

static void apply_stretches(const fd_permuted *p, const uint8_t *bits, const fd_box *box,
                            const char *x, char *y) {
    size_t n = box->to_steps[p->stretch] * box->n[p->stretch];
    int streaming = p->streaming && n >= STREAMING_STRETCH;
    fd_apply_bits_fn *apply =
        (streaming ? p->table->apply_bits_stream : p->table->apply_bits)[p->dtype];
    fd_walk walk = {.at = {0, 0, 0}};
    for (int d = 0; d < p->stretch; d++) {
        fd_walk_axis(&walk, box->n[d], p->layout.x_strides[d], p->layout.y_strides[d],
                     (ptrdiff_t)box->to_steps[d]);
    }
    do {
        size_t bit = (size_t)walk.at[2];
        apply(x + walk.at[0], y + walk.at[1], n, bits + bit / 8, bit % 8, p->scale);
    } while (fd_walk_next(&walk));
}

void fd_permuted_run(const fd_permuted *p, size_t index) {
    FD_ALIGN64 uint8_t drawn[BOX_BYTES], bits[BOX_BYTES];
    const fd_layout *layout = &p->layout;
    ptrdiff_t x = 0, y = 0, mask = 0;
    fd_box box = {.ndim = layout->ndim};
    for (int d = layout->ndim - 1; d >= 0; d--) {
        size_t start = index % p->boxes[d] * p->length[d], left = layout->shape[d] - start;
        index /= p->boxes[d];
        box.n[d] = left < p->length[d] ? left : p->length[d];
        x += (ptrdiff_t)start * layout->x_strides[d];
        y += (ptrdiff_t)start * layout->y_strides[d];
        mask += (ptrdiff_t)start * layout->mask_strides[d];
    }
    to_stretches(p, &box);
    memset(bits, 0, (box.to_steps[0] * box.n[0] + 63) / 64 * 8);
    if (p->draw) {
        from_pieces(p, &box);
        draw_pieces(p, drawn, &box, (size_t)mask);
        fd_permute_bits(bits, drawn, sizeof drawn, 0, &box);
    } else {
        for (int d = 0; d < box.ndim; d++) { box.from_steps[d] = (size_t)layout->mask_strides[d]; }
        fd_permute_bits(bits, p->bits, p->bytes, (size_t)mask, &box);
    }
    apply_stretches(p, bits, &box, p->x + x, p->y + y);
}
