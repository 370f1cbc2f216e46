/* Rows and columns so long and so few that threads share each of them out: the bits are those of
 * one thread. */
#include "check.h"
#include "fastdrop.h"
#include "run/pool.h"

/* More than the sums that wait at a time, and no multiple of anything. */
enum { LONG = 4300007, SHORTER = LONG / 2, SHORT = LONG / 8 };

static const size_t sizes[FD_DTYPE_COUNT] = {
    [FD_f32] = 4, [FD_f64] = 8, [FD_f16] = 2, [FD_bf16] = 2};

/* Numbers of either sign around 1: the highest bits are an exponent's. */
static void fill(guarded *g, fd_dtype dtype, uint64_t seed) {
    static const uint8_t exponent[FD_DTYPE_COUNT] = {0x3F, 0x3F, 0x3C, 0x3F};
    static const uint16_t one = 1;
    int big_endian = *(const uint8_t *)&one == 0;
    guarded_fill(g, seed);
    for (size_t i = big_endian ? 0 : sizes[dtype] - 1; i < g->n; i += sizes[dtype]) {
        g->data[i] = exponent[dtype] | (g->data[i] & 0x80);
    }
}

typedef enum mask_kind { NO_MASK, ADDED, TAKES_PART, CAUSAL, MASK_KINDS } mask_kind;

enum { Y, DX, WEIGHTS, RESULTS };

static void run_softmax(fd_dtype dtype, const fd_softmax *s, const guarded *x, guarded *results,
                        int threads) {
    const fd_key key = {1, 2, 4001};
    const fd_plan plan = fd_plan_make(0.4);
    double keep_scale = fd_scale_make(dtype, 0.4);
    fd_set_num_threads(threads);
    fd_pool_forgive();
    fd_softmax_dropout(dtype, s, x->data, results[Y].data, &key, &plan, keep_scale);
    fd_pool_forgive();
    fd_softmax_dropout_backward(dtype, s, x->data, results[Y].data, results[DX].data,
                                results[WEIGHTS].data, &key, &plan, keep_scale);
}

static void check_softmax(fd_dtype dtype, size_t rows, size_t n, mask_kind kind) {
    size_t bytes = rows * n * sizes[dtype];
    guarded x = guarded_new(bytes, 8), mask = guarded_new(n * sizes[dtype], 0);
    guarded want[RESULTS], found[RESULTS];
    fd_softmax s = {.groups = 1,
                    .rows = rows,
                    .n = n,
                    .group_positions = rows * n,
                    .row_positions = n,
                    .visible = kind == CAUSAL ? n - 5000 : SIZE_MAX,
                    .scale = 0.75};
    fill(&x, dtype, n);
    fill(&mask, dtype, n + 1);
    if (kind == ADDED || kind == TAKES_PART) {
        s.mask = mask.data;
        s.additive = kind == ADDED;
        s.mask_step = s.additive ? (ptrdiff_t)sizes[dtype] : 1;
        s.mask_rows = (fd_layout){.ndim = 1, .shape = {rows}};
    }
    for (size_t i = 0; kind == TAKES_PART && i < n; i++) { mask.data[i] = i % 7 != 3; }
    for (int i = 0; i < RESULTS; i++) {
        want[i] = guarded_new(bytes, 16);
        found[i] = guarded_new(bytes, 16);
    }
    run_softmax(dtype, &s, &x, want, 1);
    for (int threads = 2; threads <= 3; threads++) {
        for (int i = 0; i < RESULTS; i++) { memset(found[i].data, 0x55, bytes); }
        run_softmax(dtype, &s, &x, found, threads);
        for (int i = 0; i < RESULTS; i++) {
            CHECK(!memcmp(want[i].data, found[i].data, bytes),
                  "result %d of a softmax, dtype %d, %zu rows, mask %d, %d threads", i, (int)dtype,
                  rows, (int)kind, threads);
            CHECK(guarded_intact(&found[i]), "wrote beside result %d of a long row", i);
        }
    }
    for (int i = 0; i < RESULTS; i++) {
        guarded_free(&want[i]);
        guarded_free(&found[i]);
    }
    guarded_free(&x);
    guarded_free(&mask);
}

static void check_norm(fd_dtype dtype, fd_norms norms, size_t apart, double limit) {
    norms.step = (ptrdiff_t)(apart * norms.inner * sizes[dtype]);
    norms.outer_step = (ptrdiff_t)norms.n * norms.step;
    size_t bytes = norms.outer * (size_t)norms.outer_step;
    guarded want = guarded_new(bytes, 8), found = guarded_new(bytes, 8);
    fill(&want, dtype, norms.n);
    fd_set_num_threads(1);
    fd_max_norm(dtype, want.data, &norms, limit);
    for (int threads = 2; threads <= 3; threads++) {
        fill(&found, dtype, norms.n);
        fd_set_num_threads(threads);
        fd_pool_forgive();
        fd_max_norm(dtype, found.data, &norms, limit);
        CHECK(!memcmp(want.data, found.data, bytes),
              "norms dtype %d of %zu x %zu x %zu, %zu apart, %d threads", (int)dtype, norms.outer,
              norms.n, norms.inner, apart, threads);
        CHECK(guarded_intact(&found), "wrote beside long rows");
    }
    guarded_free(&want);
    guarded_free(&found);
}

void test_long_rows(void) {
    /* Under an emulator one dtype of each way that sums wait, and none of the longest rows. */
    int few = getenv("FD_TEST_EMULATED") != NULL;
    for (int dtype = 0; dtype < FD_DTYPE_COUNT; dtype++) {
        if (few && dtype != FD_f32 && dtype != FD_f16) { continue; }
        for (int kind = 0; kind < MASK_KINDS; kind++) {
            size_t n = kind == NO_MASK && !few ? LONG : SHORT;
            check_softmax((fd_dtype)dtype, 1, n, (mask_kind)kind);
        }
        check_softmax((fd_dtype)dtype, 7, SHORT, NO_MASK);
        check_norm((fd_dtype)dtype, (fd_norms){.outer = 1, .n = LONG, .inner = 1}, 1, 3);
        check_norm((fd_dtype)dtype, (fd_norms){.outer = 1, .n = SHORTER, .inner = 1}, 2, 3);
        check_norm((fd_dtype)dtype, (fd_norms){.outer = 1, .n = LONG / 7, .inner = 7}, 1, 3);
        check_norm((fd_dtype)dtype, (fd_norms){.outer = 5, .n = SHORTER, .inner = 1}, 1, 3);
        /* nothing is multiplied */
        check_norm((fd_dtype)dtype, (fd_norms){.outer = 1, .n = SHORTER, .inner = 1}, 1, 1e9);
    }
    fd_set_num_threads(1);
}
