/* Every FD_PRODUCT_KERNEL and FD_NORM_KERNEL in ops.def, through the functions that cut matrices
 * into regions, against the scalar ones: the bits are the same, and nothing is read or written
 * beside the matrices. */
#include "check.h"

typedef struct sizes {
    size_t samples, outputs, inputs;
} sizes;

static const sizes products[] = {
    {1, 1, 1},    {2, 3, 31}, {3, 2, 64}, {5, 9, 65},    {9, 5, 130}, {2, 130, 7},  {2, 2, 4096},
    {2, 3, 4099}, {0, 2, 3},  {2, 0, 3},  {34, 33, 100}, {2, 3, 0},   {3, 10, 320}, {17, 2, 1024}};

/* The second begins the last step of a block; the probability of the third drops whole blocks. */
static const struct {
    uint64_t offset;
    double p;
} draws[] = {{4001, 0.4}, {4032, 0.4}, {4032, 0.999995}};

static const fd_norms norms[] = {
    {.outer = 1, .n = 1, .inner = 1},    {.outer = 5, .n = 3, .inner = 1},
    {.outer = 3, .n = 64, .inner = 1},   {.outer = 3, .n = 131, .inner = 1},
    {.outer = 2, .n = 4099, .inner = 1}, {.outer = 1, .n = 5, .inner = 3},
    {.outer = 2, .n = 17, .inner = 129}, {.outer = 1, .n = 4161, .inner = 9},
    {.outer = 3, .n = 65, .inner = 16},  {.outer = 0, .n = 3, .inner = 4},
    {.outer = 11, .n = 512, .inner = 1}, {.outer = 7, .n = 1063, .inner = 1},
};

/* How a matrix is aligned, and how far apart its random bytes are: numbers around 1 between them
 * keep sums finite. */
static const struct {
    size_t misalignment, apart;
} ways[] = {{0, SIZE_MAX}, {2, 257}, {8, SIZE_MAX}, {20, 1}};

enum { X, W, BIAS, DY, Y, DX, DW, MATRICES };

static void make(guarded *m, fd_dtype dtype, size_t n, size_t misalignment, size_t apart) {
    size_t item = fd_itemsize(dtype);
    uint64_t seed = n;
    *m = guarded_new(n * item, misalignment % 64);
    fill_with_numbers(m, dtype, n + 1);
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < item && i % apart == 3 % apart; k++) {
            m->data[i * item + k] = (uint8_t)(next_random(&seed) >> 7);
        }
    }
}

static void multiply(const guarded *m, fd_dtype dtype, sizes s, size_t draw) {
    const fd_key key = {1, 2, draws[draw].offset};
    const fd_plan plan = fd_plan_make(draws[draw].p);
    const double scale = fd_scale_make(dtype, 0.4);
    int shared = s.outputs % 2;
    fd_dropconnect(dtype, m[X].data, m[W].data, s.samples % 2 ? m[BIAS].data : NULL, m[Y].data,
                   s.samples, s.outputs, s.inputs, shared, &key, &plan, scale);
    fd_dropconnect_dx(dtype, m[DY].data, m[W].data, m[DX].data, s.samples, s.outputs, s.inputs,
                      shared, &key, &plan, scale);
    fd_dropconnect_dw(dtype, m[DY].data, m[X].data, m[DW].data, s.samples, s.outputs, s.inputs,
                      shared, &key, &plan, scale);
}

static void check_product(fd_dtype dtype, sizes s, size_t way, size_t draw) {
    const size_t counts[MATRICES] = {
        s.samples * s.inputs,  s.outputs * s.inputs, s.outputs,           s.samples * s.outputs,
        s.samples * s.outputs, s.samples * s.inputs, s.outputs * s.inputs};
    guarded a[MATRICES], b[MATRICES];
    int isa = fd_isa_active();
    for (size_t i = 0; i < MATRICES; i++) {
        make(&a[i], dtype, counts[i], ways[way].misalignment * (i + 1), ways[way].apart);
        make(&b[i], dtype, counts[i], 0, ways[way].apart);
    }
    multiply(a, dtype, s, draw);
    fd_isa_select(fd_isa_count() - 1);
    multiply(b, dtype, s, draw);
    fd_isa_select(isa);
    for (int i = 0; i < MATRICES; i++) {
        CHECK(same_numbers(dtype, a[i].data, b[i].data, counts[i]),
              "product dtype %d of %zu x %zu x %zu, way %zu, draw %zu, matrix %d", (int)dtype,
              s.samples, s.outputs, s.inputs, way, draw, i);
    }
    CHECK(guarded_end(), "a product wrote beside its matrices");
}

static void check_norms(fd_dtype dtype, fd_norms n, size_t way, double limit) {
    size_t elements = n.outer * n.n * n.inner;
    guarded a, b;
    int isa = fd_isa_active();
    make(&a, dtype, elements, ways[way].misalignment, ways[way].apart);
    make(&b, dtype, elements, 0, ways[way].apart);
    n.step = (ptrdiff_t)(n.inner * fd_itemsize(dtype));
    n.outer_step = (ptrdiff_t)n.n * n.step;
    fd_max_norm(dtype, a.data, &n, limit);
    fd_isa_select(fd_isa_count() - 1);
    fd_max_norm(dtype, b.data, &n, limit);
    fd_isa_select(isa);
    CHECK(same_numbers(dtype, a.data, b.data, elements),
          "norms dtype %d of %zu x %zu x %zu, way %zu, limit %g", (int)dtype, n.outer, n.n, n.inner,
          way, limit);
    CHECK(guarded_end(), "norms wrote beside the matrices");
}

void test_matrices(void) {
    for (size_t i = 0; i < FD_DTYPE_COUNT * COUNT(ways); i++) {
        fd_dtype dtype = (fd_dtype)(i / COUNT(ways));
        for (size_t k = 0; k < COUNT(products) * COUNT(draws); k++) {
            check_product(dtype, products[k / COUNT(draws)], i % COUNT(ways), k % COUNT(draws));
        }
        for (size_t k = 0; k < COUNT(norms); k++) {
            check_norms(dtype, norms[k], i % COUNT(ways), 0.5);
            check_norms(dtype, norms[k], i % COUNT(ways), 1e9);
        }
    }
}
