/* Products of a linear layer whose connections are dropped, cut into regions that each fit a cache.
 * A region is computed by one thread, from the first term of each sum to the last: so the bits do
 * not depend on the number of threads. */
#include "cpu/dispatch.h"
#include "run/share.h"

typedef struct job {
    fd_linear linear;
    fd_region most; /* the size of a region; its firsts are 0 */
    size_t across;  /* regions in the direction that changes fastest */
    fd_dropconnect_fn *fn;
    void (*locate)(const struct job *j, size_t task, fd_region *region);
} job;

static size_t least(size_t a, size_t b) { return a < b ? a : b; }
static size_t regions(size_t n, size_t size) { return (n + size - 1) / size; }

static void run_regions(const void *context, size_t first, size_t end) {
    const job *j = context;
    for (size_t task = first; task < end; task++) {
        fd_region region = j->most;
        j->locate(j, task, &region);
        j->fn(&j->linear, &region);
    }
}

static job make(fd_dtype dtype, size_t samples, size_t outputs, size_t inputs, int shared,
                const fd_key *key, const fd_plan *plan, double scale) {
    job j = {.linear = {.samples = samples,
                        .outputs = outputs,
                        .inputs = inputs,
                        .shared = shared,
                        .scale = scale,
                        .draw = fd_draw_make(key, plan)}};
    size_t numbers = FD_TILE_BYTES / (dtype == FD_f64 ? sizeof(double) : sizeof(float));
    j.most.inputs = least(inputs, FD_CHUNK);
    size_t rows = numbers / fd_packed(inputs ? j.most.inputs : 1);
    j.most.outputs = least(outputs, rows);
    j.most.samples = least(samples, rows);
    return j;
}

static void run(job *j, size_t down) {
    const fd_linear *l = &j->linear;
    /* A term costs about as much as two bytes that are moved. */
    fd_share_tasks(down * j->across, 2 * l->samples * l->outputs * l->inputs, run_regions, j);
}

static void locate_y(const job *j, size_t task, fd_region *region) {
    region->output = task / j->across * region->outputs;
    region->sample = task % j->across * region->samples;
    region->outputs = least(region->outputs, j->linear.outputs - region->output);
    region->samples = least(region->samples, j->linear.samples - region->sample);
}

void fd_dropconnect(fd_dtype dtype, const void *x, const void *w, const void *bias, void *y,
                    size_t samples, size_t outputs, size_t inputs, int shared, const fd_key *key,
                    const fd_plan *plan, double scale) {
    job j = make(dtype, samples, outputs, inputs, shared, key, plan, scale);
    if (!samples || !outputs) { return; }
    j.linear.x = x;
    j.linear.w = w;
    j.linear.bias = bias;
    j.linear.y = y;
    j.fn = fd_active_table()->dropconnect[dtype];
    j.locate = locate_y;
    /* Weights are packed once for these samples; more would leave threads without work. */
    j.most.samples = least(samples, least(32, FD_TILE_BYTES / 32 / j.most.outputs));
    j.across = regions(samples, j.most.samples);
    run(&j, regions(outputs, j.most.outputs));
}

static void locate_dx(const job *j, size_t task, fd_region *region) {
    region->sample = task / j->across * region->samples;
    region->input = task % j->across * region->inputs;
    region->samples = least(region->samples, j->linear.samples - region->sample);
    region->inputs = least(region->inputs, j->linear.inputs - region->input);
}

void fd_dropconnect_dx(fd_dtype dtype, const void *dy, const void *w, void *dx, size_t samples,
                       size_t outputs, size_t inputs, int shared, const fd_key *key,
                       const fd_plan *plan, double scale) {
    job j = make(dtype, samples, outputs, inputs, shared, key, plan, scale);
    if (!samples || !inputs) { return; }
    j.linear.dy = dy;
    j.linear.w = w;
    j.linear.dx = dx;
    j.fn = fd_active_table()->dropconnect_dx[dtype];
    j.locate = locate_dx;
    j.most.samples = least(j.most.samples, 16);
    j.across = regions(inputs, j.most.inputs);
    run(&j, regions(samples, j.most.samples));
}

static void locate_dw(const job *j, size_t task, fd_region *region) {
    region->output = task / j->across * region->outputs;
    region->input = task % j->across * region->inputs;
    region->outputs = least(region->outputs, j->linear.outputs - region->output);
    region->inputs = least(region->inputs, j->linear.inputs - region->input);
}

void fd_dropconnect_dw(fd_dtype dtype, const void *dy, const void *x, void *dw, size_t samples,
                       size_t outputs, size_t inputs, int shared, const fd_key *key,
                       const fd_plan *plan, double scale) {
    job j = make(dtype, samples, outputs, inputs, shared, key, plan, scale);
    if (!outputs || !inputs) { return; }
    j.linear.dy = dy;
    j.linear.x = x;
    j.linear.dw = dw;
    j.fn = fd_active_table()->dropconnect_dw[dtype];
    j.locate = locate_dw;
    j.most.samples = least(j.most.samples, FD_BATCH);
    j.across = regions(inputs, j.most.inputs);
    run(&j, regions(outputs, j.most.outputs));
}
