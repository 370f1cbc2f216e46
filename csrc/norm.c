/* Numbers in groups whose norm is limited: rows that lie in one piece are summed, and multiplied
 * while they are in the cache; of others, neighbouring columns are, a strip of them at a time. A
 * group is handled by one thread, so that the bits do not depend on how many there are. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "dispatch.h"
#include "half.h"
#include "share.h"

enum { TASK_ELEMENTS = 1 << 16, LEAST_STRIP = 128, NEAR_BYTES = 16384, ROWS_TOGETHER = 32 };

typedef struct job {
    const fd_table *table;
    fd_dtype dtype;
    size_t size; /* bytes of an element */
    char *w;
    const fd_norms *norms;
    double limit;
    int by_rows;
    size_t together;                       /* rows */
    size_t strip, strips, units, per_task; /* columns of a strip, strips of a matrix; rows or strips
                                              in all, and in a task */
} job;

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

/* Squares are taken of numbers as they are; where their sum shows that some overflowed, or that
 * some underflowed that matter, of numbers times another scale. */
static const double plain = 1;

static double better_scale(const job *j, double sum) {
    int narrow = j->dtype != FD_f64;
    if (sum < (narrow ? 0x1p-90 : 0x1p-900)) {
        /* However many they are, their norm is far below such a limit. */
        if (j->limit > (narrow ? 0x1p-40 : 0x1p-440)) { return plain; }
        return narrow ? 0x1p100 : 0x1p600;
    }
    return sum <= DBL_MAX ? plain : narrow ? 0x1p-100 : 0x1p-600;
}

static double number(fd_dtype dtype, const char *at) {
    uint16_t half;
    float single;
    double wide;
    switch (dtype) {
    case FD_f32:
        return memcpy(&single, at, sizeof single), single;
    case FD_f64:
        return memcpy(&wide, at, sizeof wide), wide;
    default:
        memcpy(&half, at, sizeof half);
    }
    return dtype == FD_f16 ? fd_f16_to_f32(half) : fd_bf16_to_f32(half);
}

/* The sum of the squares of the numbers of a group times a scale, all in binary64. Hardly any
 * weights need it. */
static double scaled_sum(const job *j, const char *x, double scale) {
    double sum = 0;
    for (size_t rest = j->norms->n, run; rest; rest -= run) {
        double numbers[FD_SQUARES];
        run = least(rest, FD_SQUARES);
        for (size_t i = 0; i < run; i++, x += j->norms->step) {
            numbers[i] = number(j->dtype, x) * scale;
        }
        sum += j->table->squares[FD_f64](numbers, run);
    }
    return sum;
}

/* What brings a group to the limit, if its norm passes that; it is 1 where an inf or a nan is among
 * the numbers. */
static double factor_of(const job *j, const char *x, double sum) {
    double scale = better_scale(j, sum);
    double norm = sqrt(scale == plain ? sum : scaled_sum(j, x, scale));
    if (!(norm > j->limit * scale && norm <= DBL_MAX)) { return 1; }
    return scale < 1 ? j->limit / norm * scale : j->limit * scale / norm;
}

/* Some rows that stay in the nearest cache: so none waits for the root of its own sum. */
static void run_rows(const job *j, char *first, size_t count) {
    const fd_norms *norms = j->norms;
    double factors[ROWS_TOGETHER];
    for (size_t r = 0; r < count; r++) {
        char *row = first + (ptrdiff_t)r * norms->outer_step;
        factors[r] = factor_of(j, row, j->table->squares[j->dtype](row, norms->n));
    }
    for (size_t r = 0; r < count; r++) {
        char *row = first + (ptrdiff_t)r * norms->outer_step;
        if (factors[r] != 1) { j->table->row_scale[j->dtype](row, norms->n, factors[r]); }
    }
}

static void run_strip(const job *j, char *x, size_t width) {
    const fd_norms *norms = j->norms;
    double sums[FD_STRIP], factors[FD_STRIP];
    int some = 0;
    j->table->column_squares[j->dtype](x, norms->step, norms->n, width, sums);
    for (size_t i = 0; i < width; i++) {
        factors[i] = factor_of(j, x + i * j->size, sums[i]);
        some |= factors[i] != 1;
    }
    if (some) { j->table->column_scale[j->dtype](x, norms->step, norms->n, width, factors); }
}

static void run_tasks(const void *context, size_t first, size_t end) {
    const job *j = context;
    const fd_norms *norms = j->norms;
    size_t last = least(end * j->per_task, j->units), count = 1;
    for (size_t unit = first * j->per_task; unit < last; unit += count) {
        size_t column = unit % j->strips * j->strip;
        char *at = j->w + (ptrdiff_t)(unit / j->strips) * norms->outer_step;
        if (j->by_rows) {
            count = least(last - unit, j->together);
            run_rows(j, at, count);
        } else {
            run_strip(j, at + column * j->size, least(norms->inner - column, j->strip));
        }
    }
}

/* Rows are walked in pieces as long as possible, a page or more: of shorter ones a page apart, no
 * processor sees what comes next. But every thread is to have a strip. */
static size_t strip_of(const fd_norms *norms) {
    size_t share = norms->outer * norms->inner / (size_t)fd_get_num_threads();
    size_t strip = (share + 63) / 64 * 64;
    return strip < LEAST_STRIP ? LEAST_STRIP : least(strip, FD_STRIP);
}

void fd_max_norm(fd_dtype dtype, void *w, const fd_norms *norms, double limit) {
    job j = {.table = fd_active_table(), .dtype = dtype, .size = fd_itemsize(dtype)};
    size_t elements = norms->outer * norms->n * norms->inner;
    if (!elements) { return; }
    j.w = w;
    j.norms = norms;
    j.limit = limit;
    j.by_rows = norms->inner == 1 && norms->step == (ptrdiff_t)j.size;
    size_t near = NEAR_BYTES / j.size / norms->n;
    j.together = near ? least(near, ROWS_TOGETHER) : 1;
    j.strip = strip_of(norms);
    j.strips = (norms->inner + j.strip - 1) / j.strip;
    j.units = norms->outer * j.strips;
    size_t unit = norms->n * least(norms->inner, j.strip);
    j.per_task = unit < TASK_ELEMENTS ? TASK_ELEMENTS / unit : 1;
    fd_share_tasks((j.units + j.per_task - 1) / j.per_task, 2 * elements * j.size, run_tasks, &j);
}
