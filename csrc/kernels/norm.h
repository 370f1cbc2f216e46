/* Sums of squares of rows and of columns, and their multiplication; included once for each dtype D.
 * Sums have the order of sums.h. */

FD_INLINE VR FD_CAT(four_squares, D)(const char *const *at) {
    VR e[4];
    FD_UNROLL
    for (int k = 0; k < 4; k++) {
        e[k] = LOAD(at[k]);
        e[k] = V(mul)(e[k], e[k]);
    }
    return V(four)(e);
}

FD_INLINE void FD_CAT(squares_step, D)(const char *x, VR *places) {
    FD_UNROLL
    for (int i = 0; i < 16 / VN; i++) {
        const char *at[4];
        FD_UNROLL
        for (int k = 0; k < 4; k++) { at[k] = x + (i * VN + 16 * k) * FD_SIZE; }
        places[i] = V(add)(places[i], FD_CAT(four_squares, D)(at));
    }
}

FD_INLINE void FD_CAT(scale_step, D)(char *at, VR factor) {
    VR e[FD_STEP / VN];
    FD_UNROLL
    for (int i = 0; i < FD_STEP / VN; i++) { e[i] = V(mul)(LOAD(at + i * VN * FD_SIZE), factor); }
    FD_UNROLL
    for (int i = 0; i < FD_STEP / VN; i++) { STORE(at + i * VN * FD_SIZE, e[i]); }
}

/* The sum of n squares. With `scales`, elements `done` to `end` at `late` are multiplied meanwhile,
 * whole steps of them: behind the place where squares are taken, as many cores take a load for one
 * that needs an earlier store where both are equally far into a page. */
FD_INLINE double FD_CAT(sum_squares, D)(const char *at, size_t n, double *runs, char *late,
                                        size_t done, size_t end, const VR factor,
                                        const int scales) {
    double sum = 0;
    int ahead = fd_get_prefetch(), first = 1; /* ahead: of the next row */
    while (n) {
        size_t run = n < FD_SQUARES ? n : FD_SQUARES;
        VR places[16 / VN];
        n -= run;
        FD_UNROLL
        for (int i = 0; i < 16 / VN; i++) { places[i] = V(set)(0); }
        for (; run >= FD_STEP; run -= FD_STEP, at += FD_STEP * FD_SIZE, first = 0) {
            for (int i = 0; ahead && i < FD_STEP * FD_SIZE; i += 64) {
                FD_PREFETCH((uintptr_t)at + FD_AHEAD + (uintptr_t)i);
            }
            FD_CAT(squares_step, D)(at, places);
            if (!scales || first) { continue; }
            FD_CAT(scale_step, D)(late + done * FD_SIZE, factor);
            done += FD_STEP;
        }
        if (run) {
            FD_ALIGN64 char copy[FD_STEP * FD_SIZE] = {0};
            FD_CAT(squares_step, D)(memcpy(copy, at, run * FD_SIZE), places);
        }
        double total = V(total)(places);
        if (runs) { *runs++ = total; }
        sum += total;
    }
    for (; scales && done + FD_STEP <= end; done += FD_STEP) {
        FD_CAT(scale_step, D)(late + done * FD_SIZE, factor);
    }
    return sum;
}

static double FD_CAT(squares, D)(const void *x, size_t n, double *runs) {
    return FD_CAT(sum_squares, D)(x, n, runs, NULL, 0, 0, V(set)(0), 0);
}

/* Partial sum j of every column: rows j, j + 16, j + 32, ..., four of them at a time. */
FD_INLINE void FD_CAT(column_place, D)(const char *x, ptrdiff_t step, size_t j, size_t n,
                                       size_t width, NUMBER *place) {
    static const char nothing[FD_STRIP * FD_SIZE];
    size_t whole = width / VN * VN, rest = (width - whole) * FD_SIZE;
    for (size_t first = j; first < n; first += FD_STEP) {
        const char *rows[4];
        for (size_t k = 0; k < 4; k++) {
            size_t row = first + 16 * k;
            rows[k] = row < n ? x + (ptrdiff_t)row * step : nothing;
        }
        for (size_t i = 0; i < width; i += VN) {
            const char *at[4];
            char copies[4][VN * FD_SIZE];
            FD_UNROLL
            for (int k = 0; k < 4; k++) {
                at[k] = rows[k] + i * FD_SIZE;
                if (i < whole) { continue; }
                memset(copies[k], 0, VN * FD_SIZE);
                at[k] = memcpy(copies[k], at[k], rest);
            }
            VR four = FD_CAT(four_squares, D)(at);
            PACK(place + i, first == j ? four : V(add)(UNPACK(place + i), four));
        }
    }
}

/* Sums of at most FD_SQUARES rows. The 16 partial sums are added by halves: j and j + 8, then j and
 * j + 4, and so on. They are computed in an order in which five of them are live at any time: the
 * two to be added next are at the end of the stack. */
FD_INLINE void FD_CAT(add_column_squares, D)(const char *x, ptrdiff_t step, size_t n, size_t width,
                                             double *sums) {
    static const uint8_t order[16] = {0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15};
    FD_ALIGN64 NUMBER places[5][FD_STRIP];
    int count = 0;
    for (size_t m = 0; m < 16; m++, count++) {
        FD_CAT(column_place, D)(x, step, order[m], n, width, places[count]);
        for (size_t half = 1; m & half; half *= 2, count--) {
            const NUMBER *second = places[count];
            NUMBER *first = places[count - 1];
            if (order[m & (size_t)-(ptrdiff_t)half] >= n) { continue; } /* no such rows: it is 0 */
            for (size_t i = 0; i < width; i++) { first[i] += second[i]; }
        }
    }
    for (size_t i = 0; i < width; i++) { sums[i] += (double)places[0][i]; }
}

static void FD_CAT(column_squares, D)(const void *x, ptrdiff_t step, size_t n, size_t width,
                                      double *sums) {
    const char *at = x;
    for (size_t i = 0; i < width; i++) { sums[i] = 0; }
    for (size_t run; n; n -= run, at += (ptrdiff_t)run * step) {
        run = n < FD_SQUARES ? n : FD_SQUARES;
        FD_CAT(add_column_squares, D)(at, step, run, width, sums);
    }
}

/* Multiply n numbers by a factor each, or all of them by the first factor. */
#define SCALED(i) V(mul)(LOAD(at + (i) * FD_SIZE), same ? factor : UNPACK(factors + (i)))
FD_INLINE void FD_CAT(scale_all, D)(char *at, size_t n, const NUMBER *factors, const int same) {
    VR factor = V(set)(*factors);
    if (n < VN) {
        char copy[VN * FD_SIZE] = {0};
        VR f = same ? factor : UNPACK(factors);
        memcpy(copy, at, n * FD_SIZE);
        STORE(copy, V(mul)(LOAD(copy), f));
        memcpy(at, copy, n * FD_SIZE);
        return;
    }
    size_t i = 0, last = n - VN;
    VR end = SCALED(last); /* computed before the loop overwrites some of these elements */
    for (; i + FD_STEP <= n; i += FD_STEP) {
        FD_UNROLL
        for (int k = 0; k < FD_STEP; k += VN) { STORE(at + (i + k) * FD_SIZE, SCALED(i + k)); }
    }
    for (; i < last; i += VN) { STORE(at + i * FD_SIZE, SCALED(i)); }
    STORE(at + last * FD_SIZE, end);
}

/* In long runs, align the stores so that few of them cross a cache line. */
FD_INLINE void FD_CAT(scale_run, D)(char *at, size_t n, const NUMBER *factors, const int same) {
    enum { LINE = 64 / FD_SIZE };
    size_t head = (0 - (uintptr_t)at) % 64 / FD_SIZE;
    VR factor = V(set)(*factors), begin[LINE / VN];
    if (n < 4 * FD_STEP || !head) {
        FD_CAT(scale_all, D)(at, n, factors, same);
        return;
    }
    FD_UNROLL
    for (int i = 0; i < LINE; i += VN) { begin[i / VN] = SCALED(i); }
    FD_CAT(scale_all, D)(at + head * FD_SIZE, n - head, same ? factors : factors + head, same);
    FD_UNROLL
    for (int i = 0; i < LINE; i += VN) { STORE(at + i * FD_SIZE, begin[i / VN]); }
}
#undef SCALED

static void FD_CAT(row_scale, D)(void *x, size_t n, double factor) {
    NUMBER rounded = (NUMBER)factor;
    FD_CAT(scale_run, D)(x, n, &rounded, 1);
}

/* The first and the last elements, if the aligned steps leave some of them out, are multiplied
 * before these, and stored after them. */
static double FD_CAT(squares_scale, D)(const void *x, size_t n, void *late, double factor) {
    enum { LINE = 64 / FD_SIZE };
    if (n < 4 * FD_STEP) {
        FD_CAT(row_scale, D)(late, n, factor);
        return FD_CAT(squares, D)(x, n, NULL);
    }
    NUMBER rounded = (NUMBER)factor;
    VR f = V(set)(rounded), begin[LINE / VN], rest[FD_STEP / VN];
    char *at = late, *last = at + (n - FD_STEP) * FD_SIZE;
    size_t head = (0 - (uintptr_t)at) % 64 / FD_SIZE;
    FD_UNROLL
    for (int i = 0; i < LINE / VN; i++) { begin[i] = V(mul)(LOAD(at + i * VN * FD_SIZE), f); }
    FD_UNROLL
    for (int i = 0; i < FD_STEP / VN; i++) { rest[i] = V(mul)(LOAD(last + i * VN * FD_SIZE), f); }
    double sum = FD_CAT(sum_squares, D)(x, n, NULL, at, head, n, f, 1);
    if (!head && n % FD_STEP == 0) { return sum; }
    FD_UNROLL
    for (int i = 0; i < LINE / VN; i++) { STORE(at + i * VN * FD_SIZE, begin[i]); }
    FD_UNROLL
    for (int i = 0; i < FD_STEP / VN; i++) { STORE(last + i * VN * FD_SIZE, rest[i]); }
    return sum;
}

static void FD_CAT(column_scale, D)(void *x, ptrdiff_t step, size_t n, size_t width,
                                    const double *factors) {
    FD_ALIGN64 NUMBER rounded[FD_STRIP + VN] = {0};
    for (size_t i = 0; i < width; i++) { rounded[i] = (NUMBER)factors[i]; }
    char *row = x;
    for (size_t r = 0; r < n; r++, row += step) { FD_CAT(scale_run, D)(row, width, rounded, 0); }
}
