/* fd_test KNOWN_ANSWERS: every kernel of every available instruction set, without Python. */
#include "check.h"
#include "fastdrop.h"

/* Under AddressSanitizer the bands may not even be read. */
#if defined(__SANITIZE_ADDRESS__)
#define FD_UNDER_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FD_UNDER_ASAN 1
#endif
#endif
#if defined(FD_UNDER_ASAN)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#endif

long checks_passed, checks_failed;

uint64_t next_random(uint64_t *state) {
    /* Not fastdrop's own mixer, so that an error in that cannot hide. (Knuth's MMIX constants.) */
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (*state >> 32) * UINT64_C(0x9E3779B1) ^ *state >> 29;
}

guarded guarded_new(size_t n, size_t misalignment) {
    guarded g;
    g.memory = malloc(n + 2 * GUARD + 128);
    if (!g.memory) {
        printf("out of memory\n");
        exit(2);
    }
    g.data = g.memory + GUARD;
    g.data += (64 - (uintptr_t)g.data % 64) % 64 + misalignment;
    g.n = n;
    memset(g.data - GUARD, GUARD_BYTE, GUARD);
    memset(g.data + n, GUARD_BYTE, GUARD - misalignment);
    ASAN_POISON_MEMORY_REGION(g.data - GUARD, GUARD);
    ASAN_POISON_MEMORY_REGION(g.data + n, GUARD - misalignment);
    return g;
}

/* NaN payloads are not specified: any NaN equals any NaN. */
int same_numbers(fd_dtype dtype, const uint8_t *a, const uint8_t *b, size_t n) {
    size_t size = dtype == FD_f64 ? 8 : dtype == FD_f32 ? 4 : 2;
    for (size_t i = 0; i < n; i++) {
        uint64_t u = 0, v = 0, infinity;
        memcpy(&u, a + i * size, size);
        memcpy(&v, b + i * size, size);
        if (u == v) { continue; }
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        u >>= 64 - 8 * size;
        v >>= 64 - 8 * size;
#endif
        infinity = dtype == FD_f32   ? 0x7F800000
                   : dtype == FD_f64 ? UINT64_C(0x7FF0000000000000)
                   : dtype == FD_f16 ? 0x7C00
                                     : 0x7F80;
        uint64_t magnitude = (UINT64_C(1) << (8 * size - 1)) - 1;
        if ((u & magnitude) <= infinity || (v & magnitude) <= infinity) { return 0; }
    }
    return 1;
}

/* Random bytes: every class of number turns up in every dtype, NaN and subnormals included. */
void guarded_fill(guarded *g, uint64_t seed) {
    for (size_t i = 0; i < g->n; i++) { g->data[i] = (uint8_t)(next_random(&seed) >> 7); }
}

int guarded_intact(const guarded *g) {
    size_t after = GUARD - (size_t)((uintptr_t)g->data % 64);
    ASAN_UNPOISON_MEMORY_REGION(g->data - GUARD, GUARD + g->n + after);
    for (size_t i = 0; i < GUARD; i++) {
        if (g->data[-1 - (ptrdiff_t)i] != GUARD_BYTE) { return 0; }
    }
    for (size_t i = 0; i < after; i++) {
        if (g->data[g->n + i] != GUARD_BYTE) { return 0; }
    }
    return 1;
}

void guarded_free(guarded *g) {
    ASAN_UNPOISON_MEMORY_REGION(g->data - GUARD, g->n + 2 * GUARD);
    free(g->memory);
}

int main(int argc, char **argv) {
    if (argc != 2) {
        printf("usage: fd_test KNOWN_ANSWERS\n");
        return 2;
    }
    for (int i = 0; i < fd_isa_count(); i++) {
        const char *reason = fd_isa_reason(i);
        printf("%-8s %s\n", fd_isa_name(i), reason ? reason : "tested");
    }
    test_stream();
    test_known_answers(argv[1]);
    test_kernels();
    test_computing();
    test_products();
    test_norms();
    test_long_rows();
    test_drive();
    test_lines();
    test_permuted();
    test_samples();
    test_tiled();
    test_windows();
    test_api();
    test_xla();
    test_environment();
    test_pool();
    printf("%ld passed, %ld failed\n", checks_passed, checks_failed);
    return checks_failed != 0;
}
