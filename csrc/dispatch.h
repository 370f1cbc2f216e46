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

/* Size of the last-level cache in bytes, or a typical one where the CPU does not tell. */
size_t fd_cpu_cache_bytes(void);

#endif
