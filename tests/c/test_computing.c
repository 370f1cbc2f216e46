/* Every FD_OPERATION and FD_SOFTMAX_KERNEL in ops.def against the scalar one: the same body on
 * another vocabulary. (That the body is right is compared with NumPy in Python.) */
#include "check.h"

static const size_t sizes[] = {0,  1,  3,  4,  5,   7,   8,   9,   15,   16,   17,  31,
                               33, 63, 64, 65, 100, 127, 128, 129, 1000, 4095, 4096};
static const size_t misalignments[] = {0, 2, 4, 8, 20, 48};

enum { READ = 3, ARRAYS = READ + 2, SUMS = 2 };

/* What a kernel is called with: three arrays are read and two written, all of n elements. */
typedef struct work {
    int op; /* of FD_OPERATION */
    fd_dtype dtype;
    size_t n;
    void *in[READ], *out[2];
    fd_keep keep;
    fd_variates variates;
    int act;
    size_t each;    /* so many elements with one activation */
    uint8_t *parts; /* room for e in the compute type */
    double sums[SUMS];
} work;

typedef void run_fn(const fd_table *table, work *w);

static size_t activations(int op) {
    return op == FD_OP_act || op == FD_OP_act_slope ? FD_ACT_COUNT : 1;
}

static void run_operation(const fd_table *table, work *w) {
    size_t size = fd_itemsize(w->dtype), at = 0, act = (size_t)w->act;
    int wide = w->dtype == FD_f64;
    do {
        fd_part part = {.n = w->each < w->n - at ? w->each : w->n - at,
                        .keep = w->keep,
                        .variates = w->variates,
                        /* inexact in the compute type */
                        .numbers = {wide ? 1 / 0.7 : 1.4285715F, wide ? 0.3 : 0.3F, -1.25},
                        .act = (fd_act)(act++ % activations(w->op))};
        for (int i = 0; i < READ; i++) { part.at.in[i] = (char *)w->in[i] + at * size; }
        for (int i = 0; i < 2; i++) { part.at.out[i] = (char *)w->out[i] + at * size; }
        if (w->keep.bits) { part.keep.bits += at / 8; }
        table->compute[w->op][w->dtype](&part);
        at += w->each;
    } while (at < w->n);
}

/* Makes numbers negative, by their first byte or their last one. */
static void lower(uint8_t *numbers, const work *w) {
    size_t item = fd_itemsize(w->dtype), sign = FD_BIG_ENDIAN ? 0 : item - 1;
    for (size_t i = 0; i < w->n; i++) { numbers[i * item + sign] |= 0x80; }
}

/* in[0] are scores, none above `largest`, in[1] what is added or the gradient of the result; some
 * take no part. */
static fd_softmax_run softmax_run(work *w) {
    lower(w->in[0], w);
    return (fd_softmax_run){.n = w->n,
                            .x = w->in[0],
                            .take = w->n % 3 ? w->keep.bits : NULL,
                            .scale = 0.25,
                            .keep_scale = 1.5,
                            .largest = 0.5,
                            .factor = 0.375,
                            .slope = 0.75,
                            .centre = 0.125};
}

static void run_softmax_largest(const fd_table *table, work *w) {
    fd_softmax_run run = softmax_run(w);
    run.add = w->n % 3 ? w->in[1] : NULL;
    w->sums[0] = table->softmax_largest[w->dtype](&run);
}

static void run_softmax_sum(const fd_table *table, work *w) {
    fd_softmax_run run = softmax_run(w);
    run.add = w->n % 2 ? w->in[1] : NULL;
    lower(w->in[1], w);
    run.parts = (char *)w->parts;
    w->sums[0] = table->softmax_sum[w->dtype](&run);
}

/* With parts into out[1], and without into out[0]. */
static void run_softmax_weights(const fd_table *table, work *w) {
    fd_softmax_run run = softmax_run(w);
    run.take = NULL;
    run.keep = w->keep.bits;
    run.parts = (char *)w->parts;
    run.y = w->out[1];
    table->softmax_sum[w->dtype](&run);
    table->softmax_weights[w->dtype](&run);
    run.parts = NULL;
    run.y = w->out[0];
    table->softmax_weights[w->dtype](&run);
    CHECK(same_numbers(w->dtype, w->out[0], w->out[1], w->n),
          "%s softmax_weights of %zu parts, dtype %d", table->name, w->n, (int)w->dtype);
}

static void run_softmax_sums(const fd_table *table, work *w) {
    fd_softmax_run run = softmax_run(w);
    run.dy = w->in[1];
    table->softmax_sums[w->dtype](&run, &w->sums[0], &w->sums[1]);
}

static void run_softmax_gradient(const fd_table *table, work *w) {
    fd_softmax_run run = softmax_run(w);
    guarded again = guarded_new(w->n * fd_itemsize(w->dtype), 0);
    run.keep = w->keep.bits;
    run.dy = w->in[1];
    run.weights = w->n % 2 ? w->out[1] : NULL;
    run.parts = (char *)w->parts;
    run.y = (char *)again.data;
    table->softmax_sums[w->dtype](&run, &w->sums[0], &w->sums[1]);
    table->softmax_gradient[w->dtype](&run);
    run.parts = NULL;
    run.y = w->out[0];
    table->softmax_gradient[w->dtype](&run);
    CHECK(same_numbers(w->dtype, w->out[0], again.data, w->n),
          "%s softmax_gradient of %zu parts, dtype %d", table->name, w->n, (int)w->dtype);
}

/* With any bits and fields, or those that are drawn: the instruction set draws them itself, of a
 * whole block, or variates from any position on. */
static void check(const char *name, run_fn *run, int op, fd_dtype dtype, size_t n,
                  size_t misalignment, int in_place, const fd_draw *draw, int act) {
    const fd_dtype wide = dtype == FD_f64 ? FD_f64 : FD_f32;
    size_t bytes = n * fd_itemsize(dtype);
    guarded bits = guarded_random((n + 63) / 64 * 8, misalignment, n + 1), a[ARRAYS], b[ARRAYS];
    guarded fields = guarded_random(4 * n, 2 * (n % 32), n);
    guarded parts_a = guarded_new(n * fd_itemsize(wide), 16), parts_b = guarded_new(parts_a.n, 16);
    for (size_t i = 0; i < ARRAYS; i++) {
        a[i] = guarded_random(bytes, misalignment * (i + 1) % 64, n + i);
        b[i] = guarded_random(bytes, 0, n + i);
        if (op < 0 && misalignment & 4) { /* a nan would be all of a sum */
            fill_with_numbers(&a[i], dtype, n + i);
            fill_with_numbers(&b[i], dtype, n + i);
        }
    }
    work given = {op,
                  dtype,
                  n,
                  {b[0].data, b[1].data, b[2].data},
                  {in_place ? b[0].data : b[3].data, b[4].data},
                  {.bits = bits.data},
                  {.fields = (const uint16_t *)(const void *)fields.data},
                  act,
                  draw ? n : n / activations(op) / 64 * 64 + 64,
                  parts_b.data,
                  {0, 0}};
    work w = given;
    for (int i = 0; i < READ; i++) { w.in[i] = a[i].data; }
    w.out[0] = in_place ? a[0].data : a[3].data;
    w.out[1] = a[4].data;
    w.parts = parts_a.data;
    if (draw && is_noise(op)) {
        oracle_table()->fields((uint16_t *)(void *)fields.data, 2 * n, draw);
        w.variates = (fd_variates){NULL, *draw};
    } else if (draw) {
        oracle_table()->mask_bits(bits.data, n, draw);
        w.keep = (fd_keep){NULL, fd_block_open(draw, draw->position), NULL};
    }
    run(fd_active_table(), &w);
    run(oracle_table(), &given);
    int good = same_numbers(wide, parts_a.data, parts_b.data, n);
    good &= same_numbers(FD_f64, (uint8_t *)w.sums, (uint8_t *)given.sums, SUMS);
    for (int i = 0; i < ARRAYS; i++) { good &= same_numbers(dtype, a[i].data, b[i].data, n); }
    CHECK(good, "%s dtype %d n %zu misaligned %zu in place %d drawn %d act %d", name, (int)dtype, n,
          misalignment, in_place, draw != NULL, act);
    CHECK(guarded_end(), "%s dtype %d n %zu wrote outside its array", name, (int)dtype, n);
}

static void test_kernel(const char *name, run_fn *run, int op) {
    for (size_t i = 0; i < FD_DTYPE_COUNT * COUNT(sizes) * COUNT(misalignments) * 2; i++) {
        check(name, run, op, (fd_dtype)(i % FD_DTYPE_COUNT), sizes[i / 4 % COUNT(sizes)],
              misalignments[i / 4 / COUNT(sizes) % COUNT(misalignments)],
              (int)(i / 4 / COUNT(sizes) / COUNT(misalignments)), NULL, 0);
    }
}

/* Of every threshold that a kernel can be given, from one that drops nothing on; and every
 * activation. */
static void test_blocks(const char *name, int op) {
    const int32_t thresholds[] = {INT16_MIN, INT16_MIN + 1, -9000, -1, 0, 1, 20000, INT16_MAX};
    for (size_t i = 0; i < FD_DTYPE_COUNT * COUNT(thresholds) * FD_ACT_COUNT; i++) {
        size_t k = i / FD_DTYPE_COUNT;
        fd_draw draw = {i, fd_mix(i), FD_BLOCK * i, 0, (uint32_t)(thresholds[k % 8] + 32768)};
        check(name, run_operation, op, (fd_dtype)(i % FD_DTYPE_COUNT), FD_BLOCK,
              misalignments[k % COUNT(misalignments)], (int)(k / 6 & 1), &draw,
              (int)(k % FD_ACT_COUNT));
    }
}

/* Of a whole block, and of what begins or ends within one. */
static void test_variates(const char *name, int op) {
    static const size_t counts[] = {FD_BLOCK / 2, FD_BLOCK / 2, 3 * FD_BLOCK / 2, 1,
                                    2 * FD_BLOCK + 700};
    static const uint64_t positions[] = {3 * FD_BLOCK, 64, FD_BLOCK - 1, 5, FD_BLOCK};
    for (unsigned i = 0; i < 4 * FD_DTYPE_COUNT * 5; i++) {
        fd_draw draw = {fd_mix(i), fd_mix(i + 1), positions[i % 5], 0, 0};
        check(name, run_operation, op, (fd_dtype)(i / 5 % FD_DTYPE_COUNT), counts[i % 5],
              4 * i % 64, (int)(i + 1) % 2, &draw, 0);
    }
}

void test_computing(void) {
#define FD_OPERATION(op, reads, writes) \
    test_kernel(#op, run_operation, FD_OP_##op); \
    (is_noise(FD_OP_##op) ? test_variates : test_blocks)(#op, FD_OP_##op);
#define FD_SOFTMAX_KERNEL(op) test_kernel(#op, run_##op, -1);
#include "ops.def"
}
