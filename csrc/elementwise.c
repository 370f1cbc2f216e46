/* Operations that compute from several contiguous arrays, element by element: a kernel of the table
 * is called for chunks of at most 4096 elements, which are whole blocks of the stream where
 * possible.
 */
#include "bits.h"
#include "dispatch.h"
#include "share.h"

typedef struct job job;
/* Computes elements first..first+n-1. */
typedef void chunk_fn(const job *j, size_t first, size_t n, const fd_keep *keep);

struct job {
    const fd_table *table;
    fd_dtype dtype;
    fd_draw draw;
    size_t lead, size; /* what the first block lacks; bytes of an element */
    const char *in[2];
    char *out[2];
    double scale, other;
    const fd_bias *bias;
    fd_act act;
    int draws; /* or everything is kept */
    chunk_fn *chunk;
};

static void run_share(const void *context, size_t first, size_t end) {
    const job *j = context;
    uint8_t bits[FD_BLOCK / 8]; /* kernels read whole words */
    memset(bits, 0xFF, sizeof bits);
    fd_keep keep = {.bits = bits};
    fd_draw d = j->draw;
    d.position += first;
    for (size_t n; first < end; first += n, d.position += n) {
        n = fd_chunk_end(first, end, j->lead) - first;
        if (j->draws) { keep = fd_keep_drawn(j->table, &d, n, bits); }
        j->chunk(j, first, n, &keep);
    }
}

/* `operands` is how many arrays are read or written. */
static void run(job *j, fd_dtype dtype, size_t n, const fd_key *key, const fd_plan *plan,
                unsigned operands) {
    j->table = fd_active_table();
    j->dtype = dtype;
    j->size = fd_itemsize(dtype);
    j->draws = key != NULL;
    if (j->draws) {
        j->draw = fd_draw_make(key, plan);
        j->lead = key->offset % FD_BLOCK;
    }
    fd_share(n, j->lead, operands * j->size, run_share, j);
}

static void add_chunk(const job *j, size_t first, size_t n, const fd_keep *keep) {
    size_t at = first * j->size;
    j->table->dropout_add[j->dtype](j->in[0] + at, j->in[1] + at, j->out[0] + at, n, keep,
                                    j->scale);
}

void fd_dropout_add(fd_dtype dtype, const void *x, const void *residual, void *y, size_t n,
                    const fd_key *key, const fd_plan *plan, double scale) {
    job j = {.in = {x, residual}, .out = {y}, .scale = scale, .chunk = add_chunk};
    run(&j, dtype, n, key, plan, 3);
}

/* The bias of the chunk that starts at element `first`. */
static const char *bias_at(const job *j, size_t first) {
    const fd_bias *bias = j->bias;
    return (const char *)bias->values + (bias->column + first % bias->n) % bias->n * j->size;
}

static void act_chunk(const job *j, size_t first, size_t n, const fd_keep *keep) {
    size_t at = first * j->size;
    j->table->bias_act[j->dtype](j->in[0] + at, bias_at(j, first), j->out[0] + at, n, keep,
                                 j->scale, j->act);
}

void fd_bias_act_dropout(fd_dtype dtype, fd_act act, const void *x, const fd_bias *bias, void *y,
                         size_t n, const fd_key *key, const fd_plan *plan, double scale) {
    job j = {.in = {x}, .out = {y}, .scale = scale, .bias = bias, .act = act, .chunk = act_chunk};
    run(&j, dtype, n, key, plan, 2);
}

static void slope_chunk(const job *j, size_t first, size_t n, const fd_keep *keep) {
    size_t at = first * j->size;
    j->table->bias_act_slope[j->dtype](j->in[0] + at, j->in[1] + at, bias_at(j, first),
                                       j->out[0] + at, n, keep, j->scale, j->act);
}

void fd_bias_act_dropout_backward(fd_dtype dtype, fd_act act, const void *dy, const void *x,
                                  const fd_bias *bias, void *dx, size_t n, const fd_key *key,
                                  const fd_plan *plan, double scale) {
    job j = {.in = {dy, x}, .out = {dx}, .scale = scale, .bias = bias, .act = act};
    j.chunk = slope_chunk;
    run(&j, dtype, n, key, plan, 3);
}

/* Elements are only moved: without conversions, which would make a signalling NaN a quiet one. */
static fd_dtype unconverted(fd_dtype dtype) { return dtype == FD_f16 ? FD_bf16 : dtype; }

static void zoneout_chunk(const job *j, size_t first, size_t n, const fd_keep *keep) {
    size_t at = first * j->size;
    j->table->zoneout[j->dtype](j->in[0] + at, j->in[1] + at, j->out[0] + at, n, keep);
}

void fd_zoneout(fd_dtype dtype, const void *a, const void *b, void *y, size_t n, const fd_key *key,
                const fd_plan *plan) {
    job j = {.in = {a, b}, .out = {y}, .chunk = zoneout_chunk};
    run(&j, unconverted(dtype), n, key, plan, 3);
}

static void weighted_chunk(const job *j, size_t first, size_t n, const fd_keep *keep) {
    size_t at = first * j->size;
    j->table->weighted_sum[j->dtype](j->in[0] + at, j->in[1] + at, j->out[0] + at, n, keep,
                                     j->scale, j->other);
}

void fd_weighted_sum(fd_dtype dtype, const void *a, const void *b, void *y, size_t n, double kept,
                     double dropped) {
    job j = {.in = {a, b}, .out = {y}, .scale = kept, .other = dropped, .chunk = weighted_chunk};
    run(&j, dtype, n, NULL, NULL, 3);
}

static void split_chunk(const job *j, size_t first, size_t n, const fd_keep *keep) {
    size_t at = first * j->size;
    j->table->zoneout_split[j->dtype](j->in[0] + at, j->out[0] + at, j->out[1] + at, n, keep);
}

void fd_zoneout_split(fd_dtype dtype, const void *dy, void *da, void *db, size_t n,
                      const fd_key *key, const fd_plan *plan) {
    job j = {.in = {dy}, .out = {da, db}, .chunk = split_chunk};
    run(&j, unconverted(dtype), n, key, plan, 3);
}
