/* libFuzzer: every kernel of ops.def, through its driver, with any dtype, shape, strides, steps of
 * decisions, position and p, must give on every instruction set what it gives on scalar, and touch
 * nothing else (AddressSanitizer watches). A kernel that `reach` does not name does not compile. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bits.h"
#include "call.h"

enum { AXES = 3, ARRAYS = 3 };

/* What one input of the fuzzer asks for; whatever bytes are left are the elements. */
typedef struct recipe {
    uint64_t seed, stream, offset;
    double p;
    uint16_t length;
    uint8_t kernel, dtype, source, act, in_place, streaming;
    uint8_t gap[ARRAYS + 1];                  /* bytes before each array, and before the mask */
    uint8_t shape[2];                         /* all axes but the last */
    uint8_t order[ARRAYS], spread[ARRAYS];    /* of the axes in memory; between neighbours */
    uint8_t shared, reversed, more[AXES + 1]; /* by axes; how much larger the whole array is */
} recipe;

/* An array of exactly so many bytes: one too far is an error. */
typedef struct array {
    uint8_t *memory, *data;
    size_t bytes;
} array;

typedef struct subject {
    const recipe *r;
    const char *kernel;
    const uint8_t *data;
    size_t size;
    size_t item, n, shape[AXES];
    fd_key key;
    fd_plan plan;
    double scale;
    array arrays[ARRAYS], mask;
    int written; /* bits: the arrays that were written */
    int numbers; /* whether these are numbers of the dtype; else bytes */
} subject;

static array exactly(size_t bytes, size_t gap) {
    array a = {malloc(bytes + gap ? bytes + gap : 1), NULL, bytes};
    if (!a.memory) { abort(); }
    a.data = a.memory + gap % 64;
    return a;
}

static array filled(const subject *s, size_t bytes, size_t gap, unsigned salt) {
    array a = exactly(bytes, gap % 64);
    for (size_t i = 0; i < bytes; i++) {
        a.data[i] = s->size ? (uint8_t)(s->data[(i * 7 + salt) % s->size] + i / 251) : 1;
    }
    return a;
}

/* --- Element-wise operations: any strides, any steps, any source of decisions -------------------
 */

typedef enum source { DRAWN, DRAWN_ROOM, BITS, BOOLS, EVERY, SOURCES } source;

/* The axes in one of six orders, neighbours 1 to 3 elements apart. */
static ptrdiff_t lay_out(const subject *s, int i, ptrdiff_t *strides) {
    static const int orders[6][AXES] = {{0, 1, 2}, {1, 0, 2}, {0, 2, 1},
                                        {2, 1, 0}, {1, 2, 0}, {2, 0, 1}};
    const int *order = orders[s->r->order[i] % 6];
    ptrdiff_t step = (ptrdiff_t)s->item * (1 + (s->r->spread[i] >= 192) + (s->r->spread[i] >= 224));
    for (int k = AXES - 1; k >= 0; k--) {
        strides[order[k]] = step;
        step *= (ptrdiff_t)s->shape[order[k]];
    }
    return step;
}

/* The steps of a part of a larger array, some axes of which share decisions; how far they go. */
static size_t number(const subject *s, ptrdiff_t *steps) {
    size_t step = 1, reach = 1;
    for (int d = AXES - 1; d >= 0; d--) {
        int shared = s->r->shared >> d & 1;
        steps[d] = shared ? 0 : (ptrdiff_t)step;
        reach += (s->shape[d] - 1) * (size_t)steps[d];
        if (!shared) { step *= s->shape[d] + (s->r->more[d] >= 128 ? s->r->more[d] % 8 : 0); }
    }
    return reach;
}

static size_t count_decisions(const subject *s) {
    size_t n = 1;
    for (int d = 0; d < AXES; d++) { n *= s->r->shared >> d & 1 ? 1 : s->shape[d]; }
    return n;
}

static void perform_call(subject *s, fd_operation operation, source from) {
    static uint8_t values[(256 + 4096) * 8];
    const recipe *r = s->r;
    int reads = fd_operation_reads(operation), operands = fd_operation_operands(operation);
    fd_call c = {.operation = operation, .dtype = r->dtype, .key = s->key, .plan = s->plan};
    c.axes.ndim = AXES;
    c.axes.operands = operands;
    memcpy(c.axes.shape, s->shape, sizeof s->shape);
    for (int i = 0; i < operands; i++) {
        ptrdiff_t bytes = lay_out(s, i, c.axes.strides[i]);
        int in_place = i == reads && r->in_place % 2;
        if (in_place) { memcpy(c.axes.strides[i], c.axes.strides[0], sizeof *c.axes.strides); }
        s->arrays[i] = filled(s, in_place ? 0 : (size_t)bytes, r->gap[i], (unsigned)i);
        c.at[i] = in_place ? c.at[0] : s->arrays[i].data;
        if (i >= reads) { s->written |= in_place ? 1 : 1 << i; }
    }
    for (int d = 0; d < AXES; d++) {
        if (!(r->reversed >> d & 1)) { continue; }
        for (int i = 0; i < operands; i++) {
            c.at[i] = (char *)c.at[i] + (ptrdiff_t)(s->shape[d] - 1) * c.axes.strides[i][d];
            c.axes.strides[i][d] *= -1;
        }
    }
    if (operation == FD_OP_noise_factor || operation == FD_OP_noise_add) { from = DRAWN; }
    size_t reach = number(s, c.axes.steps), room = (count_decisions(s) + 7) / 8;
    c.drawn = from == DRAWN || from == DRAWN_ROOM;
    s->mask = filled(s,
                     from == BOOLS  ? reach
                     : from == BITS ? (reach + 7) / 8
                                    : room,
                     r->gap[3], 3);
    if (from == BITS || from == DRAWN_ROOM) { c.bits = s->mask.data; }
    if (from == BOOLS) { c.bools = s->mask.data; }
    c.numbers[0] = s->scale;
    c.numbers[1] = r->dtype == FD_f64 ? 0.3 : (float)0.3;
    c.act = r->act % FD_ACT_COUNT;
    c.bias = (fd_bias){values, 1u + r->more[AXES], r->act % (1u + r->more[AXES])};
    int biased = operation == FD_OP_act || operation == FD_OP_act_slope;
    for (size_t i = 0; biased && i < (c.bias.n + 4096) * s->item; i++) {
        values[i] = s->size ? s->data[i % (c.bias.n * s->item) % s->size] : 0;
    }
    fd_run(&c);
}

/* --- What is no element-wise operation -----------------------------------------------------------
 */

static void take_arrays(subject *s, int count, int written) {
    for (int i = 0; i < count; i++) {
        s->arrays[i] = filled(s, s->n * s->item, s->r->gap[i], (unsigned)i);
    }
    s->written = 1 << written;
}

static void perform_mask(subject *s, int packed) {
    ptrdiff_t steps[AXES];
    number(s, steps);
    s->arrays[0] = exactly(packed ? (s->n + 7) / 8 : s->n, s->r->gap[0]);
    s->written = 1;
    s->numbers = 0;
    fd_draw_mask(s->arrays[0].data, packed, AXES, s->shape, steps, &s->key, &s->plan);
}

static void perform_blocks(subject *s) {
    fd_blocks b = {.planes = s->shape[0], .shape = {1, s->shape[1], s->shape[2]}, .block = {1}};
    if (s->r->more[0] % 2) { b = (fd_blocks){1, {s->shape[0], s->shape[1], s->shape[2]}, {0}}; }
    for (int d = 0; d < 3; d++) { b.block[d] = 1 + s->r->more[d + 1] / 3 % b.shape[d]; }
    s->arrays[0] = exactly((s->n + 7) / 8, s->r->gap[0]);
    s->written = 1;
    s->numbers = 0;
    size_t kept = fd_drop_block_bits(s->arrays[0].data, &b, &s->key, &s->plan), counted = 0;
    for (size_t i = 0; i < 8 * s->arrays[0].bytes; i++) {
        counted += s->arrays[0].data[i >> 3] >> (i & 7) & 1;
    }
    if (kept != counted) {
        fprintf(stderr, "%zu kept, but %zu bits are set\n", kept, counted);
        abort();
    }
}

/* Without a mask, or as causal attention has them, or with one that is added, or bytes. */
static void perform_softmax(subject *s, int backward) {
    const recipe *r = s->r;
    size_t n = s->shape[2], rows = s->shape[1];
    fd_softmax f = {.groups = s->shape[0], .rows = rows, .n = n, .scale = s->scale};
    f.row_positions = n + r->more[2] % 3;
    f.group_positions = f.row_positions * rows;
    f.visible = r->shared % 2 ? 1 + r->more[0] % n : n;
    take_arrays(s, backward ? 3 : 2, backward ? 2 : 1);
    if (r->source % 3) {
        f.additive = r->source % 3 == 1;
        f.mask_step = f.additive ? (ptrdiff_t)s->item : 1;
        s->mask = filled(s, n * (size_t)f.mask_step, r->gap[3], 3);
        f.mask = s->mask.data;
        f.mask_rows = (fd_layout){.ndim = 1, .shape = {f.groups * rows}};
    }
    if (backward) {
        fd_softmax_dropout_backward(r->dtype, &f, s->arrays[0].data, s->arrays[1].data,
                                    s->arrays[2].data, NULL, &s->key, &s->plan, s->scale);
    } else {
        fd_softmax_dropout(r->dtype, &f, s->arrays[0].data, s->arrays[1].data, &s->key, &s->plan,
                           s->scale);
    }
}

static void perform_norm(subject *s, int by_rows) {
    size_t inner = by_rows ? 1 : s->shape[2], n = by_rows ? s->shape[2] : s->shape[1];
    fd_norms norms = {s->n / (n * inner), n, inner, (ptrdiff_t)(n * inner * s->item),
                      (ptrdiff_t)(inner * s->item)};
    take_arrays(s, 1, 0);
    fd_max_norm(s->r->dtype, s->arrays[0].data, &norms, s->r->p * 4);
}

/* Samples, outputs and inputs are the shape. */
static void perform_product(subject *s, int which) {
    size_t samples = s->shape[0], outputs = s->shape[1], inputs = s->shape[2];
    int shared = s->r->shared % 2;
    fd_dtype dtype = s->r->dtype;
    take_arrays(s, 3, 2);
    uint8_t *a = s->arrays[0].data, *b = s->arrays[1].data, *y = s->arrays[2].data;
    if (which == 0) {
        fd_dropconnect(dtype, a, b, NULL, y, samples, outputs, inputs, shared, &s->key, &s->plan,
                       s->scale);
    } else {
        (which == 1 ? fd_dropconnect_dx : fd_dropconnect_dw)(
            dtype, a, b, y, samples, outputs, inputs, shared, &s->key, &s->plan, s->scale);
    }
}

/* --- The table -------------------------------------------------------------------------------- */

/* How each kernel that is not of an operation of its own is reached. */
#define reach_dropout perform_call(s, FD_OP_scale, DRAWN)
#define reach_dropout_stream reach_dropout
#define reach_apply_bits perform_call(s, FD_OP_scale, BITS)
#define reach_apply_bits_stream reach_apply_bits
#define reach_apply_strips reach_apply_bits
#define reach_apply_rows perform_call(s, FD_OP_scale, DRAWN_ROOM)
#define reach_apply_rows_stream reach_apply_rows
#define reach_softmax_largest perform_softmax(s, 0)
#define reach_softmax_sum reach_softmax_largest
#define reach_softmax_weights reach_softmax_largest
#define reach_softmax_sums perform_softmax(s, 1)
#define reach_softmax_gradient reach_softmax_sums
#define reach_dropconnect perform_product(s, 0)
#define reach_dropconnect_dx perform_product(s, 1)
#define reach_dropconnect_dw perform_product(s, 2)
#define reach_squares perform_norm(s, 1)
#define reach_row_scale reach_squares
#define reach_squares_scale reach_squares
#define reach_column_squares perform_norm(s, 0)
#define reach_column_scale reach_column_squares
#define reach_mask_bits perform_mask(s, 1)
#define reach_unpack_bool perform_mask(s, 0)
#define reach_fields perform_call(s, FD_OP_noise_add, DRAWN)
#define reach_pack_bool perform_call(s, FD_OP_scale, BOOLS)
#define reach_spread_bits perform_blocks(s)
#define reach_invert_bits reach_spread_bits

/* The kernel of the recipe's number, or of what is left after all of them; returns its name. */
static const char *perform(subject *s) {
    for (unsigned left = s->r->kernel;;) {
#define FD_OPERATION(name, reads, writes) \
    if (!left--) { \
        perform_call(s, FD_OP_##name, s->r->source % SOURCES); \
        return #name; \
    }
#define FD_KERNEL(name) \
    if (!left--) { \
        reach_##name; \
        return #name; \
    }
#define FD_SOFTMAX_KERNEL FD_KERNEL
#define FD_PRODUCT_KERNEL FD_KERNEL
#define FD_NORM_KERNEL FD_KERNEL
#define FD_MASK_KERNEL FD_KERNEL
#include "ops.def"
    }
}

/* --- One input ----------------------------------------------------------------------------------
 */

static subject performed(const recipe *r, const uint8_t *data, size_t size) {
    subject s = {.r = r, .data = data, .size = size, .numbers = 1};
    s.item = fd_itemsize(r->dtype);
    s.shape[0] = 1 + r->shape[0] % 8u;
    s.shape[1] = 1 + r->shape[1] % 40u;
    s.shape[2] = 1 + r->length / (s.shape[0] * s.shape[1]);
    s.n = s.shape[0] * s.shape[1] * s.shape[2];
    s.key = (fd_key){r->seed, r->stream, r->offset};
    s.plan = fd_plan_make(r->p);
    s.scale = r->p < 1.0 ? 1.0 / (1.0 - r->p) : 1.0;
    if (r->dtype != FD_f64) { s.scale = (float)s.scale; }
    s.kernel = perform(&s);
    return s;
}

static void release(subject *s) {
    for (int i = 0; i < ARRAYS; i++) { free(s->arrays[i].memory); }
    free(s->mask.memory);
}

static int is_nan(fd_dtype dtype, const uint8_t *number) {
    static const uint64_t infinities[FD_DTYPE_COUNT] = {0x7F800000, UINT64_C(0x7FF0000000000000),
                                                        0x7C00, 0x7F80};
    size_t size = fd_itemsize(dtype);
    uint64_t bits = 0;
    memcpy((char *)&bits + (FD_BIG_ENDIAN ? 8 - size : 0), number, size);
    return (bits & UINT64_MAX >> (65 - 8 * size)) > infinities[dtype];
}

static int same(const subject *s, const array *a, const array *b) {
    if (a->bytes == 0 || !memcmp(a->data, b->data, a->bytes)) { return 1; }
    for (size_t i = 0; s->numbers && i < a->bytes; i += s->item) {
        const uint8_t *x = a->data + i, *y = b->data + i;
        if (memcmp(x, y, s->item) && !(is_nan(s->r->dtype, x) && is_nan(s->r->dtype, y))) {
            return 0;
        }
    }
    return s->numbers;
}

/* That nothing else was written is the same for every instruction set: seen on scalar. */
static void check_inputs(const subject *s) {
    for (int i = 0; i < ARRAYS; i++) {
        if (s->written >> i & 1 || !s->arrays[i].memory) { continue; }
        array before = filled(s, s->arrays[i].bytes, 0, (unsigned)i);
        if (before.bytes && memcmp(before.data, s->arrays[i].data, before.bytes)) {
            fprintf(stderr, "%s changed its input\n", s->kernel);
            abort();
        }
        free(before.memory);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    recipe r;
    if (size < sizeof r) { return 0; }
    memcpy(&r, data, sizeof r);
    data += sizeof r;
    size -= sizeof r;
    if (!(r.p >= 0.0 && r.p <= 1.0)) { r.p = (double)(r.seed >> 11) * 0x1p-53; }
    r.length %= 3 * 4096 + 100;
    r.dtype %= FD_DTYPE_COUNT;
    fd_set_streaming_bytes(r.streaming % 2 ? 1 : SIZE_MAX);
    fd_isa_select(fd_isa_count() - 1); /* scalar is last */
    subject expected = performed(&r, data, size);
    check_inputs(&expected);
    for (int isa = 0; isa < fd_isa_count() - 1; isa++) {
        if (fd_isa_select(isa)) { continue; }
        subject got = performed(&r, data, size);
        for (int i = 0; i < ARRAYS; i++) {
            if (same(&expected, &expected.arrays[i], &got.arrays[i])) { continue; }
            fprintf(stderr, "%s differs from scalar: %s dtype %d of %zu x %zu x %zu p %a\n",
                    fd_isa_name(isa), got.kernel, r.dtype, got.shape[0], got.shape[1], got.shape[2],
                    r.p);
            abort();
        }
        release(&got);
    }
    release(&expected);
    return 0;
}
