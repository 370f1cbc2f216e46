/* Products whose keep bits are drawn where they are used: where comparisons end in mask registers,
 * the generator's arithmetic overlaps with the product's, and no bit goes through memory. Two
 * samples at a time (`many` is 2): one's arithmetic goes on while the other's waits. Included once
 * for each dtype D.
 *
 * Zen 4 begins two 512-bit operations a cycle, so that 64 terms take 12 cycles at least: 16
 * operations draw, 4 multiply, 4 add. Shifts and additions (10 of them) have the same pipes, and so
 * have comparisons and multiplications (6). */

/* Add register k of 64 terms, as far as they are kept, to a sum that is never -0.0. */
FD_INLINE VR FD_CAT(add_drawn, D)(VR sum, const vm *keep, int k, VR term) {
    vm drawn = keep[k * VN / FD_FIELDS];
    return V(add_kept)(V(fields)(drawn, k % (FD_FIELDS / VN)), sum, term);
}

/* Dot products of each x with the kept elements of `count` rows of n, as dots() has them. */
FD_INLINE void FD_CAT(drawn_dots, D)(NUMBER *const *sums, const NUMBER *const *x, size_t n,
                                     const NUMBER *at, size_t count, const steps *from,
                                     const int many) {
    enum { REGS = FD_PLACES / VN };
    steps s[2];
    FD_UNROLL
    for (int j = 0; j < many; j++) { s[j] = from[j]; }
    for (size_t r = 0; r < count; r++, at += n) {
        VR sum[2][REGS];
        FD_UNROLL
        for (int j = 0; j < many; j++) {
            FD_UNROLL
            for (int k = 0; k < REGS; k++) { sum[j][k] = V(set)(0); }
        }
        for (size_t i = 0; i < n; i += FD_STEP) {
            FD_UNROLL
            for (int j = 0; j < many; j++) {
                vm keep[FD_REGS];
                steps_next(&s[j], keep);
                FD_UNROLL
                for (int k = 0; k < FD_STEP / VN; k++) {
                    VR term = V(mul)(UNPACK(at + i + k * VN), UNPACK(x[j] + i + k * VN));
                    sum[j][k % REGS] = FD_CAT(add_drawn, D)(sum[j][k % REGS], keep, k, term);
                }
            }
        }
        FD_UNROLL
        for (int j = 0; j < many; j++) { sums[j][r] = FD_CAT(dot_total, D)(sum[j]); }
    }
}

/* Add factor[r] times the kept elements of row r to row r of `to`, for `count` rows of n. */
FD_INLINE void FD_CAT(drawn_rows, D)(NUMBER *const *to, size_t to_stride, size_t n,
                                     const NUMBER *const *at, size_t stride,
                                     const NUMBER *const *factor, size_t count, const steps *from,
                                     const int many) {
    steps s[2];
    FD_UNROLL
    for (int j = 0; j < many; j++) { s[j] = from[j]; }
    for (size_t r = 0; r < count; r++) {
        VR f[2];
        FD_UNROLL
        for (int j = 0; j < many; j++) { f[j] = V(set)(factor[j][r]); }
        for (size_t i = 0; i < n; i += FD_STEP) {
            FD_UNROLL
            for (int j = 0; j < many; j++) {
                vm keep[FD_REGS];
                steps_next(&s[j], keep);
                FD_UNROLL
                for (int k = 0; k < FD_STEP / VN; k++) {
                    NUMBER *sum = to[j] + r * to_stride + i + k * VN;
                    VR term = V(mul)(UNPACK(at[j] + r * stride + i + k * VN), f[j]);
                    PACK(sum, FD_CAT(add_drawn, D)(UNPACK(sum), keep, k, term));
                }
            }
        }
    }
}

/* Rows of all inputs, which need no packing if they are of the compute type already. */
FD_INLINE const NUMBER *FD_CAT(whole_rows, D)(NUMBER *packed, const char *matrix, size_t inputs,
                                              size_t row, size_t count) {
    const char *at = matrix + row * inputs * FD_SIZE;
    if (FD_SIZE == sizeof(NUMBER)) { return (const NUMBER *)(const void *)at; }
    FD_CAT(widen, D)(packed, at, count * inputs);
    return packed;
}

/* The dot products of a region; `packed` is room for its weights. */
static void FD_CAT(drawn_y, D)(NUMBER *sums, NUMBER *packed, const fd_linear *l,
                               const fd_region *b) {
    FD_ALIGN64 NUMBER packed_x[2][FD_CHUNK];
    size_t n = l->inputs, m = b->outputs;
    const NUMBER *w = FD_CAT(whole_rows, D)(packed, l->w, n, b->output, m);
    for (size_t s = 0, many; s < b->samples; s += many) {
        steps from[2];
        const NUMBER *x[2];
        NUMBER *to[2];
        many = b->samples - s < 2 ? 1 : 2;
        for (size_t j = 0; j < many; j++) {
            from[j] = steps_of(l, b->sample + s + j, b->output);
            x[j] = FD_CAT(whole_rows, D)(packed_x[j], l->x, n, b->sample + s + j, 1);
            to[j] = sums + (s + j) * m;
        }
        if (many == 2) {
            FD_CAT(drawn_dots, D)(to, x, n, w, m, from, 2);
        } else {
            FD_CAT(drawn_dots, D)(to, x, n, w, m, from, 1);
        }
    }
}

/* Rows of sums and the rows that are added to them: how far from a sample to the next, and from an
 * output. */
typedef struct FD_CAT(places, D) {
    NUMBER *to;
    size_t to_sample, to_output;
    const NUMBER *at;
    size_t at_sample, at_output;
} FD_CAT(places, D);

/* Add the gradients of a region's samples and outputs times the rows. */
FD_INLINE void FD_CAT(drawn_sums, D)(FD_CAT(places, D) p, const fd_linear *l, const fd_region *b) {
    FD_ALIGN64 NUMBER dy[2][FD_TILE_ROWS];
    const NUMBER *const factor[2] = {dy[0], dy[1]};
    size_t n = l->inputs, m = b->outputs;
    for (size_t s = 0, many; s < b->samples; s += many) {
        steps from[2];
        const NUMBER *at[2];
        NUMBER *to[2];
        many = b->samples - s < 2 ? 1 : 2;
        for (size_t j = 0; j < many; j++) {
            FD_CAT(gradients, D)(dy[j], l, b->sample + s + j, b->output, m);
            from[j] = steps_of(l, b->sample + s + j, b->output);
            at[j] = p.at + (s + j) * p.at_sample;
            to[j] = p.to + (s + j) * p.to_sample;
        }
        if (many == 2) {
            FD_CAT(drawn_rows, D)(to, p.to_output, n, at, p.at_output, factor, m, from, 2);
        } else {
            FD_CAT(drawn_rows, D)(to, p.to_output, n, at, p.at_output, factor, m, from, 1);
        }
    }
}

static void FD_CAT(drawn_dx, D)(NUMBER *dx, NUMBER *packed, const fd_linear *l,
                                const fd_region *b) {
    size_t n = l->inputs;
    fd_region part = *b;
    for (part.output = 0; part.output < l->outputs; part.output += part.outputs) {
        size_t left = l->outputs - part.output;
        if (left < part.outputs) { part.outputs = left; }
        const NUMBER *w = FD_CAT(whole_rows, D)(packed, l->w, n, part.output, part.outputs);
        FD_CAT(places, D) p = {dx, n, 0, w, 0, n};
        FD_CAT(drawn_sums, D)(p, l, &part);
    }
}

static void FD_CAT(drawn_dw, D)(NUMBER *dw, NUMBER *packed, const fd_linear *l,
                                const fd_region *b) {
    size_t n = l->inputs;
    fd_region part = *b;
    for (part.sample = 0; part.sample < l->samples; part.sample += part.samples) {
        size_t left = l->samples - part.sample;
        if (left < part.samples) { part.samples = left; }
        const NUMBER *x = FD_CAT(whole_rows, D)(packed, l->x, n, part.sample, part.samples);
        FD_CAT(places, D) p = {dw, 0, n, x, n, 0};
        FD_CAT(drawn_sums, D)(p, l, &part);
    }
}
