#include "share.h"

#include "cpu/fpenv.h"
#include "kernel.h"
#include "pool.h"
#include "stream.h"
#include "shared.h"

enum {
    /* So many bytes take about 60 microseconds in a cache that cores share. A second thread saves
       less than half of them, and to wake it and to wait for its last share takes 10. */
    PARALLEL_BYTES = 8 << 20,
    /* A share moves so many: whoever is free takes the next one, and none waits long for the last.
     */
    SHARE_BYTES = 512 << 10
};

static FD_SHARED(int) num_threads = 1;

void fd_set_num_threads(int n) { num_threads = n > 1 ? n : 1; }
int fd_get_num_threads(void) { return num_threads; }

/* Pieces are whole blocks in coordinates that start `lead` before element 0. */
typedef struct pieces {
    size_t n, lead, size;
    fd_share_fn *fn;
    const void *context;
    int fresh; /* as in fd_fresh_outputs */
} pieces;

static void run_piece(void *context, size_t index) {
    const pieces *p = context;
    size_t total = p->lead + p->n;
    size_t first = index * p->size, end = total - first > p->size ? first + p->size : total;
    if (first < p->lead) { first = p->lead; }
    fd_fpenv environment = fd_fpenv_enter();
    int before = fd_fresh_outputs(p->fresh);
    p->fn(p->context, first - p->lead, end - p->lead);
    fd_fresh_outputs(before);
    fd_fpenv_leave(environment);
}

void fd_share(size_t n, size_t lead, size_t bytes, fd_share_fn *fn, const void *context) {
    if (!n) { return; }
    size_t total = lead + n;
    int threads = n * bytes >= PARALLEL_BYTES ? num_threads : 1;
    size_t share = SHARE_BYTES / bytes / FD_BLOCK * FD_BLOCK;
    pieces p = {n, lead, total, fn, context, !fd_prefetches_outputs()};
    if (threads > 1) { p.size = share > 4 * FD_BLOCK ? share : 4 * FD_BLOCK; }
    if (total <= p.size) {
        run_piece(&p, 0);
    } else {
        fd_pool_run((total + p.size - 1) / p.size, threads, run_piece, &p);
    }
}

/* Of four units for each thread, or more, the last ones leave few threads without work for long. */
int fd_share_each(size_t units, size_t bytes) {
    size_t threads = (size_t)num_threads;
    return bytes >= PARALLEL_BYTES && units < 4 * threads && units % threads;
}

void fd_share_tasks(size_t n, size_t bytes, fd_share_fn *fn, const void *context) {
    int threads = bytes >= PARALLEL_BYTES ? num_threads : 1;
    pieces p = {n, 0, threads > 1 ? 1 : n, fn, context, !fd_prefetches_outputs()};
    if (n) { fd_pool_run((n + p.size - 1) / p.size, threads, run_piece, &p); }
}
