/* JAX's handler, called as XLA calls it: what it computes, and that it refuses every other frame.
 */
#include "xla/ffi.h"

#include <math.h>

#include "check.h"

enum { ROWS = 5, COLUMNS = 90, N = ROWS * COLUMNS, INPUTS = 5, ATTRIBUTES = 5 };

/* A frame with all that it points to. */
typedef struct call {
    fd_xla_frame frame;
    fd_xla_api api;
    fd_xla_buffer in[INPUTS], out[2];
    int in_kinds[INPUTS], out_kinds[2], kinds[ATTRIBUTES];
    void *ins[INPUTS], *outs[2], *values[ATTRIBUTES];
    fd_xla_span names[ATTRIBUTES], operation, *name_list[ATTRIBUTES];
    fd_xla_array arrays[ATTRIBUTES];
    int64_t decisions[2], whole[2], plan[6], shape[2], key_shape[1], start_shape[1], bias_shape[1];
    double numbers[3];
    uint32_t key[6];
    int32_t start[2];
    float p, x[N], r[N], bias[COLUMNS + N], y[N], z[N];
} call;

static struct {
    int code;
    char message[200];
} told;

static fd_xla_error *note(fd_xla_error_args *args) {
    told.code = args->code;
    snprintf(told.message, sizeof told.message, "%s", args->message);
    return (fd_xla_error *)&told;
}

static fd_xla_buffer buffer_of(int dtype, void *data, int64_t rank, const int64_t *dims) {
    return (fd_xla_buffer){sizeof(fd_xla_buffer), NULL, dtype, data, rank, dims};
}

static void set_operation(call *c, const char *name) {
    c->operation = (fd_xla_span){name, strlen(name)};
}

static void set_attribute(call *c, int i, const char *name, int dtype, const void *data, size_t n) {
    c->names[i] = (fd_xla_span){name, strlen(name)};
    c->name_list[i] = &c->names[i];
    c->kinds[i] = FD_XLA_ARRAY;
    c->arrays[i] = (fd_xla_array){dtype, n, data};
    c->values[i] = &c->arrays[i];
}

/* Sorted by name, as XLA has them. */
enum { DECISIONS, NUMBERS, OPERATION, PLAN, WHOLE };

/* What drops x with p = 1/4. */
static void make(call *c) {
    *c = (call){.shape = {ROWS, COLUMNS}, .key_shape = {6}, .start_shape = {2}};
    fd_plan plan = fd_plan_make(0.25);
    c->plan[0] = plan.threshold;
    c->plan[1] = (int64_t)plan.fraction;
    c->numbers[0] = fd_scale_make(FD_f32, 0.25);
    uint32_t key[6] = {1, 2, 3, 4, 5, 6};
    memcpy(c->key, key, sizeof key);
    for (int d = 0; d < 2; d++) { c->decisions[d] = c->whole[d] = c->shape[d]; }
    for (int i = 0; i < N; i++) {
        c->x[i] = (float)(i + 1);
        c->r[i] = (float)-i;
        c->y[i] = c->z[i] = -7;
    }
    set_attribute(c, DECISIONS, "decisions", FD_XLA_S64, c->decisions, 2);
    set_attribute(c, NUMBERS, "numbers", FD_XLA_F64, c->numbers, 3);
    set_attribute(c, OPERATION, "operation", 0, NULL, 0);
    set_attribute(c, PLAN, "plan", FD_XLA_S64, c->plan, 6);
    set_attribute(c, WHOLE, "whole", FD_XLA_S64, c->whole, 2);
    c->kinds[OPERATION] = FD_XLA_STRING;
    c->values[OPERATION] = &c->operation;
    set_operation(c, "scale");
    c->in[0] = buffer_of(FD_XLA_U32, c->key, 1, c->key_shape);
    c->in[1] = buffer_of(FD_XLA_F32, c->x, 2, c->shape);
    c->in[2] = buffer_of(FD_XLA_F32, c->r, 2, c->shape);
    c->out[0] = buffer_of(FD_XLA_F32, c->y, 2, c->shape);
    c->out[1] = buffer_of(FD_XLA_F32, c->z, 2, c->shape);
    for (int i = 0; i < INPUTS; i++) {
        c->ins[i] = &c->in[i];
        c->in_kinds[i] = FD_XLA_BUFFER;
    }
    for (int i = 0; i < 2; i++) {
        c->outs[i] = &c->out[i];
        c->out_kinds[i] = FD_XLA_BUFFER;
    }
    c->api =
        (fd_xla_api){sizeof(fd_xla_api), NULL, {sizeof(fd_xla_version), NULL, 0, 3}, NULL, note};
    c->frame = (fd_xla_frame){
        .size = sizeof(fd_xla_frame),
        .api = &c->api,
        .arguments = {sizeof(fd_xla_buffers), NULL, 2, c->in_kinds, c->ins},
        .results = {sizeof(fd_xla_buffers), NULL, 1, c->out_kinds, c->outs},
        .attributes = {sizeof(fd_xla_attributes), NULL, ATTRIBUTES, c->kinds, c->name_list,
                       c->values},
    };
}

/* What the call has as words. */
static const fd_key key = {(uint64_t)1 << 32 | 2, (uint64_t)3 << 32 | 4, (uint64_t)5 << 32 | 6};

/* One more argument, before the operands. */
static void put_first(call *c, fd_xla_buffer argument) {
    c->in[2] = c->in[1];
    c->in[1] = argument;
    c->frame.arguments.n = 3;
}

static void with_residual(call *c) {
    make(c);
    set_operation(c, "add");
    c->frame.arguments.n = 3;
}

static void with_start(call *c) {
    make(c);
    c->plan[2] = 1;
    put_first(c, buffer_of(FD_XLA_S32, c->start, 1, c->start_shape));
}

static void with_p(call *c) {
    make(c);
    c->plan[3] = 1;
    c->p = 0.25F;
    put_first(c, buffer_of(FD_XLA_F32, &c->p, 0, NULL));
}

static void with_bias(call *c) {
    make(c);
    set_operation(c, "act");
    c->plan[4] = FD_ACT_SILU;
    c->plan[5] = COLUMNS;
    c->bias_shape[0] = COLUMNS + N;
    for (int i = 0; i < COLUMNS + N; i++) { c->bias[i] = (float)(i % COLUMNS) / 16; }
    put_first(c, buffer_of(FD_XLA_F32, c->bias, 1, c->bias_shape));
}

static fd_xla_error *run(call *c) {
    told.code = 0;
    told.message[0] = 0;
    return fd_xla_handler(&c->frame);
}

/* --- What is computed ------------------------------------------------------------------------- */

static void gives(call *c, const float *found, const float *wanted, size_t n, const char *what) {
    CHECK(!run(c), "refused: %s", told.message);
    CHECK(!memcmp(found, wanted, n * sizeof(float)), "other numbers: %s", what);
}

static void check_results(void) {
    call c;
    const fd_plan plan = fd_plan_make(0.25);
    float wanted[N];
    make(&c);
    const double scale = c.numbers[0];
    fd_dropout(FD_f32, c.x, wanted, N, &key, &plan, scale);
    gives(&c, c.y, wanted, N, "fd_dropout");

    with_p(&c); /* and in place */
    c.out[0].data = c.x;
    c.plan[0] = c.plan[1] = 0;
    c.numbers[0] = 0;
    gives(&c, c.x, wanted, N, "p is an argument");

    with_start(&c); /* rows 2 to 4, which know where they begin */
    int64_t part[2] = {3, COLUMNS};
    c.in[2] = buffer_of(FD_XLA_F32, c.x + 2 * COLUMNS, 2, part);
    c.out[0].dims = part;
    c.start[0] = 2;
    gives(&c, c.y, wanted + 2 * COLUMNS, 3 * COLUMNS, "a window");
    CHECK(c.y[3 * COLUMNS] == -7, "written behind the result");

    /* Two keys for one x: a leading axis, which x has one of. */
    make(&c);
    int64_t keys[2] = {2, 2}, x[3] = {1, 2, COLUMNS}, y[3] = {2, 2, COLUMNS};
    c.decisions[0] = c.whole[0] = 2;
    uint32_t words[4] = {0, 8, 0, 9};
    c.in[0] = buffer_of(FD_XLA_U32, words, 2, keys);
    c.in[1] = buffer_of(FD_XLA_F32, c.x, 3, x);
    c.out[0] = buffer_of(FD_XLA_F32, c.y, 3, y);
    for (unsigned i = 0; i < 2; i++) {
        fd_dropout(FD_f32, c.x, wanted + i * 2 * COLUMNS, 2 * COLUMNS, &(fd_key){8 + i, 0, 0},
                   &plan, scale);
    }
    gives(&c, c.y, wanted, 4 * COLUMNS, "a batch");

    with_bias(&c);
    fd_bias bias = {c.bias, COLUMNS, 0};
    fd_bias_act_dropout(FD_f32, FD_ACT_SILU, c.x, &bias, wanted, N, &key, &plan, scale);
    gives(&c, c.y, wanted, N, "fd_bias_act_dropout");
}

/* --- What is refused -------------------------------------------------------------------------- */

/* The frame is refused with a code and these words, and nothing is written. */
static void refused(call *c, const char *what, const char *words) {
    fd_xla_error *error = run(c);
    CHECK(error == (fd_xla_error *)&told, "%s: taken", what);
    CHECK(told.code == FD_XLA_INVALID_ARGUMENT, "%s: code %d", what, told.code);
    CHECK(strstr(told.message, words), "%s: said: %s", what, told.message);
    int written = 0;
    for (int i = 0; i < N; i++) { written += c->y[i] != -7 || c->z[i] != -7; }
    CHECK(!written, "%s: %d numbers were written", what, written);
}

#define MISFIT "the call is not one that fastdrop.jax makes"
#define REFUSED(base, change) \
    do { \
        call c; \
        base(&c); \
        change; \
        refused(&c, #change, MISFIT); \
    } while (0)

static void check_attributes(void) {
    for (int i = 0; i < ATTRIBUTES; i++) {
        REFUSED(make, c.names[i].n--);
        REFUSED(make, c.kinds[i] = 2);
        if (i == OPERATION) { continue; }
        REFUSED(make, c.arrays[i].n--);
        REFUSED(make, c.arrays[i].dtype = FD_XLA_F32);
    }
    REFUSED(make, c.frame.attributes.n = 0);
    REFUSED(make, set_operation(&c, "scales"));
    REFUSED(make, set_operation(&c, "scal"));
    REFUSED(make, set_operation(&c, ""));
    REFUSED(make, set_operation(&c, "add"));
    REFUSED(make, set_operation(&c, "split"));
    REFUSED(make, set_operation(&c, "act"));
    REFUSED(make, c.decisions[0] = ROWS - 1);
    REFUSED(make, c.decisions[1] = COLUMNS + 1);
    REFUSED(make, c.whole[0] = c.decisions[0] = ROWS - 1);
    REFUSED(make, c.plan[4] = -1);
    REFUSED(make, c.plan[4] = FD_ACT_COUNT);
    REFUSED(make, c.plan[5] = 1);
    REFUSED(make, c.plan[2] = 1);
    REFUSED(make, c.plan[3] = 1);
    REFUSED(with_bias, c.plan[5] = 0);
    REFUSED(with_bias, c.plan[5] = -1);
    REFUSED(with_bias, c.plan[5] = COLUMNS - 1);
}

static void check_buffers(void) {
    int64_t other[3] = {ROWS, COLUMNS - 1, 1}, leading[2] = {1, 6};
    REFUSED(make, c.frame.arguments.n = 1);
    REFUSED(make, c.frame.arguments.n = 3);
    REFUSED(make, c.frame.results.n = 2);
    REFUSED(make, c.frame.results.n = 0);
    REFUSED(make, c.in[0].dtype = FD_XLA_S32);
    REFUSED(make, c.in[0].rank = 0);
    REFUSED(make, (c.in[0].rank = 2, c.in[0].dims = leading));
    REFUSED(make, c.in[1].dtype = FD_XLA_F64);
    REFUSED(make, c.in[1].dtype = c.out[0].dtype = FD_XLA_S32);
    REFUSED(make, c.in[1].rank = 1);
    REFUSED(make, c.in[1].dims = other);
    REFUSED(make, c.out[0].rank = 3);
    REFUSED(make, c.out[0].dims = other);
    REFUSED(with_residual, c.in[2].dtype = FD_XLA_BF16);
    REFUSED(with_residual, c.in[2].dims = other);
    REFUSED(with_start, c.in[1].dtype = FD_XLA_F32);
    REFUSED(with_start, c.start_shape[0] = 1);
    REFUSED(with_start, c.in[1].rank = 0);
    REFUSED(with_p, c.in[1].dtype = FD_XLA_F16);
    REFUSED(with_p, c.in[1].rank = 1);
    REFUSED(with_p, set_operation(&c, "noise_add"));
    REFUSED(with_p, set_operation(&c, "affine"));
    REFUSED(with_bias, c.bias_shape[0]--);
    REFUSED(with_bias, c.bias_shape[0]++);
    REFUSED(with_bias, c.in[1].dtype = FD_XLA_F16);
    REFUSED(with_bias, c.in[1].rank = 0);
    REFUSED(make, c.key_shape[0] = 3);
    REFUSED(make, c.key_shape[0] = 5);
}

static void check_values(void) {
    const float rates[] = {-0.1F, 1.5F, (float)NAN, (float)INFINITY};
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        call c;
        with_p(&c);
        c.p = rates[i];
        refused(&c, "p", "dropout probability has to be between 0 and 1");
    }
    const int32_t starts[][2] = {{-1, 0}, {1, 0}, {0, 1}, {INT32_MAX, 0}, {0, INT32_MIN}};
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
        call c;
        with_start(&c);
        memcpy(c.start, starts[i], sizeof c.start);
        refused(&c, "start", "window has to lie within its shape");
    }
    /* Without elements nothing is looked at but the frame. */
    call c;
    with_p(&c);
    c.p = -1;
    c.shape[0] = c.whole[0] = c.decisions[0] = 0;
    CHECK(!run(&c), "refused: %s", told.message);
}

/* --- Versions --------------------------------------------------------------------------------- */

static int minor_for(int major, int minor) {
    call c;
    make(&c);
    fd_xla_metadata metadata = {.traits = 7};
    fd_xla_metadata_extension extension = {{sizeof extension, FD_XLA_METADATA, NULL}, &metadata};
    c.frame.extension = &extension.base;
    c.api.version.major = major;
    c.api.version.minor = minor;
    CHECK(!run(&c), "refused: %s", told.message);
    CHECK(metadata.version.major == 0 && metadata.traits == 0, "of major version %d", major);
    CHECK(c.y[0] == -7, "computed where it is asked for its version");
    return metadata.version.minor;
}

static void check_versions(void) {
    for (int minor = FD_XLA_OLDEST_MINOR; minor <= FD_XLA_NEWEST_MINOR; minor++) {
        CHECK(minor_for(0, minor) == minor, "not XLA's version 0.%d", minor);
    }
    CHECK(minor_for(0, 0) == FD_XLA_OLDEST_MINOR, "older than all");
    CHECK(minor_for(0, 99) == FD_XLA_NEWEST_MINOR, "newer than all");
    CHECK(minor_for(1, 3) == FD_XLA_OLDEST_MINOR, "another major version");
}

void test_xla(void) {
    check_results();
    check_attributes();
    check_buffers();
    check_values();
    check_versions();
}
