/* Numbers in groups whose norm is limited: rows that lie in one piece are summed, and multiplied
 * while they are in the cache; of others, neighbouring columns are, a strip of them at a time. A
 * row or a strip is handled by one thread; or, where there are only a few, and these are very long,
 * it is shared out in runs of FD_SQUARES, whose sums are added up in their order. So the bits do
 * not depend on how many threads there are. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "cpu/dispatch.h"
#include "half.h"
#include "run/share.h"

enum { TASK_ELEMENTS = 1 << 16, LEAST_STRIP = 128, NEAR_BYTES = 16384, ROWS_TOGETHER = 32 };

/* Rows of so many numbers take turns, if they stay in the nearest cache. */
enum { LEAST_IN_TURN = 512 };

/* How many sums of runs wait at a time. */
enum { SUMS_WAITING = 8192 };

typedef struct job {
    const fd_table *table;
    fd_dtype dtype;
    size_t size; /* bytes of an element */
    char *w;
    const fd_norms *norms;
    double limit;
    int by_rows;
    int in_turn;                           /* rows */
    size_t together;                       /* rows, otherwise */
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
 * weights need it, so that it stays on one thread. */
static double scaled_sum(const job *j, const char *x, double scale) {
    double sum = 0;
    for (size_t rest = j->norms->n, run; rest; rest -= run) {
        double numbers[FD_SQUARES];
        run = least(rest, FD_SQUARES);
        for (size_t i = 0; i < run; i++, x += j->norms->step) {
            numbers[i] = number(j->dtype, x) * scale;
        }
        sum += j->table->squares[FD_f64](numbers, run, NULL);
    }
    return sum;
}

/* What brings a group to the limit, if its norm passes that; it is 1 where an inf or a nan is among
 * the numbers. */
FD_INLINE double factor_of(const job *j, const char *x, double sum) {
    double scale = better_scale(j, sum);
    double norm = sqrt(scale == plain ? sum : scaled_sum(j, x, scale));
    if (!(norm > j->limit * scale && norm <= DBL_MAX)) { return 1; }
    return scale < 1 ? j->limit / norm * scale : j->limit * scale / norm;
}

static char *row_at(char *first, size_t r, const fd_norms *norms) {
    return first + (ptrdiff_t)r * norms->outer_step;
}

/* Some short rows that stay in the nearest cache: so none waits for the root of its own sum. */
static void run_together(const job *j, char *first, size_t count) {
    const fd_norms *norms = j->norms;
    double factors[ROWS_TOGETHER];
    for (size_t r = 0; r < count; r++) {
        char *row = row_at(first, r, norms);
        factors[r] = factor_of(j, row, j->table->squares[j->dtype](row, norms->n, NULL));
    }
    for (size_t r = 0; r < count; r++) {
        char *row = row_at(first, r, norms);
        if (factors[r] != 1) { j->table->row_scale[j->dtype](row, norms->n, factors[r]); }
    }
}

/* Longer rows, each of which is multiplied while the next one is summed: its stores overlap with
 * that one's loads and arithmetic. */
static void run_in_turn(const job *j, char *first, size_t count) {
    const fd_norms *norms = j->norms;
    double factor = 1, sum; /* the factor: of the row before */
    char *before = first;
    for (size_t r = 0; r < count; r++) {
        char *row = row_at(first, r, norms);
        if (factor == 1) {
            sum = j->table->squares[j->dtype](row, norms->n, NULL);
        } else {
            sum = j->table->squares_scale[j->dtype](row, norms->n, before, factor);
        }
        factor = factor_of(j, row, sum);
        before = row;
    }
    if (factor != 1) { j->table->row_scale[j->dtype](before, norms->n, factor); }
}

/* Of a strip's columns; whether any of them is not 1. */
static int find_factors(const job *j, const char *x, size_t width, const double *sums,
                        double *factors) {
    int some = 0;
    for (size_t i = 0; i < width; i++) {
        factors[i] = factor_of(j, x + i * j->size, sums[i]);
        some |= factors[i] != 1;
    }
    return some;
}

static void run_strip(const job *j, char *x, size_t width) {
    const fd_norms *norms = j->norms;
    double sums[FD_STRIP], factors[FD_STRIP];
    j->table->column_squares[j->dtype](x, norms->step, norms->n, width, sums);
    if (find_factors(j, x, width, sums, factors)) {
        j->table->column_scale[j->dtype](x, norms->step, norms->n, width, factors);
    }
}

/* Where a row or a strip is; a row is as wide as one number. */
static char *unit_at(const job *j, size_t unit, size_t *width) {
    size_t column = unit % j->strips * j->strip;
    *width = least(j->norms->inner - column, j->strip);
    return j->w + (ptrdiff_t)(unit / j->strips) * j->norms->outer_step + column * j->size;
}

static void run_tasks(const void *context, size_t first, size_t end) {
    const job *j = context;
    size_t last = least(end * j->per_task, j->units), count = 1, width;
    for (size_t unit = first * j->per_task; unit < last; unit += count) {
        char *at = unit_at(j, unit, &width);
        if (!j->by_rows) {
            run_strip(j, at, width);
        } else if (j->in_turn) {
            count = last - unit;
            run_in_turn(j, at, count);
        } else {
            count = least(last - unit, j->together);
            run_together(j, at, count);
        }
    }
}

/* A row or a strip that is shared out: `count` of its runs, from run `from` on. */
typedef struct part {
    const job *job;
    char *x;
    size_t width, per_task; /* runs in a task */
    size_t from, count;
    double *sums; /* `width` of each run */
    const double *factors;
} part;

static void sum_runs(const void *context, size_t first, size_t end) {
    const part *p = context;
    const job *j = p->job;
    ptrdiff_t step = j->norms->step;
    size_t i = first * p->per_task, last = least(end * p->per_task, p->count);
    size_t before = (p->from + i) * FD_SQUARES;
    const char *at = p->x + (ptrdiff_t)before * step;
    size_t left = least((last - i) * FD_SQUARES, j->norms->n - before);
    if (j->by_rows) {
        j->table->squares[j->dtype](at, left, p->sums + i);
        return;
    }
    for (size_t n; left; left -= n, i++, at += (ptrdiff_t)n * step) {
        n = least(left, FD_SQUARES);
        j->table->column_squares[j->dtype](at, step, n, p->width, p->sums + i * p->width);
    }
}

static void scale_runs(const void *context, size_t first, size_t end) {
    const part *p = context;
    const job *j = p->job;
    ptrdiff_t step = j->norms->step;
    size_t before = first * p->per_task * FD_SQUARES;
    size_t n = least(end * p->per_task * FD_SQUARES, j->norms->n) - before;
    char *at = p->x + (ptrdiff_t)before * step;
    if (j->by_rows) {
        j->table->row_scale[j->dtype](at, n, *p->factors);
    } else {
        j->table->column_scale[j->dtype](at, step, n, p->width, p->factors);
    }
}

/* To sum or to multiply a number of any dtype takes at least as long as to move eight bytes. */
static void share_part(const part *p, fd_share_fn *fn) {
    size_t elements = p->count * FD_SQUARES * p->width;
    fd_share_tasks((p->count + p->per_task - 1) / p->per_task, 8 * elements, fn, p);
}

static void share_unit(const job *j, char *x, size_t width) {
    double sums[FD_STRIP] = {0}, factors[FD_STRIP], waiting[SUMS_WAITING];
    size_t runs = (j->norms->n + FD_SQUARES - 1) / FD_SQUARES, most = SUMS_WAITING / width;
    part p = {.job = j, .x = x, .width = width, .sums = waiting, .factors = factors};
    p.per_task = TASK_ELEMENTS / FD_SQUARES / width;
    if (!p.per_task) { p.per_task = 1; }
    for (; p.from < runs; p.from += p.count) {
        p.count = least(runs - p.from, most);
        share_part(&p, sum_runs);
        for (size_t i = 0; i < p.count * width; i++) { sums[i % width] += waiting[i]; }
    }
    p.from = 0;
    p.count = runs;
    if (find_factors(j, x, width, sums, factors)) { share_part(&p, scale_runs); }
}

static void share_units(const void *context, size_t first, size_t end) {
    const job *j = context;
    for (size_t unit = first, width; unit < end; unit++) {
        char *at = unit_at(j, unit, &width);
        share_unit(j, at, width);
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
    size_t row = j.size * norms->n;
    j.together = row < NEAR_BYTES ? least(NEAR_BYTES / row, ROWS_TOGETHER) : 1;
    j.in_turn = norms->n >= LEAST_IN_TURN && row <= NEAR_BYTES;
    j.strip = strip_of(norms);
    j.strips = (norms->inner + j.strip - 1) / j.strip;
    j.units = norms->outer * j.strips;
    size_t unit = norms->n * least(norms->inner, j.strip);
    j.per_task = unit < TASK_ELEMENTS ? TASK_ELEMENTS / unit : 1;
    if (fd_share_each(j.units, 2 * unit * j.size)) {
        fd_share_tasks(j.units, 0, share_units, &j);
        return;
    }
    fd_share_tasks((j.units + j.per_task - 1) / j.per_task, 2 * elements * j.size, run_tasks, &j);
}
