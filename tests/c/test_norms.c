/* Every FD_NORM_KERNEL in ops.def, through fd_max_norm: of rows and of columns, for every available
 * instruction set, against the scalar one: the bits are the same, and nothing is read or written
 * beside the matrices. */
#include "check.h"
#include "cpu/dispatch.h"

static const fd_norms shapes[] = {
    {.outer = 1, .n = 1, .inner = 1},    {.outer = 5, .n = 3, .inner = 1},
    {.outer = 3, .n = 64, .inner = 1},   {.outer = 3, .n = 131, .inner = 1},
    {.outer = 2, .n = 4099, .inner = 1}, {.outer = 1, .n = 5, .inner = 3},
    {.outer = 2, .n = 17, .inner = 129}, {.outer = 1, .n = 4161, .inner = 9},
    {.outer = 3, .n = 65, .inner = 16},  {.outer = 0, .n = 3, .inner = 4},
    {.outer = 11, .n = 512, .inner = 1}, {.outer = 7, .n = 1063, .inner = 1},
};
static const size_t misalignments[] = {0, 2, 8, 20};

static size_t size_of(fd_dtype dtype) { return dtype == FD_f64 ? 8 : dtype == FD_f32 ? 4 : 2; }

/* Some special numbers and many that are not: random bytes are mostly far from 1. */
static void fill(guarded *g, fd_dtype dtype) {
    static const uint8_t exponent[FD_DTYPE_COUNT] = {0x3F, 0x3F, 0x3C, 0x3F};
    size_t size = size_of(dtype), elements = g->n / size;
    guarded_fill(g, elements);
    for (size_t i = 0; i < elements; i++) {
        if (i % 257 != 3) { g->data[i * size + size - 1] = exponent[dtype] | (i & 1 ? 0x80 : 0); }
    }
}

static void run(guarded *g, fd_dtype dtype, fd_norms norms, double limit) {
    norms.step = (ptrdiff_t)(norms.inner * size_of(dtype));
    norms.outer_step = (ptrdiff_t)norms.n * norms.step;
    fd_max_norm(dtype, g->data, &norms, limit);
}

static void check(int isa, fd_dtype dtype, fd_norms norms, size_t misalignment, double limit) {
    size_t elements = norms.outer * norms.n * norms.inner, bytes = elements * size_of(dtype);
    guarded a = guarded_new(bytes, misalignment), b = guarded_new(bytes, 0);
    fill(&a, dtype);
    fill(&b, dtype);
    fd_isa_select(isa);
    run(&a, dtype, norms, limit);
    fd_isa_select(fd_isa_count() - 1);
    run(&b, dtype, norms, limit);
    CHECK(same_numbers(dtype, a.data, b.data, elements),
          "%s norms dtype %d of %zu x %zu x %zu misaligned %zu", fd_isa_name(isa), (int)dtype,
          norms.outer, norms.n, norms.inner, misalignment);
    CHECK(guarded_intact(&a) && guarded_intact(&b), "%s wrote beside the matrices",
          fd_isa_name(isa));
    guarded_free(&a);
    guarded_free(&b);
}

void test_norms(void) {
    int before = fd_isa_active();
    for (int isa = 0; isa < fd_isa_count(); isa++) {
        if (!fd_table_at(isa)) { continue; }
        for (int dtype = 0; dtype < FD_DTYPE_COUNT; dtype++) {
            for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
                for (size_t j = 0; j < sizeof misalignments / sizeof *misalignments; j++) {
                    check(isa, (fd_dtype)dtype, shapes[i], misalignments[j], 0.5);
                    check(isa, (fd_dtype)dtype, shapes[i], misalignments[j], 1e9);
                }
            }
        }
    }
    fd_isa_select(before);
}
