/* Operands that lie in memory in different orders, or in one that is not C's: for every operation,
 * dtype and instruction set, against the same elements in C order. */
#include "call.h"
#include "check.h"

enum { RANKS = 4, LONGEST_ROW = 2100, LENGTHENED = LONGEST_ROW + 4096 };

/* A shape, and the order of the axes in memory, outermost first, of every other operand. */
typedef struct layout {
    int ndim;
    size_t shape[RANKS];
    int memory[2][RANKS];
} layout;

/* The same order in all operands, with one bias for a short, a long, a longer run of memory, and
 * with several in a run; rows of boxes that would begin in the same places of a cache. Different
 * orders, with rows of many tiles, of one, of less; neighbours along the axis before the last and
 * along others; lines that are cut; axes too short for tiles. */
static const layout layouts[] = {
    {2, {33, 2100}, {{1, 0}, {1, 0}}},        {2, {70, 1100}, {{1, 0}, {1, 0}}},
    {3, {90, 7, 33}, {{2, 0, 1}, {2, 0, 1}}}, {4, {3, 65, 9, 23}, {{0, 2, 3, 1}, {0, 2, 3, 1}}},
    {3, {30, 16, 8}, {{0, 2, 1}, {0, 2, 1}}}, {4, {5, 9, 16, 17}, {{3, 2, 1, 0}, {3, 2, 1, 0}}},
    {2, {20, 1536}, {{1, 0}, {1, 0}}},        {2, {300, 64}, {{1, 0}, {0, 1}}},
    {2, {1500, 3}, {{0, 1}, {1, 0}}},         {2, {3, 1500}, {{1, 0}, {0, 1}}},
    {3, {3, 700, 9}, {{0, 2, 1}, {0, 1, 2}}}, {3, {19, 5, 300}, {{2, 1, 0}, {0, 1, 2}}},
    {3, {7, 33, 65}, {{2, 0, 1}, {0, 2, 1}}}, {4, {2, 7, 9, 70}, {{3, 1, 0, 2}, {1, 0, 3, 2}}},
};

typedef enum source { DRAWN, BITS, EVERY, SOURCES } source;

static size_t size_of(const layout *l) {
    size_t n = 1;
    for (int d = 0; d < l->ndim; d++) { n *= l->shape[d]; }
    return n;
}

static void set_strides(const layout *l, ptrdiff_t *strides, const int *memory, size_t item) {
    ptrdiff_t step = (ptrdiff_t)item;
    for (int k = l->ndim - 1; k >= 0; k--) {
        int d = memory ? memory[k] : k;
        strides[d] = step;
        step *= (ptrdiff_t)l->shape[d];
    }
}

static size_t place_of(const layout *l, const ptrdiff_t *strides, size_t i) {
    ptrdiff_t place = 0;
    for (int d = l->ndim - 1; d >= 0; d--) {
        place += (ptrdiff_t)(i % l->shape[d]) * strides[d];
        i /= l->shape[d];
    }
    return (size_t)place;
}

static fd_call call_of(const layout *l, fd_operation operation, fd_dtype dtype, source from,
                       uint8_t *bits, const void *bias) {
    fd_call c = {.operation = operation, .dtype = dtype, .numbers = {0.5, 0.25, -1.25}};
    c.drawn = from == DRAWN;
    c.key = (fd_key){3, 1, 4001};
    c.plan = fd_plan_make(0.3);
    c.bits = from == BITS ? bits : NULL;
    c.act = dtype == FD_f64 ? FD_ACT_GELU : FD_ACT_RELU;
    c.bias = (fd_bias){bias, l->shape[l->ndim - 1], 0};
    c.axes.ndim = l->ndim;
    c.axes.operands = fd_operation_operands(operation);
    for (int d = 0; d < l->ndim; d++) { c.axes.shape[d] = l->shape[d]; }
    set_strides(l, c.axes.steps, NULL, 1);
    return c;
}

static void check(const layout *l, fd_operation operation, fd_dtype dtype, source from) {
    static FD_ALIGN64 uint8_t bias[LENGTHENED * 8];
    size_t n = size_of(l), item = fd_itemsize(dtype), row = l->shape[l->ndim - 1];
    int reads = fd_operation_reads(operation), operands = fd_operation_operands(operation);
    guarded laid[FD_OPERANDS], plain[FD_OPERANDS], bits = guarded_new((n + 7) / 8, 3);
    guarded numbers = guarded_new(row * item, 0);
    guarded_fill(&bits, 7);
    guarded_fill(&numbers, 8);
    for (size_t i = 0; i < LENGTHENED; i++) {
        memcpy(bias + i * item, numbers.data + i % row * item, item);
    }
    fd_call ours = call_of(l, operation, dtype, from, bits.data, bias), oracle = ours;
    for (int i = 0; i < operands; i++) {
        laid[i] = guarded_new(n * item, 0);
        plain[i] = guarded_new(n * item, 0);
        ours.at[i] = laid[i].data;
        oracle.at[i] = plain[i].data;
        set_strides(l, ours.axes.strides[i], l->memory[i % 2], item);
        set_strides(l, oracle.axes.strides[i], NULL, item);
        guarded_fill(&laid[i], (uint64_t)i);
        for (size_t k = 0; k < n; k++) {
            size_t place = place_of(l, ours.axes.strides[i], k);
            memcpy(plain[i].data + k * item, laid[i].data + place, item);
        }
    }
    fd_run(&ours);
    fd_run(&oracle);
    for (int i = 0; i < operands; i++) {
        int good = 1;
        for (size_t k = 0; k < n; k++) {
            size_t place = place_of(l, ours.axes.strides[i], k);
            good &= same_numbers(dtype, laid[i].data + place, plain[i].data + k * item, 1);
        }
        CHECK(good, "%s, operand %d of %d, dtype %d, source %d, %zu x ..., rank %d",
              fd_operation_name((int)operation), i, reads, (int)dtype, (int)from, l->shape[0],
              l->ndim);
        CHECK(guarded_intact(&laid[i]) && guarded_intact(&plain[i]), "%s wrote outside",
              fd_operation_name((int)operation));
        guarded_free(&laid[i]);
        guarded_free(&plain[i]);
    }
    guarded_free(&bits);
    guarded_free(&numbers);
}

void test_tiled(void) {
    int best = fd_isa_active();
    for (int isa = 0; isa < fd_isa_count(); isa++) {
        if (fd_isa_select(isa)) { continue; }
        for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++) {
            for (int operation = 0; operation < FD_OPERATION_COUNT; operation++) {
                int noise = operation == FD_OP_noise_factor || operation == FD_OP_noise_add;
                for (int from = 0; from < (noise ? BITS : SOURCES); from++) {
                    fd_dtype dtype = (fd_dtype)((operation + (int)i + from) % FD_DTYPE_COUNT);
                    check(&layouts[i], (fd_operation)operation, dtype, (source)from);
                }
            }
        }
    }
    fd_isa_select(best);
}
