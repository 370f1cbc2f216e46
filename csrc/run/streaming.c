#include "streaming.h"

#include "cpu/dispatch.h"
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

int fd_prefetches_outputs(void) { return !fresh_outputs; }

int fd_bypasses_cache(size_t bytes) { return !fresh_outputs && bytes >= fd_get_streaming_bytes(); }
