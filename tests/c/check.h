/* The harness: counted checks, arrays between guard bands, reproducible random numbers. */
#ifndef CHECK_H
#define CHECK_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bits.h"
#include "call.h"
#include "cpu/dispatch.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

extern long checks_passed, checks_failed;

#define CHECK(condition, ...) \
    do { \
        if (condition) { \
            checks_passed++; \
        } else if (checks_failed++ < 20) { \
            printf("FAILED %s:%d: %s: ", __FILE__, __LINE__, fd_isa_name(fd_isa_active())); \
            printf(__VA_ARGS__); \
            printf("\n"); \
        } \
    } while (0)

/* An array of n bytes at any alignment, between bands that nobody may write to. */
typedef struct guarded {
    uint8_t *memory, *data;
    size_t n;
} guarded;

guarded guarded_new(size_t n, size_t misalignment); /* of zeros */
guarded guarded_random(size_t n, size_t misalignment, uint64_t seed);
void guarded_fill(guarded *g, uint64_t seed);

/* Frees all that there are; whether nobody wrote beside one. */
int guarded_end(void);

/* Random bytes are mostly far from 1: numbers of either sign around it instead. */
void fill_with_numbers(guarded *g, fd_dtype dtype, uint64_t seed);

/* Whether n numbers have the same bits; a NaN equals every NaN. */
int same_numbers(fd_dtype dtype, const uint8_t *a, const uint8_t *b, size_t n);

/* Those of a word's bytes that hold the lowest bits, as a number of `size` bytes has them. */
static inline uint8_t *low_bytes(uint64_t *word, size_t size) {
    return (uint8_t *)word + (FD_BIG_ENDIAN ? 8 - size : 0);
}

static inline int is_noise(int op) { return op == FD_OP_noise_factor || op == FD_OP_noise_add; }

uint64_t next_random(uint64_t *state);

/* The last instruction set is scalar, the oracle of the others. */
static inline const fd_table *oracle_table(void) { return fd_table_at(fd_isa_count() - 1); }

void test_known_answers(const char *path);

/* For the active instruction set; threads and stores may be left as a test has set them. */
void test_kernels(void);
void test_computing(void);
void test_matrices(void);
void test_layouts(void);
void test_lines(void);
void test_samples(void);
void test_threads(void);
void test_environment(void);
void test_api(void);

/* Once. */
void test_long_rows(void);
void test_xla(void);
void test_pool(void);

#endif
