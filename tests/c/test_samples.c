/* fd_dropout_samples: every sample against a call of its own, whatever the threads and stores. */
#include "check.h"
#include "fastdrop.h"

enum { MOST = 600003, SAMPLES = 3 };

static void check(size_t n, int strided, int threads) {
    ptrdiff_t apart = strided ? 8 : 4;
    fd_layout layout = {.ndim = 1, .shape = {n}, .x_strides = {4}, .y_strides = {apart}};
    size_t bytes = n * (size_t)apart;
    guarded x = guarded_new(n * 4, 4), y = guarded_new(SAMPLES * bytes, 8);
    guarded expected = guarded_new(bytes, 0);
    /* the last sample's stream is past the end of 64 bits */
    fd_key key = {7, UINT64_MAX - 1, 4096 * 3 + 1000};
    fd_plan plan = fd_plan_make(0.3);
    for (size_t i = 0; i < n; i++) { memcpy(x.data + 4 * i, &(float){(float)i + 1}, 4); }
    memset(y.data, 0x55, y.n);
    fd_dropout_samples(FD_f32, x.data, y.data, &layout, SAMPLES, (ptrdiff_t)bytes, &key, &plan,
                       1.5);
    for (size_t k = 0; k < SAMPLES; k++, key.stream++) {
        memset(expected.data, 0x55, expected.n);
        fd_dropout_strided(FD_f32, x.data, expected.data, &layout, &key, &plan, 1.5);
        CHECK(!memcmp(y.data + k * bytes, expected.data, bytes),
              "sample %zu of %zu elements, strided %d, threads %d", k, n, strided, threads);
    }
    CHECK(guarded_intact(&x) && guarded_intact(&y), "samples of %zu wrote outside", n);
    guarded_free(&x);
    guarded_free(&y);
    guarded_free(&expected);
}

void test_samples(void) {
    static const size_t sizes[] = {1, 63, 3095, 3096, 3097, 8192, 11288, 11289, 20000, MOST};
    int best = fd_isa_active();
    size_t streaming = fd_get_streaming_bytes();
    for (int isa = 0; isa < fd_isa_count(); isa++) {
        if (fd_isa_select(isa)) { continue; }
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            for (int way = 0; way < 4; way++) {
                fd_set_num_threads(way % 2 ? 3 : 1);
                fd_set_streaming_bytes(way / 2 ? 1 : SIZE_MAX);
                check(sizes[i], 0, fd_get_num_threads());
            }
            check(sizes[i], 1, fd_get_num_threads());
        }
    }
    fd_set_num_threads(1);
    fd_set_streaming_bytes(streaming);
    fd_isa_select(best);
}
