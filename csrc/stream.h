/* The random stream, version 1, in plain scalar C: the whole definition on one page.
 *
 * The bit of an element depends only on (seed, stream, position) and p. This is a public
 * contract: changing one bit of it is a breaking release. All arithmetic is modulo 2^64.
 */
#ifndef FD_STREAM_H
#define FD_STREAM_H

#include "fastdrop.h"

#define FD_G UINT64_C(0x9E3779B97F4A7C15)
#define FD_MIX1 UINT64_C(0xBF58476D1CE4E5B9)
#define FD_MIX2 UINT64_C(0x94D049BB133111EB)

enum { FD_LANES = 16, FD_STEPS = 64, FD_STEP = 64, FD_BLOCK = 4096 };

/* SplitMix64's finaliser. */
static inline uint64_t fd_mix(uint64_t z) {
    z = (z ^ (z >> 30)) * FD_MIX1;
    z = (z ^ (z >> 27)) * FD_MIX2;
    return z ^ (z >> 31);
}

/* What a kernel needs in order to draw: two keys, the first position, the probability. */
typedef struct fd_draw {
    uint64_t k0, k1, position, fraction;
    uint32_t threshold;
} fd_draw;

static inline fd_draw fd_draw_make(const fd_key *key, const fd_plan *plan) {
    fd_draw d;
    d.k0 = fd_mix(fd_mix(key->seed + FD_G) ^ key->stream);
    d.k1 = fd_mix(fd_mix(key->seed + 2 * FD_G) + key->stream);
    d.position = key->offset;
    d.threshold = plan->threshold;
    d.fraction = plan->fraction;
    return d;
}

/* One block of 4096 positions: the words its lanes are seeded from, and its threshold T - 32768.
 * Every field below the threshold is dropped; 32768 (one more than a field can be) drops all. */
typedef struct fd_block {
    uint64_t a, b;
    int32_t threshold;
} fd_block;

static inline fd_block fd_block_open(const fd_draw *d, uint64_t position) {
    uint64_t index = position >> 12;
    fd_block block;
    block.a = fd_mix(d->k0 + index * FD_G);
    block.b = fd_mix(d->k1 + index * FD_G);
    uint64_t u = fd_mix(block.a + 17 * FD_G);
    block.threshold = (int32_t)d->threshold + (u < d->fraction) - 32768;
    return block;
}

/* Lane j = 0..15 of a block. */
static inline uint64_t fd_seed0(const fd_block *block, unsigned j) {
    return fd_mix(block->a + (j + 1) * FD_G);
}

static inline uint64_t fd_seed1(const fd_block *block, unsigned j) {
    return fd_mix(block->b + (j + 1) * FD_G) | 1;
}

/* Vigna's xorshift128+, shifts 23, 18, 5. */
static inline uint64_t fd_next(uint64_t *s0, uint64_t *s1) {
    uint64_t r = *s0 + *s1, x = *s0 ^ (*s0 << 23), y = *s1;
    *s0 = y;
    *s1 = x ^ y ^ (x >> 18) ^ (y >> 5);
    return r;
}

/* Field q = 0..3 of a lane's word, as the signed number that is compared with the threshold.
 * Position e of a block is field e & 3 of lane (e >> 2) & 15 at step e >> 6. */
static inline int32_t fd_field(uint64_t r, unsigned q) {
    return (int32_t)(((uint32_t)(r >> (16 * q)) & 0xFFFF) ^ 0x8000) - 0x8000;
}

#endif
