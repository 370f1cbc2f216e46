/* Results of every operation past the cache, wherever they begin in a cache line and the decisions
 * in the stream. */
#include "arranged.h"

/* With the second probability every other block drops all. */
static const struct {
    source from;
    double p;
    size_t n;
} ways[] = {{DRAWN, 0.4, 2 * FD_BLOCK + 1001},
            {DRAWN, 1 - 0x1p-17, 3 * FD_BLOCK + 64},
            {BITS, 0.1, FD_BLOCK + 700},
            {BITS, 0.5, 2 * FD_BLOCK + 31}};
static const size_t places[] = {0, 1, 4, 8, 16, 30, 60};
static const uint64_t offsets[] = {0, 64, 77, FD_BLOCK - 1};
/* Repeated within a word, as long as one, and with ends within chunks and none. */
static const size_t biases[] = {11, 64, 700, 5000};
static const fd_act acts[] = {FD_ACT_RELU, FD_ACT_NONE, FD_ACT_GELU};

/* `apart`: by how many bytes more a second result is shifted. */
static void check(fd_operation op, fd_dtype dtype, source from, double p, size_t n, size_t place,
                  uint64_t offset, size_t apart, unsigned number) {
    arrangement a = {.of = {1, {n}, {NULL}},
                     .offset = offset,
                     .p = p,
                     .act = acts[number % COUNT(acts)],
                     .bias = biases[number / 4 % COUNT(biases)],
                     .column = 5};
    for (int i = 0; i < fd_operation_operands(op); i++) {
        int result = i - fd_operation_reads(op);
        a.misalignments[i] = result < 0 ? 4 * (size_t)i : place + apart * (size_t)result;
    }
    check_arranged(&a, op, dtype, is_noise(op) ? DRAWN : from);
}

void test_lines(void) {
    fd_set_streaming_bytes(1);
    for (unsigned i = 0; i < COUNT(ways) * COUNT(offsets) * COUNT(places) * FD_DTYPE_COUNT; i++) {
        unsigned way = i / 4 / COUNT(places) / COUNT(offsets);
        for (unsigned op = 0; op < FD_OPERATION_COUNT; op++) {
            check((fd_operation)op, (fd_dtype)(i % 4), ways[way].from, ways[way].p, ways[way].n,
                  places[i / 4 % COUNT(places)], offsets[i / 4 / COUNT(places) % COUNT(offsets)],
                  (i + op) % 3 ? 0 : 8, i);
        }
    }
    fd_set_num_threads(3); /* enough for the pool */
    check(FD_OP_add, FD_f32, DRAWN, 0.4, 800003, 16, 77, 0, 0);
    check(FD_OP_act, FD_f32, DRAWN, 0.4, 800003, 16, 77, 0, 8);
}
