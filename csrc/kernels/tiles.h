/* Sizes and types of the tiled matrix products with masks, for every dtype. */
#ifndef FD_TILES_H
#define FD_TILES_H

#include "real.h"

typedef float n_r32;
typedef double n_r64;

FD_INLINE v_r32 r32_unpack(const float *p) { return r32_load_f32((const char *)p); }
FD_INLINE v_r64 r64_unpack(const double *p) { return r64_load_f64((const char *)p); }
FD_INLINE void r32_pack(float *p, v_r32 v) { r32_store_f32((char *)p, v, 0); }
FD_INLINE void r64_pack(double *p, v_r64 v) { r64_store_f64((char *)p, v, 0); }

/* Names used in the bodies: a number of the compute type, and a register of them in memory. */
#define NUMBER FD_CAT(n, R)
#define PACK(p, v) V(pack)(p, v)
#define UNPACK(p) V(unpack)(p)

/* Rows that share each load of x: 8 sums hide the latency of an addition, if there are registers
 * enough. */
#define FD_DOT_ROWS (VN >= 8 ? VN / 4 : 1)

enum {
    FD_PLACES = 32,                             /* partial sums of a dot product */
    FD_TILE_ROWS = FD_TILE_BYTES / 4 / FD_STEP, /* at most, where rows are short */
    FD_TILE_BITS = FD_TILE_BYTES / 4 / 8 + 16,  /* bytes; words are read past the end */
    FD_GROUP_SUMS = FD_TILE_BYTES / 32,
    FD_PAGE = 4096,
};

static void mask_bits(uint8_t *bits, size_t n, const fd_draw *d);

/* Draw the keep bits of a tile for one sample; returns the distance of two rows in bits. */
FD_INLINE size_t draw_tile(const fd_linear *l, size_t sample, size_t output, size_t outputs,
                           size_t input, size_t n, uint8_t *bits) {
    fd_draw d = l->draw;
    d.position += ((l->shared ? 0 : sample * l->outputs) + output) * l->inputs + input;
    if (n == l->inputs) {
        mask_bits(bits, outputs * n, &d);
        return n;
    }
    for (size_t r = 0; r < outputs; r++, d.position += l->inputs) {
        mask_bits(bits + r * FD_CHUNK / 8, n, &d);
    }
    return FD_CHUNK;
}

#if defined(FD_DIRECT_MASKS)
/* Whether the bits of every row are whole steps of the stream, so that they are drawn where they
 * are used; in no block is all dropped. */
FD_INLINE int draws_steps(const fd_linear *l) {
    return !l->shared && l->inputs <= FD_CHUNK && l->inputs % FD_STEP == 0 &&
           l->draw.position % FD_STEP == 0 && l->draw.threshold < UINT16_MAX;
}

FD_INLINE steps steps_of(const fd_linear *l, size_t sample, size_t output) {
    steps s;
    s.draw = &l->draw;
    s.position = l->draw.position + (sample * l->outputs + output) * l->inputs;
    steps_open(&s);
    return s;
}
#endif

#endif
