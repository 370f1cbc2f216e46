/* Every FD_OPERATION and FD_SOFTMAX_KERNEL in ops.def, for every available instruction set, against
 * the scalar one: the same body on another vocabulary. (That the body is right is compared with
 * NumPy in Python.) */
#include "bits.h"
#include "call.h"
#include "check.h"
#include "cpu/dispatch.h"

static const size_t sizes[] = {0,  1,  3,  4,  5,   7,   8,   9,   15,   16,   17,  31,
                               33, 63, 64, 65, 100, 127, 128, 129, 1000, 4095, 4096};
static const size_t misalignments[] = {0, 2, 4, 8, 20, 48};
static const size_t itemsize[FD_DTYPE_COUNT] = {4, 8, 2, 2};

enum { ARRAYS = 5 };

/* Calls one kernel: in[0..2] are read, out[0..1] written, all of n elements. */
typedef void run_fn(const fd_table *table, fd_dtype dtype, const void *const *in, void *const *out,
                    size_t n, const fd_keep *keep);

/* Numbers that are inexact in the compute type. */
static fd_part part_of(fd_dtype dtype, const void *const *in, void *const *out, size_t n,
                       const fd_keep *keep) {
    int wide = dtype == FD_f64;
    return (fd_part){.at = {{in[0], in[1], in[2]}, {out[0], out[1]}},
                     .n = n,
                     .keep = *keep,
                     .numbers = {wide ? 1 / 0.7 : 1.4285715F, wide ? 0.3 : 0.3F, -1.25}};
}

static int computes_noise(int op) { return op == FD_OP_noise_factor || op == FD_OP_noise_add; }
static int has_act(int op) { return op == FD_OP_act || op == FD_OP_act_slope; }

/* An operation of FD_OPERATION. Of a chunk all activations, each on a part of the elements; of a
 * block one on all. Of noise two fields for each element, neither more nor at any certain address.
 */
static void run_operation(int op, const fd_table *table, fd_dtype dtype, const void *const *in,
                          void *const *out, size_t n, const fd_keep *keep) {
    fd_part part = part_of(dtype, in, out, n, keep);
    guarded fields = guarded_new(4 * n, 2 * (n % 32));
    guarded_fill(&fields, n);
    part.variates.fields = (const uint16_t *)(const void *)fields.data;
    size_t size = itemsize[dtype], acts = has_act(op) ? FD_ACT_COUNT : 1;
    size_t each = keep->block.a ? n : n / acts / 64 * 64 + 64;
    size_t at = 0, act = keep->block.a;
    do {
        fd_part some = part;
        some.n = each < n - at ? each : n - at;
        some.act = (fd_act)(act % acts);
        some.variates.fields += 2 * at;
        if (keep->bits) { some.keep.bits += at / 8; }
        for (int i = 0; i < 3; i++) { some.at.in[i] += at * size; }
        for (int i = 0; i < 2; i++) { some.at.out[i] += at * size; }
        table->compute[op][dtype](&some);
        at += each;
        act++;
    } while (at < n);
    CHECK(guarded_intact(&fields), "the fields of %zu elements", n);
    guarded_free(&fields);
}

#define FD_OPERATION(op, reads, writes) \
    static void run_##op(const fd_table *table, fd_dtype dtype, const void *const *in, \
                         void *const *out, size_t n, const fd_keep *keep) { \
        run_operation(FD_OP_##op, table, dtype, in, out, n, keep); \
    }
#include "ops.def"

/* Makes numbers negative, by their first byte or their last one. */
static void lower(const void *numbers, size_t n, fd_dtype dtype) {
    uint8_t *bytes = (uint8_t *)(uintptr_t)numbers; /* const for kernels only */
    size_t sign = FD_BIG_ENDIAN ? 0 : itemsize[dtype] - 1;
    for (size_t i = 0; i < n; i++) { bytes[i * itemsize[dtype] + sign] |= 0x80; }
}

/* in[0] are scores, none above `largest`, in[1] what is added or the gradient of the result; some
 * take no part. */
static fd_softmax_run softmax_run(const void *const *in, size_t n, fd_dtype dtype,
                                  const fd_keep *keep) {
    lower(in[0], n, dtype);
    return (fd_softmax_run){.n = n,
                            .x = in[0],
                            .take = n % 3 ? keep->bits : NULL,
                            .scale = 0.25,
                            .keep_scale = 1.5,
                            .largest = 0.5,
                            .factor = 0.375,
                            .slope = 0.75,
                            .centre = 0.125};
}

/* A sum's bits, where there is room for them. */
static void put_sum(void *out, size_t n, fd_dtype dtype, double sum) {
    if (sum == sum && n * itemsize[dtype] >= sizeof sum) { memcpy(out, &sum, sizeof sum); }
}

static void run_softmax_largest(const fd_table *table, fd_dtype dtype, const void *const *in,
                                void *const *out, size_t n, const fd_keep *keep) {
    fd_softmax_run run = softmax_run(in, n, dtype, keep);
    run.add = n % 3 ? in[1] : NULL;
    put_sum(out[1], n, dtype, table->softmax_largest[dtype](&run));
}

/* Room for e in the compute type. */
static guarded parts_for(size_t n, fd_dtype dtype) {
    return guarded_new(n * (dtype == FD_f64 ? 8U : 4U), 16);
}

/* The lower or the upper half of a binary32 number, of which a nan has no certain bits. */
static void put_half(char *half, const uint8_t *number, int upper) {
    float value;
    uint32_t bits;
    memcpy(&value, number, 4);
    memcpy(&bits, number, 4);
    uint16_t part = (uint16_t)(upper ? bits >> 16 : bits & 0xFFFF);
    if (value != value) { part = 0; }
    memcpy(half, &part, 2);
}

static void run_softmax_sum(const fd_table *table, fd_dtype dtype, const void *const *in,
                            void *const *out, size_t n, const fd_keep *keep) {
    fd_softmax_run run = softmax_run(in, n, dtype, keep);
    run.add = n % 2 ? in[1] : NULL;
    lower(in[1], n, dtype);
    guarded parts = parts_for(n, dtype);
    run.parts = (char *)parts.data;
    put_sum(out[1], n, dtype, table->softmax_sum[dtype](&run));
    CHECK(guarded_intact(&parts), "%s wrote outside the %zu parts", table->name, n);
    memcpy(out[0], parts.data, dtype == FD_f64 || dtype == FD_f32 ? n * itemsize[dtype] : 0);
    for (size_t i = 0; i < n && itemsize[dtype] == 2; i++) {
        put_half((char *)out[0] + 2 * i, parts.data + 4 * i, i % 2);
    }
    guarded_free(&parts);
}

static void run_softmax_weights(const fd_table *table, fd_dtype dtype, const void *const *in,
                                void *const *out, size_t n, const fd_keep *keep) {
    fd_softmax_run run = softmax_run(in, n, dtype, &(fd_keep){0});
    guarded parts = parts_for(n, dtype);
    run.keep = keep->bits;
    run.y = out[0];
    run.parts = (char *)parts.data;
    table->softmax_sum[dtype](&run);
    if (out[0] != in[0]) {
        table->softmax_weights[dtype](&run);
        memcpy(out[1], out[0], n * itemsize[dtype]);
    }
    run.parts = NULL;
    table->softmax_weights[dtype](&run);
    CHECK(out[0] == in[0] || !memcmp(out[0], out[1], n * itemsize[dtype]),
          "%s softmax_weights of %zu parts, dtype %d", table->name, n, (int)dtype);
    CHECK(guarded_intact(&parts), "%s wrote outside the %zu parts", table->name, n);
    guarded_free(&parts);
}

static void run_softmax_sums(const fd_table *table, fd_dtype dtype, const void *const *in,
                             void *const *out, size_t n, const fd_keep *keep) {
    double sum, product;
    fd_softmax_run run = softmax_run(in, n, dtype, keep);
    run.dy = in[1];
    table->softmax_sums[dtype](&run, &sum, &product);
    put_sum(out[0], n, dtype, sum);
    put_sum(out[1], n, dtype, product);
}

static void run_softmax_gradient(const fd_table *table, fd_dtype dtype, const void *const *in,
                                 void *const *out, size_t n, const fd_keep *keep) {
    fd_softmax_run run = softmax_run(in, n, dtype, keep);
    run.keep = keep->bits;
    run.dy = in[1];
    run.y = out[0];
    run.weights = n % 2 ? out[1] : NULL;
    guarded parts = parts_for(n, dtype), again = guarded_new(n * itemsize[dtype], 0);
    if (out[0] != in[0]) {
        double sum, product;
        run.parts = (char *)parts.data;
        table->softmax_sums[dtype](&run, &sum, &product);
        table->softmax_gradient[dtype](&run);
        memcpy(again.data, out[0], n * itemsize[dtype]);
        run.parts = NULL;
    }
    table->softmax_gradient[dtype](&run);
    CHECK(out[0] == in[0] || !memcmp(out[0], again.data, n * itemsize[dtype]),
          "%s softmax_gradient of %zu parts, dtype %d", table->name, n, (int)dtype);
    CHECK(guarded_intact(&parts), "%s wrote outside the %zu parts", table->name, n);
    guarded_free(&parts);
    guarded_free(&again);
}

/* The keep bits of a block, by the definition. */
static void draw(uint8_t *bits, const fd_block *block) {
    uint64_t s0[FD_LANES], s1[FD_LANES];
    for (unsigned j = 0; j < FD_LANES; j++) {
        s0[j] = fd_seed0(block, j);
        s1[j] = fd_seed1(block, j);
    }
    memset(bits, 0, FD_BLOCK / 8);
    for (unsigned e = 0; e < FD_BLOCK; e += 4) {
        uint64_t r = fd_next(&s0[e / 4 % FD_LANES], &s1[e / 4 % FD_LANES]);
        for (unsigned q = 0; q < 4; q++) {
            bits[e / 8] |= (uint8_t)((fd_field(r, q) >= block->threshold) << (e % 8 + q));
        }
    }
}

/* With the bits of `block`, if any, which the instruction set draws itself. */
static void check(const char *name, run_fn *run, const fd_table *oracle, const fd_table *table,
                  fd_dtype dtype, size_t n, size_t misalignment, int in_place,
                  const fd_block *block) {
    guarded bits = guarded_new((n + 63) / 64 * 8, misalignment), a[ARRAYS], b[ARRAYS];
    guarded_fill(&bits, n + 1);
    fd_keep given = {bits.data, {0}, NULL}, keep = given;
    if (block) {
        draw(bits.data, block);
        given.block = *block;
        keep = (fd_keep){NULL, *block, NULL};
    }
    for (int i = 0; i < ARRAYS; i++) {
        a[i] = guarded_new(n * itemsize[dtype], misalignment * (size_t)(i + 1) % 64);
        b[i] = guarded_new(n * itemsize[dtype], 0);
        guarded_fill(&a[i], n + (uint64_t)i);
        guarded_fill(&b[i], n + (uint64_t)i);
    }
    void *a_out[] = {in_place ? a[0].data : a[3].data, a[4].data};
    void *b_out[] = {in_place ? b[0].data : b[3].data, b[4].data};
    run(table, dtype, (const void *[]){a[0].data, a[1].data, a[2].data}, a_out, n, &keep);
    run(oracle, dtype, (const void *[]){b[0].data, b[1].data, b[2].data}, b_out, n, &given);
    int intact = guarded_intact(&bits);
    for (int i = 0; i < ARRAYS; i++) {
        CHECK(same_numbers(dtype, a[i].data, b[i].data, n),
              "%s %s dtype %d n %zu misaligned %zu in place %d array %d", table->name, name,
              (int)dtype, n, misalignment, in_place, i);
        intact &= guarded_intact(&a[i]) & guarded_intact(&b[i]);
        guarded_free(&a[i]);
        guarded_free(&b[i]);
    }
    CHECK(intact, "%s %s dtype %d n %zu wrote outside its array", table->name, name, (int)dtype, n);
    guarded_free(&bits);
}

static void test_kernel(const char *name, run_fn *run, const fd_table *oracle,
                        const fd_table *table) {
    for (int dtype = 0; dtype < FD_DTYPE_COUNT; dtype++) {
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            for (size_t j = 0; j < sizeof misalignments / sizeof *misalignments; j++) {
                check(name, run, oracle, table, (fd_dtype)dtype, sizes[i], misalignments[j], 0,
                      NULL);
                check(name, run, oracle, table, (fd_dtype)dtype, sizes[i], misalignments[j], 1,
                      NULL);
            }
        }
    }
}

/* Of every threshold that a kernel can be given, from one that drops nothing on. */
static void test_blocks(const char *name, run_fn *run, const fd_table *oracle,
                        const fd_table *table) {
    const int32_t thresholds[] = {INT16_MIN, INT16_MIN + 1, -9000, -1, 0, 1, 20000, INT16_MAX};
    for (int dtype = 0; dtype < FD_DTYPE_COUNT; dtype++) {
        for (uint64_t i = 0; i < 8 * FD_ACT_COUNT; i++) {
            fd_block block = {i + 1, fd_mix(i), thresholds[i % 8]};
            check(name, run, oracle, table, (fd_dtype)dtype, FD_BLOCK, misalignments[i % 6],
                  (int)(i / 6 & 1), &block);
        }
    }
}

/* Variates that the instruction set draws itself, against the oracle's of the same fields: of a
 * whole block, and of what begins or ends within one. */
static void test_variates(fd_operation op, const fd_table *oracle, const fd_table *table) {
    static const size_t counts[] = {FD_BLOCK / 2, FD_BLOCK / 2, 3 * FD_BLOCK / 2, 1,
                                    2 * FD_BLOCK + 700};
    static const uint64_t positions[] = {3 * FD_BLOCK, 64, FD_BLOCK - 1, 5, FD_BLOCK};
    for (unsigned i = 0; i < 4 * FD_DTYPE_COUNT * 5; i++) {
        fd_dtype dtype = (fd_dtype)(i / 5 % FD_DTYPE_COUNT);
        size_t n = counts[i % 5], bytes = n * itemsize[dtype];
        guarded x = guarded_new(bytes, 4 * i % 64), y = guarded_new(bytes, 8);
        guarded expected = guarded_new(bytes, 0), fields = guarded_new(4 * n, 0);
        guarded_fill(&x, i);
        fd_draw draw = {fd_mix(i), fd_mix(i + 1), positions[i % 5], 0, 0};
        oracle->fields((uint16_t *)(void *)fields.data, 2 * n, &draw);
        void *got = i & 1 ? y.data : x.data, *out[] = {expected.data, NULL};
        const void *in[] = {x.data, NULL, NULL};
        fd_part part = part_of(dtype, in, out, n, &(fd_keep){0});
        part.variates.fields = (const uint16_t *)(const void *)fields.data;
        oracle->compute[op][dtype](&part);
        part.at.out[0] = got;
        part.variates = (fd_variates){NULL, draw};
        table->compute[op][dtype](&part);
        CHECK(same_numbers(dtype, got, expected.data, n), "%s %s dtype %d: %zu from %lu on",
              table->name, fd_operation_name(op), (int)dtype, n, (unsigned long)draw.position);
        CHECK(guarded_intact(&x) && guarded_intact(&y), "%s %s dtype %d wrote outside its array",
              table->name, fd_operation_name(op), (int)dtype);
        guarded_free(&x);
        guarded_free(&y);
        guarded_free(&expected);
        guarded_free(&fields);
    }
}

/* Results that bypass the cache: under the bits of a chunk, and under those that the instruction
 * set draws from any position on, where some blocks drop all. */
static void check_streaming(int op, const fd_table *oracle, const fd_table *table, fd_dtype dtype,
                            size_t n, const fd_draw *draw, fd_act act) {
    size_t bytes = n * itemsize[dtype];
    guarded a[ARRAYS], b[ARRAYS], bits = guarded_new((n + 63) / 64 * 8, 0);
    for (int i = 0; i < ARRAYS; i++) {
        a[i] = guarded_new(bytes, i < 3 ? 4 * (n + (size_t)i) % 64 : 0);
        b[i] = guarded_new(bytes, 0);
        guarded_fill(&a[i], (uint64_t)i);
        guarded_fill(&b[i], (uint64_t)i);
    }
    oracle->mask_bits(bits.data, n, draw);
    const void *in[] = {a[0].data, a[1].data, a[2].data};
    void *out[] = {a[3].data, a[4].data};
    fd_part part = part_of(dtype, in, out, n, &(fd_keep){NULL, {0}, draw});
    part.act = act;
    part.streaming = 1;
    if (n <= FD_BLOCK && n % 2) { part.keep.bits = bits.data; }
    table->compute[op][dtype](&part);
    for (size_t done = 0; done < n; done += FD_BLOCK) {
        size_t place = done * itemsize[dtype], rest = n - done;
        const void *from[] = {b[0].data + place, b[1].data + place, b[2].data + place};
        void *to[] = {b[3].data + place, b[4].data + place};
        part = part_of(dtype, from, to, rest < FD_BLOCK ? rest : FD_BLOCK,
                       &(fd_keep){bits.data + done / 8, {0}, NULL});
        part.act = act;
        oracle->compute[op][dtype](&part);
    }
    for (int i = 0; i < ARRAYS; i++) {
        CHECK(same_numbers(dtype, a[i].data, b[i].data, n) && guarded_intact(&a[i]),
              "%s %s dtype %d: %zu past the cache from %lu on, array %d", table->name,
              fd_operation_name(op), (int)dtype, n, (unsigned long)draw->position, i);
        guarded_free(&a[i]);
        guarded_free(&b[i]);
    }
    guarded_free(&bits);
}

static void test_streaming(int op, const fd_table *oracle, const fd_table *table) {
    static const size_t counts[] = {0, 1, 63, 64, 129, 4095, FD_BLOCK, 2 * FD_BLOCK + 700};
    static const uint64_t positions[] = {0, 64, 5, FD_BLOCK - 1, 3 * FD_BLOCK + 77};
    /* with the last one, every other block drops all */
    static const double chances[] = {0.1, 0.5, 1 - 0x1p-17};
    for (unsigned i = 0; i < FD_DTYPE_COUNT * 8 * 5 * 3; i++) {
        fd_key key = {i, 2, positions[i % 5]};
        fd_plan plan = fd_plan_make(chances[i / 40 % 3]);
        fd_draw draw = fd_draw_make(&key, &plan);
        check_streaming(op, oracle, table, (fd_dtype)(i / 120), counts[i / 5 % 8], &draw,
                        i % 2 ? FD_ACT_RELU : FD_ACT_NONE);
    }
}

void test_computing(void) {
    const fd_table *oracle = fd_table_at(fd_isa_count() - 1); /* scalar is the last */
    for (int i = 0; i < fd_isa_count(); i++) {
        const fd_table *table = fd_table_at(i);
        if (!table) { continue; }
#define FD_OPERATION(op, reads, writes) \
    test_kernel(#op, run_##op, oracle, table); \
    if (computes_noise(FD_OP_##op)) { \
        test_variates(FD_OP_##op, oracle, table); \
    } else { \
        test_blocks(#op, run_##op, oracle, table); \
        if (table->streams) { test_streaming(FD_OP_##op, oracle, table); } \
    }
#define FD_SOFTMAX_KERNEL(op) test_kernel(#op, run_##op, oracle, table);
#include "ops.def"
    }
}
