/* Vocabulary: AVX-512 F, BW, DQ, VL. A mask is a mask register of 32 fields, 1 = keep. */
#ifndef FD_SIMD_H
#define FD_SIMD_H

#include <immintrin.h>

#include "../bits.h"

/* See kernels/real.h. */
#if defined(__GNUC__) && !defined(__clang__)
#define FD_IN_STEP(v) __asm__("" : "+v"(v))
#endif

#define FD_VL 8        /* 64-bit lanes in a register */
#define FD_SLOT(j) (j) /* the register slot of lane j */

#define FD_DIRECT_MASKS /* masks of numbers come straight from comparisons: see kernels/drawn.h */

typedef __m512i vu;
typedef __mmask32 vm;

FD_INLINE vu vu_load(const uint64_t *p) { return _mm512_loadu_si512(p); }
FD_INLINE void vu_store(char *p, vu a) { _mm512_storeu_si512(p, a); }
FD_INLINE vu vu_set(uint64_t w) { return _mm512_set1_epi64((long long)w); }
FD_INLINE vu vu_add(vu a, vu b) { return _mm512_add_epi64(a, b); }
FD_INLINE vu vu_mul(vu a, vu b) { return _mm512_mullo_epi64(a, b); }
FD_INLINE vu vu_xor(vu a, vu b) { return _mm512_xor_si512(a, b); }
FD_INLINE vu vu_or(vu a, vu b) { return _mm512_or_si512(a, b); }
FD_INLINE vu vu_xor3(vu a, vu b, vu c) { return _mm512_ternarylogic_epi64(a, b, c, 0x96); }
#define vu_shl(a, n) _mm512_slli_epi64(a, n)
#define vu_shr(a, n) _mm512_srli_epi64(a, n)

FD_INLINE vu vu_fields(int16_t v) { return _mm512_set1_epi16(v); }
FD_INLINE vm vm_draw(vu r, vu threshold) { return _mm512_cmpge_epi16_mask(r, threshold); }
FD_INLINE uint64_t vm_bits(const vm *k) {
    return _cvtmask32_u32(k[0]) | (uint64_t)_cvtmask32_u32(k[1]) << 32;
}
FD_INLINE vm vm_from_bits(uint64_t w, unsigned i) {
    return _cvtu32_mask32((uint32_t)(w >> (32 * i)));
}

/* Both gcc and clang fold the load into the masked multiplication, and at memory speed that
 * instruction halves the throughput of Zen 5: the value has to be in a register first. */
#define FD_IN_REGISTER(v) __asm__("" : "+v"(v))

#define FD_PUT(type, y, v, nt) \
    do { \
        if (nt) { \
            _mm512_stream_##type((void *)(y), v); \
        } else { \
            _mm512_storeu_##type((void *)(y), v); \
        } \
    } while (0)

/* The part of a mask from field n on, as the mask of one register of floats. gcc moves `k >> 16`
 * through a general register, clang moves even `(__mmask16)k` through memory: so the instruction is
 * named where the compiler would not choose it. */
#if defined(__clang__)
#define FD_PART(type, k, n) \
    __extension__({ \
        type fd_part; \
        if (n) { \
            __asm__("kshiftrd %2, %1, %0" : "=Yk"(fd_part) : "Yk"(k), "i"(n)); \
        } else { \
            __asm__("kmovw %1, %0" : "=Yk"(fd_part) : "Yk"(k)); \
        } \
        fd_part; \
    })
#else
#define FD_PART(type, k, n) ((type)((n) ? _kshiftri_mask32(k, n) : (k)))
#endif

typedef __m512 vs_f32;
FD_INLINE vs_f32 vs_set_f32(double scale) { return _mm512_set1_ps((float)scale); }
FD_INLINE void apply_f32(const char *x, char *y, vm k, vs_f32 s, int nt) {
    __m512 a = _mm512_loadu_ps(x), b = _mm512_loadu_ps(x + 64);
    FD_IN_REGISTER(a);
    FD_IN_REGISTER(b);
    a = _mm512_maskz_mul_ps(FD_PART(__mmask16, k, 0), a, s);
    b = _mm512_maskz_mul_ps(FD_PART(__mmask16, k, 16), b, s);
    FD_PUT(ps, y, a, nt);
    FD_PUT(ps, y + 64, b, nt);
}

typedef __m512d vs_f64;
FD_INLINE vs_f64 vs_set_f64(double scale) { return _mm512_set1_pd(scale); }
FD_INLINE void apply_f64(const char *x, char *y, vm k, vs_f64 s, int nt) {
    __m512d a = _mm512_loadu_pd(x), b = _mm512_loadu_pd(x + 64);
    __m512d c = _mm512_loadu_pd(x + 128), d = _mm512_loadu_pd(x + 192);
    FD_IN_REGISTER(a);
    FD_IN_REGISTER(b);
    FD_IN_REGISTER(c);
    FD_IN_REGISTER(d);
    a = _mm512_maskz_mul_pd(FD_PART(__mmask8, k, 0), a, s);
    b = _mm512_maskz_mul_pd(FD_PART(__mmask8, k, 8), b, s);
    c = _mm512_maskz_mul_pd(FD_PART(__mmask8, k, 16), c, s);
    d = _mm512_maskz_mul_pd(FD_PART(__mmask8, k, 24), d, s);
    FD_PUT(pd, y, a, nt);
    FD_PUT(pd, y + 64, b, nt);
    FD_PUT(pd, y + 128, c, nt);
    FD_PUT(pd, y + 192, d, nt);
}

typedef __m512 vs_f16;
FD_INLINE vs_f16 vs_set_f16(double scale) { return _mm512_set1_ps((float)scale); }
FD_INLINE void apply_f16(const char *x, char *y, vm k, vs_f16 s, int nt) {
    __m512 a = _mm512_cvtph_ps(_mm256_loadu_si256((const void *)x));
    __m512 b = _mm512_cvtph_ps(_mm256_loadu_si256((const void *)(x + 32)));
    a = _mm512_maskz_mul_ps(FD_PART(__mmask16, k, 0), a, s);
    b = _mm512_maskz_mul_ps(FD_PART(__mmask16, k, 16), b, s);
    __m256i lo = _mm512_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT);
    __m256i hi = _mm512_cvtps_ph(b, _MM_FROUND_TO_NEAREST_INT);
    if (nt) {
        FD_PUT(si512, y, _mm512_inserti64x4(_mm512_castsi256_si512(lo), hi, 1), 1);
    } else {
        _mm256_storeu_si256((void *)y, lo);
        _mm256_storeu_si256((void *)(y + 32), hi);
    }
}

/* Rounding is by integers, because vcvtneps2bf16 flushes subnormals. A NaN stays one: its low half
 * is zero in binary32, so adding 0x8000 at most does not carry. */
typedef __m512 vs_bf16;
FD_INLINE vs_bf16 vs_set_bf16(double scale) { return _mm512_set1_ps((float)scale); }
FD_INLINE __m512i fd_round_bf16(__m512 v) {
    __m512i bits = _mm512_castps_si512(v);
    __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    return _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7FFF)));
}
/* Even and odd elements are the halves of 32-bit words, so nothing has to be widened. The upper
 * halves of all products make one register, the lower halves another: all 32 are rounded at once,
 * up where the lower half is more than 0x8000, or just that and the upper one is odd. */
FD_INLINE void apply_bf16(const char *x, char *y, vm k, vs_bf16 s, int nt) {
    const __m512i one = _mm512_set1_epi16(1), half = _mm512_set1_epi16(INT16_MIN);
    __m512i v = _mm512_loadu_si512(x);
    __m512i top = _mm512_and_si512(v, _mm512_set1_epi32((int)0xFFFF0000));
    __m512i even =
        _mm512_castps_si512(_mm512_mul_ps(_mm512_castsi512_ps(_mm512_slli_epi32(v, 16)), s));
    __m512i odd = _mm512_castps_si512(_mm512_mul_ps(_mm512_castsi512_ps(top), s));
    __m512i upper = _mm512_mask_mov_epi16(_mm512_srli_epi32(even, 16), 0xAAAAAAAA, odd);
    __m512i lower = _mm512_mask_mov_epi16(_mm512_slli_epi32(odd, 16), 0x55555555, even);
    __m512i least = _mm512_or_si512(_mm512_andnot_si512(upper, one), half);
    __mmask32 up = _mm512_cmpge_epu16_mask(lower, least);
    __m512i w = _mm512_mask_add_epi16(upper, up, upper, one);
    FD_PUT(si512, y, _mm512_maskz_mov_epi16(k, w), nt);
}

FD_INLINE uint64_t fd_pack64(const uint8_t *mask) {
    __m512i v = _mm512_loadu_si512(mask);
    return _cvtmask64_u64(_mm512_test_epi8_mask(v, v));
}
FD_INLINE void fd_unpack64(uint8_t *mask, uint64_t w) {
    _mm512_storeu_si512(mask, _mm512_maskz_set1_epi8(_cvtu64_mask64(w), 1));
}

#define FD_HAS_STREAM 1
FD_INLINE void fd_stream_end(void) { _mm_sfence(); }

#endif
