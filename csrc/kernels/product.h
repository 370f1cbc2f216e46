/* Parts of matrix products with masks: packing and two inner loops; included for each dtype D.
 *
 * Packed numbers are in the compute type, in rows of a multiple of FD_STEP that end in zeros, so
 * that the loops have no tails: a zero stays zero whatever its keep bit. No term is contracted (no
 * FMA) and every sum has one order, so that all instruction sets give the same bits. */

/* Pack n elements into a row. */
FD_INLINE void FD_CAT(widen, D)(NUMBER *to, const char *from, size_t n) {
    FD_ALIGN64 char copy[FD_STEP * FD_SIZE];
    for (; n; from += FD_STEP * FD_SIZE, to += FD_STEP) {
        if (n < FD_STEP) {
            memset(copy, 0, sizeof copy);
            from = memcpy(copy, from, n * FD_SIZE);
            n = FD_STEP;
        }
        for (int i = 0; i < FD_STEP; i += VN) { PACK(to + i, LOAD(from + i * FD_SIZE)); }
        n -= FD_STEP;
    }
}

/* Unpack n elements of a row, rounded. */
FD_INLINE void FD_CAT(narrow, D)(char *to, const NUMBER *from, size_t n) {
    FD_ALIGN64 char copy[FD_STEP * FD_SIZE];
    for (; n; from += FD_STEP, to += FD_STEP * FD_SIZE) {
        char *at = n < FD_STEP ? copy : to;
        for (int i = 0; i < FD_STEP; i += VN) { STORE(at + i * FD_SIZE, UNPACK(from + i)); }
        if (n < FD_STEP) {
            memcpy(to, copy, n * FD_SIZE);
            return;
        }
        n -= FD_STEP;
    }
}

/* The gradients with respect to `count` outputs of a sample, times the scale. */
FD_INLINE void FD_CAT(gradients, D)(NUMBER *to, const fd_linear *l, size_t sample, size_t output,
                                    size_t count) {
    FD_CAT(widen, D)(to, l->dy + (sample * l->outputs + output) * FD_SIZE, count);
    for (size_t r = 0; r < count; r++) { to[r] *= (NUMBER)l->scale; }
}

/* Rows of packed numbers with their keep bits: element i of row r is at `at[r * stride +
 * i]`, its bit at `bit + r * bit_stride + i`. */
typedef struct FD_CAT(rows, D) {
    const NUMBER *at;
    size_t stride;
    const uint8_t *bits;
    size_t bit, bit_stride;
} FD_CAT(rows, D);

/* Partial sums, added by halves until one is left. */
FD_INLINE NUMBER FD_CAT(dot_total, D)(VR *sum) {
    FD_UNROLL
    for (int half = FD_PLACES / VN / 2; half; half /= 2) {
        FD_UNROLL
        for (int k = 0; k < half; k++) { sum[k] = V(add)(sum[k], sum[k + half]); }
    }
    return V(sum)(sum[0]);
}

/* Dot products of x with the kept elements of `count` rows: term i is added to partial sum i % 32.
 */
FD_INLINE void FD_CAT(dot, D)(NUMBER *sums, const NUMBER *x, size_t n, FD_CAT(rows, D) w,
                              const int count) {
    enum { REGS = FD_PLACES / VN };
    VR sum[FD_DOT_ROWS][REGS];
    FD_UNROLL
    for (int r = 0; r < count; r++) {
        FD_UNROLL
        for (int k = 0; k < REGS; k++) { sum[r][k] = V(set)(0); }
    }
    for (size_t i = 0; i < n; i += FD_STEP) {
        uint64_t word[FD_DOT_ROWS];
        FD_UNROLL
        for (int r = 0; r < count; r++) {
            word[r] = fd_bits64(w.bits, w.bit + (size_t)r * w.bit_stride + i);
        }
        FD_UNROLL
        for (int half = 0; half < FD_STEP / FD_PLACES; half++) {
            FD_UNROLL
            for (int k = 0; k < REGS; k++) {
                const NUMBER *at = w.at + i + half * FD_PLACES + k * VN;
                VR v = UNPACK(x + i + half * FD_PLACES + k * VN);
                FD_UNROLL
                for (int r = 0; r < count; r++) {
                    VR term = V(mul)(UNPACK(at + (size_t)r * w.stride), v);
                    term = V(keep)(V(mask)(word[r], half * REGS + k), term);
                    sum[r][k] = V(add)(sum[r][k], term);
                }
            }
        }
    }
    FD_UNROLL
    for (int r = 0; r < count; r++) { sums[r] = FD_CAT(dot_total, D)(sum[r]); }
}

FD_INLINE void FD_CAT(dots, D)(NUMBER *sums, const NUMBER *x, size_t n, FD_CAT(rows, D) w,
                               size_t count) {
    size_t r = 0;
    for (size_t done; r < count; r += done) {
        done = count - r < FD_DOT_ROWS ? 1 : FD_DOT_ROWS;
        if (done == FD_DOT_ROWS) {
            FD_CAT(dot, D)(sums + r, x, n, w, FD_DOT_ROWS);
        } else {
            FD_CAT(dot, D)(sums + r, x, n, w, 1);
        }
        w.at += done * w.stride;
        w.bit += done * w.bit_stride;
    }
}

/* Add factor[r] times the kept elements of row r to the n numbers at `to`, row after row. */
FD_INLINE void FD_CAT(add_rows, D)(NUMBER *to, size_t n, FD_CAT(rows, D) a, const NUMBER *factor,
                                   size_t count) {
    enum { REGS = 4 }; /* enough to hide an addition's latency, few enough for any processor */
    for (size_t i = 0; i < n; i += REGS * VN) {
        VR sum[REGS];
        FD_UNROLL
        for (int k = 0; k < REGS; k++) { sum[k] = UNPACK(to + i + k * VN); }
        for (size_t r = 0; r < count; r++) {
            uint64_t word = fd_bits64(a.bits, a.bit + r * a.bit_stride + i);
            const NUMBER *at = a.at + r * a.stride + i;
            VR f = V(set)(factor[r]);
            FD_UNROLL
            for (int k = 0; k < REGS; k++) {
                VR term = V(mul)(UNPACK(at + k * VN), f);
                sum[k] = V(add)(sum[k], V(keep)(V(mask)(word, k), term));
            }
        }
        FD_UNROLL
        for (int k = 0; k < REGS; k++) { PACK(to + i + k * VN, sum[k]); }
    }
}
