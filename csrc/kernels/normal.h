/* Normal variates: `normal` of backends/numpy/functions.py on the arithmetic vocabulary, the same
 * operations in the same order. */

FD_INLINE v_r32 normal_size(v_r32 t, v_r32 f, int usual) {
    v_r32 z = r32_octave(fd_normal_f32[5], t, usual);
    FD_UNROLL
    for (int k = 4; k >= 0; k--) {
        z = r32_add(r32_mul(z, f), r32_octave(fd_normal_f32[k], t, usual));
    }
    return z;
}

FD_INLINE v_r32 normal(v_r32 word) {
    v_r32 t = r32_signed(r32_or(word, r32_bits(1)));
    v_r32 f = r32_or(r32_and(t, r32_bits(0x007FFFFF)), r32_bits(0x3F800000));
    f = r32_sub(f, r32_set(FD_NORMAL_CENTRE_F32));
    v_r32 z = r32_usual(t) ? normal_size(t, f, 1) : normal_size(t, f, 0);
    return r32_xor(z, r32_and(t, r32_bits(0x80000000)));
}

/* 64 variates, from 128 fields. */
FD_INLINE void normal_step(char *z, const char *fields) {
    for (int i = 0; i < FD_STEP / FD_N_r32; i++) {
        int place = i * FD_N_r32 * 4;
        r32_store_f32(z + place, normal(r32_words(fields + place)));
    }
}
