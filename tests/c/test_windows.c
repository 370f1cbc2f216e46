/* Windows: parts of a larger array, whose decisions are those of the larger one. For every
 * instruction set, dtype, rank and many starts, what a window gives is compared with the same
 * elements of the whole array; and so for memory in another order, and for shared decisions. */
#include "call.h"
#include "check.h"

enum { RANKS = 4, MOST = 3 * 5 * 9 * 257 };

typedef struct whole {
    int ndim;
    size_t shape[RANKS], n;
} whole;

/* The last axis is longer than a block, a few words, less than a word, one. */
static const whole wholes[] = {
    {1, {9001}, 9001},
    {2, {37, 211}, 37 * 211},
    {2, {3, 5003}, 3 * 5003},
    {3, {5, 7, 130}, 5 * 7 * 130},
    {3, {40, 3, 33}, 40 * 3 * 33},
    {4, {3, 5, 9, 257}, MOST},
    {4, {6, 4, 50, 2}, 6 * 4 * 50 * 2},
};

static FD_ALIGN64 uint8_t a[MOST * 8], b[MOST * 8], expected[MOST * 8], y[MOST * 8], mask[MOST];

/* A window of about `size` of 8 of each axis, which begins at one of 8 places. */
static void cut(const whole *w, unsigned size, unsigned place, size_t *start, size_t *shape) {
    for (int d = 0; d < w->ndim; d++) {
        shape[d] = 1 + (w->shape[d] - 1) * ((size + (unsigned)d) % 8) / 7;
        start[d] = (w->shape[d] - shape[d]) * ((place + 3 * (unsigned)d) % 8) / 7;
    }
}

static void in_c_order(const whole *w, ptrdiff_t *steps, unsigned shared) {
    ptrdiff_t step = 1;
    for (int d = w->ndim - 1; d >= 0; d--) {
        steps[d] = shared >> d & 1 ? 0 : step;
        if (steps[d]) { step *= (ptrdiff_t)w->shape[d]; }
    }
}

static size_t place_of(const whole *w, const size_t *start, const size_t *shape, size_t i,
                       const ptrdiff_t *steps) {
    size_t place = 0;
    for (int d = w->ndim - 1; d >= 0; d--) {
        place += (start[d] + i % shape[d]) * (size_t)steps[d];
        i /= shape[d];
    }
    return place;
}

/* The window's elements lie in the whole array, whose axes are in C order or reversed. */
static fd_call window_of(const whole *w, fd_operation operation, fd_dtype dtype,
                         const size_t *start, const size_t *shape, const ptrdiff_t *steps,
                         int reversed) {
    fd_call c = {.operation = operation, .dtype = dtype, .drawn = 1, .numbers = {1.5}};
    int operands = fd_operation_operands(operation);
    uint8_t *arrays[] = {a, operands == 3 ? b : y, y};
    ptrdiff_t step = (ptrdiff_t)fd_itemsize(dtype);
    c.axes.ndim = w->ndim;
    c.axes.operands = operands;
    for (int i = 0; i < operands; i++) { c.at[i] = arrays[i]; }
    for (int k = 0; k < w->ndim; k++) {
        int d = reversed ? k : w->ndim - 1 - k;
        c.axes.shape[d] = shape[d];
        c.axes.steps[d] = steps[d];
        for (int i = 0; i < operands; i++) {
            c.axes.strides[i][d] = step;
            c.at[i] = (char *)c.at[i] + (ptrdiff_t)start[d] * step;
        }
        step *= (ptrdiff_t)w->shape[d];
    }
    return c;
}

static size_t memory_of(const whole *w, const size_t *start, const size_t *shape, size_t i,
                        int reversed) {
    ptrdiff_t strides[RANKS], step = 1;
    for (int k = 0; k < w->ndim; k++) {
        int d = reversed ? k : w->ndim - 1 - k;
        strides[d] = step;
        step *= (ptrdiff_t)w->shape[d];
    }
    return place_of(w, start, shape, i, strides);
}

/* y = keep ? a : b moves whole elements, of any dtype. */
static void test_select(const whole *w, fd_dtype dtype, unsigned size, unsigned place,
                        unsigned shared, int reversed) {
    size_t start[RANKS], shape[RANKS], n = 1, item = fd_itemsize(dtype);
    ptrdiff_t steps[RANKS];
    uint8_t room[MOST / 8 + 1];
    fd_key key = {3, 1, 4000 + place};
    fd_plan plan = fd_plan_make(0.3);
    cut(w, size, place, start, shape);
    in_c_order(w, steps, shared);
    for (int d = 0; d < w->ndim; d++) { n *= shape[d]; }
    fd_mask_bool(mask, w->n, &key, &plan);
    memset(y, 0xEE, w->n * item);
    memset(expected, 0xEE, w->n * item);
    for (size_t i = 0; i < n; i++) {
        size_t at = memory_of(w, start, shape, i, reversed) * item;
        memcpy(expected + at, (mask[place_of(w, start, shape, i, steps)] ? a : b) + at, item);
    }
    fd_call c = window_of(w, FD_OP_select, dtype, start, shape, steps, reversed);
    c.key = key;
    c.key.offset += place_of(w, start, shape, 0, steps);
    c.plan = plan;
    c.bits = shared ? room : NULL;
    fd_run(&c);
    CHECK(!memcmp(y, expected, w->n * item),
          "window %u %u of %zu x ..., rank %d, dtype %d, shared %u, reversed %d", size, place,
          w->shape[0], w->ndim, (int)dtype, shared, reversed);
}

/* Scaling has kernels and drivers of its own; the mask's are those of windows too. */
static void test_scale(const whole *w, unsigned size, unsigned place, unsigned shared,
                       int reversed) {
    size_t start[RANKS], shape[RANKS], n = 1;
    ptrdiff_t steps[RANKS];
    uint8_t bytes[MOST], packed[MOST / 8 + 1];
    fd_key key = {5, 7, UINT64_MAX - 3 * MOST + place};
    fd_plan plan = fd_plan_make(0.5);
    cut(w, size, place, start, shape);
    in_c_order(w, steps, shared);
    for (int d = 0; d < w->ndim; d++) { n *= shape[d]; }
    fd_mask_bool(mask, w->n, &key, &plan);
    key.offset += place_of(w, start, shape, 0, steps);
    fd_draw_mask(bytes, 0, w->ndim, shape, steps, &key, &plan);
    fd_draw_mask(packed, 1, w->ndim, shape, steps, &key, &plan);
    float *numbers = (float *)(void *)a, *results = (float *)(void *)y;
    fd_call c = window_of(w, FD_OP_scale, FD_f32, start, shape, steps, reversed);
    c.key = key;
    c.plan = plan;
    memset(y, 0xEE, w->n * 4);
    fd_run(&c);
    int good = 1, masks = 1;
    for (size_t i = 0; i < n; i++) {
        size_t at = memory_of(w, start, shape, i, reversed);
        int keep = mask[place_of(w, start, shape, i, steps)];
        good &= results[at] == (keep ? numbers[at] * 1.5F : 0.0F);
        masks &= bytes[i] == keep && (packed[i >> 3] >> (i & 7) & 1) == keep;
    }
    CHECK(good, "scaled window %u %u of rank %d, shared %u, reversed %d", size, place, w->ndim,
          shared, reversed);
    CHECK(masks, "mask of window %u %u of rank %d, shared %u", size, place, w->ndim, shared);
}

/* A normal variate is two fields: their positions are twice as far apart. */
static void test_noise(const whole *w, fd_dtype dtype, unsigned size, unsigned place) {
    size_t start[RANKS], shape[RANKS], n = 1, item = fd_itemsize(dtype);
    ptrdiff_t steps[RANKS];
    fd_key key = {3, 1, 4095 * place};
    cut(w, size, place, start, shape);
    in_c_order(w, steps, 0);
    fd_gaussian_noise(dtype, a, expected, w->n, &key, 0.5);
    fd_call c = window_of(w, FD_OP_noise_add, dtype, start, shape, steps, 0);
    c.key = key;
    c.key.offset += 2 * place_of(w, start, shape, 0, steps);
    c.numbers[0] = 0.5;
    fd_run(&c);
    int good = 1;
    for (int d = 0; d < w->ndim; d++) { n *= shape[d]; }
    for (size_t i = 0; i < n; i++) {
        size_t at = memory_of(w, start, shape, i, 0) * item;
        good &= !memcmp(y + at, expected + at, item);
    }
    CHECK(good, "noise of window %u %u of rank %d, dtype %d", size, place, w->ndim, (int)dtype);
}

void test_windows(void) {
    int best = fd_isa_active();
    for (size_t i = 0; i < MOST; i++) { ((float *)(void *)a)[i] = (float)(i % 1000 + 1); }
    for (size_t i = 0; i < sizeof b; i++) { b[i] = (uint8_t)(i * 2654435761U >> 13); }
    /* Under an emulator a fifth of the windows: each of the 16 in one array or another. */
    unsigned stride = getenv("FD_TEST_EMULATED") ? 5 : 1;
    for (int isa = 0; isa < fd_isa_count(); isa++) {
        if (fd_isa_select(isa)) { continue; }
        for (size_t i = 0; i < sizeof wholes / sizeof *wholes; i++) {
            const whole *w = &wholes[i];
            for (unsigned k = ((unsigned)isa + (unsigned)i) % stride; k < 16; k += stride) {
                unsigned size = k % 8, place = (3 * k + k / 8) % 8, shared = k % 3 ? 0 : k / 3;
                for (int dtype = 0; dtype < FD_DTYPE_COUNT; dtype++) {
                    test_select(w, (fd_dtype)dtype, size, place, shared, k / 2 % 2);
                    if (k < 8 && w->n < 10000) { test_noise(w, (fd_dtype)dtype, size, place); }
                }
                test_scale(w, size, place, shared, k % 2);
            }
        }
    }
    fd_isa_select(best);
}
