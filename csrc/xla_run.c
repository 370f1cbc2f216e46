/* Computes a slice with what fastdrop.h offers for contiguous arrays, run by run of the stream. */
#include <string.h>

#include "xla_call.h"

const fd_xla_facts fd_xla_operations[FD_XLA_OPERATIONS] = {
    [FD_XLA_SCALE] = {"scale", 1, 1, 1, 1},
    [FD_XLA_AFFINE] = {"affine", 1, 1, 1, 1},
    [FD_XLA_ADD] = {"add", 2, 1, 0, 1},
    [FD_XLA_SELECT] = {"select", 2, 1, 0, 1},
    [FD_XLA_SPLIT] = {"split", 1, 2, 0, 1},
    [FD_XLA_MIX] = {"mix", 2, 1, 0, 1},
    [FD_XLA_UNMIX] = {"unmix", 1, 2, 0, 1},
    [FD_XLA_NOISE_FACTOR] = {"noise_factor", 1, 1, 0, 2},
    [FD_XLA_NOISE_ADD] = {"noise_add", 1, 1, 0, 2},
};

/* n elements that are contiguous in memory and in the stream. */
static void run(const fd_xla_call *c, const fd_xla_slice *s, size_t n) {
    const void *x = s->reads[0], *r = s->reads[1];
    void *y = s->writes[0];
    const fd_plan *plan = &c->plan;
    fd_dtype moved = c->dtype == FD_bf16 ? FD_f16 : c->dtype; /* the bits are not looked at */
    fd_layout layout = {.ndim = 1, .shape = {n}};
    layout.x_strides[0] = layout.y_strides[0] = (ptrdiff_t)c->item;
    switch (c->op) {
    case FD_XLA_SCALE:
        fd_dropout(c->dtype, x, y, n, &s->key, plan, c->numbers[0]);
        break;
    case FD_XLA_AFFINE: {
        fd_affine map = {c->numbers[0], c->numbers[1], c->numbers[2]};
        fd_dropout_affine(c->dtype, x, y, &layout, &s->key, plan, &map);
        break;
    }
    case FD_XLA_ADD:
        fd_dropout_add(c->dtype, x, r, y, n, &s->key, plan, c->numbers[0]);
        break;
    case FD_XLA_SELECT:
        fd_zoneout(moved, x, r, y, n, &s->key, plan);
        break;
    case FD_XLA_SPLIT:
        fd_zoneout_split(moved, x, y, s->writes[1], n, &s->key, plan);
        break;
    case FD_XLA_MIX:
        fd_weighted_sum(c->dtype, x, r, y, n, c->numbers[0], c->numbers[1]);
        break;
    case FD_XLA_UNMIX:
        /* The second result first: the first may be x. */
        fd_scale(c->dtype, x, s->writes[1], &layout, c->numbers[1]);
        fd_scale(c->dtype, x, y, &layout, c->numbers[0]);
        break;
    case FD_XLA_NOISE_FACTOR:
        fd_gaussian_dropout(c->dtype, x, y, n, &s->key, c->numbers[0]);
        break;
    case FD_XLA_NOISE_ADD:
        fd_gaussian_noise(c->dtype, x, y, n, &s->key, c->numbers[0]);
        break;
    case FD_XLA_OPERATIONS:
        break;
    }
}

/* How many of the last axes of `shape` the stream has in C order without gaps. */
static int joined_axes(const fd_xla_call *c, const size_t *shape) {
    uint64_t n = 1;
    for (int d = c->ndim; d-- > 0; n *= shape[d]) {
        if (shape[d] != 1 && c->steps[d] != n) { return c->ndim - 1 - d; }
    }
    return c->ndim;
}

/* A walk over the axes that are not joined. */
typedef struct runs {
    const fd_xla_call *c;
    const size_t *shape;
    int outer;
    size_t n, index[FD_MAX_DIMS];
    uint64_t decision; /* the first one of this run */
} runs;

static runs runs_make(const fd_xla_call *c, const size_t *shape) {
    runs r = {.c = c, .shape = shape, .outer = c->ndim - joined_axes(c, shape), .n = 1};
    for (int d = r.outer; d < c->ndim; d++) { r.n *= shape[d]; }
    return r;
}

static int runs_next(runs *r) {
    for (int d = r->outer; d-- > 0;) {
        r->decision += r->c->steps[d];
        if (++r->index[d] < r->shape[d]) { return 1; }
        r->decision -= r->c->steps[d] * r->shape[d];
        r->index[d] = 0;
    }
    return 0;
}

/* A decision for each element. */
static void run_own(const fd_xla_call *c, fd_xla_slice s) {
    runs r = runs_make(c, c->shape);
    const uint64_t origin = s.key.offset;
    do {
        s.key.offset = origin + r.decision * fd_xla_operations[c->op].positions;
        run(c, &s, r.n);
        for (int i = 0; i < FD_XLA_READS; i++) {
            if (s.reads[i]) { s.reads[i] += r.n * c->item; }
            if (s.writes[i]) { s.writes[i] += r.n * c->item; }
        }
    } while (runs_next(&r));
}

/* The decisions of a slice whose elements share them, in C order of `shape`, packed. */
static void draw_shared(const fd_xla_call *c, const size_t *shape, const fd_key *key) {
    enum { PIECE = 4096 };
    uint8_t piece[PIECE];
    if (joined_axes(c, shape) == c->ndim) {
        fd_mask_bits(c->bits, c->decisions, key, &c->plan);
        return;
    }
    memset(c->bits, 0, (c->decisions + 7) / 8);
    runs r = runs_make(c, shape);
    size_t bit = 0;
    do {
        for (size_t first = 0; first < r.n; first += PIECE) {
            size_t n = r.n - first < PIECE ? r.n - first : PIECE;
            fd_key at = {key->seed, key->stream, key->offset + r.decision + first};
            fd_mask_bool(piece, n, &at, &c->plan);
            for (size_t i = 0; i < n; i++, bit++) {
                c->bits[bit / 8] |= (uint8_t)(piece[i] << bit % 8);
            }
        }
    } while (runs_next(&r));
}

static void run_shared(const fd_xla_call *c, const fd_xla_slice *s) {
    size_t shape[FD_MAX_DIMS]; /* of the decisions */
    fd_layout layout = {.ndim = c->ndim};
    ptrdiff_t stride = (ptrdiff_t)c->item, bit = 1;
    for (int d = c->ndim; d-- > 0;) {
        shape[d] = c->steps[d] ? c->shape[d] : 1;
        layout.shape[d] = c->shape[d];
        layout.x_strides[d] = layout.y_strides[d] = stride;
        layout.mask_strides[d] = c->steps[d] ? bit : 0;
        stride *= (ptrdiff_t)c->shape[d];
        bit *= (ptrdiff_t)shape[d];
    }
    draw_shared(c, shape, &s->key);
    if (c->op == FD_XLA_AFFINE) {
        fd_affine map = {c->numbers[0], c->numbers[1], c->numbers[2]};
        fd_apply_bits_affine(c->dtype, s->reads[0], s->writes[0], &layout, c->bits, &map);
    } else {
        fd_apply_bits(c->dtype, s->reads[0], s->writes[0], &layout, c->bits, c->numbers[0]);
    }
}

void fd_xla_run(const fd_xla_call *call, const fd_xla_slice *slice) {
    if (call->bits) {
        run_shared(call, slice);
    } else {
        run_own(call, *slice);
    }
}
