/* Arithmetic vocabulary of AVX2 with FMA: what kernels/real.h says, on 8 binary32 or 4 binary64
 * numbers. A mask is a register whose lanes are all ones or all zeros. */
#ifndef FD_SIMD_REAL_H
#define FD_SIMD_REAL_H

#include "avx2.h"

#define FD_N_r32 8
typedef __m256 v_r32;
typedef __m256 k_r32;

FD_INLINE v_r32 r32_set(double v) { return _mm256_set1_ps((float)v); }
FD_INLINE v_r32 r32_bits(uint32_t b) { return _mm256_castsi256_ps(_mm256_set1_epi32((int)b)); }
FD_INLINE v_r32 r32_load_f32(const char *p) { return _mm256_loadu_ps((const void *)p); }
FD_INLINE void r32_store_f32(char *p, v_r32 v, int nt) { FD_PUT(ps, p, v, nt); }
FD_INLINE void fd_put_halves(char *p, __m128i v, int nt) {
    if (nt) {
        _mm_stream_si128((void *)p, v);
    } else {
        _mm_storeu_si128((void *)p, v);
    }
}
FD_INLINE v_r32 r32_load_f16(const char *p) {
    return _mm256_cvtph_ps(_mm_loadu_si128((const void *)p));
}
FD_INLINE void r32_store_f16(char *p, v_r32 v, int nt) {
    fd_put_halves(p, _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT), nt);
}
FD_INLINE v_r32 r32_load_bf16(const char *p) {
    __m256i v = _mm256_cvtepu16_epi32(_mm_loadu_si128((const void *)p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(v, 16));
}
FD_INLINE void r32_store_bf16(char *p, v_r32 v, int nt) {
    __m256i w = _mm256_srli_epi32(fd_round_bf16(v), 16);
    w = _mm256_permute4x64_epi64(_mm256_packus_epi32(w, w), 0x08);
    fd_put_halves(p, _mm256_castsi256_si128(w), nt);
}
FD_INLINE v_r32 r32_add(v_r32 a, v_r32 b) { return _mm256_add_ps(a, b); }
FD_INLINE v_r32 r32_sub(v_r32 a, v_r32 b) { return _mm256_sub_ps(a, b); }
FD_INLINE v_r32 r32_mul(v_r32 a, v_r32 b) { return _mm256_mul_ps(a, b); }
FD_INLINE v_r32 r32_div(v_r32 a, v_r32 b) { return _mm256_div_ps(a, b); }
FD_INLINE v_r32 r32_max(v_r32 a, v_r32 b) { return _mm256_max_ps(a, b); }
FD_INLINE v_r32 r32_min(v_r32 a, v_r32 b) { return _mm256_min_ps(a, b); }
FD_INLINE v_r32 r32_fma(v_r32 a, v_r32 b, v_r32 c) { return _mm256_fmadd_ps(a, b, c); }
FD_INLINE v_r32 r32_and(v_r32 a, v_r32 b) { return _mm256_and_ps(a, b); }
FD_INLINE v_r32 r32_or(v_r32 a, v_r32 b) { return _mm256_or_ps(a, b); }
FD_INLINE v_r32 r32_xor(v_r32 a, v_r32 b) { return _mm256_xor_ps(a, b); }
#define r32_shl(v, n) _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(v), n))
#define r32_shr(v, n) _mm256_castsi256_ps(_mm256_srli_epi32(_mm256_castps_si256(v), n))
FD_INLINE v_r32 r32_iadd(v_r32 a, v_r32 b) {
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(a), _mm256_castps_si256(b)));
}
FD_INLINE k_r32 r32_lt(v_r32 a, v_r32 b) { return _mm256_cmp_ps(a, b, _CMP_LT_OQ); }
FD_INLINE k_r32 r32_le(v_r32 a, v_r32 b) { return _mm256_cmp_ps(a, b, _CMP_LE_OQ); }
FD_INLINE k_r32 r32_nan(v_r32 v) { return _mm256_cmp_ps(v, v, _CMP_UNORD_Q); }
FD_INLINE v_r32 r32_select(k_r32 k, v_r32 a, v_r32 b) { return _mm256_blendv_ps(b, a, k); }
FD_INLINE v_r32 r32_keep(k_r32 k, v_r32 v) { return _mm256_and_ps(k, v); }
FD_INLINE int r32_all(k_r32 k) { return _mm256_movemask_ps(k) == 0xFF; }
FD_INLINE k_r32 r32_mask(uint64_t w, int i) { return _mm256_castsi256_ps(fd_keep32(w, i)); }
FD_INLINE float r32_sum(v_r32 v) {
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}
FD_INLINE float r32_largest(v_r32 v) {
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}

/* Vectors of bytes have the byte order of the fields. */
FD_INLINE v_r32 r32_words(const char *p) { return r32_load_f32(p); }
FD_INLINE v_r32 r32_signed(v_r32 v) { return _mm256_cvtepi32_ps(_mm256_castps_si256(v)); }
/* One permutation finds a number among 8, and takes the lowest three bits of a place. Usual are the
 * octaves from 2^24 to 2^31: of 128 numbers that are equally likely below 2^31, one is not. They
 * are numbers 23 to 30 of a row; less 24 octaves, the lowest bits count them from 0. */
FD_INLINE __m256i fd_from_octave_24(v_r32 v) {
    __m256i size = _mm256_and_si256(_mm256_castps_si256(v), _mm256_set1_epi32(0x7FFFFFFF));
    return _mm256_sub_epi32(size, _mm256_set1_epi32((127 + 24) << 23));
}
FD_INLINE int r32_usual(v_r32 v) {
    return !_mm256_movemask_ps(_mm256_castsi256_ps(fd_from_octave_24(v)));
}
FD_INLINE v_r32 r32_octave(const float *row, v_r32 v, int usual) {
    if (usual) {
        __m256i place = _mm256_srli_epi32(fd_from_octave_24(v), 23);
        return _mm256_permutevar8x32_ps(_mm256_loadu_ps(row + 23), place);
    }
    __m256i place = _mm256_srli_epi32(_mm256_castps_si256(v), 23);
    __m256 a = _mm256_permutevar8x32_ps(_mm256_loadu_ps(row), place);
    __m256 b = _mm256_permutevar8x32_ps(_mm256_loadu_ps(row + 8), place);
    __m256 c = _mm256_permutevar8x32_ps(_mm256_loadu_ps(row + 16), place);
    __m256 d = _mm256_permutevar8x32_ps(_mm256_loadu_ps(row + 24), place);
    /* the place's other two bits, where a blend looks for them */
    __m256 fourth = r32_shl(v, 5), fifth = r32_shl(v, 4);
    return r32_select(fifth, r32_select(fourth, d, c), r32_select(fourth, b, a));
}

#define FD_N_r64 4
typedef __m256d v_r64;
typedef __m256d k_r64;

FD_INLINE v_r64 r64_set(double v) { return _mm256_set1_pd(v); }
FD_INLINE v_r64 r64_bits(uint64_t b) { return _mm256_castsi256_pd(vu_set(b)); }
FD_INLINE v_r64 r64_load_f64(const char *p) { return _mm256_loadu_pd((const void *)p); }
FD_INLINE v_r64 r64_load_f32(const char *p) {
    return _mm256_cvtps_pd(_mm_loadu_ps((const void *)p));
}
FD_INLINE void r64_store_f64(char *p, v_r64 v, int nt) { FD_PUT(pd, p, v, nt); }
FD_INLINE v_r64 r64_add(v_r64 a, v_r64 b) { return _mm256_add_pd(a, b); }
FD_INLINE v_r64 r64_sub(v_r64 a, v_r64 b) { return _mm256_sub_pd(a, b); }
FD_INLINE v_r64 r64_mul(v_r64 a, v_r64 b) { return _mm256_mul_pd(a, b); }
FD_INLINE v_r64 r64_div(v_r64 a, v_r64 b) { return _mm256_div_pd(a, b); }
FD_INLINE v_r64 r64_max(v_r64 a, v_r64 b) { return _mm256_max_pd(a, b); }
FD_INLINE v_r64 r64_min(v_r64 a, v_r64 b) { return _mm256_min_pd(a, b); }
FD_INLINE v_r64 r64_fma(v_r64 a, v_r64 b, v_r64 c) { return _mm256_fmadd_pd(a, b, c); }
FD_INLINE v_r64 r64_and(v_r64 a, v_r64 b) { return _mm256_and_pd(a, b); }
FD_INLINE v_r64 r64_or(v_r64 a, v_r64 b) { return _mm256_or_pd(a, b); }
FD_INLINE v_r64 r64_xor(v_r64 a, v_r64 b) { return _mm256_xor_pd(a, b); }
#define r64_shl(v, n) _mm256_castsi256_pd(_mm256_slli_epi64(_mm256_castpd_si256(v), n))
#define r64_shr(v, n) _mm256_castsi256_pd(_mm256_srli_epi64(_mm256_castpd_si256(v), n))
FD_INLINE v_r64 r64_iadd(v_r64 a, v_r64 b) {
    return _mm256_castsi256_pd(_mm256_add_epi64(_mm256_castpd_si256(a), _mm256_castpd_si256(b)));
}
FD_INLINE k_r64 r64_lt(v_r64 a, v_r64 b) { return _mm256_cmp_pd(a, b, _CMP_LT_OQ); }
FD_INLINE k_r64 r64_le(v_r64 a, v_r64 b) { return _mm256_cmp_pd(a, b, _CMP_LE_OQ); }
FD_INLINE k_r64 r64_nan(v_r64 v) { return _mm256_cmp_pd(v, v, _CMP_UNORD_Q); }
FD_INLINE v_r64 r64_select(k_r64 k, v_r64 a, v_r64 b) { return _mm256_blendv_pd(b, a, k); }
FD_INLINE v_r64 r64_keep(k_r64 k, v_r64 v) { return _mm256_and_pd(k, v); }
FD_INLINE int r64_all(k_r64 k) { return _mm256_movemask_pd(k) == 0xF; }
FD_INLINE k_r64 r64_mask(uint64_t w, int i) {
    const __m256i bit = _mm256_setr_epi64x(1, 2, 4, 8);
    __m256i v = _mm256_set1_epi64x((long long)(w >> (4 * i)));
    return _mm256_castsi256_pd(_mm256_cmpeq_epi64(_mm256_and_si256(v, bit), bit));
}
FD_INLINE double r64_sum(v_r64 v) {
    __m128d s = _mm_add_pd(_mm256_castpd256_pd128(v), _mm256_extractf128_pd(v, 1));
    return _mm_cvtsd_f64(_mm_add_sd(s, _mm_unpackhi_pd(s, s)));
}
FD_INLINE double r64_largest(v_r64 v) {
    __m128d s = _mm_max_pd(_mm256_castpd256_pd128(v), _mm256_extractf128_pd(v, 1));
    return _mm_cvtsd_f64(_mm_max_sd(s, _mm_unpackhi_pd(s, s)));
}

#endif
