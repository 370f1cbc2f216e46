/* The harness: counted checks, buffers between guard bands, reproducible random numbers. */
#ifndef CHECK_H
#define CHECK_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fastdrop.h"

extern long checks_passed, checks_failed;

#define CHECK(condition, ...) \
    do { \
        if (condition) { \
            checks_passed++; \
        } else if (checks_failed++ < 20) { \
            printf("FAILED %s:%d: ", __FILE__, __LINE__); \
            printf(__VA_ARGS__); \
            printf("\n"); \
        } \
    } while (0)

/* An array of n bytes at any alignment, between bands that nobody may write to. */
enum { GUARD = 64, GUARD_BYTE = 0xA5 };

typedef struct guarded {
    uint8_t *memory, *data;
    size_t n;
} guarded;

guarded guarded_new(size_t n, size_t misalignment);
void guarded_fill(guarded *g, uint64_t seed);
int guarded_intact(const guarded *g);
void guarded_free(guarded *g);

/* Whether n numbers have the same bits; a NaN equals every NaN. */
int same_numbers(fd_dtype dtype, const uint8_t *a, const uint8_t *b, size_t n);

uint64_t next_random(uint64_t *state);

void test_stream(void);
void test_known_answers(const char *path);
void test_kernels(void);
void test_computing(void);
void test_products(void);
void test_norms(void);
void test_long_rows(void);
void test_drive(void);
void test_lines(void);
void test_environment(void);
void test_pool(void);
void test_permuted(void);
void test_samples(void);
void test_tiled(void);
void test_windows(void);
void test_api(void);
void test_xla(void);

#endif
