/* From a call to kernels.
 *
 * Contiguous data are drawn and scaled in registers; those whose results bypass the cache are drawn
 * and computed in as long pieces. Everything else goes by chunks of at most 4096 elements: the
 * chunk's keep bits come from one of five sources (sources.c), its elements from the arrays or
 * through buffers, and one kernel computes. Memory that is dense in another order is
 * taken as it lies, and the bits are brought to it (permuted.c), or its elements are gathered in
 * tiles (tiled.c). */
#include "run.h"

#include <string.h>

#include "cpu/dispatch.h"
#include "cpu/fpenv.h"
#include "permuted.h"
#include "share.h"
#include "sources.h"
#include "streaming.h"
#include "tiled.h"

enum {
    /* Rows of neighbours that are so long are taken where they are, and shorter ones together. */
    LONG_ROW = 512,
    /* All buffers of a chunk. */
    BUFFER_BYTES = 65536,
    /* Shared bits of fewer elements are spread before they are applied: less to prepare. */
    FEW = 256,
    /* Variates that kernels draw themselves come in chunks of so many blocks, and decisions of
     * results that bypass the cache. */
    BLOCKS_OF_NOISE = 16,
    BLOCKS_OF_LINES = 64,
    /* What is bound by its arithmetic takes so many times as long as what it moves, or more. */
    EFFORT = 4
};

typedef struct run_job {
    fd_job job;
    fd_source from;    /* the decisions */
    fd_axes axes;      /* merged */
    size_t lead, most; /* what the first chunk lacks (or share, of lines), and how long one is */
    size_t head;       /* elements before the results' first cache line */
    int anew;          /* whether decisions are drawn, and not in one go */
    int rows,
        plain[FD_OPERANDS]; /* whether all rows, or all elements, of operands are neighbours */
} run_job;

static fd_grid steps_of(const run_job *j) { return fd_grid_of(&j->axes, j->axes.steps); }

static fd_grid strides_of(const run_job *j, int operand) {
    return fd_grid_of(&j->axes, j->axes.strides[operand]);
}

static ptrdiff_t place_of(fd_grid grid, size_t element) {
    fd_cursor cursor;
    fd_cursor_seek(&cursor, grid, element);
    return cursor.offset;
}

static size_t row_of(const run_job *j) { return j->axes.shape[j->axes.ndim - 1]; }

/* How many elements from `first` on are a chunk: to the end of a block of the stream, or whole rows
 * where decisions begin anew with each. Of results that bypass the cache, chunks begin cache lines,
 * but for the first one of a share, which ends before one. */
static size_t chunk_of(const run_job *j, size_t first, size_t end) {
    size_t most = j->most, row = row_of(j), n = most;
    if (j->job.lines) {
        size_t head = (j->head - first) % (FD_LINE / j->job.size);
        n = head ? head : most;
    } else if (j->rows || (j->anew && row >= most)) {
        size_t left = row - first % row;
        n = left < most ? left : most;
    } else if (j->anew) {
        n = most / row * row - first % row;
    } else {
        n = most - (first + j->lead) % most;
    }
    return n < end - first ? n : end - first;
}

/* The bias of the chunk that starts at element `first`, which has to be the first-th in C order
 * unless all of the bias is one number. */
static const char *bias_at(const fd_job *j, size_t first) {
    if (j->operation != FD_OP_act && j->operation != FD_OP_act_slope) { return NULL; }
    const fd_bias *bias = &j->call->bias;
    return (const char *)bias->values + (bias->column + first % bias->n) % bias->n * j->size;
}

/* The decisions of n elements that are neighbours in every operand, and what they become. */
static void run_row(const void *context, size_t first, size_t n, char *const *at) {
    const run_job *j = context;
    FD_ALIGN64 uint8_t made[FD_BLOCK / 8];
    FD_ALIGN64 uint16_t fields[FD_BLOCK];
    size_t bit0;
    fd_keep keep = {NULL, {0}, NULL};
    if (j->from.kind == FD_DRAWN && j->from.in_order && fd_takes_lines(&j->job, at)) {
        fd_draw draw = j->from.draw;
        draw.position += first;
        keep.draw = &draw;
        fd_compute(&j->job, at, n, &keep, NULL, bias_at(&j->job, first));
        return;
    }
    /* Bytes are packed before fields are drawn, and no operation takes both. */
    fd_source_bits(&j->from, first, n, &keep, made, (char *)fields, &bit0);
    const char *bias = bias_at(&j->job, first);
    if (j->from.kind == FD_VARIATES) {
        fd_variates variates = fd_source_variates(&j->from, first, n, fields);
        fd_compute(&j->job, at, n, &keep, &variates, bias);
    } else if (j->job.operation == FD_OP_scale) {
        fd_apply(&j->job, at, n, keep.bits, bit0, bias);
    } else {
        fd_compute(&j->job, at, n, &keep, NULL, bias);
    }
}

/* One chunk; `buffers` is room for what does not lie together. */
static void run_chunk(const run_job *j, size_t first, size_t n, char *buffers) {
    size_t size = j->job.size;
    char *at[FD_OPERANDS];
    fd_cursor cursor;
    for (int i = 0; i < j->job.operands; i++) {
        char *array = j->job.call->at[i];
        if (j->plain[i]) {
            at[i] = array + first * size;
        } else if (j->rows) {
            at[i] = array + place_of(strides_of(j, i), first);
        } else {
            at[i] = buffers;
            buffers += j->most * size;
            if (i < j->job.reads) {
                fd_cursor_seek(&cursor, strides_of(j, i), first);
                fd_gather(at[i], array, &cursor, n, size);
            }
        }
    }
    run_row(j, first, n, at);
    for (int i = j->job.reads; i < j->job.operands; i++) {
        if (j->rows || j->plain[i]) { continue; }
        fd_cursor_seek(&cursor, strides_of(j, i), first);
        fd_scatter(j->job.call->at[i], at[i], &cursor, n, size);
    }
}

static void run_chunks(const run_job *j, size_t first, size_t end, char *buffers) {
    for (size_t n; first < end; first += n) {
        n = chunk_of(j, first, end);
        run_chunk(j, first, n, buffers);
    }
}

static void run_share(const void *context, size_t first, size_t end) {
    run_chunks(context, first, end, NULL);
}

static void run_gathered(const void *context, size_t first, size_t end) {
    FD_ALIGN64 char buffers[BUFFER_BYTES];
    run_chunks(context, first, end, buffers);
}

static void run_tiles(const void *context, size_t first, size_t end) {
    FD_ALIGN64 char buffers[FD_TILE_BUFFERS];
    for (; first < end; first++) { fd_tiles_run(context, first, buffers); }
}

static void run_shared(const void *context, size_t first, size_t end) {
    const run_job *j = context;
    const fd_job *job = &j->job;
    size_t place = first * job->size;
    fd_apply_shared(j->from.broadcast, job->table, job->dtype, job->size,
                    (char *)job->call->at[0] + place, (char *)job->call->at[1] + place, first,
                    end - first, job->call->numbers[0], job->streaming);
}

/* Rows whose positions follow on each other are drawn and scaled in registers. */
static void run_fused(const void *context, size_t first, size_t end) {
    const run_job *j = context;
    const fd_call *call = j->job.call;
    const fd_table *table = j->job.table;
    fd_dropout_fn *dropout =
        (j->job.streaming ? table->dropout_stream : table->dropout)[j->job.dtype];
    if (j->axes.ndim == 1) {
        fd_draw d = j->from.draw;
        size_t place = first * j->job.size;
        d.position += first;
        dropout((char *)call->at[0] + place, (char *)call->at[1] + place, end - first, &d,
                call->numbers[0]);
        return;
    }
    fd_cursor x, y, position;
    fd_cursor_seek(&x, strides_of(j, 0), first);
    fd_cursor_seek(&y, strides_of(j, 1), first);
    fd_cursor_seek(&position, steps_of(j), first);
    for (size_t n; first < end; first += n) {
        n = fd_cursor_run(&position, end - first);
        fd_draw d = j->from.draw;
        d.position += (uint64_t)position.offset;
        dropout((char *)call->at[0] + x.offset, (char *)call->at[1] + y.offset, n, &d,
                call->numbers[0]);
        fd_cursor_advance(&x, n);
        fd_cursor_advance(&y, n);
        fd_cursor_advance(&position, n);
    }
}

static void run_some_boxes(const void *context, size_t first, size_t end) {
    for (; first < end; first++) { fd_permuted_run(context, first); }
}

/* Whether it was done: not where few elements lie together in the memory of every operand. */
static int run_boxes(const run_job *j, const fd_axes *ordered, int bias_axis, size_t bytes) {
    fd_permuted p;
    p.job = &j->job;
    p.variates = j->from.kind == FD_VARIATES;
    p.draw = j->from.kind == FD_DRAWN || p.variates ? &j->from.draw : NULL;
    p.bits = j->job.call->bits;
    p.bytes = fd_mask_bytes(fd_grid_of(ordered, ordered->steps));
    p.bias = bias_at(&j->job, 0);
    p.bias_axis = bias_axis;
    p.bias_n = p.bias ? j->job.call->bias.n : 0;
    p.axes = ordered;
    size_t boxes = fd_permuted_cut(&p);
    fd_share_tasks(boxes, bytes, run_some_boxes, &p);
    return boxes > 0;
}

/* Bits that are not neighbours are rows of one element each. */
static void end_in_row(fd_axes *axes, ptrdiff_t size) {
    int last = axes->ndim;
    if (axes->steps[last - 1] <= 1) { return; }
    axes->ndim++;
    axes->shape[last] = 1;
    axes->steps[last] = 0;
    for (int i = 0; i < axes->operands; i++) { axes->strides[i][last] = size; }
}

/* Where the last axis of the elements is in the memory's order: -1 where it is a part of another.
 */
static int last_axis_in(const fd_axes *ordered, const run_job *j) {
    int by = j->job.reads, last = j->axes.ndim - 1, d = ordered->ndim - 1;
    while (d >= 0 && (ordered->strides[by][d] != j->axes.strides[by][last] ||
                      ordered->shape[d] != j->axes.shape[last])) {
        d--;
    }
    return d;
}

/* Elements in memory order, and decisions are brought to them. Whether all is done. */
FD_NOINLINE int take_by_memory(run_job *j, size_t bytes) {
    const fd_job *job = &j->job;
    fd_axes ordered;
    ptrdiff_t size = (ptrdiff_t)job->size;
    if (fd_is_contiguous(strides_of(j, job->reads), size) ||
        !fd_axes_by_memory(&ordered, &j->axes, job->reads, size)) {
        return 0;
    }
    int bias_axis = -1;
    if (bias_at(job, 0) && job->call->bias.n > 1) {
        const fd_bias *bias = &job->call->bias;
        bias_axis = last_axis_in(&ordered, j);
        if (bias_axis < 0 || row_of(j) % bias->n || bias->column || j->from.kind == FD_BYTES) {
            return 0;
        }
    } else if (j->from.kind == FD_BYTES || j->from.kind == FD_EVERY ||
               (j->from.kind == FD_BITS && ordered.steps[ordered.ndim - 1] <= 1)) {
        j->axes = ordered;
        return 0;
    }
    return run_boxes(j, &ordered, bias_axis, bytes);
}

/* Whether elements are contiguous in every operand, and each has a decision of its own. */
static int is_plain(const fd_axes *axes, size_t size) {
    if (axes->ndim != 1 || axes->steps[0] != 1) { return 0; }
    for (int i = 0; i < axes->operands; i++) {
        if (axes->strides[i][0] != (ptrdiff_t)size) { return 0; }
    }
    return 1;
}

/* A chunk that is plain is computed at once: small calls are made often. */
FD_NOINLINE void run_at_once(run_job *j, size_t n) {
    const fd_call *call = j->job.call;
    fd_fpenv environment = fd_fpenv_enter();
    if (j->from.kind == FD_DRAWN && call->operation == FD_OP_scale) {
        j->job.table->dropout[j->job.dtype](call->at[0], call->at[1], n, &j->from.draw,
                                            call->numbers[0]);
    } else {
        j->from.in_order = 1;
        j->rows = 0;
        for (int i = 0; i < j->job.operands; i++) { j->plain[i] = 1; }
        run_chunk(j, 0, n, NULL);
    }
    fd_fpenv_leave(environment);
}

/* Whether no operand but those that are read is written. */
static int apart(const fd_call *call, int reads, int operands) {
    for (int i = 0; i < reads; i++) {
        for (int k = reads; k < operands; k++) {
            if (call->at[i] == call->at[k]) { return 0; }
        }
    }
    return 1;
}

/* Cuts chunks and shares where the results' cache lines begin, if that is between the same elements
 * of all of them; whether it is done. */
static int cut_lines(run_job *j) {
    const fd_job *job = &j->job;
    uintptr_t y = (uintptr_t)job->call->at[job->reads];
    if (!job->table->streams || y % job->size) { return 0; }
    for (int i = job->reads + 1; i < job->operands; i++) {
        if (((uintptr_t)job->call->at[i] ^ y) % FD_LINE) { return 0; }
    }
    j->head = (size_t)(0 - y) % FD_LINE / job->size;
    j->lead = (FD_BLOCK - j->head) % FD_BLOCK;
    return 1;
}

void fd_run(const fd_call *call) {
    const fd_plan unused = {0, 0};
    fd_broadcast broadcast;
    run_job j;
    fd_job *job = &j.job;
    size_t n = fd_size(call->axes.ndim, call->axes.shape);
    if (!n) { return; }
    job->call = j.from.call = call;
    job->table = j.from.table = fd_active_table();
    job->operation = call->operation;
    job->dtype = call->dtype;
    job->size = fd_itemsize(call->dtype);
    job->reads = fd_operation_reads(call->operation);
    job->operands = fd_operation_operands(call->operation);
    job->lines = 0;
    int noise = call->operation == FD_OP_noise_factor || call->operation == FD_OP_noise_add;
    int moves = call->operation == FD_OP_select || call->operation == FD_OP_split;
    /* Without conversions, which would make a signalling NaN a quiet one. */
    if (moves && call->dtype == FD_f16) { job->dtype = FD_bf16; }
    j.from.kind = call->drawn   ? (noise ? FD_VARIATES : FD_DRAWN)
                  : call->bools ? FD_BYTES
                  : call->bits  ? FD_BITS
                                : FD_EVERY;
    j.lead = 0;
    if (call->drawn) {
        j.from.draw = fd_draw_make(&call->key, noise ? &unused : &call->plan);
        j.lead = call->key.offset % FD_BLOCK / (noise ? 2 : 1);
        if (n <= FD_BLOCK / 2 && is_plain(&call->axes, job->size)) {
            run_at_once(&j, n);
            return;
        }
    }
    size_t bytes = n * job->size * (size_t)job->operands;
    job->streaming = apart(call, job->reads, job->operands) && fd_bypasses_cache(bytes);
    fd_axes_merge(&j.axes, &call->axes);
    if (j.from.kind == FD_DRAWN && call->bits && fd_draw_shared(&j.axes, call)) {
        j.from.kind = FD_BITS;
    }
    /* One axis that is contiguous needs no other order. */
    int one_axis = j.axes.ndim == 1 && j.axes.strides[job->reads][0] == (ptrdiff_t)job->size;
    if (!one_axis && take_by_memory(&j, bytes)) { return; }

    int biased = call->operation == FD_OP_act || call->operation == FD_OP_act_slope;
    int scales = call->operation == FD_OP_scale, all_plain = 1, gathered = 0;
    ptrdiff_t size = (ptrdiff_t)job->size;
    j.rows = 1;
    for (int i = 0; i < job->operands; i++) {
        j.plain[i] = fd_is_contiguous(strides_of(&j, i), size);
        all_plain &= j.plain[i];
        gathered += !j.plain[i];
        j.rows &= j.axes.strides[i][j.axes.ndim - 1] == size;
    }
    j.from.in_order = j.from.kind == FD_EVERY || fd_is_contiguous(steps_of(&j), 1);
    /* Drawing begins anew with each row that is taken by itself. */
    int drawn_on = j.from.in_order && (j.from.kind == FD_DRAWN || j.from.kind == FD_VARIATES);
    j.rows = j.rows && !all_plain && row_of(&j) >= (drawn_on ? 16 : 1) * (size_t)LONG_ROW;
    j.anew = call->drawn && j.from.kind != FD_BITS && !j.from.in_order;
    if (j.anew || j.from.kind == FD_BITS) { j.lead = 0; }
    /* What is bound by its arithmetic gains nothing by it. */
    int computes = noise || (biased && call->act != FD_ACT_NONE && call->act != FD_ACT_RELU);
    job->streaming = job->streaming && all_plain;
    job->lines = job->streaming && !scales && !computes && !j.anew && cut_lines(&j);
    size_t buffered = (size_t)(j.rows ? 0 : gathered);
    int halves = buffered * FD_BLOCK * job->size > BUFFER_BYTES;
    j.most = noise || halves ? FD_BLOCK / 2 : FD_BLOCK;
    if (noise && j.from.in_order && !buffered) { j.most *= BLOCKS_OF_NOISE; }
    if (job->lines && j.from.kind == FD_DRAWN) { j.most *= BLOCKS_OF_LINES; }
    j.lead %= j.most;
    fd_share_fn *run = buffered ? run_gathered : run_share;
    j.from.broadcast = NULL;
    fd_tiles tiles;
    size_t tiled = 0;
    if (gathered && !j.rows) {
        tiles = (fd_tiles){.job = job, .row = run_row, .context = &j, .axes = j.axes};
        /* A row is part of a block of the stream, wherever it begins in one. */
        tiled = fd_tiles_cut(&tiles, (j.from.kind == FD_VARIATES ? FD_BLOCK / 2 : FD_BLOCK) - 1);
    }
    if (j.from.kind == FD_BITS && !(j.from.in_order && scales)) {
        end_in_row(&j.axes, size);
        fd_broadcast_init(&broadcast, steps_of(&j), call->bits);
        j.from.broadcast = &broadcast;
        if (scales && all_plain && broadcast.direct && n > FEW) { run = run_shared; }
    }
    j.from.steps = steps_of(&j);
    int follows = j.axes.steps[j.axes.ndim - 1] == 1 || j.from.in_order;
    if (scales && j.from.kind == FD_DRAWN && follows &&
        (j.rows || (all_plain && row_of(&j) >= LONG_ROW) || (all_plain && j.from.in_order))) {
        run = run_fused;
    }
    if (tiled) {
        job->streaming = 0;
        fd_share_tasks(tiled, bytes, run_tiles, &tiles);
        return;
    }
    size_t effort = computes ? EFFORT : 1;
    fd_share(n, j.lead, effort * (size_t)job->operands * job->size, run, &j);
}
