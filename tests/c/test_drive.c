/* The public functions: layouts, broadcast masks, threads, streaming. What they give is compared
 * with one element at a time. */
#include "check.h"
#include "cpu/dispatch.h"
#include "run/layout.h"

static fd_layout layout_of(int ndim, const size_t *shape, const ptrdiff_t *x, const ptrdiff_t *y,
                           const ptrdiff_t *mask) {
    fd_layout layout = {.ndim = ndim};
    for (int d = 0; d < ndim; d++) {
        layout.shape[d] = shape[d];
        layout.x_strides[d] = x[d];
        layout.y_strides[d] = y[d];
        layout.mask_strides[d] = mask[d];
    }
    return layout;
}

/* Element i of a layout, in C order, in units of bytes or mask elements. */
static ptrdiff_t offset_of(const fd_layout *layout, const ptrdiff_t *strides, size_t i) {
    ptrdiff_t offset = 0;
    for (int d = layout->ndim - 1; d >= 0; d--) {
        offset += (ptrdiff_t)(i % layout->shape[d]) * strides[d];
        i /= layout->shape[d];
    }
    return offset;
}

static float expected_value(float x, int keep, float scale) { return keep ? x * scale : 0.0F; }

enum { ROWS = 37, COLUMNS = 211, DEPTH = 3, N = ROWS * COLUMNS * DEPTH };
static float x[2 * N], y[2 * N];
static uint8_t bits[N / 8 + 1], bytes[N];

static void reset(void) {
    for (int i = 0; i < 2 * N; i++) {
        x[i] = (float)(i + 1);
        y[i] = -1.0F;
    }
}

static void test_layouts(void) {
    const size_t shape[] = {ROWS, COLUMNS, DEPTH};
    const ptrdiff_t plain[] = {COLUMNS * DEPTH * 4, DEPTH * 4, 4};
    const ptrdiff_t swapped[] = {4, ROWS * DEPTH * 4, ROWS * 4};
    const ptrdiff_t gaps[] = {COLUMNS * DEPTH * 8, DEPTH * 8, 8};
    const ptrdiff_t *strides[] = {plain, swapped, gaps};
    const ptrdiff_t full[] = {COLUMNS * DEPTH, DEPTH, 1}, by_row[] = {1, 0, 0};
    const ptrdiff_t by_column[] = {0, 1, 0}, last_shared[] = {COLUMNS, 1, 0};
    const ptrdiff_t first_shared[] = {0, DEPTH, 1}, all_shared[] = {0, 0, 0};
    const ptrdiff_t *masks[] = {full, by_row, by_column, last_shared, first_shared, all_shared};
    fd_key key = {3, 1, 4095};
    fd_plan plan = fd_plan_make(0.3);
    const fd_affine map = {1.5, 0.25, -1.25};
    enum { BITS, BYTES, DRAWN, BITS_AFFINE, DRAWN_AFFINE, SOURCES };
    fd_mask_bits(bits, N, &key, &plan);
    fd_mask_bool(bytes, N, &key, &plan);
    for (int a = 0; a < 3; a++) {
        for (int b = 0; b < 3; b++) {
            for (int m = 0; m < 6; m++) {
                fd_layout layout = layout_of(3, shape, strides[a], strides[b], masks[m]);
                for (int kind = 0; kind < SOURCES; kind++) {
                    int drawn = kind == DRAWN || kind == DRAWN_AFFINE;
                    int affine = kind == DRAWN_AFFINE || kind == BITS_AFFINE;
                    reset();
                    if (kind == BITS) {
                        fd_apply_bits(FD_f32, x, y, &layout, bits, 1.5);
                    } else if (kind == BYTES) {
                        fd_apply_bool(FD_f32, x, y, &layout, bytes, 1.5);
                    } else if (kind == DRAWN) {
                        fd_dropout_strided(FD_f32, x, y, &layout, &key, &plan, 1.5);
                    } else if (kind == BITS_AFFINE) {
                        fd_apply_bits_affine(FD_f32, x, y, &layout, bits, &map);
                    } else {
                        fd_dropout_affine(FD_f32, x, y, &layout, &key, &plan, &map);
                    }
                    int good = 1;
                    for (size_t i = 0; i < N; i++) {
                        size_t e = drawn ? i : (size_t)offset_of(&layout, layout.mask_strides, i);
                        int keep = bits[e >> 3] >> (e & 7) & 1;
                        float from = x[offset_of(&layout, layout.x_strides, i) / 4];
                        float to = y[offset_of(&layout, layout.y_strides, i) / 4];
                        float kept = affine ? from * 1.5F + 0.25F : from * 1.5F;
                        good &= to == (keep ? kept : affine ? -1.25F : 0.0F);
                    }
                    CHECK(good, "layouts %d %d, mask %d, source %d", a, b, m, kind);
                }
            }
        }
    }
    int untouched = 1;
    for (int i = 1; i < 2 * N; i += 2) { untouched &= y[i] == -1.0F; }
    CHECK(untouched, "wrote between the elements of a strided array");
}

/* Rows of bits again and again, of every length that is treated in a way of its own, and rows of
 * elements that share them. The mask ends where memory does. */
static void test_repeated(void) {
    static const size_t lengths[] = {1, 2, 7, 31, 32, 33, 63, 64, 65, 100, 128, 200, 2047, 2048};
    static const size_t times[] = {1, 2, 3, 11, 12, 13, 40, 200};
    static const size_t together[] = {1, 3, 70};
    for (size_t i = 0; i < 14 * 8 * 3 * 2; i++) {
        size_t b = lengths[i % 14], m = times[i / 14 % 8], k = together[i / 112 % 3];
        size_t room = (i / 336 ? N : N / 4) / (b * m * k), a = room < 7 ? room : 7;
        if (!a) { continue; }
        const size_t shape[] = {a, m, b, k};
        const ptrdiff_t dense[] = {(ptrdiff_t)(m * b * k * 4), (ptrdiff_t)(b * k * 4),
                                   (ptrdiff_t)(k * 4), 4};
        const ptrdiff_t mask[] = {(ptrdiff_t)b, 0, 1, 0};
        fd_layout layout = layout_of(4, shape, dense, dense, mask);
        size_t bytes = (a * b + 7) / 8;
        uint8_t *exact = malloc(bytes);
        for (size_t e = 0; e < bytes; e++) { exact[e] = (uint8_t)(e * 2654435761U >> 11); }
        reset();
        fd_apply_bits(FD_f32, x, y, &layout, exact, 1.5);
        int good = y[a * m * b * k] == -1.0F;
        for (size_t e = 0; e < a * m * b * k; e++) {
            size_t bit = (size_t)offset_of(&layout, layout.mask_strides, e);
            good &= y[e] == expected_value(x[e], exact[bit >> 3] >> (bit & 7) & 1, 1.5F);
        }
        CHECK(good, "%zu times %zu rows of %zu bits for %zu elements each", a, m, b, k);
        free(exact);
    }
}

static void test_reversed(void) {
    const size_t shape[] = {N};
    const ptrdiff_t back[] = {-4}, one[] = {1};
    fd_layout layout = layout_of(1, shape, back, back, one);
    fd_key key = {5, 6, 7};
    fd_plan plan = fd_plan_make(0.5);
    fd_mask_bits(bits, N, &key, &plan);
    reset();
    fd_dropout_strided(FD_f32, x + N - 1, x + N - 1, &layout, &key, &plan, 2.0);
    int good = 1;
    for (size_t i = 0; i < N; i++) {
        float from = (float)(N - i);
        good &= x[N - 1 - i] == expected_value(from, bits[i >> 3] >> (i & 7) & 1, 2.0F);
    }
    CHECK(good, "negative strides in place");
}

/* 3 M elements: enough for the pool, cut differently for every number of threads. */
static void test_threads(void) {
    enum { BIG = 3 * 1024 * 1024 + 77 };
    float *from = malloc(BIG * sizeof *from), *to = malloc(BIG * sizeof *to);
    float *expected = malloc(BIG * sizeof *expected);
    uint8_t *mask = malloc(BIG), *expected_mask = malloc(BIG);
    for (int i = 0; i < BIG; i++) { from[i] = (float)i; }
    fd_key key = {11, 12, 1234567};
    fd_plan plan = fd_plan_make(0.1);
    size_t streaming = fd_get_streaming_bytes();
    fd_set_num_threads(1);
    fd_dropout(FD_f32, from, expected, BIG, &key, &plan, 1.25);
    fd_mask_bool(expected_mask, BIG, &key, &plan);
    for (int threads = 1; threads <= 5; threads++) {
        for (int stream = 0; stream < 2; stream++) {
            fd_set_num_threads(threads);
            fd_set_streaming_bytes(stream ? 1 : SIZE_MAX);
            memset(to, 0x55, BIG * sizeof *to);
            fd_dropout(FD_f32, from, to, BIG, &key, &plan, 1.25);
            CHECK(!memcmp(to, expected, BIG * sizeof *to), "%d threads, streaming %d", threads,
                  stream);
            memset(mask, 9, BIG);
            fd_mask_bool(mask, BIG, &key, &plan);
            CHECK(!memcmp(mask, expected_mask, BIG), "mask, %d threads", threads);
        }
    }
    fd_set_num_threads(1);
    fd_set_streaming_bytes(streaming);
    free(from);
    free(to);
    free(expected);
    free(mask);
    free(expected_mask);
}

/* The same for noise, whose elements take two positions each, which may begin at an odd one. */
static void test_noise_threads(void) {
    enum { BIG = 1024 * 1024 + 77 };
    float *from = malloc(BIG * sizeof *from), *to = malloc(BIG * sizeof *to);
    float *expected = malloc(BIG * sizeof *expected);
    for (int i = 0; i < BIG; i++) { from[i] = (float)(i % 1000); }
    for (uint64_t offset = 0; offset < 3 * 4095; offset += 4095) {
        fd_key key = {11, 12, UINT64_MAX - 100000 + offset};
        fd_set_num_threads(1);
        fd_gaussian_dropout(FD_f32, from, expected, BIG, &key, 0.5);
        for (int threads = 2; threads <= 5; threads++) {
            fd_set_num_threads(threads);
            memset(to, 0x55, BIG * sizeof *to);
            fd_gaussian_dropout(FD_f32, from, to, BIG, &key, 0.5);
            CHECK(!memcmp(to, expected, BIG * sizeof *to), "noise, %d threads", threads);
        }
        for (size_t first = 1; first < BIG; first = 3 * first + 1000) { /* any part alone */
            fd_key later = {11, 12, key.offset + 2 * first};
            size_t n = first < 5000 ? 5000 : 100;
            if (n > BIG - first) { n = BIG - first; }
            fd_gaussian_dropout(FD_f32, from + first, to, n, &later, 0.5);
            CHECK(!memcmp(to, expected + first, n * sizeof *to), "noise from %zu on", first);
        }
    }
    fd_set_num_threads(1);
    free(from);
    free(to);
    free(expected);
}

/* 700,000 elements: enough for the pool; rows of less and of more than a word, planes that fill
 * whole bytes alone and such that do so by eights. */
static void test_block_threads(void) {
    static const fd_blocks cases[] = {{900, {1, 28, 28}, {1, 7, 7}},
                                      {1001, {1, 27, 27}, {1, 4, 4}},
                                      {53, {11, 9, 133}, {3, 3, 3}},
                                      {35, {1, 1, 20001}, {1, 1, 64}},
                                      {1, {1, 1, 700001}, {1, 1, 9}}};
    fd_key key = {1, 2, UINT64_MAX - 1000};
    fd_plan plan = fd_plan_make(0.01);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const size_t *shape = cases[i].shape;
        size_t n = cases[i].planes * shape[0] * shape[1] * shape[2], bytes = (n + 7) / 8;
        uint8_t *expected = malloc(bytes), *mask = malloc(bytes);
        fd_set_num_threads(1);
        size_t kept = fd_drop_block_bits(expected, &cases[i], &key, &plan), counted = 0;
        for (size_t e = 0; e < n; e++) { counted += expected[e >> 3] >> (e & 7) & 1; }
        CHECK(kept == counted && kept < n, "case %zu: %zu kept, but %zu counted", i, kept, counted);
        for (int threads = 2; threads <= 5; threads++) {
            fd_set_num_threads(threads);
            memset(mask, 0x55, bytes);
            CHECK(fd_drop_block_bits(mask, &cases[i], &key, &plan) == kept, "case %zu, %d threads",
                  i, threads);
            CHECK(!memcmp(mask, expected, bytes), "case %zu, %d threads", i, threads);
        }
        free(expected);
        free(mask);
    }
    fd_set_num_threads(1);
}

void test_drive(void) {
    int best = fd_isa_active();
    for (int isa = 0; isa < fd_isa_count(); isa++) {
        if (fd_isa_select(isa)) { continue; }
        test_layouts();
        test_repeated();
        test_reversed();
        test_threads();
        test_block_threads();
        test_noise_threads();
    }
    CHECK(fd_isa_select(-1) == -1 && fd_isa_select(fd_isa_count()) == -1, "selected no set");
    fd_isa_select(best);
}
