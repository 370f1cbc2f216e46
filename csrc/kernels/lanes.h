/* The generator on registers: 16 lanes of one block, seeded and stepped. */
#ifndef FD_LANES_H
#define FD_LANES_H

#include "../stream.h"

enum { FD_REGS = FD_LANES / FD_VL, FD_FIELDS = 4 * FD_VL };

typedef struct lanes {
    vu s0[FD_REGS], s1[FD_REGS];
} lanes;

#define FD_OFFSET(slot) ((FD_SLOT(slot) + 1) * FD_G)
static const FD_ALIGN64 uint64_t fd_lane_offset[FD_LANES] = {
    FD_OFFSET(0),  FD_OFFSET(1),  FD_OFFSET(2),  FD_OFFSET(3), FD_OFFSET(4),  FD_OFFSET(5),
    FD_OFFSET(6),  FD_OFFSET(7),  FD_OFFSET(8),  FD_OFFSET(9), FD_OFFSET(10), FD_OFFSET(11),
    FD_OFFSET(12), FD_OFFSET(13), FD_OFFSET(14), FD_OFFSET(15)};

FD_INLINE vu vu_mix(vu z) {
    z = vu_mul(vu_xor(z, vu_shr(z, 30)), vu_set(FD_MIX1));
    z = vu_mul(vu_xor(z, vu_shr(z, 27)), vu_set(FD_MIX2));
    return vu_xor(z, vu_shr(z, 31));
}

FD_INLINE void lanes_seed(lanes *l, const fd_block *block) {
    FD_UNROLL
    for (int i = 0; i < FD_REGS; i++) {
        vu offset = vu_load(fd_lane_offset + FD_VL * i);
        l->s0[i] = vu_mix(vu_add(vu_set(block->a), offset));
        l->s1[i] = vu_or(vu_mix(vu_add(vu_set(block->b), offset)), vu_set(1));
    }
}

/* One step of one register. The new state takes the place of s0, so that s0 and s1 change roles
 * from call to call and no register is copied: after next(&a, b) comes next(&b, a). */
FD_INLINE vu lane_next(vu *s0, vu s1) {
    vu r = vu_add(*s0, s1);
    vu x = vu_xor(*s0, vu_shl(*s0, 23));
    *s0 = vu_xor3(vu_xor(x, vu_shr(x, 18)), s1, vu_shr(s1, 5));
    return r;
}

/* One step of all lanes that is not half of a pair: s0 and s1 keep their roles. */
FD_INLINE void lanes_next(lanes *l, vu *r) {
    FD_UNROLL
    for (int i = 0; i < FD_REGS; i++) {
        r[i] = lane_next(&l->s0[i], l->s1[i]);
        vu swap = l->s0[i];
        l->s0[i] = l->s1[i];
        l->s1[i] = swap;
    }
}

/* Advance the lanes by `steps` steps. */
FD_INLINE void lanes_skip(lanes *l, unsigned steps) {
    vu unused[FD_REGS];
    while (steps--) { lanes_next(l, unused); }
}

#endif
