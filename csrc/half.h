/* binary16 and bfloat16 in integer arithmetic, one element at a time: to nearest even, with
 * subnormals, for every target. The same bits as the hardware's conversions, NaN payloads apart. */
#ifndef FD_HALF_H
#define FD_HALF_H

#include <string.h>

#include "kernel.h"

FD_INLINE float fd_float_from_bits(uint32_t bits) {
    float v;
    memcpy(&v, &bits, 4);
    return v;
}

FD_INLINE uint32_t fd_bits_of_float(float v) {
    uint32_t bits;
    memcpy(&bits, &v, 4);
    return bits;
}

FD_INLINE float fd_f16_to_f32(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, rest = h & 0x7FFF;
    if (rest >= 0x7C00) { return fd_float_from_bits(sign | 0x7F800000 | rest << 13); }
    /* the exponent's bias is off by 112; multiplying puts subnormals right as well */
    float v = fd_float_from_bits(rest << 13) * 0x1p112F;
    return fd_float_from_bits(sign | fd_bits_of_float(v));
}

FD_INLINE uint16_t fd_f32_to_f16(float v) {
    uint32_t bits = fd_bits_of_float(v), sign = bits >> 16 & 0x8000, rest = bits & 0x7FFFFFFF;
    if (rest > 0x7F800000) { return (uint16_t)(sign | 0x7E00); }
    if (rest >= 0x47800000) { return (uint16_t)(sign | 0x7C00); }
    if (rest < 0x38800000) {
        /* below 2^-14: adding 0.5 leaves a subnormal's bits, rounded, at the bottom */
        uint32_t sum = fd_bits_of_float(fd_float_from_bits(rest) + 0.5F);
        return (uint16_t)(sign | (sum - 0x3F000000));
    }
    return (uint16_t)(sign | ((rest - 0x38000000 + 0xFFF + (rest >> 13 & 1)) >> 13));
}

FD_INLINE float fd_bf16_to_f32(uint16_t h) { return fd_float_from_bits((uint32_t)h << 16); }

/* For products of a bfloat16 and a finite scale: a NaN's low half is then zero, and rounding
 * cannot carry it into another value. */
FD_INLINE uint16_t fd_product_to_bf16(float v) {
    uint32_t bits = fd_bits_of_float(v);
    return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

#endif
