/* Arithmetic vocabulary on 128-bit vector extensions, for SSE2, NEON and the rest: what
 * kernels/real.h says, on 4 binary32 or 2 binary64 numbers. A mask's lanes are all ones or zeros.
 */
#ifndef FD_SIMD_REAL_H
#define FD_SIMD_REAL_H

#include "vec128.h"

#define FD_N_r32 4
typedef fd_f32x4 v_r32;
typedef fd_i32x4 k_r32;

FD_INLINE v_r32 r32_set(double v) { return vs_set_f32(v); }
FD_INLINE v_r32 r32_bits(uint32_t b) { return (v_r32)(fd_u32x4){b, b, b, b}; }
FD_INLINE v_r32 r32_load_f32(const char *p) { return FD_LOAD(v_r32, p); }
FD_INLINE void r32_store_f32(char *p, v_r32 v, int nt) {
    (void)nt;
    FD_STORE(p, v);
}

/* Four 16-bit elements as the high halves of words, and back from the low halves. */
FD_INLINE fd_u32x4 fd_load_halves(const char *p) {
    uint16_t h[4];
    memcpy(h, p, 8);
    return (fd_u32x4){h[0], h[1], h[2], h[3]} << 16;
}
FD_INLINE void fd_store_halves(char *p, fd_u32x4 v) {
    uint16_t h[4] = {(uint16_t)v[0], (uint16_t)v[1], (uint16_t)v[2], (uint16_t)v[3]};
    memcpy(p, h, 8);
}
#if defined(FD_HAS_F16)
FD_INLINE v_r32 r32_load_f16(const char *p) {
    return (v_r32)vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8((const uint8_t *)p)));
}
FD_INLINE void r32_store_f16(char *p, v_r32 v, int nt) {
    (void)nt;
    vst1_u8((uint8_t *)p, vreinterpret_u8_f16(vcvt_f16_f32((float32x4_t)v)));
}
#else
FD_INLINE v_r32 r32_load_f16(const char *p) { return fd_widen_f16(fd_load_halves(p)); }
FD_INLINE void r32_store_f16(char *p, v_r32 v, int nt) {
    (void)nt;
    fd_store_halves(p, fd_narrow_f16(v));
}
#endif
FD_INLINE v_r32 r32_load_bf16(const char *p) { return (v_r32)fd_load_halves(p); }
FD_INLINE void r32_store_bf16(char *p, v_r32 v, int nt) {
    (void)nt;
    fd_store_halves(p, fd_round_bf16(v) >> 16);
}

FD_INLINE v_r32 r32_add(v_r32 a, v_r32 b) { return a + b; }
FD_INLINE v_r32 r32_sub(v_r32 a, v_r32 b) { return a - b; }
FD_INLINE v_r32 r32_mul(v_r32 a, v_r32 b) { return a * b; }
FD_INLINE v_r32 r32_div(v_r32 a, v_r32 b) { return a / b; }
FD_INLINE v_r32 r32_fma(v_r32 a, v_r32 b, v_r32 c) { return a * b + c; }
FD_INLINE v_r32 r32_and(v_r32 a, v_r32 b) { return (v_r32)((fd_u32x4)a & (fd_u32x4)b); }
FD_INLINE v_r32 r32_or(v_r32 a, v_r32 b) { return (v_r32)((fd_u32x4)a | (fd_u32x4)b); }
FD_INLINE v_r32 r32_xor(v_r32 a, v_r32 b) { return (v_r32)((fd_u32x4)a ^ (fd_u32x4)b); }
#define r32_shl(v, n) ((v_r32)((fd_u32x4)(v) << (n)))
#define r32_shr(v, n) ((v_r32)((fd_u32x4)(v) >> (n)))
FD_INLINE v_r32 r32_iadd(v_r32 a, v_r32 b) { return (v_r32)((fd_u32x4)a + (fd_u32x4)b); }
FD_INLINE k_r32 r32_lt(v_r32 a, v_r32 b) { return a < b; }
FD_INLINE k_r32 r32_le(v_r32 a, v_r32 b) { return a <= b; }
FD_INLINE k_r32 r32_nan(v_r32 v) { return v != v; }
FD_INLINE v_r32 r32_select(k_r32 k, v_r32 a, v_r32 b) {
    return (v_r32)(((fd_i32x4)a & k) | ((fd_i32x4)b & ~k));
}
FD_INLINE v_r32 r32_keep(k_r32 k, v_r32 v) { return (v_r32)((fd_i32x4)v & k); }
FD_INLINE v_r32 r32_max(v_r32 a, v_r32 b) { return r32_select(b < a, a, b); }
FD_INLINE v_r32 r32_min(v_r32 a, v_r32 b) { return r32_select(a < b, a, b); }
FD_INLINE int r32_all(k_r32 k) { return (k[0] & k[1] & k[2] & k[3]) != 0; }
FD_INLINE k_r32 r32_mask(uint64_t w, int i) {
    const fd_i32x4 bit = {1, 2, 4, 8};
    int32_t v = (int32_t)(w >> (4 * i) & 15);
    return ((fd_i32x4){v, v, v, v} & bit) != (fd_i32x4){0};
}
FD_INLINE float r32_sum(v_r32 v) { return (v[0] + v[2]) + (v[1] + v[3]); }
FD_INLINE float r32_largest(v_r32 v) {
    float a = v[0] > v[2] ? v[0] : v[2], b = v[1] > v[3] ? v[1] : v[3];
    return a > b ? a : b;
}

/* Vectors of bytes have the byte order of the fields. */
FD_INLINE v_r32 r32_words(const char *p) { return r32_load_f32(p); }
FD_INLINE v_r32 r32_signed(v_r32 v) { return __builtin_convertvector((fd_i32x4)v, v_r32); }
FD_INLINE int r32_usual(v_r32 v) {
    (void)v;
    return 1;
}
FD_INLINE v_r32 r32_octave(const float *row, v_r32 v, int usual) {
    (void)usual;
    fd_u32x4 place = (fd_u32x4)v >> 23 & 31;
    return (v_r32){row[place[0]], row[place[1]], row[place[2]], row[place[3]]};
}

#define FD_N_r64 2
typedef fd_f64x2 v_r64;
typedef fd_i64x2 k_r64;

FD_INLINE v_r64 r64_set(double v) { return (v_r64){v, v}; }
FD_INLINE v_r64 r64_bits(uint64_t b) { return (v_r64)vu_set(b); }
FD_INLINE v_r64 r64_load_f64(const char *p) { return FD_LOAD(v_r64, p); }
FD_INLINE v_r64 r64_load_f32(const char *p) {
    float v[2];
    memcpy(v, p, sizeof v);
    return (v_r64){v[0], v[1]};
}
FD_INLINE void r64_store_f64(char *p, v_r64 v, int nt) {
    (void)nt;
    FD_STORE(p, v);
}
FD_INLINE v_r64 r64_add(v_r64 a, v_r64 b) { return a + b; }
FD_INLINE v_r64 r64_sub(v_r64 a, v_r64 b) { return a - b; }
FD_INLINE v_r64 r64_mul(v_r64 a, v_r64 b) { return a * b; }
FD_INLINE v_r64 r64_div(v_r64 a, v_r64 b) { return a / b; }
FD_INLINE v_r64 r64_fma(v_r64 a, v_r64 b, v_r64 c) { return a * b + c; }
FD_INLINE v_r64 r64_and(v_r64 a, v_r64 b) { return (v_r64)((vu)a & (vu)b); }
FD_INLINE v_r64 r64_or(v_r64 a, v_r64 b) { return (v_r64)((vu)a | (vu)b); }
FD_INLINE v_r64 r64_xor(v_r64 a, v_r64 b) { return (v_r64)((vu)a ^ (vu)b); }
#define r64_shl(v, n) ((v_r64)((vu)(v) << (n)))
#define r64_shr(v, n) ((v_r64)((vu)(v) >> (n)))
FD_INLINE v_r64 r64_iadd(v_r64 a, v_r64 b) { return (v_r64)((vu)a + (vu)b); }
FD_INLINE k_r64 r64_lt(v_r64 a, v_r64 b) { return a < b; }
FD_INLINE k_r64 r64_le(v_r64 a, v_r64 b) { return a <= b; }
FD_INLINE k_r64 r64_nan(v_r64 v) { return v != v; }
FD_INLINE v_r64 r64_select(k_r64 k, v_r64 a, v_r64 b) {
    return (v_r64)(((fd_i64x2)a & k) | ((fd_i64x2)b & ~k));
}
FD_INLINE v_r64 r64_keep(k_r64 k, v_r64 v) { return (v_r64)((fd_i64x2)v & k); }
FD_INLINE v_r64 r64_max(v_r64 a, v_r64 b) { return r64_select(b < a, a, b); }
FD_INLINE v_r64 r64_min(v_r64 a, v_r64 b) { return r64_select(a < b, a, b); }
FD_INLINE int r64_all(k_r64 k) { return (k[0] & k[1]) != 0; }
FD_INLINE k_r64 r64_mask(uint64_t w, int i) {
    return (k_r64){-(int64_t)(w >> (2 * i) & 1), -(int64_t)(w >> (2 * i + 1) & 1)};
}
FD_INLINE double r64_sum(v_r64 v) { return v[0] + v[1]; }
FD_INLINE double r64_largest(v_r64 v) { return v[0] > v[1] ? v[0] : v[1]; }

#endif
