/* Softmax with dropout, row by row, and its gradient. A row is read several times, in runs of at
 * most 4096 scores: for the largest one, for the sum, and for the result. It is in the cache by
 * then, unless it is very long. */
#include <math.h>

#include "bits.h"
#include "dispatch.h"
#include "layout.h"
#include "share.h"

static const size_t itemsizes[FD_DTYPE_COUNT] = {
    [FD_f32] = 4, [FD_f64] = 8, [FD_f16] = 2, [FD_bf16] = 2};

/* exp and the passes over the cache count as so many times what is moved to and from memory. */
enum { EFFORT = 4 };

/* Many cores take a load for one that needs an earlier store where both are equally far into a
 * page, and wait. */
enum { PAGE = 4096 };

/* The keep bits of positions first..first+n-1. Rows are often shorter than a block of the stream,
 * so that those of several are drawn at once, up to where a block ends. */
typedef struct window {
    uint64_t first;
    size_t n;
    uint8_t bits[2 * FD_BLOCK / 8 + 16]; /* read up to 9 bytes at a time */
} window;

typedef struct job job;
typedef struct row row;

struct job {
    const fd_table *table;
    const fd_softmax *s;
    fd_dtype dtype;
    fd_draw draw;
    size_t size;    /* bytes of an element */
    int operands;   /* arrays that are moved */
    int everything; /* whether nothing can be dropped */
    double keep_scale;
    const char *x, *dy;
    char *y, *weights;
    void (*finish)(const job *j, row *r, double largest);
};

/* A row at work: its first score is number `element` of all, and n of its scores are looked at:
 * those that are visible, up to the end of 64, so that kernels need not go through copies. */
struct row {
    size_t element, visible, n;
    uint64_t position; /* of the first of them */
    const char *mask;
    fd_softmax_run run;
    window window;
    uint8_t take[FD_BLOCK / 8], keep[FD_BLOCK / 8];
    FD_ALIGN64 char mask_run[FD_BLOCK * sizeof(double)];
    FD_ALIGN64 char parts[FD_BLOCK * sizeof(double) + PAGE]; /* of the sum */
};

/* `n` numbers or bytes of the row's mask from number `first` on, one beside the other. */
static const char *mask_run(const job *j, row *r, size_t first, size_t n, size_t size) {
    const char *from = r->mask + (ptrdiff_t)first * j->s->mask_step;
    if (j->s->mask_step == (ptrdiff_t)size) { return from; }
    for (size_t i = 0; i < n; i++, from += j->s->mask_step) {
        memcpy(r->mask_run + i * size, from, size);
    }
    return r->mask_run;
}

/* Leaves only the first `n` scores of the run at hand. */
static void hide(row *r, size_t n) {
    if (!r->run.take) { memset(r->take, 0xFF, sizeof r->take); }
    size_t last = n / 64 * 8;
    fd_store64(r->take + last, fd_load64(r->take + last) & fd_low_bits(~UINT64_C(0), n % 64));
    r->run.take = r->take;
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
        j->table->pack_bool((const uint8_t *)bytes, r->take, run->n);
        run->take = r->take;
    }
    if (first + run->n > r->visible) { hide(r, r->visible - first); }
}

/* Where the keep bits of `n` scores of the row from number `first` on are: from bit `bit0` on. */
static const uint8_t *keep_bits(const job *j, row *r, size_t first, size_t n, size_t *bit0) {
    window *w = &r->window;
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
        fd_store64(r->keep + i / 8, fd_bits64(bits, bit0 + i));
    }
    r->run.keep = r->keep;
}

/* Of a row in which nothing takes part, or where all is -inf, the sum is 0 and so are the results.
 */
static double part_of(double number, double total) { return total == 0 ? 0 : number / total; }

static size_t part_size(const job *j) { return j->dtype == FD_f64 ? 8 : 4; }

/* Whether the e of the row fit in `parts`. */
static int parts_fit(const job *j, const row *r) {
    return r->n * part_size(j) <= FD_BLOCK * sizeof(double);
}

/* The e of the run that begins with score number `first`. */
static char *parts_at(const job *j, char *parts, size_t first) {
    return parts ? parts + first * part_size(j) : NULL;
}

/* Where in `parts` the row's e go: in a page as far behind x as y is behind them, so that neither
 * what they are made of nor what is made of them is where something has just been stored. */
static char *parts_between(row *r) {
    size_t apart = ((uintptr_t)r->run.y - (uintptr_t)r->run.x) % PAGE;
    uintptr_t place = (uintptr_t)r->run.x + (apart + PAGE) / 2 - (uintptr_t)r->parts;
    return r->parts + place % PAGE / 64 * 64;
}

static void finish_forward(const job *j, row *r, double largest) {
    fd_softmax_run *run = &r->run;
    int plain = j->dtype == FD_f32 || j->dtype == FD_f64; /* y takes e without rounding */
    if (r->n > FD_BLOCK) { turn_to(j, r, 0); }
    char *parts = parts_fit(j, r) ? parts_between(r) : NULL;
    double total = 0;
    run->largest = largest;
    for (size_t first = 0; first < r->n; first += run->n) {
        if (r->n > FD_BLOCK) { turn_to(j, r, first); }
        run->parts = parts || !plain ? parts_at(j, parts, first) : run->y;
        total += j->table->softmax_sum[j->dtype](run);
    }
    run->factor = part_of(j->keep_scale, total);
    for (size_t first = 0; first < r->n; first += run->n) {
        if (r->n > FD_BLOCK) { turn_to(j, r, first); }
        run->parts = parts || !plain ? parts_at(j, parts, first) : run->y;
        if (plain) {
            size_t bit0;
            const uint8_t *bits = keep_bits(j, r, first, run->n, &bit0);
            j->table->apply_bits[j->dtype](run->parts, run->y, run->n, bits, bit0, run->factor);
        } else {
            draw_run(j, r, first);
            j->table->softmax_weights[j->dtype](run);
        }
    }
}

static void finish_backward(const job *j, row *r, double largest) {
    fd_softmax_run *run = &r->run;
    double total = 0, product = 0;
    if (r->n > FD_BLOCK) { turn_to(j, r, 0); }
    char *parts = parts_fit(j, r) ? parts_between(r) : NULL;
    run->keep_scale = j->keep_scale;
    run->largest = largest;
    for (size_t first = 0; first < r->n; first += run->n) {
        double sum, sum_of_products;
        if (r->n > FD_BLOCK) { turn_to(j, r, first); }
        run->parts = parts_at(j, parts, first);
        draw_run(j, r, first);
        j->table->softmax_sums[j->dtype](run, &sum, &sum_of_products);
        total += sum;
        product += sum_of_products;
    }
    run->factor = part_of(j->keep_scale, total);
    run->slope = part_of(j->s->scale, total);
    run->centre = part_of(product, total);
    for (size_t first = 0; first < r->n; first += run->n) {
        if (r->n > FD_BLOCK) {
            turn_to(j, r, first);
            draw_run(j, r, first);
        }
        run->parts = parts_at(j, parts, first);
        j->table->softmax_gradient[j->dtype](run);
    }
}

static void run_row(const job *j, row *r) {
    fd_softmax_run *run = &r->run;
    double largest = -INFINITY;
    *run = (fd_softmax_run){.scale = j->s->scale};
    for (size_t first = 0; first < r->n; first += run->n) {
        turn_to(j, r, first);
        double m = j->table->softmax_largest[j->dtype](run);
        largest = m > largest ? m : largest;
    }
    /* Any finite number will do for a row of nothing but -inf. */
    j->finish(j, r, largest == -INFINITY ? 0 : largest);
}

/* Handles the rows that begin among elements first..end-1. */
static void run_share(const void *context, size_t first, size_t end) {
    const job *j = context;
    const fd_softmax *s = j->s;
    row r;
    fd_cursor cursor;
    r.window.n = 0;
    memset(r.window.bits, 0, sizeof r.window.bits);
    size_t number = (first + s->n - 1) / s->n;
    const fd_layout *rows = &s->mask_rows;
    if (s->mask) {
        fd_cursor_seek(&cursor, (fd_grid){rows->ndim, rows->shape, rows->mask_strides}, number);
    }
    for (; number * s->n < end; number++) {
        size_t in_group = number % s->rows;
        size_t visible = in_group < SIZE_MAX - s->visible ? s->visible + in_group : SIZE_MAX;
        r.element = number * s->n;
        r.visible = visible < s->n ? visible : s->n;
        r.n = (r.visible + 63) / 64 * 64 < s->n ? (r.visible + 63) / 64 * 64 : s->n;
        r.position =
            j->draw.position + number / s->rows * s->group_positions + in_group * s->row_positions;
        if (s->mask) {
            r.mask = (const char *)s->mask + cursor.offset;
            fd_cursor_advance(&cursor, 1);
        }
        run_row(j, &r);
        size_t hidden = (s->n - r.visible) * j->size;
        if (hidden) {
            memset(j->y + (r.element + r.visible) * j->size, 0, hidden);
            if (j->weights) { memset(j->weights + (r.element + r.visible) * j->size, 0, hidden); }
        }
    }
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
    fd_share(s->groups * s->rows * s->n, 0, (size_t)(j->operands * EFFORT) * j->size, run_share, j);
}

void fd_softmax_dropout(fd_dtype dtype, const fd_softmax *s, const void *x, void *y,
                        const fd_key *key, const fd_plan *plan, double keep_scale) {
    job j = {.x = x, .y = y, .keep_scale = keep_scale, .operands = 2, .finish = finish_forward};
    run(&j, dtype, s, key, plan);
}

void fd_softmax_dropout_backward(fd_dtype dtype, const fd_softmax *s, const void *x, const void *dy,
                                 void *dx, void *weights, const fd_key *key, const fd_plan *plan,
                                 double keep_scale) {
    job j = {.x = x,
             .dy = dy,
             .y = dx,
             .weights = weights,
             .keep_scale = keep_scale,
             .operands = 3,
             .finish = finish_backward};
    run(&j, dtype, s, key, plan);
}
