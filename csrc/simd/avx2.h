/* Vocabulary: AVX2 with F16C. A mask is a register of 16 fields, all ones where an element is
 * DROPPED: AVX2 compares for greater only, and clearing by and-not costs no more than by and.
 * The lanes sit in the register in the order 0, 2, 1, 3: widening a mask from 16 to 32 bits is
 * then two unpack instructions, which work on 128-bit halves. */
#ifndef FD_SIMD_H
#define FD_SIMD_H

#include <immintrin.h>

#include "../bits.h"

/* See kernels/real.h. */
#if defined(__GNUC__) && !defined(__clang__)
#define FD_IN_STEP(v) __asm__("" : "+x"(v))
#endif

#define FD_VL 4
#define FD_SLOT(j) (((j) & 12) | ((j) & 1) << 1 | ((j) & 2) >> 1)

typedef __m256i vu;
typedef __m256i vm;

FD_INLINE vu vu_load(const uint64_t *p) { return _mm256_loadu_si256((const void *)p); }
FD_INLINE vu vu_set(uint64_t w) { return _mm256_set1_epi64x((long long)w); }
FD_INLINE vu vu_add(vu a, vu b) { return _mm256_add_epi64(a, b); }
FD_INLINE vu vu_mul(vu a, vu b) {
    __m256i cross = _mm256_mullo_epi32(a, _mm256_shuffle_epi32(b, 0xB1));
    cross = _mm256_slli_epi64(_mm256_add_epi32(cross, _mm256_srli_epi64(cross, 32)), 32);
    return _mm256_add_epi64(_mm256_mul_epu32(a, b), cross);
}
FD_INLINE vu vu_xor(vu a, vu b) { return _mm256_xor_si256(a, b); }
FD_INLINE vu vu_or(vu a, vu b) { return _mm256_or_si256(a, b); }
FD_INLINE vu vu_xor3(vu a, vu b, vu c) { return vu_xor(vu_xor(a, b), c); }
#define vu_shl(a, n) _mm256_slli_epi64(a, n)
#define vu_shr(a, n) _mm256_srli_epi64(a, n)

FD_INLINE vu vu_fields(int16_t v) { return _mm256_set1_epi16(v); }
FD_INLINE vm vm_draw(vu r, vu threshold) { return _mm256_cmpgt_epi16(threshold, r); }
/* From register order to element order. */
FD_INLINE __m256i fd_in_order(__m256i v) { return _mm256_permute4x64_epi64(v, 0xD8); }
FD_INLINE void vu_store(char *p, vu a) { _mm256_storeu_si256((void *)p, fd_in_order(a)); }
FD_INLINE uint64_t vm_bits(const vm *k) {
    /* packs interleaves the 128-bit halves of its two sources: with the lanes in the order
     * 0 2 1 3 the bytes come out as lanes 0 2 | 4 6 | 1 3 | 5 7 of the pair of registers */
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    __m256i lo = _mm256_permutevar8x32_epi32(_mm256_packs_epi16(k[0], k[1]), order);
    __m256i hi = _mm256_permutevar8x32_epi32(_mm256_packs_epi16(k[2], k[3]), order);
    uint32_t drop_lo = (uint32_t)_mm256_movemask_epi8(lo);
    uint32_t drop_hi = (uint32_t)_mm256_movemask_epi8(hi);
    return ~(drop_lo | (uint64_t)drop_hi << 32);
}
FD_INLINE vm vm_from_bits(uint64_t w, unsigned i) {
    const __m256i bit =
        _mm256_setr_epi16(1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 8, 1 << 9, 1 << 10, 1 << 11, 1 << 4,
                          1 << 5, 1 << 6, 1 << 7, 1 << 12, 1 << 13, 1 << 14, (short)(1 << 15));
    __m256i v = _mm256_set1_epi16((short)(w >> (16 * i)));
    return _mm256_cmpeq_epi16(_mm256_and_si256(v, bit), _mm256_setzero_si256());
}

#define FD_PUT(type, y, v, nt) \
    do { \
        if (nt) { \
            _mm256_stream_##type((void *)(y), v); \
        } else { \
            _mm256_storeu_##type((void *)(y), v); \
        } \
    } while (0)

typedef __m256 vs_f32;
FD_INLINE vs_f32 vs_set_f32(double scale) { return _mm256_set1_ps((float)scale); }
FD_INLINE void apply_f32(const char *x, char *y, vm k, vs_f32 s, int nt) {
    __m256 a = _mm256_mul_ps(_mm256_loadu_ps((const void *)x), s);
    __m256 b = _mm256_mul_ps(_mm256_loadu_ps((const void *)(x + 32)), s);
    a = _mm256_andnot_ps(_mm256_castsi256_ps(_mm256_unpacklo_epi16(k, k)), a);
    b = _mm256_andnot_ps(_mm256_castsi256_ps(_mm256_unpackhi_epi16(k, k)), b);
    FD_PUT(ps, (float *)(void *)y, a, nt);
    FD_PUT(ps, (float *)(void *)(y + 32), b, nt);
}

/* The mask of 8 elements of 32 bits: the i-th byte of a word. Shifting the bits looked for, which
 * is done when this is compiled, leaves one broadcast for 32 elements. */
FD_INLINE __m256i fd_keep32(uint64_t w, int i) {
    const __m256i bit =
        _mm256_slli_epi32(_mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128), 8 * (i & 3));
    __m256i v = _mm256_set1_epi32((int)(uint32_t)(i & 4 ? w >> 32 : w));
    return _mm256_cmpeq_epi32(_mm256_and_si256(v, bit), bit);
}
/* Expanding bits directly, without unpacking fields first, hides the cost of a given mask. */
#define FD_WORD_F32
FD_INLINE void word_f32(const char *x, char *y, uint64_t w, vs_f32 s, int nt) {
    FD_UNROLL
    for (int i = 0; i < 8; i++) {
        __m256 v = _mm256_mul_ps(_mm256_loadu_ps((const void *)(x + 32 * i)), s);
        v = _mm256_and_ps(_mm256_castsi256_ps(fd_keep32(w, i)), v);
        FD_PUT(ps, (float *)(void *)(y + 32 * i), v, nt);
    }
}

typedef __m256d vs_f64;
FD_INLINE vs_f64 vs_set_f64(double scale) { return _mm256_set1_pd(scale); }
FD_INLINE void fd_apply4_f64(const char *x, char *y, __m256i k32, __m256i order, vs_f64 s, int nt) {
    __m256d drop = _mm256_castsi256_pd(_mm256_permutevar8x32_epi32(k32, order));
    __m256d v = _mm256_andnot_pd(drop, _mm256_mul_pd(_mm256_loadu_pd((const void *)x), s));
    FD_PUT(pd, (double *)(void *)y, v, nt);
}
FD_INLINE void apply_f64(const char *x, char *y, vm k, vs_f64 s, int nt) {
    const __m256i low = _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3);
    const __m256i high = _mm256_setr_epi32(4, 4, 5, 5, 6, 6, 7, 7);
    __m256i k0 = _mm256_unpacklo_epi16(k, k), k1 = _mm256_unpackhi_epi16(k, k);
    fd_apply4_f64(x, y, k0, low, s, nt);
    fd_apply4_f64(x + 32, y + 32, k0, high, s, nt);
    fd_apply4_f64(x + 64, y + 64, k1, low, s, nt);
    fd_apply4_f64(x + 96, y + 96, k1, high, s, nt);
}

typedef __m256 vs_f16;
FD_INLINE vs_f16 vs_set_f16(double scale) { return _mm256_set1_ps((float)scale); }
FD_INLINE void apply_f16(const char *x, char *y, vm k, vs_f16 s, int nt) {
    __m256 a = _mm256_cvtph_ps(_mm_loadu_si128((const void *)x));
    __m256 b = _mm256_cvtph_ps(_mm_loadu_si128((const void *)(x + 16)));
    __m128i lo = _mm256_cvtps_ph(_mm256_mul_ps(a, s), _MM_FROUND_TO_NEAREST_INT);
    __m128i hi = _mm256_cvtps_ph(_mm256_mul_ps(b, s), _MM_FROUND_TO_NEAREST_INT);
    __m256i v = _mm256_inserti128_si256(_mm256_castsi128_si256(lo), hi, 1);
    FD_PUT(si256, (__m256i *)(void *)y, _mm256_andnot_si256(fd_in_order(k), v), nt);
}

/* Even and odd elements as halves of 32-bit words, rounded by integers (why: see avx512.h). */
typedef __m256 vs_bf16;
FD_INLINE vs_bf16 vs_set_bf16(double scale) { return _mm256_set1_ps((float)scale); }
FD_INLINE __m256i fd_round_bf16(__m256 v) {
    __m256i bits = _mm256_castps_si256(v);
    __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    return _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7FFF)));
}
FD_INLINE void apply_bf16(const char *x, char *y, vm k, vs_bf16 s, int nt) {
    __m256i v = _mm256_loadu_si256((const void *)x);
    __m256 even = _mm256_castsi256_ps(_mm256_slli_epi32(v, 16));
    __m256 odd = _mm256_castsi256_ps(_mm256_and_si256(v, _mm256_set1_epi32((int)0xFFFF0000)));
    even = _mm256_mul_ps(even, s);
    odd = _mm256_mul_ps(odd, s);
    __m256i w =
        _mm256_blend_epi16(_mm256_srli_epi32(fd_round_bf16(even), 16), fd_round_bf16(odd), 0xAA);
    FD_PUT(si256, (__m256i *)(void *)y, _mm256_andnot_si256(fd_in_order(k), w), nt);
}

FD_INLINE uint64_t fd_pack64(const uint8_t *mask) {
    const __m256i zero = _mm256_setzero_si256();
    __m256i a = _mm256_loadu_si256((const void *)mask);
    __m256i b = _mm256_loadu_si256((const void *)(mask + 32));
    uint32_t lo = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(a, zero));
    uint32_t hi = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(b, zero));
    return ~(lo | (uint64_t)hi << 32);
}
FD_INLINE void fd_unpack64(uint8_t *mask, uint64_t w) {
    const __m256i spread = _mm256_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2,
                                            2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3);
    const __m256i bit = _mm256_set1_epi64x((long long)0x8040201008040201);
    for (int i = 0; i < 2; i++) {
        __m256i v = _mm256_set1_epi32((int)(uint32_t)(w >> (32 * i)));
        v = _mm256_cmpeq_epi8(_mm256_and_si256(_mm256_shuffle_epi8(v, spread), bit), bit);
        _mm256_storeu_si256((void *)(mask + 32 * i), _mm256_and_si256(v, _mm256_set1_epi8(1)));
    }
}

#define FD_HAS_STREAM 1
FD_INLINE void fd_stream_end(void) { _mm_sfence(); }

#endif
