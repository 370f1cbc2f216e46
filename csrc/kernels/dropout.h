/* Bodies of one dtype D: apply_bits, apply_strips, apply_rows, dropout, and the forms of them that
 * bypass the cache. Included once for each. */

enum { FD_CAT(size, D) = FD_SIZE, FD_CAT(chunk, D) = FD_FIELDS * FD_SIZE };

/* Prefetch the elements of `steps` steps, a page ahead. The arithmetic between two loads keeps some
 * processors' hardware prefetchers from running far enough ahead; others lose time by it, so that
 * each loop is compiled with and without (fd_get_prefetch chooses). What is written is prefetched
 * too (`both`) where it is not what is read, unless its pages do not exist yet: looking for each of
 * their lines in vain takes half as long as all the rest. */
FD_INLINE void FD_CAT(prefetch, D)(const char *x, int steps) {
    FD_UNROLL
    for (int i = 0; i < FD_SIZE * steps; i++) { FD_PREFETCH((uintptr_t)x + FD_AHEAD + 64 * i); }
}

/* 64 elements under the bits of one word, unless the instruction set has a faster way. */
#if FD_SIZE != 4 || !defined(FD_WORD_F32)
FD_INLINE void FD_CAT(word, D)(const char *x, char *y, uint64_t w, FD_CAT(vs, D) s, int nt) {
    FD_UNROLL
    for (int i = 0; i < FD_REGS; i++) {
        int at = i * FD_CAT(chunk, D);
        FD_CAT(apply, D)(x + at, y + at, vm_from_bits(w, (unsigned)i), s, nt);
    }
}
#endif

/* `count` elements, starting at place `first` of a step. Partial steps go through copies: no load
 * or store touches memory outside the caller's array. */
FD_NOINLINE void FD_CAT(word_part, D)(const char *x, char *y, unsigned first, size_t count,
                                      uint64_t w, double scale) {
    FD_ALIGN64 char buffer[FD_STEP * FD_SIZE];
    memset(buffer, 0, sizeof buffer);
    memcpy(buffer + first * FD_SIZE, x, count * FD_SIZE);
    FD_CAT(word, D)(buffer, buffer, w, FD_CAT(vs_set, D)(scale), 0);
    memcpy(y, buffer + first * FD_SIZE, count * FD_SIZE);
}

FD_INLINE void FD_CAT(bits_run, D)(const char *x, char *y, size_t n, const uint8_t *bits,
                                   size_t bit, double scale, int nt, int ahead, int both) {
    FD_CAT(vs, D) s = FD_CAT(vs_set, D)(scale);
    for (; n >= FD_STEP; n -= FD_STEP, bit += FD_STEP) {
        if (ahead) { FD_CAT(prefetch, D)(x, 1); }
        if (both) { FD_CAT(prefetch, D)(y, 1); }
        FD_CAT(word, D)(x, y, fd_bits64(bits, bit), s, nt);
        x += FD_STEP * FD_SIZE;
        y += FD_STEP * FD_SIZE;
    }
    if (n) { FD_CAT(word_part, D)(x, y, 0, n, fd_bits_tail(bits, bit, (unsigned)n), scale); }
}

static void FD_CAT(apply_bits, D)(const void *x, void *y, size_t n, const uint8_t *bits,
                                  size_t bit0, double scale) {
    if (fd_get_prefetch()) {
        FD_CAT(bits_run, D)(x, y, n, bits, bit0, scale, 0, 1, x != y && fd_prefetches_outputs());
    } else {
        FD_CAT(bits_run, D)(x, y, n, bits, bit0, scale, 0, 0, 0);
    }
}

static void FD_CAT(apply_strips, D)(const void *xv, void *yv, size_t n, const fd_strips *strips,
                                    double scale) {
    const char *x = xv;
    char *y = yv;
    size_t bit = strips->bit;
    int ahead = fd_get_prefetch(), both = ahead && x != y && fd_prefetches_outputs();
    for (size_t i = 0; i < strips->count; i++) {
        if (ahead) {
            FD_CAT(bits_run, D)(x, y, n, strips->bits, bit, scale, 0, 1, both);
        } else {
            FD_CAT(bits_run, D)(x, y, n, strips->bits, bit, scale, 0, 0, 0);
        }
        x += strips->x_step;
        y += strips->y_step;
        bit += strips->bit_step;
    }
}

static void FD_CAT(apply_bits_stream, D)(const void *xv, void *yv, size_t n, const uint8_t *bits,
                                         size_t bit0, double scale) {
    const char *x = xv;
    char *y = yv;
    size_t gap = (size_t)(-(uintptr_t)y & 63), head = gap / FD_SIZE;
    /* y can never be aligned where an element straddles cache lines. */
    if (!FD_HAS_STREAM || gap % FD_SIZE || n < head + FD_STEP) {
        FD_CAT(apply_bits, D)(x, y, n, bits, bit0, scale);
        return;
    }
    if (head) {
        uint64_t w = fd_bits_tail(bits, bit0, (unsigned)head);
        FD_CAT(word_part, D)(x, y, 0, head, w, scale);
    }
    if (fd_prefetches_past_cache()) {
        FD_CAT(bits_run, D)(x + gap, y + gap, n - head, bits, bit0 + head, scale, 1, 1, 0);
    } else {
        FD_CAT(bits_run, D)(x + gap, y + gap, n - head, bits, bit0 + head, scale, 1, 0, 0);
    }
    fd_stream_end();
}

/* The same, with the mask words made from rows. */
FD_INLINE void FD_CAT(rows_loop, D)(const char *x, char *y, size_t n, row_words r, double scale,
                                    int are_long, int nt, int ahead) {
    FD_CAT(vs, D) s = FD_CAT(vs_set, D)(scale);
    int both = ahead && !nt && x != y && fd_prefetches_outputs();
    for (; n >= FD_STEP; n -= FD_STEP) {
        if (ahead) { FD_CAT(prefetch, D)(x, 1); }
        if (both) { FD_CAT(prefetch, D)(y, 1); }
        uint64_t w = are_long ? long_row_word(&r, FD_STEP) : short_row_word(&r);
        FD_CAT(word, D)(x, y, w, s, nt);
        x += FD_STEP * FD_SIZE;
        y += FD_STEP * FD_SIZE;
    }
    if (n) {
        uint64_t w = are_long ? long_row_word(&r, n) : short_row_word(&r);
        FD_CAT(word_part, D)(x, y, 0, n, w, scale);
    }
}

/* Long and short rows have separate loops, because the loop for short rows needs the registers. */
FD_INLINE void FD_CAT(rows_run, D)(const char *x, char *y, size_t n, row_words r, double scale,
                                   int nt) {
    int are_long = r.run >= FD_STEP, ahead = nt ? fd_prefetches_past_cache() : fd_get_prefetch();
    if (are_long && ahead) {
        FD_CAT(rows_loop, D)(x, y, n, r, scale, 1, nt, 1);
    } else if (are_long) {
        FD_CAT(rows_loop, D)(x, y, n, r, scale, 1, nt, 0);
    } else if (ahead) {
        FD_CAT(rows_loop, D)(x, y, n, r, scale, 0, nt, 1);
    } else {
        FD_CAT(rows_loop, D)(x, y, n, r, scale, 0, nt, 0);
    }
}

static void FD_CAT(apply_rows, D)(const void *x, void *y, size_t n, const fd_rows *rows,
                                  size_t first, double scale) {
    if (!n) { return; }
    FD_CAT(rows_run, D)(x, y, n, row_words_at(rows, first), scale, 0);
}

static void FD_CAT(apply_rows_stream, D)(const void *xv, void *yv, size_t n, const fd_rows *rows,
                                         size_t first, double scale) {
    const char *x = xv;
    char *y = yv;
    size_t gap = (size_t)(-(uintptr_t)y & 63), head = gap / FD_SIZE;
    if (!FD_HAS_STREAM || gap % FD_SIZE || n < head + FD_STEP) {
        FD_CAT(apply_rows, D)(x, y, n, rows, first, scale);
        return;
    }
    FD_CAT(apply_rows, D)(x, y, head, rows, first, scale);
    FD_CAT(rows_run, D)(x + gap, y + gap, n - head, row_words_at(rows, first + head), scale, 1);
    fd_stream_end();
}

/* One step: compare the fields with the threshold, multiply the kept elements by the scale. */
FD_INLINE void FD_CAT(step, D)(const char *x, char *y, int i, vu r, vu threshold, FD_CAT(vs, D) s) {
    int at = i * FD_CAT(chunk, D);
    FD_CAT(apply, D)(x + at, y + at, vm_draw(r, threshold), s, 0);
}

/* A whole block: the hot loop. */
FD_INLINE void FD_CAT(block, D)(const char *x, char *y, const lanes *from, vu threshold,
                                FD_CAT(vs, D) s, int ahead, int both) {
    lanes l = *from;
    for (int t = 0; t < FD_STEPS; t += 2) {
        if (ahead) { FD_CAT(prefetch, D)(x, 2); }
        if (both) { FD_CAT(prefetch, D)(y, 2); }
        FD_UNROLL
        for (int i = 0; i < FD_REGS; i++) {
            FD_CAT(step, D)(x, y, i, lane_next(&l.s0[i], l.s1[i]), threshold, s);
        }
        x += FD_STEP * FD_SIZE;
        y += FD_STEP * FD_SIZE;
        FD_UNROLL
        for (int i = 0; i < FD_REGS; i++) {
            FD_CAT(step, D)(x, y, i, lane_next(&l.s1[i], l.s0[i]), threshold, s);
        }
        x += FD_STEP * FD_SIZE;
        y += FD_STEP * FD_SIZE;
    }
}

/* `count` elements, starting at place `first`, all within one block. */
FD_NOINLINE void FD_CAT(block_part, D)(const char *x, char *y, unsigned first, size_t count,
                                       const lanes *from, vu threshold, double scale) {
    lanes l = *from;
    vu r[FD_REGS];
    vm k[FD_REGS];
    FD_CAT(vs, D) s = FD_CAT(vs_set, D)(scale);
    lanes_skip(&l, first / FD_STEP);
    first %= FD_STEP;
    while (count) {
        lanes_next(&l, r);
        size_t m = FD_STEP - first < count ? FD_STEP - first : count;
        if (m == FD_STEP) {
            FD_UNROLL
            for (int i = 0; i < FD_REGS; i++) { FD_CAT(step, D)(x, y, i, r[i], threshold, s); }
        } else {
            FD_UNROLL
            for (int i = 0; i < FD_REGS; i++) { k[i] = vm_draw(r[i], threshold); }
            FD_CAT(word_part, D)(x, y, first, m, vm_bits(k), scale);
        }
        first = 0;
        x += m * FD_SIZE;
        y += m * FD_SIZE;
        count -= m;
    }
}

static void FD_CAT(dropout, D)(const void *xv, void *yv, size_t n, const fd_draw *d, double scale) {
    const char *x = xv;
    char *y = yv;
    FD_CAT(vs, D) s = FD_CAT(vs_set, D)(scale);
    int ahead = fd_get_prefetch(), both = ahead && x != y && fd_prefetches_outputs();
    for (uint64_t position = d->position; n;) {
        unsigned first = position % FD_BLOCK;
        size_t m = FD_BLOCK - first < n ? FD_BLOCK - first : n;
        fd_block block = fd_block_open(d, position);
        lanes l;
        lanes_seed(&l, &block);
        vu threshold = vu_fields((int16_t)block.threshold);
        if (block.threshold > INT16_MAX) {
            memset(y, 0, m * FD_SIZE); /* a threshold that no field reaches drops all */
        } else if (m == FD_BLOCK && ahead) {
            FD_CAT(block, D)(x, y, &l, threshold, s, 1, both);
        } else if (m == FD_BLOCK) {
            FD_CAT(block, D)(x, y, &l, threshold, s, 0, 0);
        } else {
            FD_CAT(block_part, D)(x, y, first, m, &l, threshold, scale);
        }
        position += m;
        x += m * FD_SIZE;
        y += m * FD_SIZE;
        n -= m;
    }
}

/* Out of place past the cache: non-temporal stores need whole cache lines of y, and a line may
 * begin in the middle of a step. */
static void FD_CAT(dropout_stream, D)(const void *xv, void *yv, size_t n, const fd_draw *d,
                                      double scale) {
    const char *x = xv;
    char *y = yv;
    size_t gap = (size_t)(-(uintptr_t)y & 63), head = gap / FD_SIZE;
    if (!FD_HAS_STREAM || gap % FD_SIZE || n < head + FD_BLOCK) {
        FD_CAT(dropout, D)(x, y, n, d, scale);
        return;
    }
    FD_CAT(dropout, D)(x, y, head, d, scale);
    fd_draw rest = *d;
    rest.position += head;
    shifted words = shifted_from(&rest);
    FD_CAT(vs, D) s = FD_CAT(vs_set, D)(scale);
    int ahead = fd_prefetches_past_cache();
    x += gap;
    y += gap;
    for (n -= head; n >= FD_STEP; n -= FD_STEP) {
        if (ahead) { FD_CAT(prefetch, D)(x, 1); }
        FD_CAT(word, D)(x, y, shifted_next(&words), s, 1);
        x += FD_STEP * FD_SIZE;
        y += FD_STEP * FD_SIZE;
    }
    fd_stream_end();
    if (n) { FD_CAT(word_part, D)(x, y, 0, n, shifted_next(&words), scale); }
}
