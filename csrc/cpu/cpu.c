/* What this CPU can do: CPUID and XGETBV by hand, because __builtin_cpu_supports does not link with
 * every compiler's run-time library. */
#include <string.h>

#include "dispatch.h"
#include "run/shared.h"

#if defined(__x86_64__) || defined(_M_X64)
#if defined(_MSC_VER)
#include <intrin.h>
#else
#include <cpuid.h>
#endif

enum { EAX, EBX, ECX, EDX };

static void cpuid(unsigned leaf, unsigned sub, unsigned r[4]) {
#if defined(_MSC_VER)
    __cpuidex((int *)r, (int)leaf, (int)sub);
#else
    __cpuid_count(leaf, sub, r[EAX], r[EBX], r[ECX], r[EDX]);
#endif
}

/* Which register states the operating system saves. */
static unsigned saved_states(void) {
#if defined(_MSC_VER)
    return (unsigned)_xgetbv(0);
#else
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
#endif
}

/* Features that avx2 and avx512 stand for, in the order in which they are asked for. */
static const struct {
    const char *lacking;
    unsigned leaf, reg, bit;
    int avx512_only;
} features[] = {
    {"this CPU lacks AVX", 1, ECX, 28, 0},      {"this CPU lacks FMA", 1, ECX, 12, 0},
    {"this CPU lacks F16C", 1, ECX, 29, 0},     {"this CPU lacks AVX2", 7, EBX, 5, 0},
    {"this CPU lacks AVX512F", 7, EBX, 16, 1},  {"this CPU lacks AVX512DQ", 7, EBX, 17, 1},
    {"this CPU lacks AVX512BW", 7, EBX, 30, 1}, {"this CPU lacks AVX512VL", 7, EBX, 31, 1},
};

static const char *x86_lacks(int avx512) {
    unsigned leaves[8][4] = {{0}}, r[4];
    cpuid(0, 0, r);
    if (r[EAX] < 7) { return "this CPU lacks AVX2"; }
    cpuid(1, 0, leaves[1]);
    cpuid(7, 0, leaves[7]);
    for (size_t i = 0; i < sizeof features / sizeof *features; i++) {
        if (features[i].avx512_only && !avx512) { continue; }
        if (!(leaves[features[i].leaf][features[i].reg] >> features[i].bit & 1)) {
            return features[i].lacking;
        }
    }
    if (!(leaves[1][ECX] >> 27 & 1)) { return "the operating system does not enable XSAVE"; }
    unsigned needed = avx512 ? 0xE6 : 0x06; /* SSE and AVX state; masks and both ZMM halves */
    if ((saved_states() & needed) != needed) {
        return avx512 ? "the operating system does not save AVX-512 registers"
                      : "the operating system does not save AVX registers";
    }
    return NULL;
}

const char *fd_cpu_lacks(const char *isa) {
    if (!strcmp(isa, "avx512")) { return x86_lacks(1); }
    if (!strcmp(isa, "avx2")) { return x86_lacks(0); }
    return NULL;
}

/* The largest cache that one leaf describes: 4 on Intel, 0x8000001D on AMD, same layout. */
static size_t cache_of_leaf(unsigned leaf) {
    size_t largest = 0;
    for (unsigned i = 0; i < 8; i++) {
        unsigned r[4];
        cpuid(leaf, i, r);
        if (!(r[EAX] & 31)) { break; }
        size_t line = (r[EBX] & 0xFFF) + 1, parts = (r[EBX] >> 12 & 0x3FF) + 1;
        size_t bytes = line * parts * ((r[EBX] >> 22) + 1) * ((size_t)r[ECX] + 1);
        if (bytes > largest) { largest = bytes; }
    }
    return largest;
}

static size_t cache_bytes(void) {
    unsigned r[4];
    cpuid(0, 0, r);
    size_t bytes = r[EAX] >= 4 ? cache_of_leaf(4) : 0;
    cpuid(0x80000000, 0, r);
    if (!bytes && r[EAX] >= 0x8000001D) { bytes = cache_of_leaf(0x8000001D); }
    return bytes;
}

/* Processors on which loops through the cache are faster without software prefetching, by CPUID's
 * vendor (its first four letters), family and models. On Zen 4 dropout in place of 16 M float32 ran
 * at 0.87 of a plain scale loop's speed with it and at 1.01 without. With it Sapphire Rapids gains
 * a fifth and Zen 3 a third past L2; Zen 5 gains a fifth at 4 and 16 M in place, and nine tenths in
 * dropout_add past the cache (out of place at 3 M it loses a tenth). Where dropout's results
 * bypass the cache Zen 4 gains a tenth, too: there it is on for all. */
static const struct {
    unsigned vendor, family, first_model, last_model;
} without_prefetch[] = {
    {0x68747541, 0x19, 0x10, 0x1F}, /* Zen 4: EPYC 9004, Threadripper 7000 */
    {0x68747541, 0x19, 0x60, 0x7F}, /* Zen 4: Ryzen 7000, 8000 */
    {0x68747541, 0x19, 0xA0, 0xAF}, /* Zen 4c: EPYC 97x4, 8004 */
};

static int prefetch_gains(void) {
    unsigned r[4], vendor, family, model;
    cpuid(0, 0, r);
    vendor = r[EBX];
    cpuid(1, 0, r);
    family = r[EAX] >> 8 & 0xF;
    model = (r[EAX] >> 4 & 0xF) | (r[EAX] >> 12 & 0xF0);
    if (family == 0xF) { family += r[EAX] >> 20 & 0xFF; }
    for (size_t i = 0; i < sizeof without_prefetch / sizeof *without_prefetch; i++) {
        if (vendor == without_prefetch[i].vendor && family == without_prefetch[i].family &&
            model >= without_prefetch[i].first_model && model <= without_prefetch[i].last_model) {
            return 0;
        }
    }
    return 1;
}
#else
/* NEON is part of AArch64, and the other sets are not compiled for these targets. */
const char *fd_cpu_lacks(const char *isa) {
    (void)isa;
    return NULL;
}

static size_t cache_bytes(void) { return 0; }
static int prefetch_gains(void) { return 1; }
#endif

/* 1 or 0; -1: not asked yet. Several threads may ask at first: they all find the same. */
static FD_SHARED(int) prefetch = -1;
static FD_SHARED(int) past_cache = 1;

void fd_set_prefetch(int on) { prefetch = past_cache = on != 0; }
int fd_prefetches_past_cache(void) { return past_cache; }
int fd_get_prefetch(void) {
    if (prefetch < 0) { prefetch = prefetch_gains(); }
    return prefetch;
}

size_t fd_cpu_cache_bytes(void) {
    /* A server's last-level cache may be hundreds of megabytes, but dozens of cores share it: at
     * 128 MB, storing past it was measured twice as fast as through it (260 MB, Sapphire Rapids).
     */
    const size_t typical = (size_t)32 << 20, most = (size_t)64 << 20;
    size_t bytes = cache_bytes();
    return !bytes ? typical : bytes < most ? bytes : most;
}
