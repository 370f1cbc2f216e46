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
    size_t n = p->axes->shape[d] < most ? p->axes->shape[d] : most;
    if (n > p->length[d]) { p->length[d] = n; }
}

static size_t elements_of(const fd_permuted *p) {
    size_t n = 1;
    for (int d = 0; d < p->axes->ndim; d++) { n *= p->length[d]; }
    return n;
}

static void sort_by_mask(fd_permuted *p) {
    const ptrdiff_t *strides = p->axes->steps;
    for (int i = 0; i < p->axes->ndim; i++) {
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

/* Whether the elements of axis d are `step` bytes apart in every operand. */
static int lie_apart(const fd_axes *axes, int d, ptrdiff_t step) {
    for (int i = 0; i < axes->operands; i++) {
        if (axes->strides[i][d] != step) { return 0; }
    }
    return 1;
}

/* How many elements there can be in a box whose bits are drawn in pieces that start at words: 0
 * where pieces are too short. */
static size_t most_drawn(const fd_permuted *p) {
    const fd_axes *axes = p->axes;
    size_t run = 1;
    for (int i = 0; i < axes->ndim; i++) {
        int d = p->by_mask[i];
        if (axes->steps[d] != (ptrdiff_t)run) {
            return run < LEAST_RUN ? 0 : run < LONG_RUN ? FD_BOX / 2 : FD_BOX;
        }
        run *= axes->shape[d];
    }
    return FD_BOX;
}

size_t fd_permuted_cut(fd_permuted *p) {
    const fd_axes *axes = p->axes;
    int ndim = axes->ndim;
    size_t run = 1, total = 1;
    p->stretch = ndim;
    for (int d = ndim - 1; d >= 0; d--) {
        p->length[d] = 1;
        if (p->stretch == d + 1 && d != p->bias_axis &&
            lie_apart(axes, d, (ptrdiff_t)(run * p->job->size))) {
            p->stretch = d;
            run *= axes->shape[d];
        }
    }
    if (run < LEAST_RUN && p->stretch > 0) { return 0; }
    sort_by_mask(p);
    size_t most_bits = p->draw ? most_drawn(p) : FD_BOX;
    if (!most_bits) { return 0; }

    run = 1;
    for (int i = 0; i < ndim && run < PIECE; i++) {
        lengthen(p, p->by_mask[i], PIECE / run);
        run *= p->length[p->by_mask[i]];
    }
    for (int pass = 0; pass < 2; pass++) {
        size_t most = pass ? LONG_RUN : STRETCH;
        run = 1;
        for (int d = ndim - 1; d >= p->stretch && run < most; d--) {
            size_t room = most_bits / elements_of(p) * p->length[d];
            lengthen(p, d, most / run < room ? most / run : room);
            run *= p->length[d];
        }
    }
    for (int i = 0; i < ndim; i++) {
        int d = p->by_mask[i];
        lengthen(p, d, most_bits / elements_of(p) * p->length[d]);
    }

    for (int d = 0; d < ndim; d++) {
        p->length[d] = even_length(axes->shape[d], p->length[d]);
        p->boxes[d] = (axes->shape[d] + p->length[d] - 1) / p->length[d];
        total *= p->boxes[d];
    }
    for (int d = ndim - 1; d > p->stretch; d--) {
        if (p->boxes[d] > 1) { p->stretch = d; }
    }
    for (p->piece = 0; p->piece < ndim - 1; p->piece++) {
        int d = p->by_mask[p->piece];
        ptrdiff_t end = axes->steps[d] * (ptrdiff_t)axes->shape[d];
        if (p->boxes[d] > 1 || axes->steps[p->by_mask[p->piece + 1]] != end) { break; }
    }
    return total;
}

/* The steps of a box's bits as they are drawn: pieces of the stream, one after the other. */
static void from_pieces(const fd_permuted *p, fd_box *box) {
    size_t step = 1;
    for (int i = 0; i < box->ndim; i++) {
        box->from_steps[p->by_mask[i]] = step;
        step *= p->length[p->by_mask[i]];
        if (i == p->piece) { step = round_up(step, 64); }
    }
}

static void draw_pieces(const fd_permuted *p, uint8_t *bits, const fd_box *box, size_t element) {
    int last = p->by_mask[p->piece];
    size_t n = box->from_steps[last] * box->n[last];
    fd_walk walk = {.at = {(ptrdiff_t)element, 0}};
    for (int i = box->ndim - 1; i > p->piece; i--) {
        int d = p->by_mask[i];
        fd_walk_axis(&walk, box->n[d],
                     (ptrdiff_t[FD_PLACES]){p->axes->steps[d], (ptrdiff_t)box->from_steps[d]});
    }
    do {
        fd_draw draw = *p->draw;
        draw.position += (size_t)walk.at[0];
        p->job->table->mask_bits(bits + walk.at[1] / 8, n, &draw);
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

/* One number as often as a chunk reads it. */
static void repeat(char *to, const char *from, size_t size, size_t n) {
    if (n > FD_BLOCK) { n = FD_BLOCK; }
    memcpy(to, from, size);
    for (size_t done = 1; done < n; done *= 2) {
        memcpy(to + done * size, to, (n - done < done ? n - done : done) * size);
    }
}

/* `bias` is that of the box's first element. */
static void apply_stretches(const fd_permuted *p, const uint8_t *bits, const fd_box *box,
                            char *const *at, const char *bias) {
    FD_ALIGN64 char same[FD_BLOCK * sizeof(double)];
    size_t n = box->to_steps[p->stretch] * box->n[p->stretch];
    fd_job job = *p->job;
    job.streaming = job.streaming && n >= STREAMING_STRETCH;
    /* Stretches are short: what scales them is looked up once. */
    const fd_table *table = job.table;
    double number = job.call->numbers[0];
    fd_apply_bits_fn *scale =
        job.operation != FD_OP_scale
            ? NULL
            : (job.streaming ? table->apply_bits_stream : table->apply_bits)[job.dtype];
    fd_walk walk = {.at = {0}};
    for (int d = 0; d < p->stretch; d++) {
        ptrdiff_t steps[FD_PLACES] = {0};
        for (int i = 0; i < job.operands; i++) { steps[i] = p->axes->strides[i][d]; }
        steps[FD_OPERANDS] = (ptrdiff_t)box->to_steps[d];
        steps[FD_OPERANDS + 1] = d == p->bias_axis ? (ptrdiff_t)job.size : 0;
        fd_walk_axis(&walk, box->n[d], steps);
    }
    do {
        size_t bit = (size_t)walk.at[FD_OPERANDS];
        if (scale) {
            scale(at[0] + walk.at[0], at[1] + walk.at[1], n, bits + bit / 8, bit % 8, number);
            continue;
        }
        char *here[FD_OPERANDS];
        const char *added = bias;
        for (int i = 0; i < job.operands; i++) { here[i] = at[i] + walk.at[i]; }
        if (p->bias_axis >= 0) {
            repeat(same, bias + walk.at[FD_OPERANDS + 1], job.size, n);
            added = same;
        }
        fd_apply(&job, here, n, bits + bit / 8, bit % 8, added);
    } while (fd_walk_next(&walk));
}

void fd_permuted_run(const fd_permuted *p, size_t index) {
    FD_ALIGN64 uint8_t drawn[BOX_BYTES], bits[BOX_BYTES];
    const fd_axes *axes = p->axes;
    char *at[FD_OPERANDS];
    const char *bias = p->bias;
    ptrdiff_t mask = 0;
    fd_box box = {.ndim = axes->ndim};
    for (int i = 0; i < axes->operands; i++) { at[i] = p->job->call->at[i]; }
    for (int d = axes->ndim - 1; d >= 0; d--) {
        size_t start = index % p->boxes[d] * p->length[d], left = axes->shape[d] - start;
        index /= p->boxes[d];
        box.n[d] = left < p->length[d] ? left : p->length[d];
        for (int i = 0; i < axes->operands; i++) {
            at[i] += (ptrdiff_t)start * axes->strides[i][d];
        }
        mask += (ptrdiff_t)start * axes->steps[d];
        if (d == p->bias_axis) { bias += start * p->job->size; }
    }
    to_stretches(p, &box);
    memset(bits, 0, (box.to_steps[0] * box.n[0] + 63) / 64 * 8);
    if (p->draw) {
        from_pieces(p, &box);
        draw_pieces(p, drawn, &box, (size_t)mask);
        fd_permute_bits(bits, drawn, sizeof drawn, 0, &box);
    } else if (!p->bits) {
        memset(bits, 0xFF, sizeof bits);
    } else {
        for (int d = 0; d < box.ndim; d++) { box.from_steps[d] = (size_t)axes->steps[d]; }
        fd_permute_bits(bits, p->bits, p->bytes, (size_t)mask, &box);
    }
    apply_stretches(p, bits, &box, at, bias);
}
