/* Numbers in groups whose norm is limited: rows that lie in one piece are summed, and multiplied
 * while they are in the cache; of others, neighbouring columns are, a strip of them at a time. A
 * group is handled by one thread, so that the bits do not depend on how many there are. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "dispatch.h"
#include "share.h"

enum { TASK_ELEMENTS = 1 << 16, LEAST_STRIP = 128 };

typedef struct job {
    const fd_table *table;
    fd_dtype dtype;
    size_t size; /* bytes of an element */
    char *w;
    const fd_norms *norms;
    double limit;
    int by_rows;
    size_t strip, strips, units, per_task; /* columns of a strip, strips of a matrix; rows or strips
                                              in all, and in a task */
} job;

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

/* Squares are taken of numbers as they are; where their sum shows that some overflowed, or that
 * some underflowed that matter, of numbers times another scale. */
static const double plain = 1;

static double better_scale(const job *j, double sum) {
    int narrow = j->dtype != FD_f64;
    if (sum < (narrow ? 0x1p-90 : 0x1p-900)) { return narrow ? 0x1p100 : 0x1p600; }
    return sum <= DBL_MAX ? plain : narrow ? 0x1p-100 : 0x1p-600;
}

/* What brings a group to the limit, if its norm passes that; it stays 1 where an inf or a nan is
 * among the numbers. */
static double factor_of(const job *j, double sum, double scale) {
    double norm = sqrt(sum);
    if (!(norm > j->limit * scale && norm <= DBL_MAX)) { return 1; }
    return scale < 1 ? j->limit / norm * scale : j->limit * scale / norm;
}

static double row_sum(const job *j, const char *row, double scale) {
    double sum = 0;
    for (size_t first = 0, n; first < j->norms->n; first += n) {
        n = least(j->norms->n - first, FD_BLOCK);
        sum += j->table->squares[j->dtype](row + first * j->size, n, scale);
    }
    return sum;
}

static void run_row(const job *j, char *row) {
    double sum = row_sum(j, row, plain), scale = better_scale(j, sum);
    if (scale != plain) { sum = row_sum(j, row, scale); }
    double factor = factor_of(j, sum, scale);
    if (factor != 1) { j->table->row_scale[j->dtype](row, j->norms->n, factor); }
}

static void column_sums(const job *j, const char *x, size_t width, double scale, double *sums) {
    ptrdiff_t step = j->norms->step;
    memset(sums, 0, FD_STRIP * sizeof *sums);
    for (size_t first = 0, n; first < j->norms->n; first += n) {
        n = least(j->norms->n - first, FD_BLOCK);
        j->table->column_squares[j->dtype](x + (ptrdiff_t)first * step, step, n, width, scale,
                                           sums);
    }
}

static void run_strip(const job *j, char *x, size_t width) {
    double sums[FD_STRIP], again[FD_STRIP], factors[FD_STRIP];
    int some = 0;
    double other = plain;
    column_sums(j, x, width, plain, sums);
    for (size_t i = 0; i < width; i++) {
        double scale = better_scale(j, sums[i]);
        if (scale != plain && scale != other) {
            column_sums(j, x, width, scale, again);
            other = scale;
        }
        factors[i] = factor_of(j, scale == plain ? sums[i] : again[i], scale);
        some |= factors[i] != 1;
    }
    if (some) { j->table->column_scale[j->dtype](x, j->norms->step, j->norms->n, width, factors); }
}

static void run_tasks(const void *context, size_t first, size_t end) {
    const job *j = context;
    size_t last = least(end * j->per_task, j->units);
    for (size_t unit = first * j->per_task; unit < last; unit++) {
        size_t column = unit % j->strips * j->strip;
        char *at = j->w + (ptrdiff_t)(unit / j->strips) * j->norms->outer_step;
        if (j->by_rows) {
            run_row(j, at);
        } else {
            run_strip(j, at + column * j->size, least(j->norms->inner - column, j->strip));
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
    j.strip = strip_of(norms);
    j.strips = (norms->inner + j.strip - 1) / j.strip;
    j.units = norms->outer * j.strips;
    size_t unit = norms->n * least(norms->inner, j.strip);
    j.per_task = unit < TASK_ELEMENTS ? TASK_ELEMENTS / unit : 1;
    fd_share_tasks((j.units + j.per_task - 1) / j.per_task, 2 * elements * j.size, run_tasks, &j);
}
