/* Arithmetic vocabulary of AVX-512: what kernels/real.h says, on 16 binary32 or 8 binary64 numbers.
 */
#ifndef FD_SIMD_REAL_H
#define FD_SIMD_REAL_H

#include "avx512.h"

#define FD_N_r32 16
typedef __m512 v_r32;
typedef __mmask16 k_r32;

FD_INLINE v_r32 r32_set(double v) { return _mm512_set1_ps((float)v); }
FD_INLINE v_r32 r32_bits(uint32_t b) { return _mm512_castsi512_ps(_mm512_set1_epi32((int)b)); }
FD_INLINE v_r32 r32_load_f32(const char *p) { return _mm512_loadu_ps(p); }
FD_INLINE void r32_store_f32(char *p, v_r32 v, int nt) { FD_PUT(ps, p, v, nt); }
FD_INLINE void fd_put_halves(char *p, __m256i v, int nt) {
    if (nt) {
        _mm256_stream_si256((void *)p, v);
    } else {
        _mm256_storeu_si256((void *)p, v);
    }
}
FD_INLINE v_r32 r32_load_f16(const char *p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256((const void *)p));
}
FD_INLINE void r32_store_f16(char *p, v_r32 v, int nt) {
    fd_put_halves(p, _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT), nt);
}
FD_INLINE v_r32 r32_load_bf16(const char *p) {
    __m512i v = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const void *)p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(v, 16));
}
FD_INLINE void r32_store_bf16(char *p, v_r32 v, int nt) {
    __m512i w = _mm512_srli_epi32(fd_round_bf16(v), 16);
    fd_put_halves(p, _mm512_cvtepi32_epi16(w), nt);
}
FD_INLINE v_r32 r32_add(v_r32 a, v_r32 b) { return _mm512_add_ps(a, b); }
FD_INLINE v_r32 r32_sub(v_r32 a, v_r32 b) { return _mm512_sub_ps(a, b); }
FD_INLINE v_r32 r32_mul(v_r32 a, v_r32 b) { return _mm512_mul_ps(a, b); }
FD_INLINE v_r32 r32_div(v_r32 a, v_r32 b) { return _mm512_div_ps(a, b); }
FD_INLINE v_r32 r32_max(v_r32 a, v_r32 b) { return _mm512_max_ps(a, b); }
FD_INLINE v_r32 r32_min(v_r32 a, v_r32 b) { return _mm512_min_ps(a, b); }
FD_INLINE v_r32 r32_fma(v_r32 a, v_r32 b, v_r32 c) { return _mm512_fmadd_ps(a, b, c); }
FD_INLINE v_r32 r32_and(v_r32 a, v_r32 b) { return _mm512_and_ps(a, b); }
FD_INLINE v_r32 r32_or(v_r32 a, v_r32 b) { return _mm512_or_ps(a, b); }
FD_INLINE v_r32 r32_xor(v_r32 a, v_r32 b) { return _mm512_xor_ps(a, b); }
#define r32_shl(v, n) _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(v), n))
#define r32_shr(v, n) _mm512_castsi512_ps(_mm512_srli_epi32(_mm512_castps_si512(v), n))
FD_INLINE v_r32 r32_iadd(v_r32 a, v_r32 b) {
    return _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(a), _mm512_castps_si512(b)));
}
FD_INLINE k_r32 r32_lt(v_r32 a, v_r32 b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
FD_INLINE k_r32 r32_le(v_r32 a, v_r32 b) { return _mm512_cmp_ps_mask(a, b, _CMP_LE_OQ); }
FD_INLINE k_r32 r32_nan(v_r32 v) { return _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q); }
FD_INLINE v_r32 r32_select(k_r32 k, v_r32 a, v_r32 b) { return _mm512_mask_blend_ps(k, b, a); }
FD_INLINE v_r32 r32_keep(k_r32 k, v_r32 v) { return _mm512_maskz_mov_ps(k, v); }
FD_INLINE k_r32 r32_fields(vm k, int i) {
    return i ? FD_PART(__mmask16, k, 16) : FD_PART(__mmask16, k, 0);
}
FD_INLINE v_r32 r32_add_kept(k_r32 k, v_r32 a, v_r32 b) { return _mm512_mask_add_ps(a, k, a, b); }
FD_INLINE int r32_all(k_r32 k) { return k == 0xFFFF; }
FD_INLINE k_r32 r32_mask(uint64_t w, int i) { return (__mmask16)(w >> (16 * i)); }
FD_INLINE float r32_sum(v_r32 v) {
    __m256 h = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}
FD_INLINE float r32_largest(v_r32 v) { return _mm512_reduce_max_ps(v); }

/* Vectors of bytes have the byte order of the fields. */
FD_INLINE v_r32 r32_words(const char *p) { return r32_load_f32(p); }
#define FD_DRAWS_NORMAL 1
FD_INLINE v_r32 r32_drawn(vu r) { return _mm512_castsi512_ps(r); }
FD_INLINE v_r32 r32_part(const v_r32 *v, int i) { return v[i]; }
FD_INLINE v_r32 r32_signed(v_r32 v) { return _mm512_cvtepi32_ps(_mm512_castps_si512(v)); }
FD_INLINE int r32_usual(v_r32 v) {
    (void)v;
    return 1;
}
FD_INLINE v_r32 r32_octave(const float *row, v_r32 v, int usual) {
    (void)usual;
    /* Only the lowest five bits count. Zen 4 rotates where it multiplies, and shifts where it adds,
     * which it has more of to do. */
    __m512i place = _mm512_ror_epi32(_mm512_castps_si512(v), 23);
    return _mm512_permutex2var_ps(_mm512_loadu_ps(row), place, _mm512_loadu_ps(row + 16));
}

#define FD_N_r64 8
typedef __m512d v_r64;
typedef __mmask8 k_r64;

FD_INLINE v_r64 r64_set(double v) { return _mm512_set1_pd(v); }
FD_INLINE v_r64 r64_bits(uint64_t b) { return _mm512_castsi512_pd(vu_set(b)); }
FD_INLINE v_r64 r64_load_f64(const char *p) { return _mm512_loadu_pd(p); }
FD_INLINE v_r64 r64_load_f32(const char *p) {
    return _mm512_cvtps_pd(_mm256_loadu_ps((const void *)p));
}
FD_INLINE v_r64 r64_part(const v_r32 *v, int i) {
    __m512 w = v[i / 2];
    return _mm512_cvtps_pd(i % 2 ? _mm512_extractf32x8_ps(w, 1) : _mm512_castps512_ps256(w));
}
FD_INLINE void r64_store_f64(char *p, v_r64 v, int nt) { FD_PUT(pd, p, v, nt); }
FD_INLINE v_r64 r64_add(v_r64 a, v_r64 b) { return _mm512_add_pd(a, b); }
FD_INLINE v_r64 r64_sub(v_r64 a, v_r64 b) { return _mm512_sub_pd(a, b); }
FD_INLINE v_r64 r64_mul(v_r64 a, v_r64 b) { return _mm512_mul_pd(a, b); }
FD_INLINE v_r64 r64_div(v_r64 a, v_r64 b) { return _mm512_div_pd(a, b); }
FD_INLINE v_r64 r64_max(v_r64 a, v_r64 b) { return _mm512_max_pd(a, b); }
FD_INLINE v_r64 r64_min(v_r64 a, v_r64 b) { return _mm512_min_pd(a, b); }
FD_INLINE v_r64 r64_fma(v_r64 a, v_r64 b, v_r64 c) { return _mm512_fmadd_pd(a, b, c); }
FD_INLINE v_r64 r64_and(v_r64 a, v_r64 b) { return _mm512_and_pd(a, b); }
FD_INLINE v_r64 r64_or(v_r64 a, v_r64 b) { return _mm512_or_pd(a, b); }
FD_INLINE v_r64 r64_xor(v_r64 a, v_r64 b) { return _mm512_xor_pd(a, b); }
#define r64_shl(v, n) _mm512_castsi512_pd(_mm512_slli_epi64(_mm512_castpd_si512(v), n))
#define r64_shr(v, n) _mm512_castsi512_pd(_mm512_srli_epi64(_mm512_castpd_si512(v), n))
FD_INLINE v_r64 r64_iadd(v_r64 a, v_r64 b) {
    return _mm512_castsi512_pd(_mm512_add_epi64(_mm512_castpd_si512(a), _mm512_castpd_si512(b)));
}
FD_INLINE k_r64 r64_lt(v_r64 a, v_r64 b) { return _mm512_cmp_pd_mask(a, b, _CMP_LT_OQ); }
FD_INLINE k_r64 r64_le(v_r64 a, v_r64 b) { return _mm512_cmp_pd_mask(a, b, _CMP_LE_OQ); }
FD_INLINE k_r64 r64_nan(v_r64 v) { return _mm512_cmp_pd_mask(v, v, _CMP_UNORD_Q); }
FD_INLINE v_r64 r64_select(k_r64 k, v_r64 a, v_r64 b) { return _mm512_mask_blend_pd(k, b, a); }
FD_INLINE v_r64 r64_keep(k_r64 k, v_r64 v) { return _mm512_maskz_mov_pd(k, v); }
FD_INLINE k_r64 r64_fields(vm k, int i) {
    switch (i) {
    case 0:
        return FD_PART(__mmask8, k, 0);
    case 1:
        return FD_PART(__mmask8, k, 8);
    case 2:
        return FD_PART(__mmask8, k, 16);
    default:
        return FD_PART(__mmask8, k, 24);
    }
}
FD_INLINE v_r64 r64_add_kept(k_r64 k, v_r64 a, v_r64 b) { return _mm512_mask_add_pd(a, k, a, b); }
FD_INLINE int r64_all(k_r64 k) { return k == 0xFF; }
FD_INLINE k_r64 r64_mask(uint64_t w, int i) { return (__mmask8)(w >> (8 * i)); }
FD_INLINE double r64_sum(v_r64 v) {
    __m256d h = _mm256_add_pd(_mm512_castpd512_pd256(v), _mm512_extractf64x4_pd(v, 1));
    __m128d s = _mm_add_pd(_mm256_castpd256_pd128(h), _mm256_extractf128_pd(h, 1));
    return _mm_cvtsd_f64(_mm_add_sd(s, _mm_unpackhi_pd(s, s)));
}
FD_INLINE double r64_largest(v_r64 v) { return _mm512_reduce_max_pd(v); }

#endif
