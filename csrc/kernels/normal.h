/* Normal variates: `normal` of backends/numpy/functions.py on the arithmetic vocabulary, the same
 * operations in the same order. */

/* A word as a number, and how far from its octave's middle it is. */
FD_INLINE v_r32 normal_number(v_r32 word) { return r32_signed(r32_or(word, r32_bits(1))); }

FD_INLINE v_r32 normal_distance(v_r32 t) {
    v_r32 f = r32_or(r32_and(t, r32_bits(0x007FFFFF)), r32_bits(0x3F800000));
    return r32_sub(f, r32_set(FD_NORMAL_CENTRE_F32));
}

FD_INLINE v_r32 normal_sign(v_r32 z, v_r32 t) {
    return r32_xor(z, r32_and(t, r32_bits(0x80000000)));
}

FD_INLINE v_r32 normal_size(v_r32 t, v_r32 f, int usual) {
    v_r32 z = r32_octave(fd_normal_f32[5], t, usual);
    FD_UNROLL
    for (int k = 4; k >= 0; k--) {
        z = r32_add(r32_mul(z, f), r32_octave(fd_normal_f32[k], t, usual));
    }
    return z;
}

FD_INLINE v_r32 normal(v_r32 word) {
    v_r32 t = normal_number(word), f = normal_distance(t);
    v_r32 z = r32_usual(t) ? normal_size(t, f, 1) : normal_size(t, f, 0);
    return normal_sign(z, t);
}

/* 64 variates, from 128 fields. */
FD_INLINE void normal_step(char *z, const char *fields) {
    for (int i = 0; i < FD_STEP / FD_N_r32; i++) {
        int place = i * FD_N_r32 * 4;
        r32_store_f32(z + place, normal(r32_words(fields + place)), 0);
    }
}

#if defined(FD_DRAWS_NORMAL)
/* The words of one step of the generator, half of the way to variates. */
typedef struct normal_words {
    v_r32 t[FD_REGS], f[FD_REGS];
} normal_words;

#define EACH \
    FD_UNROLL \
    for (int i = 0; i < FD_REGS; i++)

FD_INLINE void normal_draw(normal_words *next, vu *s0, const vu *s1) {
    EACH { next->t[i] = normal_number(r32_drawn(lane_next(&s0[i], s1[i]))); }
    EACH { next->f[i] = normal_distance(next->t[i]); }
}

FD_INLINE void normal_term(v_r32 *z, const normal_words *now, int k) {
    EACH { z[i] = r32_mul(z[i], now->f[i]); }
    EACH { FD_IN_REGISTER(z[i]); } /* keeps gcc from looking up all terms at the start */
    EACH { z[i] = r32_add(z[i], r32_octave(fd_normal_f32[k], now->t[i], 1)); }
}

/* The variates of `now`, and the next words. A term of the polynomial waits for the one before, and
 * processors do not look far enough ahead for other work, so that drawing stands between the terms.
 *
 * 16 variates, drawn and multiplied in, are 32 operations with AVX-512: 7 draw, 5 make t, f and the
 * place, 16 look up and add up, 1 is the sign, 3 are the noise. Zen 4 starts two in a cycle: 16
 * cycles, which the same operations take if none waits for another. This takes 19, one register
 * after the other 21, four registers together 22, and tables of the 16 usual octaves change
 * nothing. */
FD_INLINE void normal_drawn(v_r32 *z, const normal_words *now, normal_words *next, vu *s0,
                            const vu *s1) {
    v_r32 word[FD_REGS];
    EACH { z[i] = r32_octave(fd_normal_f32[5], now->t[i], 1); }
    normal_term(z, now, 4);
    EACH { word[i] = r32_drawn(lane_next(&s0[i], s1[i])); }
    normal_term(z, now, 3);
    EACH { next->t[i] = normal_number(word[i]); }
    normal_term(z, now, 2);
    EACH { next->f[i] = normal_distance(next->t[i]); }
    normal_term(z, now, 1);
    normal_term(z, now, 0);
    EACH { z[i] = normal_sign(z[i], now->t[i]); }
}

#undef EACH
#endif
