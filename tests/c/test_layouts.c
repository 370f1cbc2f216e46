/* Every operation on operands in every order, shape and window, by every source of decisions. */
#include "arranged.h"

/* Matrices with gaps and in another order than C's, under a mask that is shared in any way. */
static void test_strides(void) {
    static const char *const orders[] = {NULL, "120", NULL};
    for (unsigned i = 0; i < 3 * 3 * 8 * SOURCES; i++) {
        unsigned x = i % 3, y = i / 3 % 3;
        source from = (source)(i / 72); /* shared decisions are drawn one by one in test_windows */
        const arrangement a = {.of = {3, {37, 211, 3}, {orders[x], orders[y]}},
                               .shared = from == DRAWN ? 0 : i / 9 % 8,
                               .gaps = (x == 2) | (y == 2) << 1,
                               .offset = 4095,
                               .p = 0.3};
        check_arranged(&a, FD_OP_scale, FD_f32, from);
        check_arranged(&a, FD_OP_affine, FD_f32, from);
    }
    for (unsigned backward = 0; backward < 8; backward++) {
        const arrangement a = {.of = {3, {7, 101, 33}, {NULL}},
                               .backward = backward,
                               .in_place = 1,
                               .offset = 7,
                               .p = 0.5};
        check_arranged(&a, FD_OP_scale, FD_f32, DRAWN);
    }
}

/* Rows of bits again and again, of every length that is treated in a way of its own, and rows of
 * elements that share them. */
static void test_repeated(void) {
    static const size_t lengths[] = {1, 2, 7, 31, 32, 33, 63, 64, 65, 100, 128, 200, 2047, 2048};
    static const size_t times[] = {1, 2, 3, 11, 12, 13, 40, 200};
    static const size_t together[] = {1, 3, 70};
    for (size_t i = 0; i < 14 * 8 * 3 * 2; i++) {
        size_t b = lengths[i % 14], m = times[i / 14 % 8], k = together[i / 112 % 3];
        size_t room = (i / 336 ? 23421 : 5855) / (b * m * k);
        const arrangement a = {
            .of = {4, {room < 7 ? room : 7, m, b, k}, {NULL}}, .shared = 1 << 1 | 1 << 3, .p = 0.4};
        if (room) { check_arranged(&a, FD_OP_scale, FD_f32, BITS); }
    }
}

/* Shapes, and the order of their axes in memory: of the first ones, where operands have an order
 * each or all have the same. */
static const arrays orders[] = {
    /* One bias for a short, a long, a longer run of memory, and several in a run; rows of boxes
     * that would begin in the same places of a cache. */
    {2, {33, 2100}, {"10", "10"}},
    {2, {70, 1100}, {"10", "10"}},
    {3, {90, 7, 33}, {"201", "201"}},
    {4, {3, 65, 9, 23}, {"0231", "0231"}},
    {3, {30, 16, 8}, {"021", "021"}},
    {4, {5, 9, 16, 17}, {"3210", "3210"}},
    {2, {20, 1536}, {"10", "10"}},
    /* Rows of many tiles, of one, of less; neighbours along the axis before the last and along
     * others; lines that are cut; axes too short for tiles. */
    {2, {300, 64}, {"10", "01"}},
    {2, {1500, 3}, {"01", "10"}},
    {2, {3, 1500}, {"10", "01"}},
    {3, {3, 700, 9}, {"021", "012"}},
    {3, {19, 5, 300}, {"210", "012"}},
    {3, {7, 33, 65}, {"201", "021"}},
    {4, {2, 7, 9, 70}, {"3102", "1032"}},
    /* Lengths on both sides of a byte, a word, a piece of the mask and a box; sides that are
     * narrow, joined and cut; elements in runs; more boxes than one. */
    {2, {1, 1}, {"10", "10"}},
    {2, {2, 3}, {"10", "10"}},
    {2, {63, 65}, {"10", "10"}},
    {2, {64, 64}, {"10", "10"}},
    {2, {129, 1025}, {"10", "10"}},
    {2, {1023, 257}, {"10", "10"}},
    {2, {5000, 3}, {"10", "10"}},
    {2, {3, 5000}, {"10", "10"}},
    {2, {8, 4097}, {"10", "10"}},
    {2, {4097, 9}, {"10", "10"}},
    {2, {2, 150000}, {"10", "10"}},
    {2, {150000, 2}, {"10", "10"}},
    {3, {7, 3, 1000}, {"021", "021"}},
    {3, {300, 16, 8}, {"021", "021"}},
    {3, {300, 5, 7}, {"021", "021"}},
    {3, {40, 50, 4}, {"102", "102"}},
    {3, {5, 66, 67}, {"210", "210"}},
    {4, {3, 64, 21, 23}, {"0231", "0231"}},
    {4, {8, 4, 9, 17}, {"3210", "3210"}},
    {4, {9, 5, 33, 31}, {"2031", "2031"}},
    {5, {3, 5, 2, 4, 37}, {"42031", "42031"}},
};
enum { OF_ALL_OPERATIONS = 14 };

static void test_orders(void) {
    static const source sources[] = {DRAWN, BITS, EVERY};
    for (unsigned i = 0; i < COUNT(orders); i++) {
        arrangement a = {.of = orders[i], .offset = 4001 + 1001 * i, .p = 0.3};
        unsigned operations = i < OF_ALL_OPERATIONS ? FD_OPERATION_COUNT : 1; /* the first: scale */
        for (unsigned op = 0; op < operations; op++) {
            for (unsigned from = 0; from < (is_noise((int)op) ? 1 : COUNT(sources)); from++) {
                fd_dtype dtype = (fd_dtype)((op + i + from + (unsigned)fd_isa_active()) % 4);
                a.act = dtype == FD_f64 ? FD_ACT_GELU : FD_ACT_RELU;
                check_arranged(&a, (fd_operation)op, dtype, sources[from]);
            }
        }
        a.in_place = 1;
        check_arranged(&a, FD_OP_scale, (fd_dtype)(i % 4), DRAWN);
        for (; i >= OF_ALL_OPERATIONS && a.shared < 1U << a.of.ndim; a.shared++) {
            check_arranged(&a, FD_OP_scale, FD_f32, BITS);
        }
    }
    /* Enough for the pool, with stores that bypass the cache and without. */
    static const arrays big = {3, {3, 600, 700}, {"021", "021"}};
    static const arrays wide = {3, {900, 2, 900}, {"201", "201"}};
    for (int threads = 1; threads <= 4; threads++) {
        fd_set_num_threads(threads);
        fd_set_streaming_bytes(threads % 2 ? 1 : SIZE_MAX);
        for (int given = 0; given < 2; given++) {
            arrangement a = {.of = big, .p = 0.4, .in_place = threads > 2};
            check_arranged(&a, FD_OP_scale, FD_f32, given ? BITS : DRAWN);
            a = (arrangement){.of = wide, .p = 0.4, .in_place = threads < 3};
            check_arranged(&a, FD_OP_scale, FD_f64, given ? BITS : DRAWN);
        }
    }
    fd_set_num_threads(1);
}

/* Parts of larger arrays, whose last axis is longer than a block, a few words, less than a word,
 * one. */
static const arrays wholes[] = {
    {1, {9001}, {"0", "0"}},
    {2, {37, 211}, {"10", "10"}},
    {2, {3, 5003}, {"10", "10"}},
    {3, {5, 7, 130}, {"210", "210"}},
    {3, {40, 3, 33}, {"210", "210"}},
    {4, {3, 5, 9, 257}, {"3210", "3210"}},
    {4, {6, 4, 50, 2}, {"3210", "3210"}},
};

/* A window of about `size` of 8 of each axis, which begins at one of 8 places. */
static arrangement window_of(const arrays *whole, unsigned size, unsigned place, int in_order) {
    arrangement a = {.of = *whole, .offset = 4095 * place, .p = 0.3};
    for (unsigned d = 0; d < (unsigned)whole->ndim; d++) {
        a.window[d] = 1 + (whole->shape[d] - 1) * ((size + d) % 8) / 7;
        a.start[d] = (whole->shape[d] - a.window[d]) * ((place + 3 * d) % 8) / 7;
    }
    if (in_order) { a.of.memory[0] = a.of.memory[1] = NULL; }
    return a;
}

static void test_windows(void) {
    /* Under an emulator a fifth of the windows: each of the 16 in one array or another. */
    unsigned stride = getenv("FD_TEST_EMULATED") ? 5 : 1;
    for (unsigned i = 0; i < COUNT(wholes); i++) {
        for (unsigned k = ((unsigned)fd_isa_active() + i) % stride; k < 16; k += stride) {
            unsigned size = k % 8, place = (3 * k + k / 8) % 8;
            arrangement plain = window_of(&wholes[i], size, place, 1);
            arrangement scaled = window_of(&wholes[i], size, place, k % 2 == 0);
            arrangement selected = window_of(&wholes[i], size, place, k / 2 % 2 == 0);
            scaled.shared = selected.shared = k % 3 ? 0 : k / 3;
            scaled.offset = UINT64_MAX - 100000 + place;
            check_arranged(&scaled, FD_OP_scale, FD_f32, DRAWN);
            for (int dtype = 0; dtype < FD_DTYPE_COUNT; dtype++) {
                source from = selected.shared ? DRAWN_ONCE : DRAWN;
                check_arranged(&selected, FD_OP_select, (fd_dtype)dtype, from);
                if (k < 8) { check_arranged(&plain, FD_OP_noise_add, (fd_dtype)dtype, DRAWN); }
            }
        }
    }
}

void test_layouts(void) {
    test_strides();
    test_repeated();
    test_orders();
    test_windows();
}
