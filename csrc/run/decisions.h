/* Decisions at positions with any steps. */
#ifndef FD_DECISIONS_H
#define FD_DECISIONS_H

#include "layout.h"

/* The keep bits of elements first..first+n-1 of a grid whose strides are positions; padding bits of
 * the last byte are zero. */
void fd_draw_bits(const fd_table *table, const fd_draw *d, fd_grid steps, size_t first, size_t n,
                  uint8_t *bits);

/* The same of normal variates: two fields each, whose positions are twice as far apart. */
void fd_draw_fields(const fd_table *table, const fd_draw *d, fd_grid steps, size_t first, size_t n,
                    uint16_t *fields);

/* The same bits as a whole mask, of a grid that is merged; by all threads. */
void fd_draw_grid(uint8_t *out, int packed, fd_grid steps, const fd_key *key, const fd_plan *plan);

#endif
