/* A linear layer whose connections are dropped: a mask for each sample, drawn a tile at a time.
 *
 * A tile is the weights of some outputs and at most FD_CHUNK inputs, packed, with the mask's bits
 * for one sample. Where one chunk holds all inputs, the positions of a tile are contiguous, so that
 * starting in the middle of a block (which costs time) happens once per tile. */

enum { FD_CAT(TILE, D) = FD_TILE_BYTES / (int)sizeof(NUMBER) };

typedef struct FD_CAT(tile, D) {
    FD_ALIGN64 NUMBER numbers[FD_CAT(TILE, D) + FD_PAGE / sizeof(NUMBER)];
    NUMBER *at;    /* its first row */
    size_t stride; /* of its rows, in packed numbers */
} FD_CAT(tile, D);

/* Pack n columns of `count` rows of a matrix of `width` columns. */
FD_INLINE void FD_CAT(pack_tile, D)(FD_CAT(tile, D) * tile, const char *matrix, size_t width,
                                    size_t row, size_t count, size_t column, size_t n) {
    tile->at = tile->numbers;
    tile->stride = fd_packed(n);
    const char *at = matrix + (row * width + column) * FD_SIZE;
    for (size_t r = 0; r < count; r++) {
        FD_CAT(widen, D)(tile->at + r * tile->stride, at + r * width * FD_SIZE, n);
    }
}

FD_INLINE void FD_CAT(unpack_tile, D)(char *matrix, size_t width, size_t row, size_t count,
                                      size_t column, size_t n, const FD_CAT(tile, D) * tile) {
    char *at = matrix + (row * width + column) * FD_SIZE;
    for (size_t r = 0; r < count; r++) {
        FD_CAT(narrow, D)(at + r * width * FD_SIZE, tile->at + r * tile->stride, n);
    }
}

/* Where rows are that are packed only if they are not of the compute type already. */
FD_INLINE uintptr_t FD_CAT(packed, D)(NUMBER *packed, const char *matrix) {
    return FD_SIZE == sizeof(NUMBER) ? (uintptr_t)matrix : (uintptr_t)packed;
}

/* Clear `count` rows of a tile of sums. They begin half a page from where the rows that are added
 * begin: many cores take a load for one that needs an earlier store where both are equally far into
 * a page. */
FD_INLINE void FD_CAT(clear_tile, D)(FD_CAT(tile, D) * tile, uintptr_t added, size_t count,
                                     size_t n) {
    size_t gap = (added + FD_PAGE / 2 - (uintptr_t)tile->numbers) % FD_PAGE;
    tile->at = tile->numbers + gap / 64 * 64 / sizeof(NUMBER);
    tile->stride = fd_packed(n);
    memset(tile->at, 0, count * tile->stride * sizeof(NUMBER));
}

/* The sums of a region: of its outputs for each of its samples. */
FD_INLINE void FD_CAT(sums_y, D)(NUMBER *total, const fd_linear *l, const fd_region *b) {
    FD_CAT(tile, D) w;
    FD_ALIGN64 NUMBER x[FD_CHUNK], sums[FD_TILE_ROWS];
    uint8_t bits[FD_TILE_BITS] = {0};
#if defined(FD_DIRECT_MASKS)
    if (draws_steps(l)) {
        FD_CAT(drawn_y, D)(total, w.numbers, l, b);
        return;
    }
#endif
    for (size_t i = 0, n; i < l->inputs; i += n) {
        n = l->inputs - i < FD_CHUNK ? l->inputs - i : FD_CHUNK;
        FD_CAT(pack_tile, D)(&w, l->w, l->inputs, b->output, b->outputs, i, n);
        FD_CAT(rows, D) rows = {w.at, w.stride, bits, 0, 0};
        for (size_t s = 0; s < b->samples; s++) {
            if (!s || !l->shared) {
                rows.bit_stride = draw_tile(l, b->sample + s, b->output, b->outputs, i, n, bits);
            }
            FD_CAT(widen, D)(x, l->x + ((b->sample + s) * l->inputs + i) * FD_SIZE, n);
            FD_CAT(dots, D)(sums, x, w.stride, rows, b->outputs);
            NUMBER *to = total + s * b->outputs;
            for (size_t r = 0; r < b->outputs; r++) { to[r] += sums[r]; }
        }
    }
}

/* Forward: the outputs of the region for its samples. */
static void FD_CAT(dropconnect, D)(const fd_linear *l, const fd_region *b) {
    FD_ALIGN64 NUMBER sums[FD_TILE_ROWS], bias[FD_TILE_ROWS];
    NUMBER total[FD_GROUP_SUMS] = {0};
    FD_CAT(sums_y, D)(total, l, b);
    if (l->bias) { FD_CAT(widen, D)(bias, l->bias + b->output * FD_SIZE, b->outputs); }
    for (size_t s = 0; s < b->samples; s++) {
        for (size_t r = 0; r < b->outputs; r++) {
            NUMBER y = total[s * b->outputs + r] * (NUMBER)l->scale;
            sums[r] = l->bias ? y + bias[r] : y;
        }
        char *y = l->y + ((b->sample + s) * l->outputs + b->output) * FD_SIZE;
        FD_CAT(narrow, D)(y, sums, b->outputs);
    }
}

/* The sums of dx. */
FD_INLINE void FD_CAT(sums_dx, D)(FD_CAT(tile, D) * dx, const fd_linear *l, const fd_region *b) {
    FD_CAT(tile, D) w;
    FD_ALIGN64 NUMBER dy[FD_TILE_ROWS];
    uint8_t bits[FD_TILE_BITS] = {0};
    FD_CAT(clear_tile, D)(dx, FD_CAT(packed, D)(w.numbers, l->w), b->samples, b->inputs);
#if defined(FD_DIRECT_MASKS)
    if (draws_steps(l)) {
        FD_CAT(drawn_dx, D)(dx->at, w.numbers, l, b);
        return;
    }
#endif
    for (size_t o = 0, m; o < l->outputs; o += m) {
        m = l->outputs - o < b->outputs ? l->outputs - o : b->outputs;
        FD_CAT(pack_tile, D)(&w, l->w, l->inputs, o, m, b->input, b->inputs);
        FD_CAT(rows, D) rows = {w.at, w.stride, bits, 0, 0};
        for (size_t s = 0; s < b->samples; s++) {
            if (!s || !l->shared) {
                rows.bit_stride = draw_tile(l, b->sample + s, o, m, b->input, b->inputs, bits);
            }
            FD_CAT(gradients, D)(dy, l, b->sample + s, o, m);
            FD_CAT(add_rows, D)(dx->at + s * dx->stride, dx->stride, rows, dy, m);
        }
    }
}

/* The gradient with respect to x, for the samples and inputs of the region; it takes the region's
 * number of outputs at a time. */
static void FD_CAT(dropconnect_dx, D)(const fd_linear *l, const fd_region *b) {
    FD_CAT(tile, D) dx;
    FD_CAT(sums_dx, D)(&dx, l, b);
    FD_CAT(unpack_tile, D)(l->dx, l->inputs, b->sample, b->samples, b->input, b->inputs, &dx);
}

/* The sums of dw. */
FD_INLINE void FD_CAT(sums_dw, D)(FD_CAT(tile, D) * dw, const fd_linear *l, const fd_region *b) {
    FD_CAT(tile, D) x;
    FD_ALIGN64 NUMBER dy[FD_BATCH][FD_TILE_ROWS];
    uint8_t bits[FD_BATCH][FD_TILE_BITS] = {{0}};
    FD_CAT(clear_tile, D)(dw, FD_CAT(packed, D)(x.numbers, l->x), b->outputs, b->inputs);
#if defined(FD_DIRECT_MASKS)
    if (draws_steps(l)) {
        FD_CAT(drawn_dw, D)(dw->at, x.numbers, l, b);
        return;
    }
#endif
    for (size_t n = 0, m; n < l->samples; n += m) {
        m = l->samples - n < b->samples ? l->samples - n : b->samples;
        FD_CAT(pack_tile, D)(&x, l->x, l->inputs, n, m, b->input, b->inputs);
        size_t bit_stride = 0;
        for (size_t s = 0; s < m; s++) {
            if (!s || !l->shared) {
                bit_stride =
                    draw_tile(l, n + s, b->output, b->outputs, b->input, b->inputs, bits[s]);
            }
            FD_CAT(gradients, D)(dy[s], l, n + s, b->output, b->outputs);
        }
        for (size_t r = 0; r < b->outputs; r++) {
            NUMBER factor[FD_BATCH];
            for (size_t s = 0; s < m; s++) { factor[s] = dy[s][r]; }
            FD_CAT(rows, D)
            rows = {x.at, x.stride, bits[0], r * bit_stride, l->shared ? 0 : FD_TILE_BITS * 8};
            FD_CAT(add_rows, D)(dw->at + r * dw->stride, dw->stride, rows, factor, m);
        }
    }
}

/* The gradient with respect to w, for the outputs and inputs of the region; it takes the region's
 * number of samples at a time. */
static void FD_CAT(dropconnect_dw, D)(const fd_linear *l, const fd_region *b) {
    FD_CAT(tile, D) dw;
    FD_CAT(sums_dw, D)(&dw, l, b);
    FD_CAT(unpack_tile, D)(l->dw, l->inputs, b->output, b->outputs, b->input, b->inputs, &dw);
}
