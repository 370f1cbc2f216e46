/* Operations with normal variates, on contiguous arrays: the fields of a chunk of elements are
 * drawn into a buffer, and a kernel of the table does the rest. */
#include "dispatch.h"
#include "share.h"

/* An element takes two fields; a chunk has the elements of a block. */
enum { CHUNK = FD_BLOCK / 2 };

typedef struct job {
    fd_gaussian_dropout_fn *kernel;
    fd_fields_fn *fields;
    fd_draw draw;
    size_t lead, size; /* elements that the first chunk lacks; bytes of one */
    const char *x;
    char *y;
    double deviation;
} job;

static void run_share(const void *context, size_t first, size_t end) {
    const job *j = context;
    FD_ALIGN64 uint16_t fields[FD_BLOCK];
    for (size_t n; first < end; first += n) {
        size_t left = CHUNK - (first + j->lead) % CHUNK;
        n = left < end - first ? left : end - first;
        fd_draw d = j->draw;
        d.position += 2 * (uint64_t)first;
        j->fields(fields, 2 * n, &d);
        j->kernel(j->x + first * j->size, j->y + first * j->size, n, fields, j->deviation);
    }
}

static void run(job *j, fd_dtype dtype, size_t n, const fd_key *key) {
    const fd_plan unused = {0, 0};
    j->fields = fd_active_table()->fields;
    j->draw = fd_draw_make(key, &unused);
    j->lead = key->offset % FD_BLOCK / 2;
    j->size = fd_itemsize(dtype);
    fd_share(n, j->lead, 2 * j->size, run_share, j);
}

void fd_gaussian_dropout(fd_dtype dtype, const void *x, void *y, size_t n, const fd_key *key,
                         double deviation) {
    job j = {.x = x, .y = y, .deviation = deviation};
    j.kernel = fd_active_table()->gaussian_dropout[dtype];
    run(&j, dtype, n, key);
}

void fd_gaussian_noise(fd_dtype dtype, const void *x, void *y, size_t n, const fd_key *key,
                       double deviation) {
    job j = {.x = x, .y = y, .deviation = deviation};
    j.kernel = fd_active_table()->gaussian_noise[dtype];
    run(&j, dtype, n, key);
}
