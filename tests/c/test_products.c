/* Every FD_PRODUCT_KERNEL in ops.def, through the functions that cut a product into regions, for
 * every available instruction set, against the scalar one: the bits are the same, and nothing is
 * read or written beside the matrices. */
#include "check.h"
#include "cpu/dispatch.h"

typedef struct sizes {
    size_t samples, outputs, inputs;
} sizes;

static const sizes products[] = {
    {1, 1, 1},    {2, 3, 31}, {3, 2, 64}, {5, 9, 65},    {9, 5, 130}, {2, 130, 7},  {2, 2, 4096},
    {2, 3, 4099}, {0, 2, 3},  {2, 0, 3},  {34, 33, 100}, {2, 3, 0},   {3, 10, 320}, {17, 2, 1024}};
static const size_t misalignments[] = {0, 2, 8, 20};

/* The second begins the last step of a block; the probability of the third drops whole blocks. */
static const struct {
    uint64_t offset;
    double p;
} draws[] = {{4001, 0.4}, {4032, 0.4}, {4032, 0.999995}};
static const size_t itemsize[FD_DTYPE_COUNT] = {4, 8, 2, 2};

enum { X, W, BIAS, DY, Y, DX, DW, MATRICES };

static void make(guarded *m, fd_dtype dtype, sizes s, size_t misalignment) {
    const size_t counts[MATRICES] = {
        s.samples * s.inputs,  s.outputs * s.inputs, s.outputs,           s.samples * s.outputs,
        s.samples * s.outputs, s.samples * s.inputs, s.outputs * s.inputs};
    for (int i = 0; i < MATRICES; i++) {
        m[i] = guarded_new(counts[i] * itemsize[dtype], misalignment * (size_t)(i + 1) % 64);
        guarded_fill(&m[i], counts[i] + (uint64_t)i);
    }
}

static void run(guarded *m, fd_dtype dtype, sizes s, int shared, size_t draw) {
    const fd_key key = {1, 2, draws[draw].offset};
    const fd_plan plan = fd_plan_make(draws[draw].p);
    double scale = fd_scale_make(dtype, 0.4);
    fd_dropconnect(dtype, m[X].data, m[W].data, s.samples % 2 ? m[BIAS].data : NULL, m[Y].data,
                   s.samples, s.outputs, s.inputs, shared, &key, &plan, scale);
    fd_dropconnect_dx(dtype, m[DY].data, m[W].data, m[DX].data, s.samples, s.outputs, s.inputs,
                      shared, &key, &plan, scale);
    fd_dropconnect_dw(dtype, m[DY].data, m[X].data, m[DW].data, s.samples, s.outputs, s.inputs,
                      shared, &key, &plan, scale);
}

static void check(int isa, fd_dtype dtype, sizes s, size_t misalignment, size_t draw) {
    guarded a[MATRICES], b[MATRICES];
    int shared = s.outputs % 2;
    make(a, dtype, s, misalignment);
    make(b, dtype, s, 0);
    fd_isa_select(isa);
    run(a, dtype, s, shared, draw);
    fd_isa_select(fd_isa_count() - 1);
    run(b, dtype, s, shared, draw);
    for (int i = 0; i < MATRICES; i++) {
        CHECK(same_numbers(dtype, a[i].data, b[i].data, a[i].n / itemsize[dtype]),
              "%s product dtype %d of %zu x %zu x %zu misaligned %zu draw %zu matrix %d",
              fd_isa_name(isa), (int)dtype, s.samples, s.outputs, s.inputs, misalignment, draw, i);
        CHECK(guarded_intact(&a[i]) && guarded_intact(&b[i]), "%s wrote beside matrix %d",
              fd_isa_name(isa), i);
        guarded_free(&a[i]);
        guarded_free(&b[i]);
    }
}

void test_products(void) {
    int before = fd_isa_active();
    for (int isa = 0; isa < fd_isa_count(); isa++) {
        if (!fd_table_at(isa)) { continue; }
        for (int dtype = 0; dtype < FD_DTYPE_COUNT; dtype++) {
            for (size_t i = 0; i < sizeof products / sizeof *products; i++) {
                for (size_t j = 0; j < sizeof misalignments / sizeof *misalignments; j++) {
                    for (size_t k = 0; k < sizeof draws / sizeof *draws; k++) {
                        check(isa, (fd_dtype)dtype, products[i], misalignments[j], k);
                    }
                }
            }
        }
    }
    fd_isa_select(before);
}
