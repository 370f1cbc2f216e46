/* Norms of rows and of columns, and their multiplication; included once for each dtype D. Of each
 * 64 squares, place j = 0..15 takes what V(four) makes of numbers j, j + 16, j + 32 and j + 48,
 * which is computed in the compute type; places are binary64.
 *
 * That is for a scale of 1, and numbers whose squares neither overflow nor underflow. With another
 * scale all is computed in binary64, and numbers are multiplied by it first. */

/* The registers of binary64 that hold as many numbers as one of the compute type. */
#define WIDE (VN / FD_N_r64)

/* Of the numbers in four registers, the sums of four squares. */
FD_INLINE void FD_CAT(four_squares, D)(const char *const *at, double scale, v_r64 *fours) {
    FD_ALIGN64 NUMBER numbers[4][VN];
    if (scale == 1) {
        VR e[4];
        FD_UNROLL
        for (int k = 0; k < 4; k++) {
            e[k] = LOAD(at[k]);
            e[k] = V(mul)(e[k], e[k]);
        }
        PACK(numbers[0], V(four)(e));
        FD_UNROLL
        for (int i = 0; i < WIDE; i++) { fours[i] = V(widened)(numbers[0] + i * FD_N_r64); }
        return;
    }
    for (int k = 0; k < 4; k++) { PACK(numbers[k], LOAD(at[k])); }
    for (int i = 0; i < WIDE; i++) {
        v_r64 e[4];
        for (int k = 0; k < 4; k++) {
            v_r64 v = r64_mul(V(widened)(numbers[k] + i * FD_N_r64), r64_set(scale));
            e[k] = r64_mul(v, v);
        }
        fours[i] = r64_four(e);
    }
}

FD_INLINE void FD_CAT(squares_step, D)(const char *x, double scale, v_r64 *places) {
    FD_UNROLL
    for (int i = 0; i < 16 / VN; i++) {
        const char *at[4];
        v_r64 fours[WIDE];
        FD_UNROLL
        for (int k = 0; k < 4; k++) { at[k] = x + (i * VN + 16 * k) * FD_SIZE; }
        FD_CAT(four_squares, D)(at, scale, fours);
        FD_UNROLL
        for (int j = 0; j < WIDE; j++) {
            places[i * WIDE + j] = r64_add(places[i * WIDE + j], fours[j]);
        }
    }
}

FD_INLINE double FD_CAT(squares_scaled, D)(const char *x, size_t n, double scale) {
    v_r64 places[16 / FD_N_r64];
    FD_UNROLL
    for (int i = 0; i < 16 / FD_N_r64; i++) { places[i] = r64_set(0); }
    for (; n >= FD_STEP; n -= FD_STEP, x += FD_STEP * FD_SIZE) {
        /* Of the next row, while this one is at work. */
        for (int i = 0; i < FD_STEP * FD_SIZE; i += 64) {
            FD_PREFETCH((uintptr_t)x + FD_AHEAD + (uintptr_t)i);
        }
        FD_CAT(squares_step, D)(x, scale, places);
    }
    if (n) {
        FD_ALIGN64 char copy[FD_STEP * FD_SIZE] = {0};
        FD_CAT(squares_step, D)(memcpy(copy, x, n * FD_SIZE), scale, places);
    }
    return r64_total(places);
}

static double FD_CAT(squares, D)(const void *x, size_t n, double scale) {
    return scale == 1 ? FD_CAT(squares_scaled, D)(x, n, 1) : FD_CAT(squares_scaled, D)(x, n, scale);
}

/* Columns `column` to `column` + VN - 1 of four rows; by way of copies where fewer are there. */
FD_INLINE void FD_CAT(columns_four, D)(const char *const *rows, size_t column, size_t width,
                                       double scale, double *places, int add) {
    const char *at[4];
    char copies[4][VN * FD_SIZE];
    v_r64 fours[WIDE];
    FD_UNROLL
    for (int k = 0; k < 4; k++) {
        at[k] = rows[k] + column * FD_SIZE;
        if (width - column >= VN) { continue; }
        memset(copies[k], 0, VN * FD_SIZE);
        for (size_t i = 0; i < (width - column) * FD_SIZE; i += FD_SIZE) {
            memcpy(copies[k] + i, at[k] + i, FD_SIZE);
        }
        at[k] = copies[k];
    }
    FD_CAT(four_squares, D)(at, scale, fours);
    FD_UNROLL
    for (int i = 0; i < WIDE; i++) {
        double *place = places + column + i * FD_N_r64;
        r64_pack(place, add ? r64_add(r64_unpack(place), fours[i]) : fours[i]);
    }
}

/* Place j of every column: of rows j, j + 16, j + 32, ..., four of them at a time. */
FD_INLINE void FD_CAT(column_place, D)(const char *x, ptrdiff_t step, size_t j, size_t n,
                                       size_t width, double scale, double *place) {
    static const char nothing[FD_STRIP * FD_SIZE];
    for (size_t first = j; first < n; first += FD_STEP) {
        const char *rows[4];
        for (size_t k = 0; k < 4; k++) {
            size_t row = first + 16 * k;
            rows[k] = row < n ? x + (ptrdiff_t)row * step : nothing;
        }
        for (size_t i = 0; i < width; i += VN) {
            FD_CAT(columns_four, D)(rows, i, width, scale, place, first != j);
        }
    }
}

/* Places are summed by halves: j and j + 8, then j and j + 4, and so on. They are computed in an
 * order in which five are enough at any time: two that are to be summed stand at the end. */
static void FD_CAT(column_squares, D)(const void *x, ptrdiff_t step, size_t n, size_t width,
                                      double scale, double *sums) {
    static const uint8_t order[16] = {0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15};
    FD_ALIGN64 double places[5][FD_STRIP];
    int count = 0;
    for (size_t m = 0; m < 16; m++, count++) {
        double *place = places[count];
        if (scale == 1) {
            FD_CAT(column_place, D)(x, step, order[m], n, width, 1, place);
        } else {
            FD_CAT(column_place, D)(x, step, order[m], n, width, scale, place);
        }
        for (size_t half = 1; m & half; half *= 2, count--) {
            const double *second = places[count];
            double *first = places[count - 1];
            if (order[m & (size_t)-(ptrdiff_t)half] >= n) { continue; } /* no such rows: it is 0 */
            for (size_t i = 0; i < width; i++) { first[i] += second[i]; }
        }
    }
    for (size_t i = 0; i < width; i++) { sums[i] += places[0][i]; }
}

static void FD_CAT(row_scale, D)(void *x, size_t n, double factor) {
    VR f = V(set)(factor);
    char *at = x;
    for (; n >= FD_STEP; n -= FD_STEP) {
        FD_UNROLL
        for (int i = 0; i < FD_STEP / VN; i++, at += VN * FD_SIZE) {
            STORE(at, V(mul)(LOAD(at), f));
        }
    }
    if (n) {
        FD_ALIGN64 char copy[FD_STEP * FD_SIZE] = {0};
        memcpy(copy, at, n * FD_SIZE);
        for (int i = 0; i < FD_STEP; i += VN) {
            STORE(copy + i * FD_SIZE, V(mul)(LOAD(copy + i * FD_SIZE), f));
        }
        memcpy(at, copy, n * FD_SIZE);
    }
}

static void FD_CAT(column_scale, D)(void *x, ptrdiff_t step, size_t n, size_t width,
                                    const double *factors) {
    FD_ALIGN64 NUMBER f[FD_STRIP] = {0};
    size_t whole = width / VN * VN, rest = (width - whole) * FD_SIZE;
    for (size_t i = 0; i < width; i++) { f[i] = (NUMBER)factors[i]; }
    char *row = x;
    for (size_t r = 0; r < n; r++, row += step) {
        for (size_t i = 0; i < whole; i += VN) {
            STORE(row + i * FD_SIZE, V(mul)(LOAD(row + i * FD_SIZE), UNPACK(f + i)));
        }
        if (rest) {
            char copy[VN * FD_SIZE] = {0};
            memcpy(copy, row + whole * FD_SIZE, rest);
            STORE(copy, V(mul)(LOAD(copy), UNPACK(f + whole)));
            memcpy(row + whole * FD_SIZE, copy, rest);
        }
    }
}

#undef WIDE
