#include "sources.h"

#include <string.h>

#include "decisions.h"
#include "cpu/dispatch.h"

void fd_source_bits(const fd_source *s, size_t first, size_t n, fd_keep *keep, uint8_t *made,
                    char *scratch, size_t *bit0) {
    keep->bits = made;
    fd_draw d = s->draw;
    fd_cursor cursor;
    *bit0 = 0;
    switch (s->kind) {
    case FD_DRAWN:
        if (!s->in_order) {
            fd_draw_bits(s->table, &s->draw, s->steps, first, n, made);
            break;
        }
        d.position += first;
        if (s->call->operation == FD_OP_scale) {
            s->table->mask_bits(made, n, &d);
        } else {
            *keep = fd_keep_drawn(s->table, &d, n, made);
        }
        break;
    case FD_BITS:
        if (!s->broadcast) {
            *bit0 = first & 7;
            keep->bits = s->call->bits + (first >> 3);
        } else {
            fd_expand_bits(made, s->broadcast, first, n);
        }
        break;
    case FD_BYTES:
        if (s->in_order) {
            s->table->pack_bool(s->call->bools + first, made, n);
        } else {
            fd_cursor_seek(&cursor, s->steps, first);
            fd_gather(scratch, (const char *)s->call->bools, &cursor, n, 1);
            s->table->pack_bool((const uint8_t *)scratch, made, n);
        }
        break;
    case FD_VARIATES:
        break;
    case FD_EVERY:
        memset(made, 0xFF, (n + 63) / 64 * 8); /* kernels read whole words */
        break;
    }
}

fd_variates fd_source_variates(const fd_source *s, size_t first, size_t n, uint16_t *fields) {
    fd_variates v = {NULL, s->draw};
    if (s->in_order) {
        v.draw.position += 2 * (uint64_t)first;
    } else {
        fd_draw_fields(s->table, &s->draw, s->steps, first, n, fields);
        v.fields = fields;
    }
    return v;
}

int fd_draw_shared(fd_axes *axes, const fd_call *call) {
    size_t shape[FD_MAX_DIMS];
    int shared = 0;
    for (int d = 0; d < axes->ndim; d++) {
        shape[d] = axes->steps[d] ? axes->shape[d] : 1;
        shared |= shape[d] != axes->shape[d];
    }
    if (!shared) { return 0; }
    fd_grid grid = {axes->ndim, shape, axes->steps};
    fd_draw_grid(call->bits, 1, grid, &call->key, &call->plan);
    ptrdiff_t step = 1;
    for (int d = axes->ndim - 1; d >= 0; d--) {
        if (axes->steps[d]) { axes->steps[d] = step; }
        step *= (ptrdiff_t)shape[d];
    }
    fd_axes_merge(axes, axes);
    return 1;
}
