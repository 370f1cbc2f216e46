/* fd_dropout_samples: every sample against a call of its own, whatever the threads and stores. */
#include "check.h"

enum { MOST = 600003, SAMPLES = 3 };

static void check(size_t n, ptrdiff_t apart, int threads) {
    fd_layout layout = {.ndim = 1, .shape = {n}, .x_strides = {4}, .y_strides = {apart}};
    size_t bytes = n * (size_t)apart;
    guarded x = guarded_new(n * 4, 4), y = guarded_new(SAMPLES * bytes, 8);
    guarded expected = guarded_new(bytes, 0);
    /* the last sample's stream is past the end of 64 bits */
    fd_key key = {7, UINT64_MAX - 1, 4096 * 3 + 1000};
    fd_plan plan = fd_plan_make(0.3);
    fill_with_numbers(&x, FD_f32, n);
    memset(y.data, 0x55, y.n);
    fd_set_num_threads(threads);
    fd_dropout_samples(FD_f32, x.data, y.data, &layout, SAMPLES, (ptrdiff_t)bytes, &key, &plan,
                       1.5);
    for (size_t k = 0; k < SAMPLES; k++, key.stream++) {
        memset(expected.data, 0x55, expected.n);
        fd_dropout_strided(FD_f32, x.data, expected.data, &layout, &key, &plan, 1.5);
        CHECK(!memcmp(y.data + k * bytes, expected.data, bytes),
              "sample %zu of %zu elements, %d bytes apart, %d threads", k, n, (int)apart, threads);
    }
    CHECK(guarded_end(), "samples of %zu wrote outside", n);
}

void test_samples(void) {
    static const size_t sizes[] = {1, 63, 3095, 3096, 3097, 8192, 11288, 11289, 20000, MOST};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        for (int way = 0; way < 4; way++) {
            fd_set_streaming_bytes(way / 2 ? 1 : SIZE_MAX);
            check(sizes[i], 4, way % 2 ? 3 : 1);
        }
        check(sizes[i], 8, 3);
    }
}
