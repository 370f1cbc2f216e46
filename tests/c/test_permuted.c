/* Arrays that are dense in memory in another order: every element against the mask in order. */
#include "check.h"
#include "fastdrop.h"
#include "run/permuted.h"

static const size_t itemsize[FD_DTYPE_COUNT] = {4, 8, 2, 2};

enum { MOST_AXES = 5 };

/* A shape, and the order in which its axes lie in memory, outermost first. */
typedef struct order {
    int ndim;
    size_t shape[MOST_AXES];
    int memory[MOST_AXES];
} order;

/* Lengths on both sides of a byte, a word, a piece of the mask and a box; sides that are narrow,
 * joined and cut; elements in runs; more boxes than one. */
static const order orders[] = {
    {2, {1, 1}, {1, 0}},
    {2, {2, 3}, {1, 0}},
    {2, {63, 65}, {1, 0}},
    {2, {64, 64}, {1, 0}},
    {2, {129, 1025}, {1, 0}},
    {2, {1023, 257}, {1, 0}},
    {2, {5000, 3}, {1, 0}},
    {2, {3, 5000}, {1, 0}},
    {2, {8, 4097}, {1, 0}},
    {2, {4097, 9}, {1, 0}},
    {2, {2, 150000}, {1, 0}},
    {2, {150000, 2}, {1, 0}},
    {3, {7, 3, 1000}, {0, 2, 1}},
    {3, {300, 16, 8}, {0, 2, 1}},
    {3, {300, 5, 7}, {0, 2, 1}},
    {3, {40, 50, 4}, {1, 0, 2}},
    {3, {5, 66, 67}, {2, 1, 0}},
    {4, {3, 64, 21, 23}, {0, 2, 3, 1}},
    {4, {8, 4, 9, 17}, {3, 2, 1, 0}},
    {4, {9, 5, 33, 31}, {2, 0, 3, 1}},
    {5, {3, 5, 2, 4, 37}, {4, 2, 0, 3, 1}},
};

static fd_layout layout_of(const order *o, size_t item) {
    fd_layout layout = {.ndim = o->ndim};
    ptrdiff_t stride = (ptrdiff_t)item, bit = 1;
    for (int i = o->ndim - 1; i >= 0; i--) {
        int d = o->memory[i];
        layout.shape[d] = o->shape[d];
        layout.x_strides[d] = layout.y_strides[d] = stride;
        stride *= (ptrdiff_t)o->shape[d];
    }
    for (int d = o->ndim - 1; d >= 0; d--) {
        layout.mask_strides[d] = bit;
        bit *= (ptrdiff_t)o->shape[d];
    }
    return layout;
}

static size_t place_of(const fd_layout *layout, size_t element) {
    ptrdiff_t place = 0;
    for (int d = layout->ndim - 1; d >= 0; d--) {
        place += (ptrdiff_t)(element % layout->shape[d]) * layout->y_strides[d];
        element /= layout->shape[d];
    }
    return (size_t)place;
}

static size_t size_of(const order *o) {
    size_t n = 1;
    for (int d = 0; d < o->ndim; d++) { n *= o->shape[d]; }
    return n;
}

/* What a contiguous array becomes is tested elsewhere: here it is the oracle. */
static void check(const order *o, int number, fd_dtype dtype, int in_place) {
    size_t n = size_of(o), item = itemsize[dtype];
    fd_layout layout = layout_of(o, item);
    fd_key key = {5, 6, 4096 * 7 + (uint64_t)number * 1001};
    fd_plan plan = fd_plan_make(0.4);
    double scale = fd_scale_make(dtype, 0.4);
    guarded x = guarded_new(n * item, 4), y = guarded_new(n * item, 8);
    guarded ordered = guarded_new(n * item, 0), bits = guarded_new((n + 7) / 8, 1);
    uint8_t *to = in_place ? x.data : y.data;
    fd_mask_bits(bits.data, n, &key, &plan);
    for (int given = 0; given < 2; given++) {
        for (size_t i = 0; i < x.n; i++) { x.data[i] = (uint8_t)(i * 37 % 251 % 120); }
        memset(y.data, 0x55, y.n);
        for (size_t i = 0; i < n; i++) {
            memcpy(ordered.data + i * item, x.data + place_of(&layout, i), item);
        }
        fd_dropout(dtype, ordered.data, ordered.data, n, &key, &plan, scale);
        if (given) {
            fd_apply_bits(dtype, x.data, to, &layout, bits.data, scale);
        } else {
            fd_dropout_strided(dtype, x.data, to, &layout, &key, &plan, scale);
        }
        int good = 1;
        for (size_t i = 0; i < n; i++) {
            good &= !memcmp(ordered.data + i * item, to + place_of(&layout, i), item);
        }
        CHECK(good, "permuted %d, dtype %d, in place %d, mask given %d", number, (int)dtype,
              in_place, given);
        CHECK(guarded_intact(&x) && guarded_intact(&y) && guarded_intact(&bits),
              "permuted %d wrote outside its array", number);
    }
    guarded_free(&x);
    guarded_free(&y);
    guarded_free(&ordered);
    guarded_free(&bits);
}

/* Shared in any way, too: the mask of a permuted array has the shape that is left. */
static void check_shared(const order *o, int number, unsigned shared) {
    size_t n = size_of(o), bit = 1;
    fd_layout layout = layout_of(o, 4);
    for (int d = o->ndim - 1; d >= 0; d--) {
        layout.mask_strides[d] = shared >> d & 1 ? 0 : (ptrdiff_t)bit;
        bit *= shared >> d & 1 ? 1 : layout.shape[d];
    }
    guarded x = guarded_new(n * 4, 4), bits = guarded_new((bit + 7) / 8, 1);
    guarded_fill(&bits, n);
    for (size_t i = 0; i < n; i++) { memcpy(x.data + 4 * i, &(float){(float)i + 1}, 4); }
    fd_apply_bits(FD_f32, x.data, x.data, &layout, bits.data, 2.0);
    int good = 1;
    for (size_t i = 0; i < n; i++) {
        size_t place = place_of(&layout, i), at = 0, rest = i;
        for (int d = layout.ndim - 1; d >= 0; d--) {
            at += rest % layout.shape[d] * (size_t)layout.mask_strides[d];
            rest /= layout.shape[d];
        }
        float got, from = (float)(place / 4) + 1;
        memcpy(&got, x.data + place, 4);
        good &= got == (bits.data[at >> 3] >> (at & 7) & 1 ? from * 2.0F : 0.0F);
    }
    CHECK(good, "permuted %d, shared along %u", number, shared);
    CHECK(guarded_intact(&x) && guarded_intact(&bits), "permuted %d, shared: wrote outside",
          number);
    guarded_free(&x);
    guarded_free(&bits);
}

/* Enough for the pool, with stores that bypass the cache and without. */
static void test_threads(void) {
    static const order big = {3, {3, 600, 700}, {0, 2, 1}}, wide = {3, {900, 2, 900}, {2, 0, 1}};
    size_t streaming = fd_get_streaming_bytes();
    for (int threads = 1; threads <= 4; threads++) {
        fd_set_num_threads(threads);
        fd_set_streaming_bytes(threads % 2 ? 1 : SIZE_MAX);
        check(&big, 100 + threads, FD_f32, threads > 2);
        check(&wide, 200 + threads, FD_f64, threads < 3);
    }
    fd_set_num_threads(1);
    fd_set_streaming_bytes(streaming);
}

void test_permuted(void) {
    int best = fd_isa_active();
    for (int isa = 0; isa < fd_isa_count(); isa++) {
        if (fd_isa_select(isa)) { continue; }
        for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
            fd_dtype dtype = (fd_dtype)((i + (size_t)isa) % FD_DTYPE_COUNT);
            check(&orders[i], (int)i, dtype, 0);
            check(&orders[i], (int)i, dtype, 1);
            for (unsigned shared = 1; shared < 1U << orders[i].ndim; shared++) {
                check_shared(&orders[i], (int)i, shared);
            }
        }
        test_threads();
    }
    fd_isa_select(best);
}
