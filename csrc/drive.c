/* From a call to kernels: choose fused or chunked.
 *
 * Contiguous data are drawn and applied in registers. Everything else goes by chunks of at most
 * 4096 elements: the chunk's keep bits come from one of four sources, its elements from the array
 * or through a buffer, and one kernel applies the bits. */
#include <string.h>

#include "dispatch.h"
#include "fpenv.h"
#include "layout.h"
#include "permuted.h"
#include "share.h"
#include "shared.h"

static FD_SHARED(size_t) streaming_bytes; /* 0: not asked yet */

void fd_set_streaming_bytes(size_t bytes) { streaming_bytes = bytes; }
size_t fd_get_streaming_bytes(void) {
    if (!streaming_bytes) { streaming_bytes = fd_cpu_cache_bytes(); }
    return streaming_bytes;
}

static FD_PER_THREAD int fresh_outputs;

int fd_fresh_outputs(int fresh) {
    int before = fresh_outputs;
    fresh_outputs = fresh;
    return before;
}

static int bypasses_cache(const void *x, const void *y, size_t bytes) {
    return x != y && !fresh_outputs && bytes >= fd_get_streaming_bytes();
}

fd_plan fd_plan_make(double p) {
    double x = 65536.0 * p;
    fd_plan plan;
    plan.threshold = (uint32_t)x;
    plan.fraction = (uint64_t)((x - (double)plan.threshold) * 0x1p64);
    return plan;
}

double fd_scale_make(fd_dtype dtype, double p) {
    fd_fpenv environment = fd_fpenv_enter();
    /* volatile: compilers move plain arithmetic across a change of the rounding mode */
    volatile double given = p, scale = 1.0 / (1.0 - given);
    if (dtype != FD_f64) { scale = (float)scale; }
    fd_fpenv_leave(environment);
    return scale;
}

typedef enum source { DRAWN, BITS, BYTES, EVERY } source;

typedef struct job {
    const fd_table *table;
    fd_dtype dtype;
    source source;
    int fused, stream, x_plain, y_plain, mask_plain;
    size_t size, n; /* bytes of an element, elements */
    const char *x;
    char *y;
    const uint8_t *mask;
    double scale;
    const fd_affine *map; /* instead of the scale, or NULL */
    fd_draw draw;
    const fd_layout *layout;       /* where something is strided */
    const fd_broadcast *broadcast; /* where the mask is shared */
    size_t lead;                   /* how many elements the first block of the stream lacks */
} job;

static fd_draw draw_at(const job *j, size_t element) {
    fd_draw d = j->draw;
    d.position += element;
    return d;
}

/* The packed bits of elements first..first+n-1: where they are, or made in `buffer`. */
static const uint8_t *chunk_bits(const job *j, size_t first, size_t n, uint8_t *buffer,
                                 char *scratch, size_t *bit0) {
    fd_cursor cursor;
    *bit0 = 0;
    switch (j->source) {
    case DRAWN: {
        fd_draw d = draw_at(j, first);
        j->table->mask_bits(buffer, n, &d);
        break;
    }
    case BITS:
        if (j->mask_plain) {
            *bit0 = first & 7;
            return j->mask + (first >> 3);
        }
        fd_expand_bits(buffer, j->broadcast, first, n);
        break;
    case BYTES:
        if (j->mask_plain) {
            j->table->pack_bool(j->mask + first, buffer, n);
        } else {
            fd_cursor_seek(&cursor, j->layout, j->layout->mask_strides, first);
            fd_gather(scratch, (const char *)j->mask, &cursor, n, 1);
            j->table->pack_bool((const uint8_t *)scratch, buffer, n);
        }
        break;
    case EVERY:
        memset(buffer, 0xFF, FD_BLOCK / 8);
        break;
    }
    return buffer;
}

static void run_chunk(const job *j, size_t first, size_t n) {
    FD_ALIGN64 char elements[FD_BLOCK * 8];
    uint8_t made[FD_BLOCK / 8];
    size_t bit0 = 0;
    fd_keep keep = {0};
    if (j->map && j->source == DRAWN) {
        fd_draw d = draw_at(j, first);
        keep = fd_keep_drawn(j->table, &d, n, made);
    } else {
        keep.bits = chunk_bits(j, first, n, made, elements, &bit0);
    }
    const char *from = j->x + first * j->size;
    char *to = j->y + first * j->size;
    fd_cursor cursor;
    if (!j->x_plain) {
        fd_cursor_seek(&cursor, j->layout, j->layout->x_strides, first);
        fd_gather(elements, j->x, &cursor, n, j->size);
        from = elements;
    }
    if (!j->y_plain) { to = elements; }
    if (j->map) {
        j->table->affine[j->dtype](from, to, n, &keep, j->map);
    } else {
        (j->stream ? j->table->apply_bits_stream
                   : j->table->apply_bits)[j->dtype](from, to, n, keep.bits, bit0, j->scale);
    }
    if (!j->y_plain) {
        fd_cursor_seek(&cursor, j->layout, j->layout->y_strides, first);
        fd_scatter(j->y, elements, &cursor, n, j->size);
    }
}

static void run_share(const void *context, size_t first, size_t end) {
    const job *j = context;
    if (j->fused) {
        fd_draw d = draw_at(j, first);
        (j->stream ? j->table->dropout_stream : j->table->dropout)[j->dtype](
            j->x + first * j->size, j->y + first * j->size, end - first, &d, j->scale);
        return;
    }
    if (j->broadcast && j->broadcast->direct && j->x_plain && j->y_plain && !j->map) {
        fd_apply_shared(j->broadcast, j->table, j->dtype, j->size, j->x + first * j->size,
                        j->y + first * j->size, first, end - first, j->scale, j->stream);
        return;
    }
    for (size_t next; first < end; first = next) {
        next = fd_chunk_end(first, end, j->lead);
        run_chunk(j, first, next - first);
    }
}

static void run_elementwise(fd_dtype dtype, const void *x, void *y, job *j) {
    if (!j->n) { return; }
    j->table = fd_active_table();
    j->dtype = dtype;
    j->size = fd_itemsize(dtype);
    j->x = x;
    j->y = y;
    j->stream = j->x_plain && j->y_plain && bypasses_cache(x, y, j->n * j->size * 2);
    j->fused = j->source == DRAWN && j->x_plain && j->y_plain && !j->map;
    fd_share(j->n, j->lead, 2 * j->size, run_share, j);
}

void fd_dropout(fd_dtype dtype, const void *x, void *y, size_t n, const fd_key *key,
                const fd_plan *plan, double scale) {
    job j = {.source = DRAWN, .x_plain = 1, .y_plain = 1, .n = n, .scale = scale};
    j.draw = fd_draw_make(key, plan);
    j.lead = key->offset % FD_BLOCK;
    run_elementwise(dtype, x, y, &j);
}

static void run_some_boxes(const void *context, size_t first, size_t end) {
    for (; first < end; first++) { fd_permuted_run(context, first); }
}

/* Whether it was done: not where few elements lie together in the memory of both x and y. */
static int run_boxes(fd_dtype dtype, const void *x, void *y, const fd_layout *ordered,
                     const job *j) {
    size_t size = fd_itemsize(dtype), bytes = 2 * j->n * size;
    fd_permuted p = {.table = fd_active_table(), .dtype = dtype, .size = size, .x = x, .y = y};
    p.scale = j->scale;
    p.draw = j->source == DRAWN ? &j->draw : NULL;
    p.bits = j->mask;
    p.bytes = j->source == BITS ? fd_mask_bytes(ordered) : 0;
    p.streaming = bypasses_cache(x, y, bytes);
    p.layout = *ordered;
    size_t boxes = fd_permuted_cut(&p);
    fd_share_tasks(boxes, bytes, run_some_boxes, &p);
    return boxes > 0;
}

/* Elements in memory order, and the mask's bits are brought to them; or the other way round. */
static void run_strided(fd_dtype dtype, const void *x, void *y, const fd_layout *layout, job *j) {
    j->n = fd_layout_size(layout);
    if (!j->n) { return; }
    ptrdiff_t size = (ptrdiff_t)fd_itemsize(dtype);
    fd_layout merged = fd_layout_merge(layout), ordered;
    fd_broadcast broadcast;
    if (j->source == DRAWN) { fd_mask_in_order(&merged); }
    if (!fd_is_contiguous(&merged, merged.y_strides, size) &&
        fd_layout_by_memory(&ordered, &merged, size)) {
        int any_order = j->source == BYTES || j->source == EVERY;
        if (any_order || (j->source == BITS && ordered.mask_strides[ordered.ndim - 1] <= 1)) {
            merged = ordered;
        } else if (!j->map && run_boxes(dtype, x, y, &ordered, j)) {
            return;
        }
    }
    j->layout = &merged;
    j->x_plain = fd_is_contiguous(&merged, merged.x_strides, size);
    j->y_plain = fd_is_contiguous(&merged, merged.y_strides, size);
    /* A kernel that computes reads bits from bit 0 of a buffer on: they are copied there. */
    j->mask_plain = !j->map && fd_is_contiguous(&merged, merged.mask_strides, 1);
    if (j->source == BITS && !j->mask_plain) {
        fd_broadcast_init(&broadcast, &merged, j->mask);
        j->broadcast = &broadcast;
    }
    run_elementwise(dtype, x, y, j);
}

void fd_dropout_strided(fd_dtype dtype, const void *x, void *y, const fd_layout *layout,
                        const fd_key *key, const fd_plan *plan, double scale) {
    job j = {.source = DRAWN, .scale = scale, .lead = key->offset % FD_BLOCK};
    j.draw = fd_draw_make(key, plan);
    run_strided(dtype, x, y, layout, &j);
}

void fd_apply_bits(fd_dtype dtype, const void *x, void *y, const fd_layout *layout,
                   const uint8_t *bits, double scale) {
    job j = {.source = BITS, .mask = bits, .scale = scale};
    run_strided(dtype, x, y, layout, &j);
}

void fd_dropout_affine(fd_dtype dtype, const void *x, void *y, const fd_layout *layout,
                       const fd_key *key, const fd_plan *plan, const fd_affine *map) {
    job j = {.source = DRAWN, .map = map, .lead = key->offset % FD_BLOCK};
    j.draw = fd_draw_make(key, plan);
    run_strided(dtype, x, y, layout, &j);
}

void fd_apply_bits_affine(fd_dtype dtype, const void *x, void *y, const fd_layout *layout,
                          const uint8_t *bits, const fd_affine *map) {
    job j = {.source = BITS, .mask = bits, .map = map};
    run_strided(dtype, x, y, layout, &j);
}

void fd_apply_bool(fd_dtype dtype, const void *x, void *y, const fd_layout *layout,
                   const uint8_t *mask, double scale) {
    job j = {.source = BYTES, .mask = mask, .scale = scale};
    run_strided(dtype, x, y, layout, &j);
}

void fd_scale(fd_dtype dtype, const void *x, void *y, const fd_layout *layout, double scale) {
    job j = {.source = EVERY, .scale = scale};
    run_strided(dtype, x, y, layout, &j);
}

/* Masks are cut at multiples of 4096 elements of the output, so that no two threads share a byte.
 */
typedef struct mask_job {
    const fd_table *table;
    fd_draw draw;
    uint8_t *out;
    int packed;
} mask_job;

static void run_mask_share(const void *context, size_t first, size_t end) {
    const mask_job *j = context;
    fd_draw d = j->draw;
    d.position += first;
    if (j->packed) {
        j->table->mask_bits(j->out + first / 8, end - first, &d);
        return;
    }
    while (first < end) {
        uint8_t bits[FD_BLOCK / 8];
        size_t n = FD_BLOCK - d.position % FD_BLOCK;
        if (n > end - first) { n = end - first; }
        j->table->mask_bits(bits, n, &d);
        j->table->unpack_bool(bits, j->out + first, n);
        d.position += n;
        first += n;
    }
}

static void run_mask(uint8_t *out, size_t n, const fd_key *key, const fd_plan *plan, int packed) {
    mask_job j = {fd_active_table(), fd_draw_make(key, plan), out, packed};
    fd_share(n, 0, 1, run_mask_share, &j);
}

void fd_mask_bits(uint8_t *bits, size_t n, const fd_key *key, const fd_plan *plan) {
    run_mask(bits, n, key, plan, 1);
}

void fd_mask_bool(uint8_t *mask, size_t n, const fd_key *key, const fd_plan *plan) {
    run_mask(mask, n, key, plan, 0);
}
