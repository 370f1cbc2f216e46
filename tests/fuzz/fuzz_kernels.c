/* libFuzzer: any operation, dtype, length, alignment, position, p, in place or not, must give on
 * every instruction set what it gives on scalar, and touch nothing else (AddressSanitizer watches).
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fastdrop.h"

static const size_t itemsizes[FD_DTYPE_COUNT] = {4, 8, 2, 2};

/* What one input of the fuzzer asks for; whatever bytes are left are the elements. */
typedef struct recipe {
    uint64_t seed, stream, offset;
    double p;
    uint16_t length;
    uint8_t operation, dtype, x_gap, y_gap, in_place, streaming, columns, shared, transposed;
} recipe;

/* Those from MASK_BITS on give bytes, the others numbers. */
enum {
    DROPOUT,
    STRIDED,
    APPLY_BITS,
    APPLY_BOOL,
    SCALE,
    GAUSSIAN_DROPOUT,
    GAUSSIAN_NOISE,
    AFFINE,
    ADD,
    ACT,
    ACT_BACKWARD,
    ZONEOUT,
    ZONEOUT_SPLIT,
    WEIGHTED_SUM,
    SOFTMAX,
    SOFTMAX_BACKWARD,
    MAX_NORM,
    PRODUCT,
    PRODUCT_DX,
    PRODUCT_DW,
    MASK_BITS,
    MASK_BOOL,
    BLOCKS,
    OPERATIONS
};

/* As many planes as the length has room for; blocks that differ along the axes. */
static fd_blocks blocks_of(const recipe *r) {
    size_t width = r->columns ? r->columns : 1;
    fd_blocks b = {.shape = {1 + r->streaming % 4u, 1 + r->shared % 16u, width}};
    b.planes = r->length / (b.shape[0] * b.shape[1] * b.shape[2]);
    for (int d = 0; d < 3; d++) {
        b.block[d] = 1 + (r->x_gap + (size_t)d * r->y_gap) % 70 % b.shape[d];
    }
    return b;
}

static size_t mask_size(const recipe *r) {
    fd_blocks b = blocks_of(r);
    size_t elements = b.planes * b.shape[0] * b.shape[1] * b.shape[2];
    return r->operation == BLOCKS       ? (elements + 7) / 8
           : r->operation == APPLY_BITS ? (r->length + 7u) / 8
                                        : r->length;
}

static void perform_blocks(const recipe *r, uint8_t *mask, size_t bytes, const fd_key *key,
                           const fd_plan *plan) {
    fd_blocks b = blocks_of(r);
    size_t kept = fd_drop_block_bits(mask, &b, key, plan), counted = 0;
    for (size_t i = 0; i < 8 * bytes; i++) { counted += mask[i >> 3] >> (i & 7) & 1; }
    if (kept != counted) {
        fprintf(stderr, "%zu kept, but %zu bits are set\n", kept, counted);
        abort();
    }
}

static void perform_product(const recipe *r, const void *a, const void *b, void *y,
                            const fd_key *key, const fd_plan *plan, double scale) {
    /* so that each of the three matrices fits into the length */
    size_t samples = 1 + r->columns % 9u, outputs = 1 + r->shared % 7u;
    size_t inputs = r->length / (samples > outputs ? samples : outputs);
    int shared = r->transposed % 2;
    if (samples * outputs > r->length) { return; }
    if (r->operation == PRODUCT) {
        fd_dropconnect(r->dtype, a, b, NULL, y, samples, outputs, inputs, shared, key, plan, scale);
    } else if (r->operation == PRODUCT_DX) {
        fd_dropconnect_dx(r->dtype, a, b, y, samples, outputs, inputs, shared, key, plan, scale);
    } else {
        fd_dropconnect_dw(r->dtype, a, b, y, samples, outputs, inputs, shared, key, plan, scale);
    }
}

static void perform_act(const recipe *r, const void *x, const void *dy, void *to,
                        const uint8_t *data, size_t size, const fd_key *key, const fd_plan *plan,
                        double scale) {
    static uint8_t values[(256 + 4096) * 8];
    size_t item = itemsizes[r->dtype];
    fd_bias bias = {values, 1 + r->columns, r->y_gap % (1u + r->columns)};
    for (size_t i = 0; i < (bias.n + 4096) * item; i++) {
        values[i] = size ? data[i % (bias.n * item) % size] : 0;
    }
    fd_act act = r->shared % FD_ACT_COUNT;
    const fd_key *drawn = r->transposed % 2 ? key : NULL;
    if (r->operation == ACT) {
        fd_bias_act_dropout(r->dtype, act, x, &bias, to, r->length, drawn, plan, scale);
    } else {
        fd_bias_act_dropout_backward(r->dtype, act, dy, x, &bias, to, r->length, drawn, plan,
                                     scale);
    }
}

/* Rows of as many scores as there are columns, without a mask, or as causal attention has them. */
static void perform_softmax(const recipe *r, const void *x, const void *dy, void *to,
                            const fd_key *key, const fd_plan *plan, double scale) {
    size_t n = r->columns ? r->columns : 1, rows = r->length / n;
    fd_softmax s = {.groups = 1, .rows = rows, .n = n, .row_positions = n, .scale = scale};
    s.visible = r->shared % 2 ? 1 : n;
    if (r->operation == SOFTMAX) {
        fd_softmax_dropout(r->dtype, &s, x, to, key, plan, scale);
    } else {
        fd_softmax_dropout_backward(r->dtype, &s, x, dy, to, NULL, key, plan, scale);
    }
}

static void perform_norm(const recipe *r, void *w) {
    size_t item = itemsizes[r->dtype], inner = r->columns ? r->columns : 1;
    size_t outer = 1 + r->shared % 3u, n = r->length / (inner * outer);
    fd_norms norms = {outer, n, inner, (ptrdiff_t)(n * inner * item), (ptrdiff_t)(inner * item)};
    fd_max_norm(r->dtype, w, &norms, r->p * 4);
}

static void *exactly(size_t n, size_t gap, uint8_t **memory) {
    *memory = malloc(n + gap ? n + gap : 1); /* one byte too far is an error */
    if (!*memory) { abort(); }
    return *memory + gap;
}

/* The x and y of a recipe, filled alike for every instruction set; the result as bytes of y. */
static void perform(const recipe *r, const uint8_t *data, size_t size, uint8_t *result) {
    size_t item = itemsizes[r->dtype], bytes = r->length * item;
    uint8_t *x_memory, *y_memory, *mask_memory;
    uint8_t *x = exactly(bytes, r->x_gap, &x_memory), *y = exactly(bytes, r->y_gap, &y_memory);
    size_t mask_bytes = mask_size(r);
    uint8_t *mask = exactly(mask_bytes, r->x_gap, &mask_memory);
    for (size_t i = 0; i < bytes; i++) { x[i] = size ? data[i % size] + (uint8_t)(i / 251) : 0; }
    for (size_t i = 0; i < mask_bytes; i++) { mask[i] = size ? data[i % size] : 1; }
    uint8_t *second_memory, *second = exactly(bytes, r->y_gap / 2, &second_memory);
    for (size_t i = 0; i < bytes; i++) { second[i] = size ? data[(i * 7 + 3) % size] : 1; }
    memset(y, 0xEE, bytes);
    fd_key key = {r->seed, r->stream, r->offset};
    fd_plan plan = fd_plan_make(r->p);
    double scale = r->p < 1.0 ? 1.0 / (1.0 - r->p) : 1.0;
    if (r->dtype != FD_f64) { scale = (float)scale; }
    uint8_t *to = r->in_place ? x : y;
    /* rows x columns in C order, the mask shared along rows, columns or not at all */
    size_t columns = r->columns ? r->columns : 1, rows = r->length / columns;
    fd_layout layout = {.ndim = 2, .shape = {rows, columns}};
    layout.x_strides[0] = layout.y_strides[0] = (ptrdiff_t)(columns * item);
    layout.x_strides[1] = layout.y_strides[1] = (ptrdiff_t)item;
    if (!r->in_place && r->streaming % 3 == 2) { /* transposed on the way */
        layout.y_strides[0] = (ptrdiff_t)item;
        layout.y_strides[1] = (ptrdiff_t)(rows * item);
    }
    if (r->transposed % 2) { /* dense, but in the other order */
        layout.x_strides[0] = layout.y_strides[0] = (ptrdiff_t)item;
        layout.x_strides[1] = layout.y_strides[1] = (ptrdiff_t)(rows * item);
    }
    layout.mask_strides[0] = r->shared % 3 == 1 ? 0 : r->shared % 3 == 2 ? 1 : (ptrdiff_t)columns;
    layout.mask_strides[1] = r->shared % 3 == 2 ? 0 : 1;
    switch (r->operation) {
    case DROPOUT:
        fd_dropout(r->dtype, x, to, r->length, &key, &plan, scale);
        break;
    case STRIDED:
        fd_dropout_strided(r->dtype, x, to, &layout, &key, &plan, scale);
        break;
    case APPLY_BITS:
        fd_apply_bits(r->dtype, x, to, &layout, mask, scale);
        break;
    case APPLY_BOOL:
        fd_apply_bool(r->dtype, x, to, &layout, mask, scale);
        break;
    case SCALE:
        fd_scale(r->dtype, x, to, &layout, scale);
        break;
    case GAUSSIAN_DROPOUT:
        fd_gaussian_dropout(r->dtype, x, to, r->length, &key, scale);
        break;
    case GAUSSIAN_NOISE:
        fd_gaussian_noise(r->dtype, x, to, r->length, &key, scale);
        break;
    case AFFINE: {
        fd_affine map = {scale, r->dtype == FD_f64 ? 0.3 : (float)0.3, 0.0};
        fd_dropout_affine(r->dtype, x, to, &layout, &key, &plan, &map);
        break;
    }
    case ADD:
        fd_dropout_add(r->dtype, x, second, to, r->length, &key, &plan, scale);
        break;
    case ACT:
    case ACT_BACKWARD:
        perform_act(r, x, second, to, data, size, &key, &plan, scale);
        break;
    case ZONEOUT:
        fd_zoneout(r->dtype, x, second, to, r->length, &key, &plan);
        break;
    case ZONEOUT_SPLIT: /* the other gradient takes the place of what is compared */
        fd_zoneout_split(r->dtype, x, to, second, r->length, &key, &plan);
        if (r->shared % 2) { memcpy(to, second, bytes); }
        break;
    case WEIGHTED_SUM:
        fd_weighted_sum(r->dtype, x, second, to, r->length, scale, 1.0);
        break;
    case SOFTMAX:
    case SOFTMAX_BACKWARD:
        perform_softmax(r, x, second, to, &key, &plan, scale);
        break;
    case MAX_NORM:
        memmove(to, x, bytes);
        perform_norm(r, to);
        break;
    case PRODUCT:
    case PRODUCT_DX:
    case PRODUCT_DW: /* none of them is computed in place */
        to = y;
        perform_product(r, x, second, to, &key, &plan, scale);
        break;
    case MASK_BITS:
        fd_mask_bits(to, r->length, &key, &plan);
        break;
    case BLOCKS:
        perform_blocks(r, mask, mask_bytes, &key, &plan);
        memcpy(to, mask, mask_bytes);
        break;
    default:
        fd_mask_bool(to, r->length, &key, &plan);
        break;
    }
    memcpy(result, to, bytes);
    for (size_t i = 0; i < bytes && to != x; i++) {
        if (x[i] != (uint8_t)(size ? data[i % size] + (uint8_t)(i / 251) : 0)) {
            fprintf(stderr, "operation %d changed its input\n", r->operation);
            abort();
        }
    }
    free(x_memory);
    free(y_memory);
    free(mask_memory);
    free(second_memory);
}

static int is_nan(fd_dtype dtype, const uint8_t *p) {
    double d;
    float f;
    uint16_t h;
    memcpy(&d, p, dtype == FD_f64 ? 8 : 0);
    memcpy(&f, p, dtype == FD_f32 ? 4 : 0);
    memcpy(&h, p, 2);
    return dtype == FD_f64   ? d != d
           : dtype == FD_f32 ? f != f
                             : (h & 0x7FFF) > (dtype == FD_f16 ? 0x7C00 : 0x7F80);
}

static int same(const recipe *r, const uint8_t *a, const uint8_t *b) {
    size_t item = itemsizes[r->dtype], n = r->length * item;
    if (r->operation >= MASK_BITS) { return !memcmp(a, b, n); }
    for (size_t i = 0; i < n; i += item) {
        if (memcmp(a + i, b + i, item) && (!is_nan(r->dtype, a + i) || !is_nan(r->dtype, b + i))) {
            return 0;
        }
    }
    return 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint8_t expected[65536 * 8], got[65536 * 8];
    recipe r;
    if (size < sizeof r) { return 0; }
    memcpy(&r, data, sizeof r);
    data += sizeof r;
    size -= sizeof r;
    if (!(r.p >= 0.0 && r.p <= 1.0)) { r.p = (double)(r.seed >> 11) * 0x1p-53; }
    r.operation %= OPERATIONS;
    r.length %= 3 * 4096 + 100;
    r.dtype %= FD_DTYPE_COUNT;
    r.x_gap %= 64;
    r.y_gap %= 64;
    r.in_place &= 1;
    fd_set_streaming_bytes(r.streaming % 2 ? 1 : SIZE_MAX);
    fd_isa_select(fd_isa_count() - 1); /* scalar is last */
    perform(&r, data, size, expected);
    for (int isa = 0; isa < fd_isa_count() - 1; isa++) {
        if (fd_isa_select(isa)) { continue; }
        perform(&r, data, size, got);
        if (!same(&r, expected, got)) {
            fprintf(stderr, "%s differs from scalar: operation %d dtype %d length %d p %a\n",
                    fd_isa_name(isa), r.operation, r.dtype, r.length, r.p);
            abort();
        }
    }
    return 0;
}
