/* One element-wise operation on arrays of any strides, under decisions that are numbered in any
 * way: what the functions of fastdrop.h and the Python binding fill in. */
#ifndef FD_CALL_H
#define FD_CALL_H

#include "kernel.h"

enum { FD_OPERANDS = 3 };

/* The axes that operands have in common: strides in bytes, 0 where an operand is broadcast. Along
 * each axis the next element's decision is `steps` further: 0 shares it, and what is part of a
 * larger array has the steps of the larger one. No step is negative. */
typedef struct fd_axes {
    int ndim, operands;
    size_t shape[FD_MAX_DIMS];
    ptrdiff_t strides[FD_OPERANDS][FD_MAX_DIMS], steps[FD_MAX_DIMS];
} fd_axes;

/* What is read and written, the numbers, and what becomes of kept elements and of dropped ones;
 * products and sums are rounded in the compute type each:
 *
 *   scale         x         y       scale                   x * scale; +0.0
 *   affine        x         y       scale, shift, dropped   x * scale + shift; dropped
 *   add           x, r      y       scale                   x * scale + r; r
 *   select        a, b      y                               a; b
 *   split         dy        da, db                          da = dy, db = +0.0; the other way round
 *   mix           a, b      y       keep, drop              a * keep + b * drop
 *   unmix         dy        da, db  keep, drop              dy * keep, dy * drop
 *   act           x         y       scale                   act(x + bias) * scale; +0.0
 *   act_slope     x, dy     dx      scale                   (dy * scale) * act'(x + bias); +0.0
 *   noise_factor  x         y       deviation               x * (1 + deviation * z)
 *   noise_add     x         y       deviation               x + deviation * z
 *
 * z is a normal variate, for which a decision takes two positions. */
typedef struct fd_call {
    fd_operation operation;
    fd_dtype dtype;
    void *at[FD_OPERANDS]; /* what is read, then what is written */
    fd_axes axes;
    int drawn; /* decision i is drawn at position key.offset + i, or, for variates, + 2 i */
    fd_key key;
    fd_plan plan; /* not looked at for variates */
    /* Where decisions are drawn: NULL, or room for as many bits as there are different ones, which
       saves drawing what is shared again. Else the decisions, packed, or NULL. */
    uint8_t *bits;
    const uint8_t *bools; /* given, a byte each, or NULL */
    double numbers[3];    /* of the compute type */
    fd_act act;
    fd_bias bias; /* of act and act_slope */
} fd_call;

/* What an operation is called; how many operands it reads, and how many it has. */
const char *fd_operation_name(int operation);
int fd_operation_reads(int operation);
int fd_operation_operands(int operation);

void fd_run(const fd_call *call);

/* The decisions of elements with such steps, in C order: packed, padding bits zero, or as bytes. */
void fd_draw_mask(uint8_t *out, int packed, int ndim, const size_t *shape, const ptrdiff_t *steps,
                  const fd_key *key, const fd_plan *plan);

#endif
