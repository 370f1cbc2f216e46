/* The caller's floating-point modes. It flushes subnormals, where the processor can, and rounds
 * down: every result stays as it is, also from helpers that were started meanwhile and inherit the
 * modes, and afterwards the caller's modes are as they were. */
#include "check.h"

#if defined(__SSE2__) || defined(_M_X64)
#include <xmmintrin.h>
enum { PLAIN = 0x1F80, ODD = PLAIN | 0x8000 | 0x0040 | 0x2000, FLUSHES = 1 };
static unsigned get_modes(void) { return _mm_getcsr() & ~0x3FU; }
static void set_modes(unsigned modes) { _mm_setcsr(modes); }
#elif defined(__aarch64__)
enum { PLAIN = 0, ODD = 1 << 24 | 2 << 22, FLUSHES = 1 };
static unsigned get_modes(void) {
    uint64_t fpcr;
    __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
    return (unsigned)fpcr;
}
static void set_modes(unsigned modes) {
    uint64_t fpcr = modes;
    __asm__ volatile("msr fpcr, %0" : : "r"(fpcr));
}
#else
#include <fenv.h>
enum { PLAIN = FE_TONEAREST, ODD = FE_DOWNWARD, FLUSHES = 0 };
static unsigned get_modes(void) { return (unsigned)fegetround(); }
static void set_modes(unsigned modes) { fesetround((int)modes); }
#endif

/* Were the modes not in force, everything below would pass without saying anything. */
static void test_that_the_modes_are_odd(void) {
    volatile float third = 1.0F, tiny = 1e-40F;
    volatile double tenth = 1.0;
    set_modes(ODD);
    third /= 3.0F;
    tenth /= 10.0;
    tiny *= 0.75F;
    set_modes(PLAIN);
    CHECK(third < 1.0F / 3.0F && tenth < 0.1, "the caller's division does not round down");
    CHECK(!FLUSHES || tiny == 0.0F, "the caller does not flush subnormals");
}

static void test_scales(void) {
    uint64_t state = 1;
    for (int i = 0; i < 1000; i++) {
        double p = (double)(next_random(&state) >> 11) * 0x1p-53;
        for (int dtype = 0; dtype < FD_DTYPE_COUNT; dtype++) {
            volatile double keep = 1.0 - p, expected = 1.0 / keep;
            if (dtype != FD_f64) { expected = (float)expected; }
            set_modes(ODD);
            double got = fd_scale_make((fd_dtype)dtype, p);
            set_modes(PLAIN);
            CHECK(got == expected, "the scale of p = %a, dtype %d: %a", p, dtype, got);
        }
    }
}

/* Helpers that do not exist yet are started in the odd modes. */
static void test_call(fd_dtype dtype, size_t bytes, int threads) {
    guarded x = guarded_random(bytes, 8, bytes + dtype);
    guarded expected = guarded_new(bytes, 0), y = guarded_new(bytes, 0);
    size_t n = bytes / fd_itemsize(dtype);
    for (size_t i = 0; i < bytes && dtype == FD_f32; i += 8) { /* few random bytes are subnormal */
        float tiny = 1e-45F * (float)(3 * i + 1);
        memcpy(x.data + i, &tiny, sizeof tiny);
    }
    fd_key key = {1, 2, 3};
    fd_plan plan = fd_plan_make(0.1);
    fd_set_num_threads(1);
    fd_dropout(dtype, x.data, expected.data, n, &key, &plan, (float)(1 / 0.9));
    fd_set_num_threads(threads);
    set_modes(ODD);
    fd_dropout(dtype, x.data, y.data, n, &key, &plan, (float)(1 / 0.9));
    unsigned after = get_modes();
    set_modes(PLAIN);
    CHECK(!memcmp(y.data, expected.data, bytes), "dtype %d, %d threads: other bits in odd modes",
          (int)dtype, threads);
    CHECK(after == ODD, "the caller's modes are 0x%x afterwards", after);
    CHECK(guarded_end(), "dtype %d: wrote outside its array", (int)dtype);
}

void test_environment(void) {
    test_that_the_modes_are_odd();
    test_scales();
    for (int dtype = 0; dtype < FD_DTYPE_COUNT; dtype++) {
        test_call((fd_dtype)dtype, 16 * 1024, 1);
    }
    test_call(FD_f32, (size_t)4 << 20, 8 + fd_isa_active());
}
