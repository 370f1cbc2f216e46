/* Every FD_KERNEL and FD_MASK_KERNEL in ops.def against the scalar one: sizes on both sides of
 * every boundary, all alignments that matter, positions anywhere, guard bands around. */
#include "check.h"
#include "run/layout.h"

static const size_t sizes[] = {0,    1,    2,    3,    4,    7,    8,    15,   16,   17,  31,
                               32,   33,   47,   63,   64,   65,   127,  128,  129,  191, 1000,
                               4031, 4095, 4096, 4097, 4160, 8191, 8192, 8193, 12365};
static const uint64_t positions[] = {0, 1, 5, 63, 64, 65, 4031, 4095, 4096, UINT64_MAX - 20000};
static const size_t misalignments[] = {0, 1, 2, 4, 8, 16, 48};
static const double probabilities[] = {0.0, 1e-18, 1e-5, 0.1, 0.5, 0.999999, 1.0};

/* What a kernel is called with: it draws, or takes bits from the first on. */
typedef struct work {
    const void *x;
    void *y;
    size_t n, first;
    fd_draw draw;
    fd_rows rows;
    double scale;
} work;

typedef void run_fn(const fd_table *table, fd_dtype dtype, const work *w);

#define RUN(op, ...) \
    static void run_##op(const fd_table *table, fd_dtype dtype, const work *w) { \
        table->op[dtype](w->x, w->y, w->n, __VA_ARGS__, w->scale); \
    }
RUN(dropout, &w->draw)
RUN(dropout_stream, &w->draw)
RUN(apply_bits, w->rows.bits, w->first)
RUN(apply_bits_stream, w->rows.bits, w->first)
RUN(apply_rows, &w->rows, w->first)
RUN(apply_rows_stream, &w->rows, w->first)

/* Three strips, the last one of the array first, and what is left. */
static void run_apply_strips(const fd_table *table, fd_dtype dtype, const work *w) {
    size_t n = w->n / 3, bytes = n * fd_itemsize(dtype);
    fd_strips strips = {w->rows.bits, w->first, 3, -(ptrdiff_t)bytes, -(ptrdiff_t)bytes, n};
    table->apply_strips[dtype]((const char *)w->x + 2 * bytes, (char *)w->y + 2 * bytes, n, &strips,
                               w->scale);
    table->apply_bits[dtype]((const char *)w->x + 3 * bytes, (char *)w->y + 3 * bytes, w->n - 3 * n,
                             w->rows.bits, w->first + 3 * n, w->scale);
}

/* Rows of a length that depends on how many elements there are: short ones, and long ones. */
static fd_rows rows_of(const uint8_t *bits, size_t n, uint64_t position) {
    static const size_t runs[] = {1, 2, 3, 7, 8, 9, 12, 31, 33, 63, 64, 65, 127, 128, 1000, 5000};
    fd_rows rows = {.run = runs[(n + position) % COUNT(runs)]};
    size_t count = n ? (position % FD_BLOCK + n - 1) / rows.run + 1 : 1;
    rows.bits = bits;
    rows.end = bits + (n ? (count + 7) / 8 : 0);
    fd_rows_make_words(&rows, count);
    return rows;
}

static fd_draw draw_at(fd_key key, size_t i, size_t j) {
    fd_plan plan = fd_plan_make(probabilities[(i + j) % COUNT(probabilities)]);
    key.offset = positions[j];
    return fd_draw_make(&key, &plan);
}

static void check(const char *name, run_fn *run, fd_dtype dtype, size_t n, fd_draw draw,
                  size_t misalignment, int in_place) {
    size_t bytes = n * fd_itemsize(dtype), first = draw.position % FD_BLOCK;
    guarded x = guarded_random(bytes, misalignment, n + misalignment);
    guarded y = guarded_random(bytes, 48 - misalignment / 2, n), expected = guarded_new(bytes, 0);
    guarded bits = guarded_random((first + n + 7) / 8, misalignment, draw.position + n);
    work w = {x.data,
              expected.data,
              n,
              first,
              draw,
              rows_of(bits.data, n, draw.position),
              dtype == FD_f64 ? 1.0 / 0.9 : (float)(1.0 / 0.9)};
    run(oracle_table(), dtype, &w);
    w.y = in_place ? x.data : y.data;
    run(fd_active_table(), dtype, &w);
    CHECK(same_numbers(dtype, w.y, expected.data, n),
          "%s dtype %d n %zu position %llu misaligned %zu in place %d", name, (int)dtype, n,
          (unsigned long long)draw.position, misalignment, in_place);
    CHECK(guarded_end(), "%s dtype %d n %zu wrote outside its array", name, (int)dtype, n);
}

static void test_kernel(const char *name, run_fn *run) {
    for (size_t k = 0; k < FD_DTYPE_COUNT * COUNT(sizes) * COUNT(positions); k++) {
        fd_dtype dtype = (fd_dtype)(k % FD_DTYPE_COUNT);
        size_t i = k / FD_DTYPE_COUNT / COUNT(positions), j = k / FD_DTYPE_COUNT % COUNT(positions);
        fd_draw draw = draw_at((fd_key){0x123456789ABCDEF, 42, 0}, i, j);
        size_t misalignment = misalignments[(i + 3 * j) % COUNT(misalignments)];
        for (int in_place = 0; in_place <= !strstr(name, "_stream"); in_place++) {
            check(name, run, dtype, sizes[i], draw, misalignment, in_place);
        }
    }
}

static void check_masks(size_t n, const fd_draw *d) {
    const fd_table *table = fd_active_table(), *oracle = oracle_table();
    size_t bytes = (n + 7) / 8;
    guarded bits = guarded_new(bytes, n % 7), expected = guarded_new(bytes, 0);
    guarded mask = guarded_new(n, n % 5), plain = guarded_new(n, 1), packed = guarded_new(bytes, 3);
    table->mask_bits(bits.data, n, d);
    oracle->mask_bits(expected.data, n, d);
    table->unpack_bool(bits.data, mask.data, n);
    oracle->unpack_bool(bits.data, plain.data, n);
    CHECK(!memcmp(bits.data, expected.data, bytes), "mask_bits n %zu position %llu", n,
          (unsigned long long)d->position);
    CHECK(!memcmp(mask.data, plain.data, n), "unpack_bool n %zu", n);
    guarded fields = guarded_new(2 * n, n % 3 * 2), wanted = guarded_new(2 * n, 0);
    table->fields((uint16_t *)(void *)fields.data, n, d);
    oracle->fields((uint16_t *)(void *)wanted.data, n, d);
    CHECK(!memcmp(fields.data, wanted.data, 2 * n), "fields n %zu", n);
    for (size_t i = 0; i < n; i++) { mask.data[i] *= (uint8_t)(1 + i * 37 % 255); }
    table->pack_bool(mask.data, packed.data, n);
    CHECK(!memcmp(packed.data, bits.data, bytes), "pack_bool n %zu", n);
    CHECK(guarded_end(), "a mask kernel wrote outside its array, n %zu", n);
}

static void check_spread(size_t n, size_t distance) {
    guarded bits = guarded_new(n, n % 7), expected = guarded_new(n, 0);
    uint64_t random = n + distance;
    for (size_t i = 0; i < n; i++) { /* a quarter of the bits */
        bits.data[i] = (uint8_t)(next_random(&random) & next_random(&random));
    }
    memcpy(expected.data, bits.data, n);
    fd_active_table()->spread_bits(bits.data, n, distance);
    oracle_table()->spread_bits(expected.data, n, distance);
    CHECK(!memcmp(bits.data, expected.data, n), "spread_bits of %zu bytes by %zu", n, distance);
    CHECK(guarded_end(), "spread_bits wrote outside its array, %zu", n);
}

static void check_invert(size_t n) {
    guarded bits = guarded_random((n + 7) / 8, n % 5, n), expected = guarded_random(bits.n, 0, n);
    size_t set = fd_active_table()->invert_bits(bits.data, n);
    CHECK(set == oracle_table()->invert_bits(expected.data, n), "invert_bits: set of %zu", n);
    CHECK(!memcmp(bits.data, expected.data, bits.n), "invert_bits of %zu", n);
    CHECK(guarded_end(), "invert_bits wrote outside its array, %zu", n);
}

/* Bytes to either side of every length of a run of words, and distances beyond the array. */
static void test_masks(void) {
    static const size_t distances[] = {1,  2,  3,   7,   8,   9,   28,   63,   64,  65,
                                       71, 72, 127, 128, 129, 200, 1000, 8191, 9999};
    for (size_t i = 0; i < COUNT(sizes) * COUNT(positions); i++) {
        size_t size = i / COUNT(positions), position = i % COUNT(positions);
        fd_draw draw = draw_at((fd_key){7, 9, 0}, size, position);
        check_masks(sizes[size], &draw);
    }
    for (size_t n = 0; n <= 300; n++) {
        for (size_t i = 0; i < COUNT(distances); i++) { check_spread(n, distances[i]); }
    }
    check_spread(5003, 12345);
    for (size_t i = 0; i < COUNT(sizes); i++) { check_invert(sizes[i]); }
}

/* Every 16-bit value times scales that round, overflow and vanish. */
static void test_all_halves(fd_dtype dtype) {
    static const float scales[] = {1.0F, 1.1111112F, 2.0F, 0.1F, 1e-4F, 3e38F, 0.99F};
    static uint16_t x[65536], y[65536], expected[65536];
    static uint8_t bits[8192];
    memset(bits, 0xFF, sizeof bits);
    for (unsigned i = 0; i < 65536; i++) { x[i] = (uint16_t)i; }
    for (size_t s = 0; s < COUNT(scales); s++) {
        fd_active_table()->apply_bits[dtype](x, y, 65536, bits, 0, scales[s]);
        oracle_table()->apply_bits[dtype](x, expected, 65536, bits, 0, scales[s]);
        CHECK(same_numbers(dtype, (uint8_t *)y, (uint8_t *)expected, 65536), "all values, dtype %d",
              (int)dtype);
    }
}

void test_kernels(void) {
#define FD_KERNEL(op) test_kernel(#op, run_##op);
#define FD_MASK_KERNEL(op) CHECK(fd_active_table()->op != NULL, "there is no " #op);
#include "ops.def"
    test_masks();
    test_all_halves(FD_f16);
    test_all_halves(FD_bf16);
}
