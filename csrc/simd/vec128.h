/* Vocabulary: 128-bit vector extensions of gcc and clang, without intrinsics where they do as
 * well. Serves SSE2 and any other little-endian target; neon.h builds on it. A mask is a register
 * of 8 fields, all ones where an element is DROPPED (SSE2 compares for greater only). */
#ifndef FD_SIMD_H
#define FD_SIMD_H

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "../bits.h"

#define FD_VL 2
#define FD_SLOT(j) (j)

typedef uint64_t vu __attribute__((vector_size(16)));
typedef int16_t vm __attribute__((vector_size(16)));
typedef uint16_t fd_u16x8 __attribute__((vector_size(16)));
typedef uint32_t fd_u32x4 __attribute__((vector_size(16)));
typedef int32_t fd_i32x4 __attribute__((vector_size(16)));
typedef int64_t fd_i64x2 __attribute__((vector_size(16)));
typedef float fd_f32x4 __attribute__((vector_size(16)));
typedef double fd_f64x2 __attribute__((vector_size(16)));

FD_INLINE vu vu_load(const uint64_t *p) {
    vu v;
    memcpy(&v, p, 16);
    return v;
}
FD_INLINE void vu_store(char *p, vu a) { memcpy(p, &a, 16); }
FD_INLINE vu vu_set(uint64_t w) { return (vu){w, w}; }
FD_INLINE vu vu_add(vu a, vu b) { return a + b; }
FD_INLINE vu vu_mul(vu a, vu b) { return a * b; }
FD_INLINE vu vu_xor(vu a, vu b) { return a ^ b; }
FD_INLINE vu vu_or(vu a, vu b) { return a | b; }
FD_INLINE vu vu_xor3(vu a, vu b, vu c) { return a ^ b ^ c; }
#define vu_shl(a, n) ((a) << (n))
#define vu_shr(a, n) ((a) >> (n))

FD_INLINE vu vu_fields(int16_t v) { return (vu)(vm){v, v, v, v, v, v, v, v}; }
FD_INLINE vm vm_draw(vu r, vu threshold) { return (vm)threshold > (vm)r; }

/* Eight fields to eight bits. The multiplication gathers the low bits of four fields. */
FD_INLINE uint32_t fd_drop_bits(vm k) {
    vu w = ((vu)k & vu_set(UINT64_C(0x0001000100010001))) * vu_set(UINT64_C(0x0001000200040008));
    return (uint32_t)(w[0] >> 48 & 15) | (uint32_t)(w[1] >> 48 & 15) << 4;
}

FD_INLINE uint64_t vm_bits(const vm *k) {
    uint64_t drop = 0;
    FD_UNROLL
    for (unsigned i = 0; i < 8; i += 2) {
#if defined(__SSE2__)
        __m128i packed = _mm_packs_epi16((__m128i)k[i], (__m128i)k[i + 1]);
        drop |= (uint64_t)(uint32_t)_mm_movemask_epi8(packed) << (8 * i);
#else
        drop |= (uint64_t)(fd_drop_bits(k[i]) | fd_drop_bits(k[i + 1]) << 8) << (8 * i);
#endif
    }
    return ~drop;
}

FD_INLINE vm vm_from_bits(uint64_t w, unsigned i) {
    const vm bit = {1, 2, 4, 8, 16, 32, 64, 128};
    int16_t v = (int16_t)(w >> (8 * i) & 0xFF);
    return ((vm){v, v, v, v, v, v, v, v} & bit) == (vm){0};
}

#define FD_LOAD(type, p) \
    __extension__({ \
        type fd_loaded; \
        memcpy(&fd_loaded, p, 16); \
        fd_loaded; \
    })
#define FD_STORE(p, v) memcpy(p, &(v), 16)

/* A mask of 16-bit fields as masks of 32 bits; each half again as masks of 64. */
#if defined(__clang__)
#define FD_ZIP16(k, a, b, c, d) ((fd_i32x4)__builtin_shufflevector(k, k, a, a, b, b, c, c, d, d))
#define FD_ZIP32(k, a, b) ((fd_i64x2)__builtin_shufflevector(k, k, a, a, b, b))
#else
#define FD_ZIP16(k, a, b, c, d) ((fd_i32x4)__builtin_shuffle(k, (vm){a, a, b, b, c, c, d, d}))
#define FD_ZIP32(k, a, b) ((fd_i64x2)__builtin_shuffle(k, (fd_i32x4){a, a, b, b}))
#endif
#define FD_LOWER(k) FD_ZIP16(k, 0, 1, 2, 3)
#define FD_UPPER(k) FD_ZIP16(k, 4, 5, 6, 7)

typedef fd_f32x4 vs_f32;
FD_INLINE vs_f32 vs_set_f32(double scale) {
    float s = (float)scale;
    return (vs_f32){s, s, s, s};
}
FD_INLINE void apply_f32(const char *x, char *y, vm k, vs_f32 s, int nt) {
    (void)nt;
    fd_i32x4 a = (fd_i32x4)(FD_LOAD(fd_f32x4, x) * s) & ~FD_LOWER(k);
    fd_i32x4 b = (fd_i32x4)(FD_LOAD(fd_f32x4, x + 16) * s) & ~FD_UPPER(k);
    FD_STORE(y, a);
    FD_STORE(y + 16, b);
}

typedef fd_f64x2 vs_f64;
FD_INLINE vs_f64 vs_set_f64(double scale) { return (vs_f64){scale, scale}; }
FD_INLINE void apply_f64(const char *x, char *y, vm k, vs_f64 s, int nt) {
    (void)nt;
    fd_i32x4 lower = FD_LOWER(k), upper = FD_UPPER(k);
    fd_i64x2 a = (fd_i64x2)(FD_LOAD(fd_f64x2, x) * s) & ~FD_ZIP32(lower, 0, 1);
    fd_i64x2 b = (fd_i64x2)(FD_LOAD(fd_f64x2, x + 16) * s) & ~FD_ZIP32(lower, 2, 3);
    fd_i64x2 c = (fd_i64x2)(FD_LOAD(fd_f64x2, x + 32) * s) & ~FD_ZIP32(upper, 0, 1);
    fd_i64x2 d = (fd_i64x2)(FD_LOAD(fd_f64x2, x + 48) * s) & ~FD_ZIP32(upper, 2, 3);
    FD_STORE(y, a);
    FD_STORE(y + 16, b);
    FD_STORE(y + 32, c);
    FD_STORE(y + 48, d);
}

/* Even and odd 16-bit elements as the halves of 32-bit words: nothing has to be widened. */
FD_INLINE fd_u32x4 fd_select(fd_u32x4 mask, fd_u32x4 a, fd_u32x4 b) {
    return (a & mask) | (b & ~mask);
}

#ifndef FD_HAS_F16
/* binary16 in the high half of each word, the low half zero, to binary32 (see half.h). */
FD_INLINE fd_f32x4 fd_widen_f16(fd_u32x4 h) {
    fd_u32x4 sign = h & 0x80000000U, rest = (h & 0x7FFFFFFFU) >> 3;
    fd_u32x4 special = (fd_u32x4)(rest >= 0x0F800000U);
    fd_u32x4 finite = (fd_u32x4)((fd_f32x4)rest * 0x1p112F);
    return (fd_f32x4)(sign | fd_select(special, rest | 0x7F800000U, finite));
}
/* To binary16 in the low half of each word. */
FD_INLINE fd_u32x4 fd_narrow_f16(fd_f32x4 v) {
    fd_u32x4 bits = (fd_u32x4)v, sign = bits >> 16 & 0x8000U, rest = bits & 0x7FFFFFFFU;
    fd_u32x4 tiny = (fd_u32x4)((fd_f32x4)rest + 0.5F) - 0x3F000000U;
    fd_u32x4 normal = (rest - 0x38000000U + 0xFFFU + (rest >> 13 & 1U)) >> 13;
    fd_u32x4 is_nan = (fd_u32x4)(rest > 0x7F800000U);
    fd_u32x4 special = 0x7C00U | (is_nan & 0x0200U);
    fd_u32x4 out = fd_select((fd_u32x4)(rest < 0x38800000U), tiny, normal);
    return sign | fd_select((fd_u32x4)(rest >= 0x47800000U), special, out);
}

typedef fd_f32x4 vs_f16;
FD_INLINE vs_f16 vs_set_f16(double scale) { return vs_set_f32(scale); }
FD_INLINE void apply_f16(const char *x, char *y, vm k, vs_f16 s, int nt) {
    (void)nt;
    fd_u32x4 v = FD_LOAD(fd_u32x4, x);
    fd_u32x4 even = fd_narrow_f16(fd_widen_f16(v << 16) * s);
    fd_u32x4 odd = fd_narrow_f16(fd_widen_f16(v & 0xFFFF0000U) * s);
    fd_u32x4 w = (even | odd << 16) & ~(fd_u32x4)k;
    FD_STORE(y, w);
}
#endif

/* Rounded by integers; a NaN stays one (why: see avx512.h). */
typedef fd_f32x4 vs_bf16;
FD_INLINE vs_bf16 vs_set_bf16(double scale) { return vs_set_f32(scale); }
FD_INLINE fd_u32x4 fd_round_bf16(fd_f32x4 v) {
    fd_u32x4 bits = (fd_u32x4)v;
    return bits + 0x7FFFU + (bits >> 16 & 1U);
}
FD_INLINE void apply_bf16(const char *x, char *y, vm k, vs_bf16 s, int nt) {
    (void)nt;
    fd_u32x4 v = FD_LOAD(fd_u32x4, x);
    fd_u32x4 even = fd_round_bf16((fd_f32x4)(v << 16) * s) >> 16;
    fd_u32x4 odd = fd_round_bf16((fd_f32x4)(v & 0xFFFF0000U) * s) & 0xFFFF0000U;
    fd_u32x4 w = (even | odd) & ~(fd_u32x4)k;
    FD_STORE(y, w);
}

#define fd_pack64 fd_pack64_portable
#define fd_unpack64 fd_unpack64_portable

#define FD_HAS_STREAM 0
FD_INLINE void fd_stream_end(void) {}

#endif
