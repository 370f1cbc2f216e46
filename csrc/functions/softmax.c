/* Softmax with dropout, row by row, and its gradient. A row is read several times, in runs of at
 * most 4096 scores: for the largest one, for the sum, and for the result. It is in the cache by
 * then, unless it is very long. Short rows take each pass together, but for a gradient: a pass ends
 * with operations that wait for each other, and the next row need not wait for them. Where there
 * are only a few rows, and these are very long, the runs of each are shared out among the threads,
 * and what these find is joined in the order of the runs: so the bits do not depend on how many
 * threads there are. */
#include <math.h>

#include "bits.h"
#include "cpu/dispatch.h"
#include "run/layout.h"
#include "run/share.h"

static const size_t itemsizes[FD_DTYPE_COUNT] = {
    [FD_f32] = 4, [FD_f64] = 8, [FD_f16] = 2, [FD_bf16] = 2};

/* exp and the passes over the cache count as so many times what is moved to and from memory. */
enum { EFFORT = 4 };

/* Many cores take a load for one that needs an earlier store where both are equally far into a
 * page, and wait. */
enum { PAGE = 4096 };

/* How many short rows go together, and of how many scores. With more, memory past the cache waits
 * for passes that compute, and these for memory. */
enum { SCORES_TOGETHER = 512, ROWS_TOGETHER = SCORES_TOGETHER / 64 };

/* Runs that a thread takes at a time, and of how many the sums wait to be added up. */
enum { RUNS_TOGETHER = 16, RUNS_WAITING = 1024 };

/* The keep bits of positions first..first+n-1. Rows are often shorter than a block of the stream,
 * so that those of several are drawn at once, up to where a block ends. */
typedef struct window {
    uint64_t first;
    size_t n;
    uint8_t bits[2 * FD_BLOCK / 8 + 16]; /* read up to 9 bytes at a time */
} window;

typedef struct job {
    const fd_table *table;
    const fd_softmax *s;
    fd_dtype dtype;
    fd_draw draw;
    size_t size;    /* bytes of an element */
    int operands;   /* arrays that are moved */
    int everything; /* whether nothing can be dropped */
    int in_y;       /* whether y takes e without rounding */
    double keep_scale;
    const char *x, *dy;
    char *y, *weights;
} job;

/* What a thread needs for the run at hand, or for rows that go together: from place `slot` on. */
typedef struct buffers {
    window window;
    uint8_t take[FD_BLOCK / 8], keep[FD_BLOCK / 8];
    FD_ALIGN64 char mask_run[FD_BLOCK * sizeof(double)];
    FD_ALIGN64 char parts[FD_BLOCK * sizeof(double) + PAGE]; /* of the sum */
} buffers;

static void begin(buffers *b) {
    b->window.n = 0;
    memset(b->window.bits, 0, sizeof b->window.bits);
}

/* A row at work: its first score is number `element` of all, and n of its scores are looked at:
 * those that are visible, up to the end of 64, so that kernels need not go through copies. */
typedef struct row {
    size_t element, visible, n;
    uint64_t position; /* of the first of them */
    const char *mask;
    fd_softmax_run run;
    char *parts;      /* where all of its e wait between two passes, or NULL */
    buffers *buffers; /* NULL: its runs are shared out */
    size_t slot;      /* its place in them, a multiple of 64 scores */
} row;

static uint8_t *take_of(const row *r) { return r->buffers->take + r->slot / 8; }

/* `n` numbers or bytes of the row's mask from number `first` on, one beside the other. */
static const char *mask_run(const job *j, row *r, size_t first, size_t n, size_t size) {
    const char *from = r->mask + (ptrdiff_t)first * j->s->mask_step;
    if (j->s->mask_step == (ptrdiff_t)size) { return from; }
    char *to = r->buffers->mask_run + r->slot * sizeof(double);
    for (size_t i = 0; i < n; i++, from += j->s->mask_step) { memcpy(to + i * size, from, size); }
    return to;
}

/* Leaves only the first `n` scores of the run at hand. */
static void hide(row *r, size_t n) {
    uint8_t *take = take_of(r);
    if (!r->run.take) { memset(take, 0xFF, (r->run.n + 63) / 64 * 8); }
    size_t last = n / 64 * 8;
    fd_store64(take + last, fd_load64(take + last) & fd_low_bits(~UINT64_C(0), n % 64));
    r->run.take = take;
}

/* Turns to the run that begins with score number `first` of the row. */
static void turn_to(const job *j, row *r, size_t first) {
    fd_softmax_run *run = &r->run;
    size_t at = (r->element + first) * j->size;
    run->n = r->n - first < FD_BLOCK ? r->n - first : FD_BLOCK;
    run->x = j->x + at;
    run->dy = j->dy ? j->dy + at : NULL;
    run->y = j->y + at;
    run->weights = j->weights ? j->weights + at : NULL;
    run->take = NULL;
    if (j->s->mask && j->s->additive) {
        run->add = mask_run(j, r, first, run->n, j->size);
    } else if (j->s->mask) {
        const char *bytes = mask_run(j, r, first, run->n, 1);
        j->table->pack_bool((const uint8_t *)bytes, take_of(r), run->n);
        run->take = take_of(r);
    }
    if (first + run->n > r->visible) { hide(r, r->visible - first); }
}

/* Where the keep bits of `n` scores of the row from number `first` on are: from bit `bit0` on. */
static const uint8_t *keep_bits(const job *j, row *r, size_t first, size_t n, size_t *bit0) {
    window *w = &r->buffers->window;
    uint64_t position = r->position + first, offset = position - w->first;
    if (offset > w->n || w->n - offset < n) {
        size_t more = FD_BLOCK - 1 - (position + n - 1) % FD_BLOCK;
        w->first = position;
        w->n = j->s->row_positions < FD_BLOCK ? n + more : n;
        offset = 0;
        if (j->everything) {
            memset(w->bits, 0xFF, sizeof w->bits);
        } else {
            fd_draw d = j->draw;
            d.position = position;
            j->table->mask_bits(w->bits, w->n, &d);
        }
    }
    *bit0 = offset % 8;
    return w->bits + offset / 8;
}

/* The same as whole words, for the run at hand. */
static void draw_run(const job *j, row *r, size_t first) {
    size_t bit0;
    const uint8_t *bits = keep_bits(j, r, first, r->run.n, &bit0);
    for (size_t i = 0; i < r->run.n; i += 64) {
        fd_store64(r->buffers->keep + i / 8, fd_bits64(bits, bit0 + i));
    }
    r->run.keep = r->buffers->keep;
}

/* Of a row in which nothing takes part, or where all is -inf, the sum is 0 and so are the results.
 */
static double part_of(double number, double total) { return total == 0 ? 0 : number / total; }

static size_t part_size(const job *j) { return j->dtype == FD_f64 ? 8 : 4; }

/* Whether the e of the row fit in `parts`. */
static int parts_fit(const job *j, const row *r) {
    return r->n * part_size(j) <= FD_BLOCK * sizeof(double);
}

/* Where the e of the run that begins with score number `first` wait, if they do: y, too, takes them
 * without rounding in the forward pass of some dtypes. */
static char *parts_at(const job *j, row *r, size_t first) {
    if (r->parts) { return r->parts + first * part_size(j); }
    return !j->dy && j->in_y ? r->run.y : NULL;
}

/* Where in `parts` the row's e go: in a page as far behind x as y is behind them, so that neither
 * what they are made of nor what is made of them is where something has just been stored. */
static char *parts_between(row *r) {
    size_t apart = ((uintptr_t)r->run.y - (uintptr_t)r->run.x) % PAGE;
    char *parts = r->buffers->parts;
    uintptr_t place = (uintptr_t)r->run.x + (apart + PAGE) / 2 - (uintptr_t)parts;
    return parts + place % PAGE / 64 * 64;
}

/* One way over a row: what is done with the run that begins with score number `first`, and how what
 * is found in it joins what all runs before it have given; if anything is found. */
typedef struct pass {
    void (*run)(const job *j, row *r, size_t first, double *found);
    void (*join)(double *all, const double *found);
} pass;

static void find_largest(const job *j, row *r, size_t first, double *found) {
    turn_to(j, r, first);
    *found = j->table->softmax_largest[j->dtype](&r->run);
}

static void join_largest(double *all, const double *found) { *all = *found > *all ? *found : *all; }

static void find_sums(const job *j, row *r, size_t first, double *found) {
    fd_softmax_run *run = &r->run;
    if (r->n > FD_BLOCK) { turn_to(j, r, first); }
    run->parts = parts_at(j, r, first);
    if (j->dy) {
        draw_run(j, r, first);
        j->table->softmax_sums[j->dtype](run, &found[0], &found[1]);
    } else {
        found[0] = j->table->softmax_sum[j->dtype](run);
        found[1] = 0;
    }
}

static void join_sums(double *all, const double *found) {
    all[0] += found[0];
    all[1] += found[1];
}

static void put_results(const job *j, row *r, size_t first, double *found) {
    fd_softmax_run *run = &r->run;
    (void)found;
    if (r->n > FD_BLOCK) { turn_to(j, r, first); }
    run->parts = parts_at(j, r, first);
    if (j->dy) {
        if (r->n > FD_BLOCK) { draw_run(j, r, first); }
        j->table->softmax_gradient[j->dtype](run);
    } else if (j->in_y) {
        size_t bit0;
        const uint8_t *bits = keep_bits(j, r, first, run->n, &bit0);
        j->table->apply_bits[j->dtype](run->parts, run->y, run->n, bits, bit0, run->factor);
    } else {
        draw_run(j, r, first);
        j->table->softmax_weights[j->dtype](run);
    }
}

static const pass largest_pass = {find_largest, join_largest}, sums_pass = {find_sums, join_sums},
                  results_pass = {put_results, NULL};

/* Some of a row's runs, which are shared out: what is found in run `from` + i goes to found[i]. */
typedef struct some_runs {
    const job *job;
    const row *row;
    const pass *pass;
    size_t from, count;
    double (*found)[2];
} some_runs;

static void run_some(const void *context, size_t first, size_t end) {
    const some_runs *s = context;
    buffers b;
    row r = *s->row;
    begin(&b);
    r.buffers = &b;
    for (size_t i = first * RUNS_TOGETHER; i < end * RUNS_TOGETHER && i < s->count; i++) {
        s->pass->run(s->job, &r, (s->from + i) * FD_BLOCK, s->pass->join ? s->found[i] : NULL);
    }
}

/* What an operation moves for an element, and what it computes beside. */
static size_t effort_of(const job *j) { return (size_t)(j->operands * EFFORT) * j->size; }

static void share_runs(const job *j, const row *r, const pass *p, double *all) {
    double found[RUNS_WAITING][2];
    size_t runs = (r->n + FD_BLOCK - 1) / FD_BLOCK, most = p->join ? RUNS_WAITING : runs;
    for (size_t from = 0, count; from < runs; from += count) {
        count = runs - from < most ? runs - from : most;
        some_runs s = {j, r, p, from, count, found};
        fd_share_tasks((count + RUNS_TOGETHER - 1) / RUNS_TOGETHER, count * FD_BLOCK * effort_of(j),
                       run_some, &s);
        for (size_t i = 0; p->join && i < count; i++) { p->join(all, found[i]); }
    }
}

FD_INLINE void each_run(const job *j, row *r, const pass *p, double *all) {
    if (!r->buffers) {
        share_runs(j, r, p, all);
        return;
    }
    for (size_t first = 0; first < r->n; first += FD_BLOCK) {
        double found[2];
        p->run(j, r, first, found);
        if (p->join) { p->join(all, found); }
    }
}

FD_INLINE void find_row_largest(const job *j, row *r) {
    double largest = -INFINITY;
    r->run = (fd_softmax_run){.scale = j->s->scale, .keep_scale = j->keep_scale};
    each_run(j, r, &largest_pass, &largest);
    /* Any finite number will do for a row of nothing but -inf. */
    r->run.largest = largest == -INFINITY ? 0 : largest;
}

FD_INLINE void find_row_sums(const job *j, row *r) {
    fd_softmax_run *run = &r->run;
    double sums[2] = {0, 0};
    each_run(j, r, &sums_pass, sums);
    run->factor = part_of(j->keep_scale, sums[0]);
    if (j->dy) {
        run->slope = part_of(j->s->scale, sums[0]);
        run->centre = part_of(sums[1], sums[0]);
    }
}

FD_INLINE void run_together(const job *j, row *rows, size_t count) {
    char *parts = NULL;
    for (size_t i = 0; i < count; i++) { find_row_largest(j, &rows[i]); }
    if (rows->buffers && parts_fit(j, rows)) {
        if (rows->n > FD_BLOCK) { turn_to(j, rows, 0); }
        parts = parts_between(rows);
    }
    for (size_t i = 0; i < count; i++) {
        rows[i].parts = parts ? parts + rows[i].slot * part_size(j) : NULL;
        find_row_sums(j, &rows[i]);
    }
    for (size_t i = 0; i < count; i++) { each_run(j, &rows[i], &results_pass, NULL); }
}

/* Row number `number` of all, but for its mask and its place in the buffers. */
static void set_row(const job *j, row *r, size_t number) {
    const fd_softmax *s = j->s;
    size_t in_group = number % s->rows;
    size_t visible = in_group < SIZE_MAX - s->visible ? s->visible + in_group : SIZE_MAX;
    r->element = number * s->n;
    r->visible = visible < s->n ? visible : s->n;
    r->n = (r->visible + 63) / 64 * 64 < s->n ? (r->visible + 63) / 64 * 64 : s->n;
    r->position =
        j->draw.position + number / s->rows * s->group_positions + in_group * s->row_positions;
}

static void clear_hidden(const job *j, const row *r) {
    size_t hidden = (j->s->n - r->visible) * j->size;
    if (!hidden) { return; }
    memset(j->y + (r->element + r->visible) * j->size, 0, hidden);
    if (j->weights) { memset(j->weights + (r->element + r->visible) * j->size, 0, hidden); }
}

/* Handles the rows that begin among elements first..end-1; without buffers, their runs are shared
 * out. */
static void run_rows(const job *j, size_t first, size_t end, buffers *b) {
    const fd_softmax *s = j->s;
    row rows[ROWS_TOGETHER];
    fd_cursor cursor;
    size_t number = (first + s->n - 1) / s->n, last = (end + s->n - 1) / s->n;
    const fd_layout *mask = &s->mask_rows;
    if (s->mask) {
        fd_cursor_seek(&cursor, (fd_grid){mask->ndim, mask->shape, mask->mask_strides}, number);
    }
    size_t slot = (s->n + 63) / 64 * 64, most = b && !j->dy ? SCORES_TOGETHER / slot : 1;
    if (!most) { most = 1; }
    for (size_t count; number < last; number += count) {
        count = last - number < most ? last - number : most;
        for (size_t i = 0; i < count; i++) {
            set_row(j, &rows[i], number + i);
            rows[i].buffers = b;
            rows[i].slot = i * slot;
            if (s->mask) {
                rows[i].mask = (const char *)s->mask + cursor.offset;
                fd_cursor_advance(&cursor, 1);
            }
        }
        run_together(j, rows, count);
        for (size_t i = 0; i < count; i++) { clear_hidden(j, &rows[i]); }
    }
}

static void run_share(const void *context, size_t first, size_t end) {
    buffers b;
    begin(&b);
    run_rows(context, first, end, &b);
}

static void run_long_rows(const void *context, size_t first, size_t end) {
    const job *j = context;
    run_rows(j, first * j->s->n, end * j->s->n, NULL);
}

static void run(job *j, fd_dtype dtype, const fd_softmax *s, const fd_key *key,
                const fd_plan *plan) {
    if (!s->n) { return; }
    j->table = fd_active_table();
    j->s = s;
    j->dtype = dtype;
    j->size = itemsizes[dtype];
    j->draw = fd_draw_make(key, plan);
    j->everything = !plan->threshold && !plan->fraction;
    j->in_y = dtype == FD_f32 || dtype == FD_f64;
    size_t rows = s->groups * s->rows;
    if (fd_share_each(rows, s->n * effort_of(j))) {
        fd_share_tasks(rows, 0, run_long_rows, j);
    } else {
        fd_share(rows * s->n, 0, effort_of(j), run_share, j);
    }
}

void fd_softmax_dropout(fd_dtype dtype, const fd_softmax *s, const void *x, void *y,
                        const fd_key *key, const fd_plan *plan, double keep_scale) {
    job j = {.x = x, .y = y, .keep_scale = keep_scale, .operands = 2};
    run(&j, dtype, s, key, plan);
}

void fd_softmax_dropout_backward(fd_dtype dtype, const fd_softmax *s, const void *x, const void *dy,
                                 void *dx, void *weights, const fd_key *key, const fd_plan *plan,
                                 double keep_scale) {
    job j = {
        .x = x, .dy = dy, .y = dx, .weights = weights, .keep_scale = keep_scale, .operands = 3};
    run(&j, dtype, s, key, plan);
}
