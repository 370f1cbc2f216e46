/* fastdrop: dropout at the price of a multiplication.
 *
 * Every function here reads exactly the elements it is given, writes exactly the elements it is
 * given, allocates nothing and cannot fail: whoever calls has checked the arguments. Inputs and
 * outputs are either the same memory with the same layout, or do not overlap. No pointer has to
 * be aligned. The result depends on the arguments alone, never on the instruction set, the
 * number of threads, or the floating-point environment of the caller. A call takes up to 256 KB of
 * stack.
 */
#ifndef FASTDROP_H
#define FASTDROP_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FD_STREAM_VERSION 1
#define FD_MAX_DIMS 64 /* NumPy's own limit */

typedef enum fd_dtype { FD_f32, FD_f64, FD_f16, FD_bf16, FD_DTYPE_COUNT } fd_dtype;

/* Where in the stream the first element lies. */
typedef struct fd_key {
    uint64_t seed, stream, offset;
} fd_key;

/* A drop probability: floor(65536 p), and the chance (in 2^-64) that a block drops one more. */
typedef struct fd_plan {
    uint32_t threshold; /* 0..65536 */
    uint64_t fraction;
} fd_plan;

/* p must be in [0, 1]. */
fd_plan fd_plan_make(double p);

/* 1 / (1 - p), what kept elements are multiplied with, rounded to the dtype's compute type; p must
 * be in [0, 1). */
double fd_scale_make(fd_dtype dtype, double p);

/* The layout of an operation on strided arrays: strides in bytes, 0 where an axis is broadcast;
 * the mask's strides in elements of the mask (bits of a packed mask, bytes of a bool mask). */
typedef struct fd_layout {
    int ndim;
    size_t shape[FD_MAX_DIMS];
    ptrdiff_t x_strides[FD_MAX_DIMS], y_strides[FD_MAX_DIMS], mask_strides[FD_MAX_DIMS];
} fd_layout;

/* y[i] = keep(offset + i) ? x[i] * scale : +0.0, for n contiguous elements. The scale is given
 * already rounded to the compute type (binary32, or binary64 for FD_f64). */
void fd_dropout(fd_dtype dtype, const void *x, void *y, size_t n, const fd_key *key,
                const fd_plan *plan, double scale);

/* The same over any strides; element i is the i-th in C order of the layout's shape. */
void fd_dropout_strided(fd_dtype dtype, const void *x, void *y, const fd_layout *layout,
                        const fd_key *key, const fd_plan *plan, double scale);

/* Sample k of `samples`: the same with stream + k, into the array that begins k * step bytes after
 * y. Where x and the samples are contiguous, x is read once. */
void fd_dropout_samples(fd_dtype dtype, const void *x, void *y, const fd_layout *layout,
                        size_t samples, ptrdiff_t step, const fd_key *key, const fd_plan *plan,
                        double scale);

/* y = mask ? x * scale : +0.0 with a packed mask (bit e & 7 of byte e >> 3, 1 = keep). */
void fd_apply_bits(fd_dtype dtype, const void *x, void *y, const fd_layout *layout,
                   const uint8_t *bits, double scale);

/* The same with a mask of one byte an element, 0 = drop. */
void fd_apply_bool(fd_dtype dtype, const void *x, void *y, const fd_layout *layout,
                   const uint8_t *mask, double scale);

/* What becomes of elements where dropping does not mean 0 (alpha dropout): x * scale + shift of
 * kept ones, product and sum each rounded; `dropped` of dropped ones. All given rounded to the
 * dtype's compute type, `dropped` to the dtype. */
typedef struct fd_affine {
    double scale, shift, dropped;
} fd_affine;

/* fd_dropout_strided and fd_apply_bits with such a map instead of a scale. */
void fd_dropout_affine(fd_dtype dtype, const void *x, void *y, const fd_layout *layout,
                       const fd_key *key, const fd_plan *plan, const fd_affine *map);
void fd_apply_bits_affine(fd_dtype dtype, const void *x, void *y, const fd_layout *layout,
                          const uint8_t *bits, const fd_affine *map);

/* y = x * scale. */
void fd_scale(fd_dtype dtype, const void *x, void *y, const fd_layout *layout, double scale);

/* y = residual + dropout of x, for n contiguous elements; each product and sum is rounded in the
 * compute type, and the sum once more to the dtype. Everything is kept where key is NULL. y may be
 * x or residual. */
void fd_dropout_add(fd_dtype dtype, const void *x, const void *residual, void *y, size_t n,
                    const fd_key *key, const fd_plan *plan, double scale);

/* Activations: GELU is x Phi(x), GELU_TANH its approximation, SILU x sigmoid(x). */
typedef enum fd_act {
    FD_ACT_NONE,
    FD_ACT_RELU,
    FD_ACT_GELU,
    FD_ACT_GELU_TANH,
    FD_ACT_SILU,
    FD_ACT_COUNT
} fd_act;

/* A bias that is added to rows of n elements, lengthened: values holds n + 4096 elements (or as
 * many more as the operation has, if these are fewer), in which the n of the bias come again and
 * again. The first element of an operation is at `column`. Adding -0.0 changes nothing: that is no
 * bias. */
typedef struct fd_bias {
    const void *values;
    size_t n, column;
} fd_bias;

/* y = dropout of act(x + bias), for n contiguous elements, each operation rounded in the compute
 * type; everything is kept where key is NULL. y may be x. */
void fd_bias_act_dropout(fd_dtype dtype, fd_act act, const void *x, const fd_bias *bias, void *y,
                         size_t n, const fd_key *key, const fd_plan *plan, double scale);

/* The gradient of that with respect to x + bias: dx = keep ? (dy * scale) * act'(x + bias) : +0.0.
 * dx may be dy or x. */
void fd_bias_act_dropout_backward(fd_dtype dtype, fd_act act, const void *dy, const void *x,
                                  const fd_bias *bias, void *dx, size_t n, const fd_key *key,
                                  const fd_plan *plan, double scale);

/* y = keep ? a : b, for n contiguous elements; y may be a or b. */
void fd_zoneout(fd_dtype dtype, const void *a, const void *b, void *y, size_t n, const fd_key *key,
                const fd_plan *plan);

/* What that is on average: y = a * kept + b * dropped, for n contiguous elements, each operation
 * rounded in the compute type; y may be a or b. */
void fd_weighted_sum(fd_dtype dtype, const void *a, const void *b, void *y, size_t n, double kept,
                     double dropped);

/* The gradients of zoneout: da = keep ? dy : +0.0 and db = keep ? +0.0 : dy; da may be dy. */
void fd_zoneout_split(fd_dtype dtype, const void *dy, void *da, void *db, size_t n,
                      const fd_key *key, const fd_plan *plan);

/* Of n contiguous elements, with normal variates z: y = x * (1 + deviation * z), and
 * y = x + deviation * z. Element i takes two positions, offset + 2i and the next. The deviation is
 * of the compute type, in which each operation is rounded; for 16-bit dtypes the result once more.
 * y may be x. */
void fd_gaussian_dropout(fd_dtype dtype, const void *x, void *y, size_t n, const fd_key *key,
                         double deviation);
void fd_gaussian_noise(fd_dtype dtype, const void *x, void *y, size_t n, const fd_key *key,
                       double deviation);

/* Scores of attention: groups of rows of n, without gaps. Of a score z = x * scale, and of what
 * takes part in its row, the softmax is taken. */
typedef struct fd_softmax {
    size_t groups, rows, n;
    uint64_t group_positions, row_positions; /* from one's first position to that of the next */
    size_t visible;   /* scores that take part in a group's first row; in each later row one more */
    double scale;     /* of the compute type */
    const void *mask; /* NULL; bytes, 0 where a score takes no part; or numbers of the scores' dtype
                         that are added to z */
    int additive;     /* whether they are numbers */
    ptrdiff_t mask_step; /* bytes from one of a row to the next: 0 where one serves all */
    fd_layout mask_rows; /* where the rows begin in the mask: the shape of all but the last axis,
                            groups * rows in all, and mask_strides, here in bytes */
} fd_softmax;

/* y = dropout of the softmax of each row, +0.0 where nothing takes part. Element i of row r of
 * group g is at position offset + g * group_positions + r * row_positions + i. y may be x. */
void fd_softmax_dropout(fd_dtype dtype, const fd_softmax *s, const void *x, void *y,
                        const fd_key *key, const fd_plan *plan, double keep_scale);

/* dx = its gradient with respect to x, where that with respect to y is dy; and into weights, unless
 * that is NULL, y once more. dx and weights are apart, and each may be x or dy. */
void fd_softmax_dropout_backward(fd_dtype dtype, const fd_softmax *s, const void *x, const void *dy,
                                 void *dx, void *weights, const fd_key *key, const fd_plan *plan,
                                 double keep_scale);

/* Matrices of (n, inner) numbers whose columns are groups: `outer` of them, the distances in bytes;
 * the numbers of a row are neighbours. */
typedef struct fd_norms {
    size_t outer, n, inner;
    ptrdiff_t outer_step, step; /* from a matrix to the next, and from a row to the next */
} fd_norms;

/* Each group whose L2 norm passes the limit is multiplied with limit / norm, rounded to the compute
 * type; the others, and those with an inf or a nan, are left as they are. The limit is not negative
 * and not a nan. Squares and sums are computed in binary64, in an order that depends on n alone. */
void fd_max_norm(fd_dtype dtype, void *w, const fd_norms *norms, double limit);

/* A linear layer whose connections are dropped, on contiguous matrices: y, of (samples, outputs),
 * is the sum over inputs of keep * w * x, times the scale, plus the bias, which may be NULL. A
 * decision for each (sample, output, input), in that order, or for each (output, input) where the
 * mask is `shared`. Terms and sums are rounded in the compute type, in a fixed order. */
void fd_dropconnect(fd_dtype dtype, const void *x, const void *w, const void *bias, void *y,
                    size_t samples, size_t outputs, size_t inputs, int shared, const fd_key *key,
                    const fd_plan *plan, double scale);

/* Its gradients: dx is the sum over outputs of keep * w * (dy * scale), dw the sum over samples of
 * keep * x * (dy * scale). */
void fd_dropconnect_dx(fd_dtype dtype, const void *dy, const void *w, void *dx, size_t samples,
                       size_t outputs, size_t inputs, int shared, const fd_key *key,
                       const fd_plan *plan, double scale);
void fd_dropconnect_dw(fd_dtype dtype, const void *dy, const void *x, void *dw, size_t samples,
                       size_t outputs, size_t inputs, int shared, const fd_key *key,
                       const fd_plan *plan, double scale);

/* n keep bits into ceil(n / 8) bytes, padding bits zero; n keep bytes of 0 or 1. */
void fd_mask_bits(uint8_t *bits, size_t n, const fd_key *key, const fd_plan *plan);
void fd_mask_bool(uint8_t *mask, size_t n, const fd_key *key, const fd_plan *plan);

/* Planes of three axes and the blocks that are dropped in them; an axis that is not there is 1 in
 * both. 1 <= block[d] <= shape[d]. */
typedef struct fd_blocks {
    size_t planes, shape[3], block[3];
} fd_blocks;

/* DropBlock's keep bits for all elements of all planes, in C order, padding bits zero; returns how
 * many are kept. A decision is drawn, with the plan's probability of dropping, for every place in
 * C order (planes x products of shape - block + 1) where a block's lowest corner can lie. */
size_t fd_drop_block_bits(uint8_t *bits, const fd_blocks *blocks, const fd_key *key,
                          const fd_plan *plan);

/* Instruction sets, best first; the names are "avx512", "avx2", "neon", "vec128", "scalar". */
int fd_isa_count(void);
const char *fd_isa_name(int index);
const char *fd_isa_reason(int index); /* NULL where available, else why it is not */
int fd_isa_active(void);
int fd_isa_select(int index); /* 0, or -1 where it is not available */

/* Threads of the pool, the caller included. Arrays too small to profit stay on the caller. */
void fd_set_num_threads(int n);
int fd_get_num_threads(void);

/* Calls from this thread use at most n threads, whatever fd_set_num_threads says; 0 is no limit.
 * Returns what it was. */
int fd_limit_threads(int n);

/* Out-of-place calls that touch at least this many bytes bypass the cache on their stores;
 * by default the size of the last-level cache. */
void fd_set_streaming_bytes(size_t bytes);
size_t fd_get_streaming_bytes(void);

/* Whether loops at memory speed prefetch in software (1 or 0); by default what was measured to be
 * faster on this family of processors. */
void fd_set_prefetch(int on);
int fd_get_prefetch(void);

/* Whether calls from this thread write to memory that has only just been allocated: the system
 * zeroes its pages through the cache, where ordinary stores then find them. Returns what it was. */
int fd_fresh_outputs(int fresh);

/* --- For code outside this library ---------------------------------------------------------------
 *
 * The same with nothing but numbers and addresses as arguments, which Cython, Numba and ctypes can
 * pass, and with the checks that numbers allow: they return 0, or -1 and write nothing, where the
 * dtype is none, p is not in [0, 1], or the positions pass 2^64. Sizes and types of the memory are
 * the caller's word. */

/* Dropout with inverted scaling of n contiguous elements; y is x, or apart from it. */
int fd_dropout_at(int dtype, const void *x, void *y, size_t n, double p, uint64_t seed,
                  uint64_t stream, uint64_t offset);

/* The keep mask of n elements, as bits (as fd_mask_bits has them) and as bytes of 0 or 1. */
int fd_mask_bits_at(uint8_t *bits, size_t n, double p, uint64_t seed, uint64_t stream,
                    uint64_t offset);
int fd_mask_bool_at(uint8_t *mask, size_t n, double p, uint64_t seed, uint64_t stream,
                    uint64_t offset);

/* n fields of the stream, 16 uniform bits each, as the signed numbers that decisions compare: by
 * the definition in plain C, for looking at the stream. */
int fd_fields_at(int16_t *fields, size_t n, uint64_t seed, uint64_t stream, uint64_t offset);

/* What a Python extension in C calls without linking to anything:
 *
 *     const fd_api *fd = PyCapsule_Import(FD_API_CAPSULE, 0);
 *
 * New members are added at the end, and `size` grows with them. */
#define FD_API_CAPSULE "fastdrop.capi.C_API"

typedef struct fd_api {
    size_t size; /* sizeof(fd_api) of the library */
    int stream_version;
    int (*dropout_at)(int dtype, const void *x, void *y, size_t n, double p, uint64_t seed,
                      uint64_t stream, uint64_t offset);
    int (*mask_bits_at)(uint8_t *bits, size_t n, double p, uint64_t seed, uint64_t stream,
                        uint64_t offset);
    int (*mask_bool_at)(uint8_t *mask, size_t n, double p, uint64_t seed, uint64_t stream,
                        uint64_t offset);
    int (*fields_at)(int16_t *fields, size_t n, uint64_t seed, uint64_t stream, uint64_t offset);
} fd_api;

extern const fd_api fd_api_table;

#ifdef __cplusplus
}
#endif
#endif
