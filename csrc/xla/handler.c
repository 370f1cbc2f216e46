/* XLA calls this: one element-wise operation under decisions, on JAX's arrays.
 *
 * Arguments are the key's words; then, if there are any, the start of a window, p and a lengthened
 * bias; then the operands. All have the same number of leading axes, which `vmap` made, each as
 * long as the result's or 1; behind them operands have the axes of one call. Attributes say what is
 * computed: src/fastdrop/jax/_primitive.py makes them, and all of it is checked here. */
#include <stdlib.h>
#include <string.h>

#include "call.h"
#include "ffi.h"

typedef fd_xla_buffer buffer;

/* What all slices have in common, and the buffers that they lie in: `vmap` makes several. */
typedef struct request {
    fd_call call;
    int64_t leading; /* axes */
    int reads;
    const buffer *key, *start, *p, *bias, *at[FD_OPERANDS];
    size_t whole[FD_MAX_DIMS]; /* the shape of the array that a slice is a window of */
    size_t bytes;              /* of a slice */
    size_t elements;           /* of a slice */
    size_t decisions;          /* of a slice */
    int shared;                /* whether elements share them */
} request;

static const buffer *result(const request *r) { return r->at[r->reads]; }

/* A variate takes two positions. */
static int is_noise(const fd_call *c) {
    return c->operation == FD_OP_noise_factor || c->operation == FD_OP_noise_add;
}

/* --- Attributes --------------------------------------------------------------------------------
 */

static int is_named(const fd_xla_span *span, const char *name) {
    return span->n == strlen(name) && memcmp(span->data, name, span->n) == 0;
}

/* The attribute of that name and kind, or NULL. */
static const void *attribute(const fd_xla_frame *frame, const char *name, int kind) {
    const fd_xla_attributes *a = &frame->attributes;
    for (int64_t i = 0; i < a->n; i++) {
        if (is_named(a->names[i], name)) { return a->kinds[i] == kind ? a->values[i] : NULL; }
    }
    return NULL;
}

/* The attribute of that name as an array of 64-bit numbers, and how many there are, or NULL. */
static const void *numbers(const fd_xla_frame *frame, const char *name, int dtype, size_t *n) {
    const fd_xla_array *array = attribute(frame, name, FD_XLA_ARRAY);
    if (!array || array->dtype != dtype) { return NULL; }
    *n = array->n;
    return array->data;
}

/* The operation of that name; the number of all where there is none. */
static int operation_of(const fd_xla_frame *frame) {
    const fd_xla_span *name = attribute(frame, "operation", FD_XLA_STRING);
    int op = 0;
    while (op < FD_OPERATION_COUNT && !(name && is_named(name, fd_operation_name(op)))) { op++; }
    return op;
}

/* Shapes and steps: `decisions` is 1 along axes that share one, `whole` what a slice is a part of.
 */
static int read_shapes(request *r, const fd_xla_frame *frame) {
    fd_axes *axes = &r->call.axes;
    const buffer *y = result(r);
    size_t ndim = 0, others = 0;
    const int64_t *decisions = numbers(frame, "decisions", FD_XLA_S64, &ndim);
    const int64_t *whole = numbers(frame, "whole", FD_XLA_S64, &others);
    if (!decisions || !whole || ndim != others || ndim > FD_MAX_DIMS ||
        y->rank != r->leading + (int64_t)ndim) {
        return 0;
    }
    axes->ndim = (int)ndim;
    r->bytes = fd_itemsize(r->call.dtype);
    r->elements = r->decisions = 1;
    ptrdiff_t step = 1;
    for (int d = axes->ndim; d-- > 0;) {
        int64_t n = y->dims[r->leading + d];
        if (n > whole[d] || (decisions[d] != 1 && decisions[d] != whole[d])) { return 0; }
        axes->shape[d] = (size_t)n;
        r->whole[d] = (size_t)whole[d];
        axes->steps[d] = decisions[d] == 1 ? 0 : step;
        for (int i = 0; i < axes->operands; i++) { axes->strides[i][d] = (ptrdiff_t)r->bytes; }
        r->shared |= decisions[d] == 1 && n > 1;
        r->bytes *= (size_t)n;
        r->elements *= (size_t)n;
        r->decisions *= decisions[d] == 1 ? 1 : (size_t)n;
        step *= (ptrdiff_t)decisions[d];
    }
    return 1;
}

/* --- Buffers -----------------------------------------------------------------------------------
 */

static int read_dtype(fd_dtype *dtype, int xla) {
    switch (xla) {
    case FD_XLA_F32:
        *dtype = FD_f32;
        return 1;
    case FD_XLA_F64:
        *dtype = FD_f64;
        return 1;
    case FD_XLA_F16:
        *dtype = FD_f16;
        return 1;
    case FD_XLA_BF16:
        *dtype = FD_bf16;
        return 1;
    default:
        return 0;
    }
}

/* Whether a buffer of one of two types has the leading axes, and so many behind them. */
static int fits(const request *r, const buffer *b, int dtype, int other, int64_t behind) {
    if ((b->dtype != dtype && b->dtype != other) || b->rank != r->leading + behind) { return 0; }
    for (int64_t d = 0; d < r->leading; d++) {
        if (b->dims[d] != 1 && b->dims[d] != result(r)->dims[d]) { return 0; }
    }
    return 1;
}

/* Whether it is an operand, or a result. */
static int holds(const request *r, const buffer *b) {
    const buffer *y = result(r);
    if (!fits(r, b, y->dtype, y->dtype, r->call.axes.ndim)) { return 0; }
    for (int64_t d = r->leading; d < y->rank; d++) {
        if (b->dims[d] != y->dims[d]) { return 0; }
    }
    return 1;
}

/* A bias of n numbers is lengthened as fd_bias says. */
static int read_bias(request *r, int64_t n) {
    int64_t more = r->elements < 4096 ? (int64_t)r->elements : 4096;
    r->call.bias.n = (size_t)n;
    return fits(r, r->bias, result(r)->dtype, result(r)->dtype, 1) &&
           r->bias->dims[r->leading] == n + more;
}

static int has_bias(int op) { return op == FD_OP_act || op == FD_OP_act_slope; }

static int takes_traced_p(int op) {
    return op == FD_OP_scale || op == FD_OP_add || op == FD_OP_select || op == FD_OP_split ||
           has_bias(op);
}

static int read_request(request *r, const fd_xla_frame *frame) {
    const fd_xla_buffers *in = &frame->arguments, *out = &frame->results;
    fd_call *c = &r->call;
    size_t plans = 0, count = 0;
    /* A plan; whether there are a start and a p among the arguments; the activation, and the length
     * of the bias, or 0. */
    const int64_t *plan = numbers(frame, "plan", FD_XLA_S64, &plans);
    const double *values = numbers(frame, "numbers", FD_XLA_F64, &count);
    int op = operation_of(frame);
    if (op == FD_OPERATION_COUNT || !plan || plans != 6 || !values || count != 3) { return 0; }
    if (plan[4] < 0 || plan[4] >= FD_ACT_COUNT || plan[5] < 0 || has_bias(op) != (plan[5] > 0)) {
        return 0;
    }
    c->operation = (fd_operation)op;
    c->drawn = op != FD_OP_mix && op != FD_OP_unmix;
    c->axes.operands = fd_operation_operands(op);
    r->reads = fd_operation_reads(op);
    if (in->n != 1 + (plan[2] != 0) + (plan[3] != 0) + has_bias(op) + r->reads ||
        out->n != c->axes.operands - r->reads) {
        return 0;
    }
    c->plan = (fd_plan){(uint32_t)plan[0], (uint64_t)plan[1]};
    c->act = (fd_act)plan[4];
    memcpy(c->numbers, values, sizeof c->numbers);

    void **next = in->values;
    r->key = *next++;
    if (plan[2]) { r->start = *next++; }
    if (plan[3]) { r->p = *next++; }
    if (has_bias(op)) { r->bias = *next++; }
    for (int i = 0; i < c->axes.operands; i++) {
        r->at[i] = i < r->reads ? *next++ : out->values[i - r->reads];
    }

    r->leading = r->key->rank - 1;
    if (r->leading < 0 || !read_dtype(&c->dtype, result(r)->dtype) || !read_shapes(r, frame) ||
        !fits(r, r->key, FD_XLA_U32, FD_XLA_U32, 1)) {
        return 0;
    }
    if (r->start && !(fits(r, r->start, FD_XLA_S32, FD_XLA_S64, 1) &&
                      r->start->dims[r->leading] == c->axes.ndim)) {
        return 0;
    }
    if (r->p && !(takes_traced_p(op) && fits(r, r->p, FD_XLA_F32, FD_XLA_F64, 0))) { return 0; }
    if (r->bias && !read_bias(r, plan[5])) { return 0; }
    for (int i = 0; i < c->axes.operands; i++) {
        if (!holds(r, r->at[i])) { return 0; }
    }
    return 1;
}

/* --- Slices ------------------------------------------------------------------------------------
 */

/* Where slice number `at` of the result lies in a buffer, in slices. */
static size_t place_of(const request *r, const buffer *b, size_t at) {
    size_t place = 0, step = 1;
    for (int64_t d = r->leading; d-- > 0;) {
        size_t n = (size_t)result(r)->dims[d], i = at % n;
        at /= n;
        if (b->dims[d] != 1) {
            place += i * step;
            step *= n;
        }
    }
    return place;
}

/* Seed, stream and offset, of two words each, the higher one first; one word alone is a seed. */
static int read_key(fd_key *key, const uint32_t *words, int64_t n) {
    uint64_t values[3] = {0, 0, 0};
    if (n == 1) {
        values[0] = words[0];
    } else if (n == 2 || n == 4 || n == 6) {
        for (int64_t i = 0; i < n / 2; i++) {
            values[i] = (uint64_t)words[2 * i] << 32 | words[2 * i + 1];
        }
    } else {
        return 0;
    }
    *key = (fd_key){values[0], values[1], values[2]};
    return 1;
}

/* Moves the key to where a window begins, unless that is outside. */
static int enter_window(request *r, size_t place) {
    fd_call *c = &r->call;
    for (int d = 0; d < c->axes.ndim; d++) {
        size_t i = place * (size_t)c->axes.ndim + (size_t)d;
        int64_t first = r->start->dtype == FD_XLA_S32 ? ((const int32_t *)r->start->data)[i]
                                                      : ((const int64_t *)r->start->data)[i];
        if (first < 0 || (uint64_t)first > r->whole[d] - c->axes.shape[d]) { return 0; }
        c->key.offset += (uint64_t)first * (uint64_t)c->axes.steps[d] * (is_noise(c) ? 2 : 1);
    }
    return 1;
}

/* What a p that is known only now makes of the call, if it is a probability. */
static int take_p(request *r, size_t place) {
    fd_call *c = &r->call;
    double p = r->p->dtype == FD_XLA_F32 ? (double)((const float *)r->p->data)[place]
                                         : ((const double *)r->p->data)[place];
    if (!(p >= 0 && p <= 1)) { return 0; }
    c->plan = fd_plan_make(p);
    /* Where nothing is kept, nothing is scaled: 1 / (1 - p) is infinite. */
    c->numbers[0] = p < 1 ? fd_scale_make(c->dtype, p) : 1;
    return 1;
}

static const char misfit[] = "fastdrop: the call is not one that fastdrop.jax makes";

/* NULL, or why it is not computed. */
static const char *run_slice(request *r, size_t at) {
    fd_call *c = &r->call;
    const int64_t words = r->key->dims[r->leading];
    const uint32_t *key = r->key->data;
    if (!read_key(&c->key, key + place_of(r, r->key, at) * (size_t)words, words)) { return misfit; }
    if (r->p && !take_p(r, place_of(r, r->p, at))) {
        return "dropout probability has to be between 0 and 1, but the traced p is not";
    }
    if (r->start && !enter_window(r, place_of(r, r->start, at))) {
        return "window has to lie within its shape, but start is negative or start + x.shape "
               "passes the shape";
    }
    if (r->bias) {
        size_t bytes = (size_t)r->bias->dims[r->leading] * fd_itemsize(c->dtype);
        c->bias.values = (const char *)r->bias->data + place_of(r, r->bias, at) * bytes;
    }
    for (int i = 0; i < c->axes.operands; i++) {
        c->at[i] = (char *)r->at[i]->data + place_of(r, r->at[i], at) * r->bytes;
    }
    fd_run(c);
    return NULL;
}

static fd_xla_error *failed(const fd_xla_frame *frame, int code, const char *message) {
    fd_xla_error_args args = {sizeof args, NULL, message, code};
    return frame->api->error(&args);
}

static fd_xla_error *execute(const fd_xla_frame *frame) {
    request r = {.leading = 0};
    if (!read_request(&r, frame)) { return failed(frame, FD_XLA_INVALID_ARGUMENT, misfit); }
    if (!r.bytes) { return NULL; }
    /* Room for decisions that are shared; a variate is drawn where it is needed. */
    int room = r.shared && r.call.drawn && !is_noise(&r.call);
    if (room && !(r.call.bits = malloc((r.decisions + 7) / 8))) {
        return failed(frame, FD_XLA_RESOURCE_EXHAUSTED, "fastdrop: no memory for decisions");
    }
    size_t slices = 1;
    for (int64_t d = 0; d < r.leading; d++) { slices *= (size_t)result(&r)->dims[d]; }
    const char *wrong = NULL;
    for (size_t at = 0; at < slices && !wrong; at++) { wrong = run_slice(&r, at); }
    free(r.call.bits);
    return wrong ? failed(frame, FD_XLA_INVALID_ARGUMENT, wrong) : NULL;
}

/* The version is XLA's own if its layouts are among those declared, else the nearest of these: XLA
 * takes handlers of its own version and, for a year, of older ones. */
static void describe(const fd_xla_frame *frame, fd_xla_metadata *metadata) {
    int minor = FD_XLA_OLDEST_MINOR;
    if (frame->api && frame->api->version.major == FD_XLA_MAJOR) {
        minor = frame->api->version.minor;
        if (minor < FD_XLA_OLDEST_MINOR) { minor = FD_XLA_OLDEST_MINOR; }
        if (minor > FD_XLA_NEWEST_MINOR) { minor = FD_XLA_NEWEST_MINOR; }
    }
    metadata->version = (fd_xla_version){sizeof(fd_xla_version), NULL, FD_XLA_MAJOR, minor};
    metadata->traits = 0;
}

fd_xla_error *fd_xla_handler(fd_xla_frame *frame) {
    if (frame->extension && frame->extension->kind == FD_XLA_METADATA) {
        describe(frame, ((fd_xla_metadata_extension *)(void *)frame->extension)->metadata);
        return NULL;
    }
    return execute(frame);
}
