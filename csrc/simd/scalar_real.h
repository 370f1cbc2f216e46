/* Arithmetic vocabulary of plain C, for any target: what kernels/real.h says, on one number at a
 * time. */
#ifndef FD_SIMD_REAL_H
#define FD_SIMD_REAL_H

#include "../bits.h"
#include "../half.h"

FD_INLINE uint64_t fd_bits_of_double(double v) {
    uint64_t bits;
    memcpy(&bits, &v, 8);
    return bits;
}
FD_INLINE double fd_double_from_bits(uint64_t bits) {
    double v;
    memcpy(&v, &bits, 8);
    return v;
}

#define FD_N_r32 1
typedef float v_r32;
typedef int k_r32;

FD_INLINE v_r32 r32_set(double v) { return (float)v; }
FD_INLINE v_r32 r32_bits(uint32_t b) { return fd_float_from_bits(b); }
FD_INLINE v_r32 r32_load_f32(const char *p) {
    float v;
    memcpy(&v, p, 4);
    return v;
}
FD_INLINE void r32_store_f32(char *p, v_r32 v, int nt) {
    (void)nt;
    memcpy(p, &v, 4);
}
FD_INLINE uint16_t fd_load_half(const char *p) {
    uint16_t h;
    memcpy(&h, p, 2);
    return h;
}
FD_INLINE v_r32 r32_load_f16(const char *p) { return fd_f16_to_f32(fd_load_half(p)); }
FD_INLINE void r32_store_f16(char *p, v_r32 v, int nt) {
    (void)nt;
    uint16_t h = fd_f32_to_f16(v);
    memcpy(p, &h, 2);
}
FD_INLINE v_r32 r32_load_bf16(const char *p) { return fd_bf16_to_f32(fd_load_half(p)); }
FD_INLINE void r32_store_bf16(char *p, v_r32 v, int nt) {
    (void)nt;
    uint16_t h = fd_product_to_bf16(v);
    memcpy(p, &h, 2);
}
FD_INLINE v_r32 r32_add(v_r32 a, v_r32 b) { return a + b; }
FD_INLINE v_r32 r32_sub(v_r32 a, v_r32 b) { return a - b; }
FD_INLINE v_r32 r32_mul(v_r32 a, v_r32 b) { return a * b; }
FD_INLINE v_r32 r32_div(v_r32 a, v_r32 b) { return a / b; }
FD_INLINE v_r32 r32_max(v_r32 a, v_r32 b) { return a > b ? a : b; }
FD_INLINE v_r32 r32_min(v_r32 a, v_r32 b) { return a < b ? a : b; }
FD_INLINE v_r32 r32_fma(v_r32 a, v_r32 b, v_r32 c) { return a * b + c; }
FD_INLINE v_r32 r32_and(v_r32 a, v_r32 b) {
    return r32_bits(fd_bits_of_float(a) & fd_bits_of_float(b));
}
FD_INLINE v_r32 r32_or(v_r32 a, v_r32 b) {
    return r32_bits(fd_bits_of_float(a) | fd_bits_of_float(b));
}
FD_INLINE v_r32 r32_xor(v_r32 a, v_r32 b) {
    return r32_bits(fd_bits_of_float(a) ^ fd_bits_of_float(b));
}
#define r32_shl(v, n) r32_bits(fd_bits_of_float(v) << (n))
#define r32_shr(v, n) r32_bits(fd_bits_of_float(v) >> (n))
FD_INLINE v_r32 r32_iadd(v_r32 a, v_r32 b) {
    return r32_bits(fd_bits_of_float(a) + fd_bits_of_float(b));
}
FD_INLINE k_r32 r32_lt(v_r32 a, v_r32 b) { return a < b; }
FD_INLINE k_r32 r32_le(v_r32 a, v_r32 b) { return a <= b; }
FD_INLINE k_r32 r32_nan(v_r32 v) { return v != v; }
FD_INLINE v_r32 r32_select(k_r32 k, v_r32 a, v_r32 b) { return k ? a : b; }
/* By an AND: `k ? v : 0` becomes a branch that is mispredicted half of the time. */
FD_INLINE v_r32 r32_keep(k_r32 k, v_r32 v) {
    return r32_bits(fd_bits_of_float(v) & (0U - (uint32_t)k));
}
FD_INLINE int r32_all(k_r32 k) { return k; }
FD_INLINE k_r32 r32_mask(uint64_t w, int i) { return (int)(w >> i & 1); }
FD_INLINE float r32_sum(v_r32 v) { return v; }
FD_INLINE float r32_largest(v_r32 v) { return v; }

FD_INLINE v_r32 r32_words(const char *p) {
    return r32_bits(fd_load_half(p) | (uint32_t)fd_load_half(p + 2) << 16);
}
FD_INLINE v_r32 r32_signed(v_r32 v) {
    int32_t number;
    memcpy(&number, &v, 4);
    return (float)number;
}
FD_INLINE int r32_usual(v_r32 v) {
    (void)v;
    return 1;
}
FD_INLINE v_r32 r32_octave(const float *row, v_r32 v, int usual) {
    (void)usual;
    return row[fd_bits_of_float(v) >> 23 & 31];
}

#define FD_N_r64 1
typedef double v_r64;
typedef int k_r64;

FD_INLINE v_r64 r64_set(double v) { return v; }
FD_INLINE v_r64 r64_bits(uint64_t b) { return fd_double_from_bits(b); }
FD_INLINE v_r64 r64_load_f64(const char *p) {
    double v;
    memcpy(&v, p, 8);
    return v;
}
FD_INLINE v_r64 r64_load_f32(const char *p) { return r32_load_f32(p); }
FD_INLINE void r64_store_f64(char *p, v_r64 v, int nt) {
    (void)nt;
    memcpy(p, &v, 8);
}
FD_INLINE v_r64 r64_add(v_r64 a, v_r64 b) { return a + b; }
FD_INLINE v_r64 r64_sub(v_r64 a, v_r64 b) { return a - b; }
FD_INLINE v_r64 r64_mul(v_r64 a, v_r64 b) { return a * b; }
FD_INLINE v_r64 r64_div(v_r64 a, v_r64 b) { return a / b; }
FD_INLINE v_r64 r64_max(v_r64 a, v_r64 b) { return a > b ? a : b; }
FD_INLINE v_r64 r64_min(v_r64 a, v_r64 b) { return a < b ? a : b; }
FD_INLINE v_r64 r64_fma(v_r64 a, v_r64 b, v_r64 c) { return a * b + c; }
FD_INLINE v_r64 r64_and(v_r64 a, v_r64 b) {
    return r64_bits(fd_bits_of_double(a) & fd_bits_of_double(b));
}
FD_INLINE v_r64 r64_or(v_r64 a, v_r64 b) {
    return r64_bits(fd_bits_of_double(a) | fd_bits_of_double(b));
}
FD_INLINE v_r64 r64_xor(v_r64 a, v_r64 b) {
    return r64_bits(fd_bits_of_double(a) ^ fd_bits_of_double(b));
}
#define r64_shl(v, n) r64_bits(fd_bits_of_double(v) << (n))
#define r64_shr(v, n) r64_bits(fd_bits_of_double(v) >> (n))
FD_INLINE v_r64 r64_iadd(v_r64 a, v_r64 b) {
    return r64_bits(fd_bits_of_double(a) + fd_bits_of_double(b));
}
FD_INLINE k_r64 r64_lt(v_r64 a, v_r64 b) { return a < b; }
FD_INLINE k_r64 r64_le(v_r64 a, v_r64 b) { return a <= b; }
FD_INLINE k_r64 r64_nan(v_r64 v) { return v != v; }
FD_INLINE v_r64 r64_select(k_r64 k, v_r64 a, v_r64 b) { return k ? a : b; }
FD_INLINE v_r64 r64_keep(k_r64 k, v_r64 v) {
    return r64_bits(fd_bits_of_double(v) & (0U - (uint64_t)k));
}
FD_INLINE int r64_all(k_r64 k) { return k; }
FD_INLINE k_r64 r64_mask(uint64_t w, int i) { return (int)(w >> i & 1); }
FD_INLINE double r64_sum(v_r64 v) { return v; }
FD_INLINE double r64_largest(v_r64 v) { return v; }

#endif
