/* Which instruction set runs. */
#ifndef FD_DISPATCH_H
#define FD_DISPATCH_H

#include "kernel.h"

/* The active table; never NULL. */
const fd_table *fd_active_table(void);

/* The table of one instruction set, NULL where this build or this CPU does not have it. */
const fd_table *fd_table_at(int index);

/* NULL where this CPU can run the instruction set of that name, else what it lacks. */
const char *fd_cpu_lacks(const char *isa);

/* Those of at most FD_BLOCK elements from d->position on: the block itself, if that is what they
 * are, or bits in `buffer`. */
static inline fd_keep fd_keep_drawn(const fd_table *table, const fd_draw *d, size_t n,
                                    uint8_t *buffer) {
    fd_keep keep = {NULL, fd_block_open(d, d->position), NULL};
    if (n < FD_BLOCK || d->position % FD_BLOCK || keep.block.threshold > INT16_MAX) {
        table->mask_bits(buffer, n, d);
        keep.bits = buffer;
    }
    return keep;
}

/* Size of the last-level cache in bytes, or a typical one where the CPU does not tell. */
size_t fd_cpu_cache_bytes(void);

#endif
