/* What is shared out among threads, cut differently for every number of them, with stores that
 * bypass the cache and without: the bits are those of one thread. */
#include "check.h"

#include "run/layout.h"
#include "run/pool.h"

typedef void compute_fn(uint8_t *out, const void *context);

static void check(const char *what, size_t number, compute_fn *compute, const void *context,
                  size_t bytes, int most, int streams) {
    guarded want = guarded_new(bytes, 16), found = guarded_new(bytes, 16);
    memset(want.data, 0x55, bytes);
    fd_set_num_threads(1);
    fd_set_streaming_bytes(SIZE_MAX);
    compute(want.data, context);
    for (int i = 1; i < most * (1 + streams); i++) {
        int threads = 1 + i % most, past = i / most;
        fd_set_num_threads(threads);
        fd_set_streaming_bytes(past ? 1 : SIZE_MAX);
        fd_pool_forgive();
        memset(found.data, 0x55, bytes);
        compute(found.data, context);
        CHECK(!memcmp(want.data, found.data, bytes), "%s %zu, %d threads, past the cache %d", what,
              number, threads, past);
    }
    CHECK(guarded_end(), "%s %zu: wrote outside", what, number);
}

enum { BIG = 3 * 1024 * 1024 + 77, NOISY = 1024 * 1024 + 77 };
static float numbers[BIG];
static const fd_key key = {11, 12, 1234567};

static void run_dropout(uint8_t *out, const void *plan) {
    fd_dropout(FD_f32, numbers, out, BIG, &key, plan, 1.25);
}

static void run_mask(uint8_t *out, const void *plan) { fd_mask_bool(out, BIG, &key, plan); }

/* Elements take two positions each, which may begin at an odd one. */
static void run_noise(uint8_t *out, const void *from) {
    fd_gaussian_dropout(FD_f32, numbers, out, NOISY, from, 0.5);
}

/* The mask of blocks, and how many are kept. */
static void run_blocks(uint8_t *out, const void *context) {
    const fd_blocks *blocks = context;
    size_t n = blocks->planes * fd_size(3, blocks->shape), counted = 0;
    const fd_plan plan = fd_plan_make(0.01);
    size_t kept = fd_drop_block_bits(out, blocks, &(fd_key){1, 2, UINT64_MAX - 1000}, &plan);
    for (size_t e = 0; e < n; e++) { counted += out[e >> 3] >> (e & 7) & 1; }
    CHECK(kept == counted && kept < n, "blocks: %zu kept, but %zu counted", kept, counted);
}

void test_threads(void) {
    /* 700,000 elements: enough for the pool; rows of less and of more than a word, planes that fill
     * whole bytes alone and such that do so by eights. */
    static const fd_blocks blocks[] = {{900, {1, 28, 28}, {1, 7, 7}},
                                       {1001, {1, 27, 27}, {1, 4, 4}},
                                       {53, {11, 9, 133}, {3, 3, 3}},
                                       {35, {1, 1, 20001}, {1, 1, 64}},
                                       {1, {1, 1, 700001}, {1, 1, 9}}};
    const fd_plan plan = fd_plan_make(0.1);
    for (int i = 0; i < BIG; i++) { numbers[i] = (float)i; }
    check("dropout", BIG, run_dropout, &plan, BIG * sizeof(float), 5, 1);
    check("mask", BIG, run_mask, &plan, BIG, 5, 1);
    for (uint64_t offset = 0; offset < 3 * 4095; offset += 4095) {
        const fd_key from = {11, 12, UINT64_MAX - 100000 + offset};
        check("noise", offset, run_noise, &from, NOISY * sizeof(float), 5, 1);
    }
    for (size_t i = 0; i < COUNT(blocks); i++) {
        size_t n = blocks[i].planes * fd_size(3, blocks[i].shape);
        check("blocks", i, run_blocks, &blocks[i], (n + 7) / 8, 5, 1);
    }
}

/* --- Rows and columns so long and so few that threads share each of them out ------------------ */

/* More than the sums that wait at a time, and no multiple of anything. */
enum { LONG = 4300007, SHORTER = LONG / 2, SHORT = LONG / 8 };

typedef struct scores {
    fd_dtype dtype;
    fd_softmax softmax;
    const uint8_t *x;
    size_t bytes;
} scores;

/* The result, the gradient of x and the weights, with bytes in between. */
static void run_softmax(uint8_t *out, const void *context) {
    const scores *s = context;
    const fd_plan plan = fd_plan_make(0.4);
    const double scale = fd_scale_make(s->dtype, 0.4);
    uint8_t *dx = out + s->bytes + 64, *weights = dx + s->bytes + 64;
    fd_softmax_dropout(s->dtype, &s->softmax, s->x, out, &key, &plan, scale);
    fd_pool_forgive();
    fd_softmax_dropout_backward(s->dtype, &s->softmax, s->x, out, dx, weights, &key, &plan, scale);
}

typedef enum mask_kind { NO_MASK, ADDED, TAKES_PART, CAUSAL, MASK_KINDS } mask_kind;

static void check_softmax(fd_dtype dtype, size_t rows, size_t n, mask_kind kind) {
    const size_t item = fd_itemsize(dtype);
    guarded x = guarded_new(rows * n * item, 8), mask = guarded_new(n * item, 0);
    scores s = {dtype, {.groups = 1, .rows = rows, .n = n, .scale = 0.75}, x.data, x.n};
    s.softmax.group_positions = rows * n;
    s.softmax.row_positions = n;
    s.softmax.visible = kind == CAUSAL ? n - 5000 : SIZE_MAX;
    fill_with_numbers(&x, dtype, n);
    fill_with_numbers(&mask, dtype, n + 1);
    if (kind == ADDED || kind == TAKES_PART) {
        s.softmax.mask = mask.data;
        s.softmax.additive = kind == ADDED;
        s.softmax.mask_step = kind == ADDED ? (ptrdiff_t)item : 1;
        s.softmax.mask_rows = (fd_layout){.ndim = 1, .shape = {rows}};
    }
    for (size_t i = 0; kind == TAKES_PART && i < n; i++) { mask.data[i] = i % 7 != 3; }
    check("softmax, mask", kind, run_softmax, &s, 3 * (x.n + 64), 3, 0);
}

typedef struct matrices {
    fd_dtype dtype;
    fd_norms norms;
    double limit;
} matrices;

static void run_norm(uint8_t *out, const void *context) {
    const matrices *m = context;
    guarded numbers = {NULL, out, m->norms.outer * (size_t)m->norms.outer_step};
    fill_with_numbers(&numbers, m->dtype, m->norms.n);
    fd_max_norm(m->dtype, out, &m->norms, m->limit);
}

static void check_norm(fd_dtype dtype, size_t outer, size_t n, size_t inner, size_t apart,
                       double limit) {
    const ptrdiff_t step = (ptrdiff_t)(apart * inner * fd_itemsize(dtype));
    const matrices m = {dtype, {outer, n, inner, (ptrdiff_t)n * step, step}, limit};
    check("norms", n, run_norm, &m, outer * n * (size_t)step, 3, 0);
}

void test_long_rows(void) {
    /* Under an emulator one dtype of each way that sums wait, and none of the longest rows. */
    int few = getenv("FD_TEST_EMULATED") != NULL;
    for (int i = 0; i < FD_DTYPE_COUNT; i++) {
        fd_dtype dtype = (fd_dtype)i;
        if (few && dtype != FD_f32 && dtype != FD_f16) { continue; }
        for (int kind = 0; kind < MASK_KINDS; kind++) {
            check_softmax(dtype, 1, kind == NO_MASK && !few ? LONG : SHORT, (mask_kind)kind);
        }
        check_softmax(dtype, 7, SHORT, NO_MASK);
        check_norm(dtype, 1, LONG, 1, 1, 3);
        check_norm(dtype, 1, SHORTER, 1, 2, 3);
        check_norm(dtype, 1, LONG / 7, 7, 1, 3);
        check_norm(dtype, 5, SHORTER, 1, 1, 3);
        check_norm(dtype, 1, SHORTER, 1, 1, 1e9); /* nothing is multiplied */
    }
    fd_set_num_threads(1);
}
