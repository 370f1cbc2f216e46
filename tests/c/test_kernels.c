/* Every FD_KERNEL and FD_MASK_KERNEL in ops.def, for every available instruction set, against the
 * scalar one: sizes on both sides of every boundary, all alignments that matter, positions
 * anywhere, guard bands around.
 */
#include "check.h"
#include "cpu/dispatch.h"
#include "run/layout.h"

static const size_t sizes[] = {0,    1,    2,    3,    4,    7,    8,    15,   16,   17,  31,
                               32,   33,   47,   63,   64,   65,   127,  128,  129,  191, 1000,
                               4031, 4095, 4096, 4097, 4160, 8191, 8192, 8193, 12365};
static const uint64_t positions[] = {0, 1, 5, 63, 64, 65, 4031, 4095, 4096, UINT64_MAX - 20000};
static const size_t misalignments[] = {0, 1, 2, 4, 8, 16, 48};
static const double probabilities[] = {0.0, 1e-18, 1e-5, 0.1, 0.5, 0.999999, 1.0};
static const size_t itemsize[FD_DTYPE_COUNT] = {4, 8, 2, 2};

#define COUNT(a) (sizeof(a) / sizeof *(a))

static const fd_table *oracle;

typedef void run_fn(const fd_table *table, fd_dtype dtype, const void *x, void *y, size_t n,
                    const fd_draw *d, const uint8_t *bits, double scale);

static void run_dropout(const fd_table *table, fd_dtype dtype, const void *x, void *y, size_t n,
                        const fd_draw *d, const uint8_t *bits, double scale) {
    (void)bits;
    table->dropout[dtype](x, y, n, d, scale);
}
static void run_dropout_stream(const fd_table *table, fd_dtype dtype, const void *x, void *y,
                               size_t n, const fd_draw *d, const uint8_t *bits, double scale) {
    (void)bits;
    table->dropout_stream[dtype](x, y, n, d, scale);
}
static void run_apply_bits(const fd_table *table, fd_dtype dtype, const void *x, void *y, size_t n,
                           const fd_draw *d, const uint8_t *bits, double scale) {
    table->apply_bits[dtype](x, y, n, bits, d->position % 4096, scale);
}
static void run_apply_bits_stream(const fd_table *table, fd_dtype dtype, const void *x, void *y,
                                  size_t n, const fd_draw *d, const uint8_t *bits, double scale) {
    table->apply_bits_stream[dtype](x, y, n, bits, d->position % 4096, scale);
}

/* Rows of a length that depends on how many elements there are: short ones, and long ones. */
static fd_rows rows_of(const uint8_t *bits, size_t n, const fd_draw *d) {
    static const size_t runs[] = {1, 2, 3, 7, 8, 9, 12, 31, 33, 63, 64, 65, 127, 128, 1000, 5000};
    fd_rows rows = {.run = runs[(n + d->position) % COUNT(runs)]};
    rows.bits = bits;
    size_t first = d->position % 4096;
    size_t count = n ? (first + n - 1) / rows.run + 1 : 1;
    rows.end = bits + (n ? (count + 7) / 8 : 0);
    fd_rows_make_words(&rows, count);
    return rows;
}
static void run_apply_rows(const fd_table *table, fd_dtype dtype, const void *x, void *y, size_t n,
                           const fd_draw *d, const uint8_t *bits, double scale) {
    fd_rows rows = rows_of(bits, n, d);
    table->apply_rows[dtype](x, y, n, &rows, d->position % 4096, scale);
}
static void run_apply_rows_stream(const fd_table *table, fd_dtype dtype, const void *x, void *y,
                                  size_t n, const fd_draw *d, const uint8_t *bits, double scale) {
    fd_rows rows = rows_of(bits, n, d);
    table->apply_rows_stream[dtype](x, y, n, &rows, d->position % 4096, scale);
}

static void check_elementwise(const char *name, run_fn *run, const fd_table *table, fd_dtype dtype,
                              int in_place, size_t n, const fd_draw *d, size_t misalignment,
                              double scale) {
    size_t bytes = n * itemsize[dtype];
    guarded x = guarded_new(bytes, misalignment), y = guarded_new(bytes, 48 - misalignment / 2);
    guarded expected = guarded_new(bytes, 0);
    guarded bits = guarded_new((d->position % 4096 + n + 7) / 8, misalignment);
    guarded_fill(&x, n + misalignment);
    guarded_fill(&y, n);
    guarded_fill(&bits, d->position + n);
    run(oracle, dtype, x.data, expected.data, n, d, bits.data, scale);
    uint8_t *to = in_place ? x.data : y.data;
    run(table, dtype, x.data, to, n, d, bits.data, scale);
    CHECK(same_numbers(dtype, to, expected.data, n),
          "%s %s dtype %d n %zu position %llu misaligned %zu in place %d", table->name, name,
          (int)dtype, n, (unsigned long long)d->position, misalignment, in_place);
    CHECK(guarded_intact(&x) && guarded_intact(&y) && guarded_intact(&bits),
          "%s %s dtype %d n %zu wrote outside its array", table->name, name, (int)dtype, n);
    guarded_free(&x);
    guarded_free(&y);
    guarded_free(&expected);
    guarded_free(&bits);
}

static void test_elementwise(const char *name, run_fn *run, const fd_table *table, fd_dtype dtype,
                             int may_be_in_place) {
    fd_key key = {0x123456789ABCDEF, 42, 0};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        for (size_t j = 0; j < COUNT(positions); j++) {
            double p = probabilities[(i + j) % COUNT(probabilities)];
            fd_plan plan = fd_plan_make(p);
            key.offset = positions[j];
            fd_draw d = fd_draw_make(&key, &plan);
            size_t misalignment = misalignments[(i + 3 * j) % COUNT(misalignments)];
            double scale = dtype == FD_f64 ? 1.0 / 0.9 : (float)(1.0 / 0.9);
            check_elementwise(name, run, table, dtype, 0, sizes[i], &d, misalignment, scale);
            if (may_be_in_place) {
                check_elementwise(name, run, table, dtype, 1, sizes[i], &d, misalignment, scale);
            }
        }
    }
}

static void check_masks(const fd_table *table, size_t n, const fd_draw *d) {
    size_t bytes = (n + 7) / 8;
    guarded bits = guarded_new(bytes, n % 7), expected = guarded_new(bytes, 0);
    table->mask_bits(bits.data, n, d);
    oracle->mask_bits(expected.data, n, d);
    CHECK(!memcmp(bits.data, expected.data, bytes), "%s mask_bits n %zu position %llu", table->name,
          n, (unsigned long long)d->position);
    guarded mask = guarded_new(n, n % 5), plain = guarded_new(n, 1), packed = guarded_new(bytes, 3);
    table->unpack_bool(bits.data, mask.data, n);
    oracle->unpack_bool(bits.data, plain.data, n);
    CHECK(!memcmp(mask.data, plain.data, n), "%s unpack_bool n %zu", table->name, n);
    for (size_t i = 0; i < n; i++) { mask.data[i] *= (uint8_t)(1 + i * 37 % 255); }
    table->pack_bool(mask.data, packed.data, n);
    CHECK(!memcmp(packed.data, bits.data, bytes), "%s pack_bool n %zu", table->name, n);
    CHECK(guarded_intact(&bits) && guarded_intact(&mask) && guarded_intact(&packed),
          "%s a mask kernel wrote outside its array, n %zu", table->name, n);
    guarded_free(&bits);
    guarded_free(&expected);
    guarded_free(&mask);
    guarded_free(&plain);
    guarded_free(&packed);
}

static void check_spread(const fd_table *table, size_t n, size_t distance) {
    guarded bits = guarded_new(n, n % 7), expected = guarded_new(n, 0);
    uint64_t random = n + distance;
    for (size_t i = 0; i < n; i++) { /* a quarter of the bits */
        bits.data[i] = (uint8_t)(next_random(&random) & next_random(&random));
    }
    memcpy(expected.data, bits.data, n);
    table->spread_bits(bits.data, n, distance);
    oracle->spread_bits(expected.data, n, distance);
    CHECK(!memcmp(bits.data, expected.data, n), "%s spread_bits of %zu bytes by %zu", table->name,
          n, distance);
    CHECK(guarded_intact(&bits), "%s spread_bits wrote outside its array, %zu", table->name, n);
    guarded_free(&bits);
    guarded_free(&expected);
}

static void check_invert(const fd_table *table, size_t n) {
    size_t bytes = (n + 7) / 8;
    guarded bits = guarded_new(bytes, n % 5), expected = guarded_new(bytes, 0);
    guarded_fill(&bits, n);
    if (bytes) { memcpy(expected.data, bits.data, bytes); }
    size_t set = table->invert_bits(bits.data, n);
    CHECK(set == oracle->invert_bits(expected.data, n), "%s invert_bits: set of %zu", table->name,
          n);
    CHECK(!memcmp(bits.data, expected.data, bytes), "%s invert_bits of %zu", table->name, n);
    CHECK(guarded_intact(&bits), "%s invert_bits wrote outside its array, %zu", table->name, n);
    guarded_free(&bits);
    guarded_free(&expected);
}

/* Bytes to either side of every length of a run of words, and distances beyond the array. */
static void test_spread(const fd_table *table) {
    static const size_t distances[] = {1,  2,  3,   7,   8,   9,   28,   63,   64,  65,
                                       71, 72, 127, 128, 129, 200, 1000, 8191, 9999};
    for (size_t n = 0; n <= 300; n++) {
        for (size_t i = 0; i < COUNT(distances); i++) { check_spread(table, n, distances[i]); }
    }
    check_spread(table, 5003, 12345);
    for (size_t i = 0; i < COUNT(sizes); i++) { check_invert(table, sizes[i]); }
}

static void test_masks(const fd_table *table) {
    for (size_t i = 0; i < COUNT(sizes); i++) {
        for (size_t j = 0; j < COUNT(positions); j++) {
            fd_key key = {7, 9, positions[j]};
            fd_plan plan = fd_plan_make(probabilities[(i + j) % COUNT(probabilities)]);
            fd_draw d = fd_draw_make(&key, &plan);
            check_masks(table, sizes[i], &d);
        }
    }
}

/* Every 16-bit value times scales that round, overflow and vanish. */
static void test_all_halves(const fd_table *table, fd_dtype dtype) {
    static const float scales[] = {1.0F, 1.1111112F, 2.0F, 0.1F, 1e-4F, 3e38F, 0.99F};
    static uint16_t x[65536], y[65536], expected[65536];
    static uint8_t bits[8192];
    memset(bits, 0xFF, sizeof bits);
    for (unsigned i = 0; i < 65536; i++) { x[i] = (uint16_t)i; }
    for (size_t s = 0; s < COUNT(scales); s++) {
        table->apply_bits[dtype](x, y, 65536, bits, 0, scales[s]);
        oracle->apply_bits[dtype](x, expected, 65536, bits, 0, scales[s]);
        CHECK(same_numbers(dtype, (uint8_t *)y, (uint8_t *)expected, 65536),
              "%s all values, dtype %d", table->name, (int)dtype);
    }
}

static void test_table(const fd_table *table) {
#define FD_KERNEL(op) \
    for (int dtype = 0; dtype < FD_DTYPE_COUNT; dtype++) { \
        test_elementwise(#op, run_##op, table, (fd_dtype)dtype, !strstr(#op, "_stream")); \
    }
#define FD_MASK_KERNEL(op) CHECK(table->op != NULL, "%s has no " #op, table->name);
#include "ops.def"
    test_masks(table);
    test_spread(table);
    test_all_halves(table, FD_f16);
    test_all_halves(table, FD_bf16);
}

void test_kernels(void) {
    for (int i = 0; i < fd_isa_count(); i++) {
        if (!strcmp(fd_isa_name(i), "scalar")) { oracle = fd_table_at(i); }
    }
    for (int i = 0; i < fd_isa_count(); i++) {
        if (fd_table_at(i)) { test_table(fd_table_at(i)); }
    }
}
