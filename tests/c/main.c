/* fd_test KNOWN_ANSWERS: every kernel of every available instruction set, without Python. */
#include "check.h"

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

enum { GUARD = 64, GUARD_BYTE = 0xA5, MOST_GUARDED = 32 };

static guarded all_guarded[MOST_GUARDED];
static int guarded_count;

guarded guarded_new(size_t n, size_t misalignment) {
    guarded g = {calloc(1, n + 3 * GUARD), NULL, n};
    if (!g.memory || guarded_count == MOST_GUARDED) {
        printf("out of memory\n");
        exit(2);
    }
    g.data = g.memory + GUARD;
    g.data += (0 - (uintptr_t)g.data) % 64 + misalignment;
    memset(g.data - GUARD, GUARD_BYTE, GUARD);
    memset(g.data + n, GUARD_BYTE, GUARD - misalignment);
    ASAN_POISON_MEMORY_REGION(g.data - GUARD, GUARD);
    ASAN_POISON_MEMORY_REGION(g.data + n, GUARD - misalignment);
    return all_guarded[guarded_count++] = g;
}

/* Every class of number turns up in every dtype, NaN and subnormals included. */
void guarded_fill(guarded *g, uint64_t seed) {
    for (size_t i = 0; i < g->n; i += 4) {
        uint64_t random = next_random(&seed);
        for (size_t k = i; k < g->n && k < i + 4; k++) { g->data[k] = (uint8_t)(random >>= 7); }
    }
}

guarded guarded_random(size_t n, size_t misalignment, uint64_t seed) {
    guarded g = guarded_new(n, misalignment);
    guarded_fill(&g, seed);
    return g;
}

int guarded_end(void) {
    int intact = 1;
    while (guarded_count) {
        guarded g = all_guarded[--guarded_count];
        size_t after = GUARD - (size_t)((uintptr_t)g.data % 64);
        ASAN_UNPOISON_MEMORY_REGION(g.data - GUARD, GUARD + g.n + after);
        for (size_t i = 0; i < GUARD; i++) { intact &= g.data[-1 - (ptrdiff_t)i] == GUARD_BYTE; }
        for (size_t i = 0; i < after; i++) { intact &= g.data[g.n + i] == GUARD_BYTE; }
        free(g.memory);
    }
    return intact;
}

void fill_with_numbers(guarded *g, fd_dtype dtype, uint64_t seed) {
    static const uint8_t exponents[FD_DTYPE_COUNT] = {0x3F, 0x3F, 0x3C, 0x3F};
    size_t size = fd_itemsize(dtype);
    guarded_fill(g, seed);
    for (size_t i = FD_BIG_ENDIAN ? 0 : size - 1; i < g->n; i += size) {
        g->data[i] = exponents[dtype] | (g->data[i] & 0x80);
    }
}

/* NaN payloads are not specified. */
int same_numbers(fd_dtype dtype, const uint8_t *a, const uint8_t *b, size_t n) {
    static const uint64_t infinities[FD_DTYPE_COUNT] = {0x7F800000, UINT64_C(0x7FF0000000000000),
                                                        0x7C00, 0x7F80};
    size_t size = fd_itemsize(dtype);
    uint64_t magnitude = UINT64_MAX >> (65 - 8 * size), infinity = infinities[dtype];
    int same = !memcmp(a, b, n * size);
    for (size_t i = 0; i < n && !same; i++) {
        uint64_t u = 0, v = 0;
        memcpy(low_bytes(&u, size), a + i * size, size);
        memcpy(low_bytes(&v, size), b + i * size, size);
        if (u != v && ((u & magnitude) <= infinity || (v & magnitude) <= infinity)) { return 0; }
    }
    return 1;
}

int main(int argc, char **argv) {
    static void (*const for_each[])(void) = {test_kernels, test_computing,   test_matrices,
                                             test_layouts, test_lines,       test_samples,
                                             test_threads, test_environment, test_api};
    if (argc != 2) {
        printf("usage: fd_test KNOWN_ANSWERS\n");
        return 2;
    }
    int best = fd_isa_active();
    size_t streaming = fd_get_streaming_bytes();
    for (int i = 0; i < fd_isa_count(); i++) {
        const char *reason = fd_isa_reason(i);
        printf("%-8s %s\n", fd_isa_name(i), reason ? reason : "tested");
    }
    test_known_answers(argv[1]);
    for (int i = 0; i < fd_isa_count(); i++) {
        for (size_t k = 0; k < COUNT(for_each) && !fd_isa_select(i); k++) {
            for_each[k]();
            fd_set_num_threads(1);
            fd_set_streaming_bytes(streaming);
        }
    }
    CHECK(fd_isa_select(-1) == -1 && fd_isa_select(fd_isa_count()) == -1, "selected no set");
    fd_isa_select(best);
    test_long_rows();
    fd_set_streaming_bytes(streaming);
    test_xla();
    test_pool();
    printf("%ld passed, %ld failed\n", checks_passed, checks_failed);
    return checks_failed != 0;
}
