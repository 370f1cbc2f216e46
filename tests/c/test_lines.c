/* Results of every operation past the cache and within it, through fd_run: the bits are the same,
 * wherever the results begin in a cache line and the decisions in the stream. */
#include "call.h"
#include "check.h"
#include "cpu/dispatch.h"

/* MANY is enough for the pool. */
enum { N = 2 * FD_BLOCK + 1001, MANY = 800 * 1000 + 3, BIAS = 11 };

static const size_t places[] = {0, 1, 4, 8, 16, 30, 60};
static const uint64_t offsets[] = {0, 64, 77, FD_BLOCK - 1};

/* `apart`: by how many bytes more a second result is shifted. */
static void check(int isa, fd_operation op, fd_dtype dtype, size_t n, size_t place, uint64_t offset,
                  size_t apart) {
    size_t bytes = n * fd_itemsize(dtype);
    int reads = fd_operation_reads(op), operands = fd_operation_operands(op);
    guarded in[2], out[2][2], bias = guarded_new((BIAS + FD_BLOCK) * fd_itemsize(dtype), 0);
    guarded_fill(&bias, 3);
    for (size_t i = BIAS * fd_itemsize(dtype); i < bias.n; i++) {
        bias.data[i] = bias.data[i - BIAS * fd_itemsize(dtype)];
    }
    fd_call call = {.operation = op,
                    .dtype = dtype,
                    .axes = {.ndim = 1, .operands = operands, .shape = {n}, .steps = {1}},
                    .drawn = 1,
                    .key = {9, 8, offset},
                    .plan = fd_plan_make(0.4),
                    .numbers = {1.5, 0.5, -1.25},
                    .act = offset % 2 ? FD_ACT_RELU : FD_ACT_NONE,
                    .bias = {bias.data, BIAS, 5}};
    for (int i = 0; i < operands; i++) { call.axes.strides[i][0] = (ptrdiff_t)fd_itemsize(dtype); }
    for (int i = 0; i < reads; i++) {
        in[i] = guarded_new(bytes, 4 * (size_t)i);
        guarded_fill(&in[i], (uint64_t)i);
        call.at[i] = in[i].data;
    }
    for (int past = 0; past < 2; past++) {
        for (int i = reads; i < operands; i++) {
            guarded *y = &out[past][i - reads];
            *y = guarded_new(bytes, (place + apart * (size_t)(i - reads)) % 64);
            call.at[i] = y->data;
        }
        fd_set_streaming_bytes(past ? 1 : SIZE_MAX);
        fd_run(&call);
    }
    for (int i = 0; i < operands - reads; i++) {
        CHECK(same_numbers(dtype, out[0][i].data, out[1][i].data, n),
              "%s %s dtype %d from %lu on, %zu bytes into a line, %zu apart: past the cache",
              fd_isa_name(isa), fd_operation_name(op), (int)dtype, (unsigned long)offset, place,
              apart);
        CHECK(guarded_intact(&out[1][i]), "%s %s wrote outside its array", fd_isa_name(isa),
              fd_operation_name(op));
        guarded_free(&out[0][i]);
        guarded_free(&out[1][i]);
    }
    for (int i = 0; i < reads; i++) { guarded_free(&in[i]); }
    guarded_free(&bias);
}

void test_lines(void) {
    int before = fd_isa_active();
    size_t streaming = fd_get_streaming_bytes();
    for (int isa = 0; isa < fd_isa_count(); isa++) {
        if (fd_isa_select(isa)) { continue; }
        for (int i = 0; i < FD_OPERATION_COUNT * FD_DTYPE_COUNT * 7 * 4; i++) {
            check(isa, (fd_operation)(i % FD_OPERATION_COUNT),
                  (fd_dtype)(i / FD_OPERATION_COUNT % FD_DTYPE_COUNT), N,
                  places[i / FD_OPERATION_COUNT / FD_DTYPE_COUNT % 7],
                  offsets[i / FD_OPERATION_COUNT / FD_DTYPE_COUNT / 7], i % 3 ? 0 : 8);
        }
        fd_set_num_threads(3);
        check(isa, FD_OP_add, FD_f32, MANY, 16, 77, 0);
        fd_set_num_threads(1);
    }
    fd_set_streaming_bytes(streaming);
    fd_isa_select(before);
}
