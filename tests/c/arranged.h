/* Element-wise calls on operands that lie in memory in any way. */
#ifndef ARRANGED_H
#define ARRANGED_H

#include "check.h"

enum { RANKS = 5 };

/* Decisions drawn, drawn once where they are shared, given as bits or bytes; or all kept. */
typedef enum source { DRAWN, DRAWN_ONCE, BITS, BOOLS, EVERY, SOURCES } source;

typedef struct arrays {
    int ndim;
    size_t shape[RANKS];
    const char *memory[2]; /* the order of the axes in memory, outermost first, of every other
                              operand; NULL: C order */
} arrays;

typedef struct arrangement {
    arrays of;
    size_t start[RANKS], window[RANKS]; /* the part of them that is computed; no window: all */
    unsigned shared, backward; /* by axes: whether elements share decisions; whether they lie in
                                  memory from the last one to the first */
    unsigned gaps;             /* by operands: whether neighbours lie apart */
    size_t misalignments[FD_OPERANDS]; /* of the operands, in bytes */
    int in_place;
    uint64_t offset;
    double p;
    fd_act act;
    size_t bias, column; /* how long one is, and where it begins; 0: as long as a row */
} arrangement;

/* The results are those of the scalar kernels on the same elements in C order, one after the other,
 * with a given bit for each; nothing else is written. */
void check_arranged(const arrangement *a, fd_operation operation, fd_dtype dtype, source from);

#endif
