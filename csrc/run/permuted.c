#include "permuted.h"

#include <string.h>

enum {
    /* Pieces of the mask shorter than this, and of variates shorter than that, cost more to find in
     * the stream than to draw; the stretches of memory that they leave room for, 128 and 64
     * elements, are long enough to be worth starting. */
    PIECE = 1024,
    PIECE_OF_VARIATES = 256,
    LEAST_RUN = 64,
    /* Longer ones start at words, which takes an eighth more; a piece that is cut is one. */
    LONG_RUN = PIECE / 2,
    STREAMING_STRETCH = 4096,
    BOX_BYTES = FD_BOX / 8 * 9 / 8 + 64,
    /* Of words, rows that begin so far apart are kept from places of which a cache holds few. */
    APART = 256,
    LINE = 16,
    BOX_WORDS = FD_BOX_WORDS * 17 / 16 + LINE,
    /* So many words are drawn at a time: they stay in the L1 cache. */
    PART_WORDS = 4096 * 17 / 16 + LINE
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

/* How many elements there can be in a box: 0 where pieces are too short. Pieces of bits start at
 * words. */
static size_t most_elements(const fd_permuted *p) {
    const fd_axes *axes = p->axes;
    size_t run = 1, most = p->variates ? FD_BOX_WORDS : FD_BOX;
    for (int i = 0; p->draw && i < axes->ndim; i++) {
        int d = p->by_mask[i];
        if (axes->steps[d] != (ptrdiff_t)run) {
            return run < LEAST_RUN ? 0 : run < LONG_RUN && !p->variates ? most / 2 : most;
        }
        run *= axes->shape[d];
    }
    return most;
}

size_t fd_permuted_cut(fd_permuted *p) {
    const fd_axes *axes = p->axes;
    int ndim = axes->ndim;
    size_t run = 1, total = 1;
    p->stretch = ndim;
    for (int d = ndim - 1; d >= 0; d--) {
        p->length[d] = 1;
        /* As many numbers of a bias as fit in a chunk, each repeated. */
        size_t numbers = axes->shape[d] < p->bias_n ? axes->shape[d] : p->bias_n;
        int fits = d != p->bias_axis || run * numbers <= FD_BLOCK;
        if (p->stretch == d + 1 && d + 1 != p->bias_axis && fits &&
            lie_apart(axes, d, (ptrdiff_t)(run * p->job->size))) {
            p->stretch = d;
            run *= axes->shape[d];
        }
    }
    if (run < LEAST_RUN && p->stretch > 0) { return 0; }
    sort_by_mask(p);
    size_t most_here = most_elements(p), piece = p->variates ? PIECE_OF_VARIATES : PIECE;
    if (!most_here) { return 0; }

    run = 1;
    for (int i = 0; i < ndim && run < piece; i++) {
        lengthen(p, p->by_mask[i], piece / run);
        run *= p->length[p->by_mask[i]];
    }
    for (int pass = 0; pass < 2; pass++) {
        size_t most = pass ? LONG_RUN : most_here / piece;
        run = 1;
        for (int d = ndim - 1; d >= p->stretch && run < most; d--) {
            size_t room = most_here / elements_of(p) * p->length[d];
            lengthen(p, d, most / run < room ? most / run : room);
            run *= p->length[d];
        }
    }
    for (int i = 0; i < ndim; i++) {
        int d = p->by_mask[i];
        lengthen(p, d, most_here / elements_of(p) * p->length[d]);
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

/* From one row of a box to the next. */
static size_t row_step(const fd_permuted *p, size_t n) {
    if (!p->variates) { return round_up(n, 64); }
    return n % APART ? n : n + LINE;
}

/* The steps of a box's bits as they are drawn: pieces of the stream, one after the other. */
static void from_pieces(const fd_permuted *p, fd_box *box) {
    size_t step = 1;
    for (int i = 0; i < box->ndim; i++) {
        box->from_steps[p->by_mask[i]] = step;
        step *= p->length[p->by_mask[i]];
        if (i == p->piece) { step = row_step(p, step); }
    }
}

/* Bits, or words, into `to`; the first `piece` axes of the mask and the next are one piece each. */
static void draw_pieces(const fd_permuted *p, void *to, const fd_box *box, int piece,
                        size_t element) {
    int last = p->by_mask[piece];
    size_t n = box->from_steps[last] * box->n[last];
    fd_walk walk = {.at = {(ptrdiff_t)element, 0}};
    for (int i = box->ndim - 1; i > piece; i--) {
        int d = p->by_mask[i];
        fd_walk_axis(&walk, box->n[d],
                     (ptrdiff_t[FD_PLACES]){p->axes->steps[d], (ptrdiff_t)box->from_steps[d]});
    }
    do {
        fd_draw draw = *p->draw;
        draw.position += (p->variates ? 2 : 1) * (uint64_t)walk.at[0];
        if (p->variates) {
            p->job->table->fields((uint16_t *)to + 2 * walk.at[1], 2 * n, &draw);
        } else {
            p->job->table->mask_bits((uint8_t *)to + walk.at[1] / 8, n, &draw);
        }
    } while (fd_walk_next(&walk));
}

/* The steps of the bits as they are applied: stretches of the memory, one after the other. */
static void to_stretches(const fd_permuted *p, fd_box *box) {
    size_t step = 1;
    for (int d = box->ndim - 1; d >= 0; d--) {
        box->to_steps[d] = step;
        step *= box->n[d];
        if (d == p->stretch && step >= LONG_RUN) { step = row_step(p, step); }
    }
}

/* The number's bits, again and again. */
static uint64_t word_of(const char *number, size_t size) {
    uint64_t word;
    uint32_t half;
    uint16_t quarter;
    if (size == 2) {
        memcpy(&quarter, number, 2);
        return quarter * UINT64_C(0x0001000100010001);
    }
    if (size == 4) {
        memcpy(&half, number, 4);
        return half * UINT64_C(0x0000000100000001);
    }
    memcpy(&word, number, 8);
    return word;
}

/* One number n times, and on to the end of a line. */
static void repeat(char *to, const char *number, size_t size, size_t n) {
    enum { LINE_BYTES = 64 };
    uint64_t word = word_of(number, size);
    for (size_t i = 0; i < LINE_BYTES; i += 8) { memcpy(to + i, &word, 8); }
    for (size_t done = LINE_BYTES, all = n * size, m; done < all; done += m) {
        m = all - done < done ? round_up(all - done, LINE_BYTES) : done;
        memcpy(to + done, to, m);
    }
}

/* The bias of a stretch, `first` being the index of its first element's: one number, or, where the
 * bias's axis is within, the numbers of one period. Returns for how many elements. */
static size_t bias_of_stretch(const fd_permuted *p, const fd_box *box, size_t first, char *to,
                              size_t n) {
    size_t size = p->job->size, within = box->n[p->bias_axis], parts = 1;
    if (p->stretch == p->bias_axis) {
        n /= within;
        parts = within < p->bias_n ? within : p->bias_n;
    } else if (n > FD_BLOCK) {
        n = FD_BLOCK;
    }
    for (size_t i = 0; i < parts; i++) {
        repeat(to + i * n * size, p->bias + (first + i) % p->bias_n * size, size, n);
    }
    return parts * n;
}

/* With bits, or words; `first` is the box's along the bias's axis. */
static void apply_stretches(const fd_permuted *p, const void *decisions, const fd_box *box,
                            char *const *at, size_t first) {
    FD_ALIGN64 char added[FD_BLOCK * sizeof(double) + 64];
    size_t n = box->to_steps[p->stretch] * box->n[p->stretch];
    const fd_keep none = {NULL, {0}, NULL};
    fd_job job = *p->job;
    job.streaming = job.streaming && n >= STREAMING_STRETCH;
    const uint8_t *bits = decisions;
    ptrdiff_t known = p->bias_axis < 0 ? 0 : -1;
    size_t most = n;
    /* Stretches are short: those along one axis are scaled in one call. */
    fd_strips strips = {.bits = bits, .count = 1};
    int is_scaled = job.operation == FD_OP_scale && !job.streaming, outer = p->stretch;
    if (is_scaled && outer > 0) {
        outer--;
        strips.count = box->n[outer];
        strips.x_step = p->axes->strides[0][outer];
        strips.y_step = p->axes->strides[1][outer];
        strips.bit_step = box->to_steps[outer];
    }
    fd_walk walk = {.at = {0}};
    for (int d = 0; d < outer; d++) {
        ptrdiff_t steps[FD_PLACES] = {0};
        for (int i = 0; i < job.operands; i++) { steps[i] = p->axes->strides[i][d]; }
        steps[FD_OPERANDS] = (ptrdiff_t)box->to_steps[d];
        steps[FD_OPERANDS + 1] = d == p->bias_axis ? 1 : 0;
        fd_walk_axis(&walk, box->n[d], steps);
    }
    do {
        size_t bit = (size_t)walk.at[FD_OPERANDS];
        char *here[FD_OPERANDS];
        for (int i = 0; i < job.operands; i++) { here[i] = at[i] + walk.at[i]; }
        if (is_scaled) {
            strips.bit = bit;
            job.table->apply_strips[job.dtype](here[0], here[1], n, &strips, job.call->numbers[0]);
            continue;
        }
        if (p->variates) {
            fd_variates variates = {(const uint16_t *)decisions + 2 * bit, *p->draw};
            fd_compute(&job, here, n, &none, &variates, NULL);
            continue;
        }
        if (walk.at[FD_OPERANDS + 1] != known) {
            known = walk.at[FD_OPERANDS + 1];
            most = bias_of_stretch(p, box, first + (size_t)known, added, n);
        }
        const char *bias = p->bias_axis < 0 ? p->bias : added;
        for (size_t done = 0, m; done < n; done += m, bit += m) {
            m = n - done < most ? n - done : most;
            fd_apply(&job, here, m, bits + bit / 8, bit % 8, bias);
            for (int i = 0; i < job.operands; i++) { here[i] += m * job.size; }
        }
    } while (fd_walk_next(&walk));
}

/* A box in the bits of the mask. Not inlined, as run_words is not: one's buffers would be on the
 * other's stack. */
FD_NOINLINE void run_bits(const fd_permuted *p, fd_box *box, char *const *at, size_t mask,
                          size_t first) {
    FD_ALIGN64 uint8_t drawn[BOX_BYTES], bits[BOX_BYTES];
    memset(bits, 0, (box->to_steps[0] * box->n[0] + 63) / 64 * 8);
    if (p->draw) {
        from_pieces(p, box);
        draw_pieces(p, drawn, box, p->piece, mask);
        fd_permute_bits(bits, drawn, sizeof drawn, 0, box);
    } else if (!p->bits) {
        memset(bits, 0xFF, sizeof bits);
    } else {
        for (int d = 0; d < box->ndim; d++) { box->from_steps[d] = (size_t)p->axes->steps[d]; }
        fd_permute_bits(bits, p->bits, p->bytes, mask, box);
    }
    apply_stretches(p, bits, box, at, first);
}

/* The words of a box, drawn in parts: some of one axis, and all of the axes nearer in the mask. */
static void draw_words(const fd_permuted *p, uint32_t *words, const fd_box *box, size_t element) {
    FD_ALIGN64 uint32_t drawn[PART_WORDS];
    fd_box part = *box;
    fd_walk walk = {.at = {(ptrdiff_t)element, 0}};
    int last = 0;
    while (last < box->ndim - 1 && box->from_steps[p->by_mask[last + 1]] <= PART_WORDS) { last++; }
    for (int i = box->ndim - 1; i > last; i--) {
        int d = p->by_mask[i];
        part.n[d] = 1;
        fd_walk_axis(&walk, box->n[d],
                     (ptrdiff_t[FD_PLACES]){p->axes->steps[d], (ptrdiff_t)box->to_steps[d]});
    }
    int d = p->by_mask[last], piece = last < p->piece ? last : p->piece;
    size_t step = box->from_steps[d], most = PART_WORDS / step;
    if (most > LINE) { most -= most % LINE; }
    do {
        for (size_t i = 0; i < box->n[d]; i += most) {
            part.n[d] = box->n[d] - i < most ? box->n[d] - i : most;
            size_t here = (size_t)walk.at[0] + i * (size_t)p->axes->steps[d];
            draw_pieces(p, drawn, &part, piece, here);
            fd_permute_words(words + walk.at[1] + i * box->to_steps[d], drawn, &part);
        }
    } while (fd_walk_next(&walk));
}

/* A box of variates. */
FD_NOINLINE void run_words(const fd_permuted *p, fd_box *box, char *const *at, size_t element) {
    FD_ALIGN64 uint32_t words[BOX_WORDS];
    from_pieces(p, box);
    draw_words(p, words, box, element);
    apply_stretches(p, words, box, at, 0);
}

void fd_permuted_run(const fd_permuted *p, size_t index) {
    const fd_axes *axes = p->axes;
    char *at[FD_OPERANDS];
    size_t first = 0;
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
        if (d == p->bias_axis) { first = start; }
    }
    to_stretches(p, &box);
    if (p->variates) {
        run_words(p, &box, at, (size_t)mask);
    } else {
        run_bits(p, &box, at, (size_t)mask, first);
    }
}
