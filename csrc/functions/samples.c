/* Many samples of one array: a chunk of it is read once, and every sample drawn from it while it is
 * in the nearest caches. */
#include "cpu/dispatch.h"
#include "kernel.h"
#include "run/layout.h"
#include "run/share.h"

/* So many blocks of the stream are a chunk: 32 KB of float32 beside what is written. */
enum { CHUNK = 2 * FD_BLOCK };

typedef struct samples_job {
    fd_dropout_fn *dropout;
    const char *x;
    char *y;
    size_t size, samples, lead;
    ptrdiff_t step; /* bytes from sample to sample */
    fd_key key;
    fd_plan plan;
    double scale;
} samples_job;

static fd_key key_of(fd_key key, size_t sample) {
    key.stream += sample;
    return key;
}

static void run_share(const void *context, size_t first, size_t end) {
    const samples_job *j = context;
    for (size_t next; first < end; first = next) {
        next = fd_chunk_end(first, end, j->lead);
        if (end - next > CHUNK - FD_BLOCK) { next += CHUNK - FD_BLOCK; }
        for (size_t k = 0; k < j->samples; k++) {
            fd_key key = key_of(j->key, k);
            fd_draw d = fd_draw_make(&key, &j->plan);
            d.position += first;
            char *y = j->y + (ptrdiff_t)k * j->step;
            j->dropout(j->x + first * j->size, y + first * j->size, next - first, &d, j->scale);
        }
    }
}

void fd_dropout_samples(fd_dtype dtype, const void *x, void *y, const fd_layout *layout,
                        size_t samples, ptrdiff_t step, const fd_key *key, const fd_plan *plan,
                        double scale) {
    size_t n = fd_size(layout->ndim, layout->shape), size = fd_itemsize(dtype);
    fd_grid from = {layout->ndim, layout->shape, layout->x_strides};
    fd_grid to = {layout->ndim, layout->shape, layout->y_strides};
    if (!fd_is_contiguous(from, (ptrdiff_t)size) || !fd_is_contiguous(to, (ptrdiff_t)size)) {
        for (size_t k = 0; k < samples; k++) {
            fd_key one = key_of(*key, k);
            char *sample = (char *)y + (ptrdiff_t)k * step;
            fd_dropout_strided(dtype, x, sample, layout, &one, plan, scale);
        }
        return;
    }
    const fd_table *table = fd_active_table();
    size_t bytes = (samples + 1) * size;
    int streaming = n * bytes >= fd_get_streaming_bytes();
    samples_job j = {.x = x, .y = y, .size = size, .samples = samples, .step = step};
    j.dropout = (streaming ? table->dropout_stream : table->dropout)[dtype];
    j.lead = key->offset % FD_BLOCK;
    j.key = *key;
    j.plan = *plan;
    j.scale = scale;
    fd_share(n, j.lead, bytes, run_share, &j);
}
