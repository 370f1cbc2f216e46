/* XLA calls this: one element-wise operation under decisions, on JAX's arrays.
 *
 * Arguments are the key's words; then, if there are any, the start of a window and p; then the
 * operands. All have the same number of leading axes, which `vmap` made, each as long as the
 * result's or 1; behind them operands have the axes of one call. Attributes say what is computed:
 * src/fastdrop/jax/_primitive.py makes them, and all of it is checked here. */
#include <stdlib.h>
#include <string.h>

#include "xla_call.h"
#include "xla_ffi.h"

typedef fd_xla_buffer buffer;

/* A call, and the buffers that its slices lie in. */
typedef struct request {
    fd_xla_call call;
    int64_t leading; /* axes */
    const buffer *key, *start, *p, *reads[FD_XLA_READS], *writes[FD_XLA_WRITES];
    size_t whole[FD_MAX_DIMS]; /* the shape of the array that a slice is a window of */
    int shared;                /* whether elements share decisions */
} request;

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

static fd_xla_operation operation_of(const fd_xla_frame *frame) {
    const fd_xla_span *name = attribute(frame, "operation", FD_XLA_STRING);
    int op = 0;
    while (op < FD_XLA_OPERATIONS && !(name && is_named(name, fd_xla_operations[op].name))) {
        op++;
    }
    return (fd_xla_operation)op;
}

/* Shapes and steps: `decisions` is 1 along axes that share one, `whole` what a slice is a part of.
 */
static int read_shapes(request *r, const fd_xla_frame *frame) {
    fd_xla_call *c = &r->call;
    const buffer *y = r->writes[0];
    size_t ndim = 0, axes = 0;
    const int64_t *decisions = numbers(frame, "decisions", FD_XLA_S64, &ndim);
    const int64_t *whole = numbers(frame, "whole", FD_XLA_S64, &axes);
    if (!decisions || !whole || ndim != axes || ndim > FD_MAX_DIMS ||
        y->rank != r->leading + (int64_t)ndim) {
        return 0;
    }
    c->ndim = (int)ndim;
    c->n = c->decisions = 1;
    uint64_t step = 1;
    for (int d = c->ndim; d-- > 0;) {
        int64_t n = y->dims[r->leading + d];
        if (n > whole[d] || (decisions[d] != 1 && decisions[d] != whole[d])) { return 0; }
        c->shape[d] = (size_t)n;
        r->whole[d] = (size_t)whole[d];
        c->steps[d] = decisions[d] == 1 ? 0 : step;
        r->shared |= decisions[d] == 1 && n > 1;
        c->n *= c->shape[d];
        c->decisions *= c->steps[d] ? c->shape[d] : 1;
        step *= (uint64_t)decisions[d];
    }
    return !r->shared || fd_xla_operations[c->op].shares;
}

/* --- Buffers -----------------------------------------------------------------------------------
 */

static int read_dtype(fd_xla_call *c, int dtype) {
    static const struct {
        int xla;
        fd_dtype dtype;
        size_t item;
    } dtypes[] = {
        {FD_XLA_F32, FD_f32, 4},
        {FD_XLA_F64, FD_f64, 8},
        {FD_XLA_F16, FD_f16, 2},
        {FD_XLA_BF16, FD_bf16, 2},
    };
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++) {
        if (dtypes[i].xla == dtype) {
            c->dtype = dtypes[i].dtype;
            c->item = dtypes[i].item;
            return 1;
        }
    }
    return 0;
}

/* Whether a buffer of one of two types has the leading axes, and so many behind them. */
static int fits(const request *r, const buffer *b, int dtype, int other, int64_t behind) {
    if ((b->dtype != dtype && b->dtype != other) || b->rank != r->leading + behind) { return 0; }
    for (int64_t d = 0; d < r->leading; d++) {
        if (b->dims[d] != 1 && b->dims[d] != r->writes[0]->dims[d]) { return 0; }
    }
    return 1;
}

/* Whether it is an operand, or a result. */
static int holds(const request *r, const buffer *b) {
    const buffer *y = r->writes[0];
    if (!fits(r, b, y->dtype, y->dtype, r->call.ndim)) { return 0; }
    for (int64_t d = r->leading; d < y->rank; d++) {
        if (b->dims[d] != y->dims[d]) { return 0; }
    }
    return 1;
}

static int takes_traced_p(fd_xla_operation op) {
    return op == FD_XLA_SCALE || op == FD_XLA_ADD || op == FD_XLA_SELECT || op == FD_XLA_SPLIT;
}

static int read_request(request *r, const fd_xla_frame *frame) {
    const fd_xla_buffers *in = &frame->arguments, *out = &frame->results;
    fd_xla_call *c = &r->call;
    size_t plans = 0, count = 0;
    /* A plan, and whether there are a start and a p among the arguments. */
    const int64_t *plan = numbers(frame, "plan", FD_XLA_S64, &plans);
    const double *values = numbers(frame, "numbers", FD_XLA_F64, &count);
    c->op = operation_of(frame);
    if (c->op == FD_XLA_OPERATIONS || !plan || plans != 4 || !values || count != 3) { return 0; }
    const fd_xla_facts *facts = &fd_xla_operations[c->op];
    if (in->n != 1 + (plan[2] != 0) + (plan[3] != 0) + facts->reads || out->n != facts->writes) {
        return 0;
    }
    c->plan = (fd_plan){(uint32_t)plan[0], (uint64_t)plan[1]};
    memcpy(c->numbers, values, sizeof c->numbers);

    void **next = in->values;
    r->key = *next++;
    if (plan[2]) { r->start = *next++; }
    if (plan[3]) { r->p = *next++; }
    for (int i = 0; i < facts->reads; i++) { r->reads[i] = *next++; }
    for (int i = 0; i < facts->writes; i++) { r->writes[i] = out->values[i]; }

    r->leading = r->key->rank - 1;
    if (r->leading < 0 || !read_dtype(c, r->writes[0]->dtype) || !read_shapes(r, frame) ||
        !fits(r, r->key, FD_XLA_U32, FD_XLA_U32, 1)) {
        return 0;
    }
    if (r->start &&
        !(fits(r, r->start, FD_XLA_S32, FD_XLA_S64, 1) && r->start->dims[r->leading] == c->ndim)) {
        return 0;
    }
    if (r->p && !(takes_traced_p(c->op) && fits(r, r->p, FD_XLA_F32, FD_XLA_F64, 0))) { return 0; }
    for (int i = 0; i < facts->reads; i++) {
        if (!holds(r, r->reads[i])) { return 0; }
    }
    return facts->writes < 2 || holds(r, r->writes[1]);
}

/* --- Slices ------------------------------------------------------------------------------------
 */

/* Where slice number `at` of the result lies in a buffer, in slices. */
static size_t place_of(const request *r, const buffer *b, size_t at) {
    size_t place = 0, step = 1;
    for (int64_t d = r->leading; d-- > 0;) {
        size_t n = (size_t)r->writes[0]->dims[d], i = at % n;
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
static int enter_window(const request *r, size_t place, fd_key *key) {
    const fd_xla_call *c = &r->call;
    for (int d = 0; d < c->ndim; d++) {
        size_t i = place * (size_t)c->ndim + (size_t)d;
        int64_t first = r->start->dtype == FD_XLA_S32 ? ((const int32_t *)r->start->data)[i]
                                                      : ((const int64_t *)r->start->data)[i];
        if (first < 0 || (uint64_t)first > r->whole[d] - c->shape[d]) { return 0; }
        key->offset += (uint64_t)first * c->steps[d] * fd_xla_operations[c->op].positions;
    }
    return 1;
}

/* What a p that is known only now makes of the call, if it is a probability. */
static int take_p(request *r, size_t place) {
    fd_xla_call *c = &r->call;
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
    const fd_xla_call *c = &r->call;
    const int64_t words = r->key->dims[r->leading];
    const uint32_t *key = r->key->data;
    fd_xla_slice slice = {.reads = {NULL}};
    if (!read_key(&slice.key, key + place_of(r, r->key, at) * (size_t)words, words)) {
        return misfit;
    }
    if (r->p && !take_p(r, place_of(r, r->p, at))) {
        return "dropout probability has to be between 0 and 1, but the traced p is not";
    }
    if (r->start && !enter_window(r, place_of(r, r->start, at), &slice.key)) {
        return "window has to lie within its shape, but start is negative or start + x.shape "
               "passes the shape";
    }
    for (int i = 0; i < fd_xla_operations[c->op].reads; i++) {
        const char *data = r->reads[i]->data;
        slice.reads[i] = data + place_of(r, r->reads[i], at) * c->n * c->item;
    }
    for (int i = 0; i < fd_xla_operations[c->op].writes; i++) {
        slice.writes[i] = (char *)r->writes[i]->data + at * c->n * c->item;
    }
    fd_xla_run(c, &slice);
    return NULL;
}

static fd_xla_error *failed(const fd_xla_frame *frame, int code, const char *message) {
    fd_xla_error_args args = {sizeof args, NULL, message, code};
    return frame->api->error(&args);
}

static fd_xla_error *execute(const fd_xla_frame *frame) {
    request r = {.leading = 0};
    if (!read_request(&r, frame)) { return failed(frame, FD_XLA_INVALID_ARGUMENT, misfit); }
    if (r.call.n == 0) { return NULL; }
    if (r.shared && !(r.call.bits = malloc((r.call.decisions + 7) / 8))) {
        return failed(frame, FD_XLA_RESOURCE_EXHAUSTED, "fastdrop: no memory for decisions");
    }
    size_t slices = 1;
    for (int64_t d = 0; d < r.leading; d++) { slices *= (size_t)r.writes[0]->dims[d]; }
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
