/* Vocabulary: NEON of AArch64. The vector extensions already compile to it; what differs is
 * binary16, which the hardware converts. */
#ifndef FD_SIMD_NEON_H
#define FD_SIMD_NEON_H

#include <arm_neon.h>

#define FD_HAS_F16 1
#include "vec128.h"

typedef float32x4_t vs_f16;
FD_INLINE vs_f16 vs_set_f16(double scale) { return vdupq_n_f32((float)scale); }
FD_INLINE void apply_f16(const char *x, char *y, vm k, vs_f16 s, int nt) {
    (void)nt;
    float16x8_t v = vreinterpretq_f16_u8(vld1q_u8((const uint8_t *)x));
    float32x4_t lo = vmulq_f32(vcvt_f32_f16(vget_low_f16(v)), s);
    float32x4_t hi = vmulq_f32(vcvt_high_f32_f16(v), s);
    uint8x16_t w = vreinterpretq_u8_f16(vcvt_high_f16_f32(vcvt_f16_f32(lo), hi));
    vst1q_u8((uint8_t *)y, vbicq_u8(w, (uint8x16_t)k));
}

#endif
