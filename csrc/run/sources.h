/* Where the decisions of an element-wise call come from, a chunk of at most 4096 elements at a
 * time.
 */
#ifndef FD_SOURCES_H
#define FD_SOURCES_H

#include "layout.h"

typedef struct fd_source {
    /* drawn; drawn as normal variates; given, packed or a byte each; or none: every element is kept
     */
    enum { FD_DRAWN, FD_VARIATES, FD_BITS, FD_BYTES, FD_EVERY } kind;
    const fd_call *call;
    const fd_table *table;
    fd_draw draw;
    fd_grid steps;                 /* not looked at where decisions are in order or broadcast */
    const fd_broadcast *broadcast; /* of the bits, where they are shared or a kernel computes */
    int in_order;                  /* whether decisions are those of C order */
} fd_source;

/* The packed bits of a chunk, from bit `bit0` on: where they are, or made in `made`. `scratch` is
 * room for the chunk's bytes. */
void fd_source_bits(const fd_source *s, size_t first, size_t n, fd_keep *keep, uint8_t *made,
                    char *scratch, size_t *bit0);

/* Its normal variates; `fields` is room for the fields of 2048, where they are not in order. */
fd_variates fd_source_variates(const fd_source *s, size_t first, size_t n, uint16_t *fields);

/* Where axes, which are merged, share decisions: draws each once into the call's bits, and numbers
 * the axes' decisions as these are. Whether any are shared. */
int fd_draw_shared(fd_axes *axes, const fd_call *call);

#endif
