/* Arrays whose memory is dense but in another order than their elements: the data are taken as they
 * lie, and the bits of the mask are brought into that order. */
#ifndef FD_PERMUTED_H
#define FD_PERMUTED_H

#include "layout.h"
#include "run.h"

/* The most bits that are permuted at a time, of which two buffers stay in the L1 cache; and the
 * most words, of which one stays in the L2 cache and on the stack. */
enum { FD_BOX = 1 << 17, FD_BOX_WORDS = 1 << 15 };

/* A part of an array: a range of each axis. Its mask, or the words that its normal variates are
 * made of, are brought from the order of the elements into the order of the memory; in both,
 * neighbours along an axis lie a fixed step apart. */
typedef struct fd_box {
    int ndim;
    size_t n[FD_MAX_DIMS];                                 /* elements along each axis */
    size_t from_steps[FD_MAX_DIMS], to_steps[FD_MAX_DIMS]; /* in bits, or words; 1 in one axis */
} fd_box;

/* Writes the bits of `from` (of `bytes` bytes, from bit `bit` on) into `to`, whose bits are zero
 * and which has 8 bytes to spare. */
void fd_permute_bits(uint8_t *to, const uint8_t *from, size_t bytes, size_t bit, const fd_box *box);

/* The same of words, all of which are written. */
void fd_permute_words(uint32_t *to, const uint32_t *from, const fd_box *box);

/* How arrays are cut into boxes. Axes are in the order of the memory, the last one contiguous in
 * every operand; decisions' steps are in bits. */
typedef struct fd_permuted {
    const fd_job *job;
    const fd_draw *draw; /* of decisions, or of variates, or else: */
    int variates;
    const uint8_t *bits; /* the mask, of so many bytes, or NULL where all is kept */
    size_t bytes;
    const char *bias; /* of the first element, where the operation adds one */
    int bias_axis;    /* along which it differs from element to element, or -1 */
    size_t bias_n;    /* how many numbers come again and again there */
    const fd_axes *axes;
    int by_mask[FD_MAX_DIMS];   /* the axes, nearest in the mask first */
    size_t length[FD_MAX_DIMS]; /* of a box along each axis; those at the end may be shorter */
    size_t boxes[FD_MAX_DIMS];  /* how many along each axis */
    int piece;                  /* a box has by_mask[0..piece] as one run of the mask */
    int stretch;                /* and the axes from this one on as one run of the memory */
} fd_permuted;

/* Cuts; returns how many boxes there are, or 0 where too few elements of one bias lie in one run,
 * or drawn decisions are shared or no neighbours. What is above `by_mask` is the caller's. */
size_t fd_permuted_cut(fd_permuted *p);

/* Computes one box: a task for the pool. No two boxes share an element. */
void fd_permuted_run(const fd_permuted *p, size_t index);

#endif
