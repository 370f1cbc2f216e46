/* The functions of fastdrop.h for element-wise operations: each fills in a call. */
#include "call.h"
#include "cpu/fpenv.h"

fd_plan fd_plan_make(double p) {
    double x = 65536.0 * p;
    fd_plan plan;
    plan.threshold = (uint32_t)x;
    plan.fraction = (uint64_t)((x - (double)plan.threshold) * 0x1p64);
    return plan;
}

double fd_scale_make(fd_dtype dtype, double p) {
    fd_fpenv environment = fd_fpenv_enter();
    /* volatile: compilers move plain arithmetic across a change of the rounding mode */
    volatile double given = p, scale = 1.0 / (1.0 - given);
    if (dtype != FD_f64) { scale = (float)scale; }
    fd_fpenv_leave(environment);
    return scale;
}

/* Without decisions, unless a key is given. */
static void begin(fd_call *c, fd_operation operation, fd_dtype dtype, const fd_key *key,
                  const fd_plan *plan, double number) {
    c->operation = operation;
    c->dtype = dtype;
    c->drawn = key != NULL;
    if (key) { c->key = *key; }
    if (plan) { c->plan = *plan; }
    c->bits = NULL;
    c->bools = NULL;
    c->numbers[0] = number;
    c->numbers[1] = c->numbers[2] = 0;
    c->act = FD_ACT_NONE;
}

static void *unread(const void *x) { return (void *)(uintptr_t)x; }

/* On n contiguous elements of each operand. */
static void run_flat(fd_call *c, size_t n, const void *a, const void *b, const void *y) {
    const void *at[] = {a, b, y};
    fd_axes *axes = &c->axes;
    axes->ndim = 1;
    axes->operands = 0;
    axes->shape[0] = n;
    axes->steps[0] = 1;
    for (int i = 0; i < 3; i++) {
        if (!at[i]) { continue; }
        c->at[axes->operands] = unread(at[i]);
        axes->strides[axes->operands++][0] = (ptrdiff_t)fd_itemsize(c->dtype);
    }
    fd_run(c);
}

/* With the mask's strides, or, without a mask, in C order. */
static void run_layout(fd_call *c, const void *x, void *y, const fd_layout *layout) {
    fd_axes *axes = &c->axes;
    ptrdiff_t step = 1;
    axes->ndim = layout->ndim;
    axes->operands = 2;
    for (int d = layout->ndim - 1; d >= 0; d--) {
        axes->shape[d] = layout->shape[d];
        axes->strides[0][d] = layout->x_strides[d];
        axes->strides[1][d] = layout->y_strides[d];
        axes->steps[d] = c->drawn ? step : layout->mask_strides[d];
        step *= (ptrdiff_t)layout->shape[d];
    }
    c->at[0] = unread(x);
    c->at[1] = y;
    fd_run(c);
}

void fd_dropout(fd_dtype dtype, const void *x, void *y, size_t n, const fd_key *key,
                const fd_plan *plan, double scale) {
    fd_call c;
    begin(&c, FD_OP_scale, dtype, key, plan, scale);
    run_flat(&c, n, x, NULL, y);
}

void fd_dropout_strided(fd_dtype dtype, const void *x, void *y, const fd_layout *layout,
                        const fd_key *key, const fd_plan *plan, double scale) {
    fd_call c;
    begin(&c, FD_OP_scale, dtype, key, plan, scale);
    run_layout(&c, x, y, layout);
}

void fd_apply_bits(fd_dtype dtype, const void *x, void *y, const fd_layout *layout,
                   const uint8_t *bits, double scale) {
    fd_call c;
    begin(&c, FD_OP_scale, dtype, NULL, NULL, scale);
    c.bits = unread(bits);
    run_layout(&c, x, y, layout);
}

void fd_apply_bool(fd_dtype dtype, const void *x, void *y, const fd_layout *layout,
                   const uint8_t *mask, double scale) {
    fd_call c;
    begin(&c, FD_OP_scale, dtype, NULL, NULL, scale);
    c.bools = mask;
    run_layout(&c, x, y, layout);
}

void fd_scale(fd_dtype dtype, const void *x, void *y, const fd_layout *layout, double scale) {
    fd_call c;
    begin(&c, FD_OP_scale, dtype, NULL, NULL, scale);
    run_layout(&c, x, y, layout);
}

static void set_affine(fd_call *c, const fd_affine *map) {
    c->numbers[1] = map->shift;
    c->numbers[2] = map->dropped;
}

void fd_dropout_affine(fd_dtype dtype, const void *x, void *y, const fd_layout *layout,
                       const fd_key *key, const fd_plan *plan, const fd_affine *map) {
    fd_call c;
    begin(&c, FD_OP_affine, dtype, key, plan, map->scale);
    set_affine(&c, map);
    run_layout(&c, x, y, layout);
}

void fd_apply_bits_affine(fd_dtype dtype, const void *x, void *y, const fd_layout *layout,
                          const uint8_t *bits, const fd_affine *map) {
    fd_call c;
    begin(&c, FD_OP_affine, dtype, NULL, NULL, map->scale);
    set_affine(&c, map);
    c.bits = unread(bits);
    run_layout(&c, x, y, layout);
}

void fd_dropout_add(fd_dtype dtype, const void *x, const void *residual, void *y, size_t n,
                    const fd_key *key, const fd_plan *plan, double scale) {
    fd_call c;
    begin(&c, FD_OP_add, dtype, key, plan, scale);
    run_flat(&c, n, x, residual, y);
}

void fd_bias_act_dropout(fd_dtype dtype, fd_act act, const void *x, const fd_bias *bias, void *y,
                         size_t n, const fd_key *key, const fd_plan *plan, double scale) {
    fd_call c;
    begin(&c, FD_OP_act, dtype, key, plan, scale);
    c.act = act;
    c.bias = *bias;
    run_flat(&c, n, x, NULL, y);
}

void fd_bias_act_dropout_backward(fd_dtype dtype, fd_act act, const void *dy, const void *x,
                                  const fd_bias *bias, void *dx, size_t n, const fd_key *key,
                                  const fd_plan *plan, double scale) {
    fd_call c;
    begin(&c, FD_OP_act_slope, dtype, key, plan, scale);
    c.act = act;
    c.bias = *bias;
    run_flat(&c, n, x, dy, dx);
}

void fd_zoneout(fd_dtype dtype, const void *a, const void *b, void *y, size_t n, const fd_key *key,
                const fd_plan *plan) {
    fd_call c;
    begin(&c, FD_OP_select, dtype, key, plan, 0);
    run_flat(&c, n, a, b, y);
}

void fd_weighted_sum(fd_dtype dtype, const void *a, const void *b, void *y, size_t n, double kept,
                     double dropped) {
    fd_call c;
    begin(&c, FD_OP_mix, dtype, NULL, NULL, kept);
    c.numbers[1] = dropped;
    run_flat(&c, n, a, b, y);
}

void fd_zoneout_split(fd_dtype dtype, const void *dy, void *da, void *db, size_t n,
                      const fd_key *key, const fd_plan *plan) {
    fd_call c;
    begin(&c, FD_OP_split, dtype, key, plan, 0);
    run_flat(&c, n, dy, da, db);
}

void fd_gaussian_dropout(fd_dtype dtype, const void *x, void *y, size_t n, const fd_key *key,
                         double deviation) {
    fd_call c;
    begin(&c, FD_OP_noise_factor, dtype, key, NULL, deviation);
    run_flat(&c, n, x, NULL, y);
}

void fd_gaussian_noise(fd_dtype dtype, const void *x, void *y, size_t n, const fd_key *key,
                       double deviation) {
    fd_call c;
    begin(&c, FD_OP_noise_add, dtype, key, NULL, deviation);
    run_flat(&c, n, x, NULL, y);
}
