/* A call at work: what its chunks have in common. */
#ifndef FD_RUN_H
#define FD_RUN_H

#include "call.h"

typedef struct fd_job {
    const fd_call *call;
    const fd_table *table;
    fd_operation operation;
    fd_dtype dtype;
    size_t size; /* bytes of an element */
    int reads, operands;
    int streaming; /* whether stores may bypass the cache */
    int lines;     /* whether those of an operation other than scale do, by whole cache lines */
} fd_job;

enum { FD_LINE = 64 };

/* Whether the operands' results are stored past the cache. */
static inline int fd_takes_lines(const fd_job *j, char *const *at) {
    return j->lines && (uintptr_t)at[j->reads] % FD_LINE == 0;
}

/* Computes n elements, which are neighbours in every operand: `at` has where each begins. Their
 * keep bits are those from `bit0` on. `bias` is that of up to 4096 of them at a time. */
void fd_apply(const fd_job *j, char *const *at, size_t n, const uint8_t *bits, size_t bit0,
              const char *bias);

/* The same of as many as a kernel takes at a time, with their bits, draw or variates. */
void fd_compute(const fd_job *j, char *const *at, size_t n, const fd_keep *keep,
                const fd_variates *variates, const char *bias);

#endif
