/* What a kernel is: the signatures, and the table that each instruction set exports. */
#ifndef FD_KERNEL_H
#define FD_KERNEL_H

#include "fastdrop.h"
#include "stream.h"

/* Draw and apply in one pass: n elements from d->position on. */
typedef void fd_dropout_fn(const void *x, void *y, size_t n, const fd_draw *d, double scale);

/* The same with stores that bypass the cache where y can be aligned; never in place. */
typedef fd_dropout_fn fd_dropout_stream_fn;

/* Apply n bits of a packed mask, from bit `bit0` on. Only bytes that hold such a bit are read. */
typedef void fd_apply_bits_fn(const void *x, void *y, size_t n, const uint8_t *bits, size_t bit0,
                              double scale);

/* The same with stores that bypass the cache where y can be aligned. */
typedef fd_apply_bits_fn fd_apply_bits_stream_fn;

/* Strips of n elements: so many bytes from one to the next, and so many bits of the mask. */
typedef struct fd_strips {
    const uint8_t *bits;
    size_t bit, count;
    ptrdiff_t x_step, y_step;
    size_t bit_step;
} fd_strips;

/* Apply bits to strips of n elements each, where a call for each would take long beside them. */
typedef void fd_apply_strips_fn(const void *x, void *y, size_t n, const fd_strips *strips,
                                double scale);

/* Rows of `run` elements that share a bit each: row i has bit i of the mask. */
typedef struct fd_rows {
    const uint8_t *bits, *end; /* the mask; nothing from `end` on is read */
    size_t run;
    /* Where rows are shorter than 64: `times` of them in a word, for every value of their bits. */
    unsigned times;
    uint64_t words[256];
} fd_rows;

/* n elements from number `first` of row 0 on (which may lie in a later row). */
typedef void fd_apply_rows_fn(const void *x, void *y, size_t n, const fd_rows *rows, size_t first,
                              double scale);

/* The same with stores that bypass the cache where y can be aligned. */
typedef fd_apply_rows_fn fd_apply_rows_stream_fn;

/* n keep bits; padding bits of the last byte are zero. */
typedef void fd_mask_bits_fn(uint8_t *bits, size_t n, const fd_draw *d);

/* n fields, unsigned. */
typedef void fd_fields_fn(uint16_t *out, size_t n, const fd_draw *d);

/* Bytes (0 = drop) to bits, and bits to bytes of 0 and 1. */
typedef void fd_pack_bool_fn(const uint8_t *mask, uint8_t *bits, size_t n);
typedef void fd_unpack_bool_fn(const uint8_t *bits, uint8_t *mask, size_t n);

/* Every set bit also sets the bit `distance` >= 1 after it, as far as the n bytes go: one step, not
 * a chain. */
typedef void fd_spread_bits_fn(uint8_t *bits, size_t n, size_t distance);

/* Complements n bits, clears the padding of the last byte, and returns how many are set then. */
typedef size_t fd_invert_bits_fn(uint8_t *bits, size_t n);

/* The decisions of a chunk of at most 4096 elements for an operation that computes: `bits`, from
 * bit 0 on, which are read in whole words of 64. Where there are none: those from draw->position
 * on, of any number of elements whose results are stored past the cache; or, where that is NULL
 * too, a whole block of the stream, whose threshold a field can reach. */
typedef struct fd_keep {
    const uint8_t *bits;
    fd_block block;
    const fd_draw *draw;
} fd_keep;

/* The operands of an element-wise body, as bytes: up to three are read, up to two are written. A
 * bias is read behind the other operands; from the address `turn` on it is read `period` bytes
 * before. */
typedef struct fd_operands {
    const char *in[3];
    char *out[2];
    uintptr_t turn;
    size_t period;
} fd_operands;

/* Normal variates: two fields for each element of a chunk, or, where `fields` is NULL, those from
 * draw.position on, for any number of elements. */
typedef struct fd_variates {
    const uint16_t *fields;
    fd_draw draw;
} fd_variates;

typedef struct fd_part {
    fd_operands at;
    size_t n;
    int streaming; /* whether stores bypass the cache: never in place; results begin a cache line */
    fd_keep keep;
    fd_variates variates;
    double numbers[3];
    fd_act act;
} fd_part;

/* One of FD_OPERATION in ops.def. */
typedef void fd_compute_fn(const fd_part *part);

typedef enum fd_operation {
    FD_OP_scale,
#define FD_OPERATION(name, reads, writes) FD_OP_##name,
#include "ops.def"
    FD_OPERATION_COUNT
} fd_operation;

/* A run of at most 4096 scores of one row: z = x * scale + add, or -inf where nothing takes part.
 * Bits are read in whole words, from bit 0 on. With e = exp(z - largest), where no z is larger, and
 * g = dy * keep_scale of what takes part and is kept, else +0.0: */
typedef struct fd_softmax_run {
    size_t n;
    const char *x, *add;        /* add: or NULL */
    const uint8_t *take, *keep; /* what takes part, and what is kept: or NULL for all */
    const char *dy;
    char *y, *weights;
    char *parts; /* room for e in the compute type, or NULL */
    double scale, keep_scale, largest, factor, slope, centre; /* of the compute type */
} fd_softmax_run;

typedef double fd_softmax_largest_fn(const fd_softmax_run *run); /* of all z but nans */

/* Sums of all e, and of all e * g. If there are `parts`, they take e. */
typedef double fd_softmax_sum_fn(const fd_softmax_run *run);
typedef void fd_softmax_sums_fn(const fd_softmax_run *run, double *sum, double *product);

/* y = e * factor where kept; y = (e * slope) * (g - centre), and weights, if any, e * factor where
 * kept. If there are `parts`, they have e, which is not computed again. */
typedef void fd_softmax_weights_fn(const fd_softmax_run *run);
typedef void fd_softmax_gradient_fn(const fd_softmax_run *run);

/* The sum of the squares of n numbers: in the compute type, where they overflow and underflow, up
 * to FD_SQUARES of them, and of these sums in binary64. `runs`, if not NULL, takes these. */
enum { FD_SQUARES = 256 };
typedef double fd_squares_fn(const void *x, size_t n, double *runs);

/* Multiplies n numbers with a factor, which is rounded to the compute type. */
typedef void fd_row_scale_fn(void *x, size_t n, double factor);

/* Both, the sum of one row's squares and the multiplication of another as long. */
typedef double fd_squares_scale_fn(const void *x, size_t n, void *late, double factor);

/* The same of each of `width` columns of a matrix whose rows are `step` bytes apart. */
enum { FD_STRIP = 1024 }; /* columns at a time, at most */
typedef void fd_column_squares_fn(const void *x, ptrdiff_t step, size_t n, size_t width,
                                  double *sums);

/* Multiplies such columns with a factor each. */
typedef void fd_column_scale_fn(void *x, ptrdiff_t step, size_t n, size_t width,
                                const double *factors);

static inline size_t fd_itemsize(fd_dtype dtype) {
    return dtype == FD_f64 ? 8 : dtype == FD_f32 ? 4 : 2;
}

/* A linear layer whose connections are dropped: y = x w' + bias with matrices of (samples, inputs),
 * (outputs, inputs) and (samples, outputs), all contiguous. A call uses some of the arrays. */
typedef struct fd_linear {
    const char *x, *w, *bias, *dy; /* bias may be NULL */
    char *y, *dx, *dw;
    size_t samples, outputs, inputs;
    int shared; /* one mask for all samples */
    double scale;
    fd_draw draw;
} fd_linear;

/* A region of it: where it begins, and how far it goes. */
typedef struct fd_region {
    size_t sample, samples, output, outputs, input, inputs;
} fd_region;

/* Sums are cut into chunks of inputs, always in the same way; packed weights fill a tile. */
enum { FD_CHUNK = 4096, FD_TILE_BYTES = 32768, FD_BATCH = 8 };

/* How many numbers a row of n becomes where it is packed. */
static inline size_t fd_packed(size_t n) { return (n + FD_STEP - 1) / FD_STEP * FD_STEP; }

/* The region's part of y, of dx, or of dw. */
typedef void fd_dropconnect_fn(const fd_linear *l, const fd_region *region);
typedef fd_dropconnect_fn fd_dropconnect_dx_fn, fd_dropconnect_dw_fn;

typedef struct fd_table {
    const char *name;
    int streams; /* whether stores can bypass the cache */
    fd_compute_fn *compute[FD_OPERATION_COUNT][FD_DTYPE_COUNT]; /* none of FD_OP_scale */
#define FD_KERNEL(name) fd_##name##_fn *name[FD_DTYPE_COUNT];
#define FD_SOFTMAX_KERNEL FD_KERNEL
#define FD_PRODUCT_KERNEL FD_KERNEL
#define FD_NORM_KERNEL FD_KERNEL
#define FD_MASK_KERNEL(name) fd_##name##_fn *name;
#include "ops.def"
} fd_table;

#define FD_CAT_(a, b) a##_##b
#define FD_CAT(a, b) FD_CAT_(a, b)

/* A kernel for each dtype. */
#define FD_EACH_DTYPE(name) \
    {[FD_f32] = name##_f32, [FD_f64] = name##_f64, [FD_f16] = name##_f16, [FD_bf16] = name##_bf16}

/* The bodies are inlined into one loop each; a call in between would cost the registers. */
#if defined(__GNUC__) || defined(__clang__)
#define FD_INLINE static inline __attribute__((always_inline, unused))
#define FD_NOINLINE static __attribute__((noinline))
#else
#define FD_INLINE static __forceinline
#define FD_NOINLINE static __declspec(noinline)
#endif

#if defined(__GNUC__) || defined(__clang__)
#define FD_LIKELY(condition) __builtin_expect(condition, 1)
#else
#define FD_LIKELY(condition) (condition)
#endif

/* A hint, also for addresses past the end of an array: hence a number, not a pointer. */
#if defined(__GNUC__) || defined(__clang__)
#define FD_PREFETCH(address) __builtin_prefetch((const void *)(address), 0, 3)
#else
#define FD_PREFETCH(address) ((void)(address))
#endif
enum { FD_AHEAD = 4096 };

/* Whether what this thread's call writes to has pages already (fd_fresh_outputs says so). */
int fd_prefetches_outputs(void);

/* Whether dropout prefetches where its results bypass the cache: what fd_set_prefetch said, or 1.
 */
int fd_prefetches_past_cache(void);

#define FD_ALIGN64 _Alignas(64)

/* gcc leaves short loops over registers rolled, and then keeps the registers in memory. Where speed
 * is not asked for, FD_ROLLED lets clang compile them with sanitizers in less than half the time.
 */
#if defined(FD_ROLLED)
#define FD_UNROLL
#elif defined(__clang__)
#define FD_UNROLL _Pragma("clang loop unroll(full)")
#elif defined(__GNUC__)
#define FD_UNROLL _Pragma("GCC unroll 16")
#else
#define FD_UNROLL
#endif

#if defined(__clang__)
#define FD_ROLL _Pragma("clang loop unroll(disable)")
#elif defined(__GNUC__)
#define FD_ROLL _Pragma("GCC unroll 1")
#else
#define FD_ROLL
#endif

#endif
