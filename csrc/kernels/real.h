/* The arithmetic vocabulary, which element-wise kernels are written on, and their operands.
 *
 * simd/<isa>_real.h defines, for R = r32 (binary32) and r64 (binary64), the types v_R (FD_N_R
 * numbers) and k_R (a mask of as many), and */
// clang-format off
/* R_load_<dtype> R_store_<dtype>   FD_N_R elements, widened to R and rounded to nearest even; the
 *                                  last argument: to an aligned address, past the cache if the
 *                                  instruction set can
 * R_set R_bits                     a number, or a bit pattern, in all places
 * R_add R_sub R_mul R_div          as IEEE 754 has them: the same bits everywhere
 * R_max R_min                      a > b ? a : b, and a < b ? a : b: b where one is a nan
 * R_fma                            a * b + c, rounded once or twice: where bits may differ, or the
 *                                  product is exact
 * R_and R_or R_xor R_shl R_shr R_iadd   on the bit patterns, as integers
 * R_lt R_le R_nan                  masks; false where one is a nan, true where v is one
 * R_select R_keep                  k ? a : b, and k ? v : +0.0
 * R_all                            whether a mask is true in all places
 * R_mask                           the i-th FD_N_R bits of a word, lowest first
 * R_fields R_add_kept              where FD_DIRECT_MASKS: the i-th FD_N_R of a mask of fields,
 *                                  and k ? a + b : a
 * R_sum                            by halves: first place i and place i + FD_N_R / 2, and so on
 * R_largest                        of all places, none of them a nan
 * r64_load_f32                     FD_N_r64 binary32 numbers, widened
 * r32_words                        FD_N_r32 words of two 16-bit fields each, the lower field first
 * r32_drawn                        the same of a register of the generator: only where its lanes are in
 *                                  order, and FD_DRAWS_NORMAL says that variates are drawn in the
 *                                  loop that uses them, which takes 32 registers
 * r32_signed                       the numbers that the bit patterns are as signed integers, rounded
 * r32_octave                       of a row of 32 numbers, in each place that at the lowest five bits
 *                                  of v's exponent; shorter where the last argument, a constant,
 *                                  says that r32_usual(v) was true */
// clang-format on
/* No product and sum may be contracted to an FMA. */
#ifndef FD_REAL_H
#define FD_REAL_H

#include <math.h>

#include "../kernel.h"

/* The arguments of the loops in act.h. */
typedef struct fd_act_context {
    double scale;
    fd_act act;
} fd_act_context;

/* Registers whose functions are computed at once: four chains of operations that each wait for the
 * one before, in the order of the steps; gcc writes one chain after the other where nothing says
 * that a step ends. */
enum { FD_TOGETHER = 4 };
#if !defined(FD_IN_STEP)
#define FD_IN_STEP(v) ((void)(v))
#endif

/* Names used in the bodies, for the dtype D and its compute type R: */
#define V(op) FD_CAT(R, op)
#define VR FD_CAT(v, R)
#define VN FD_CAT(FD_N, R)
#define LOAD(p) FD_CAT(V(load), D)(p)
#define STORE(p, v) PUT(p, v, 0)
#define PUT(p, v, nt) FD_CAT(V(store), D)(p, v, nt)

/* Of a compute type: the dtype that stores it as it is, and its bytes. */
#define FD_STORED_r32 f32
#define FD_STORED_r64 f64
#define FD_BYTES_r32 4
#define FD_BYTES_r64 8

#endif
