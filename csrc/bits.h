/* Packed masks: bit e & 7 of byte e >> 3, least significant first, on any byte order. */
#ifndef FD_BITS_H
#define FD_BITS_H

#include <string.h>

#include "kernel.h"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define FD_BIG_ENDIAN 1
#else
#define FD_BIG_ENDIAN 0
#endif

FD_INLINE uint64_t fd_swap_if_big(uint64_t w) {
#if FD_BIG_ENDIAN
    return __builtin_bswap64(w);
#else
    return w;
#endif
}

FD_INLINE uint64_t fd_load64(const uint8_t *p) {
    uint64_t w;
    memcpy(&w, p, 8);
    return fd_swap_if_big(w);
}

FD_INLINE void fd_store64(uint8_t *p, uint64_t w) {
    w = fd_swap_if_big(w);
    memcpy(p, &w, 8);
}

/* 64 bits from bit `bit` on: touches 8 bytes, or 9 where the bits really straddle them. */
FD_INLINE uint64_t fd_bits64(const uint8_t *bits, size_t bit) {
    const uint8_t *p = bits + (bit >> 3);
    unsigned shift = bit & 7;
    uint64_t w = fd_load64(p);
    return shift ? w >> shift | (uint64_t)p[8] << (64 - shift) : w;
}

/* The low `count` bits of w, 0 <= count <= 64. */
FD_INLINE uint64_t fd_low_bits(uint64_t w, unsigned count) {
    return count >= 64 ? w : w & ((UINT64_C(1) << count) - 1);
}

/* How many bits of w are set: compilers know this form where there is an instruction for it. */
FD_INLINE unsigned fd_count_bits(uint64_t w) {
    w -= w >> 1 & UINT64_C(0x5555555555555555);
    w = (w & UINT64_C(0x3333333333333333)) + (w >> 2 & UINT64_C(0x3333333333333333));
    w = (w + (w >> 4)) & UINT64_C(0x0F0F0F0F0F0F0F0F);
    return (unsigned)(w * UINT64_C(0x0101010101010101) >> 56);
}

/* 1 to 64 bits from bit `bit` on, the rest zero; touches only bytes that hold one of them. */
FD_INLINE uint64_t fd_bits_tail(const uint8_t *bits, size_t bit, unsigned count) {
    const uint8_t *p = bits + (bit >> 3);
    unsigned shift = bit & 7, bytes = (shift + count + 7) / 8;
    uint64_t w = 0;
    for (unsigned i = 0; i < bytes && i < 8; i++) { w |= (uint64_t)p[i] << 8 * i; }
    w >>= shift;
    if (bytes > 8) { w |= (uint64_t)p[8] << (64 - shift); }
    return fd_low_bits(w, count);
}

/* Up to 64 bits from bit `bit` on, the rest unspecified; touches no byte from `end` on, and takes
 * the bits there to be zero. */
FD_INLINE uint64_t fd_bits_before(const uint8_t *bits, const uint8_t *end, size_t bit,
                                  unsigned count) {
    if (end - bits > (ptrdiff_t)(bit >> 3) + 8) { return fd_bits64(bits, bit); }
    size_t bound = 8 * (size_t)(end - bits), left = bit < bound ? bound - bit : 0;
    if (!left) { return 0; }
    return fd_bits_tail(bits, bit, count < left ? count : (unsigned)left);
}

/* A stream of bits into memory, a word at a time; flush writes the bytes that are left. */
typedef struct fd_bit_writer {
    uint8_t *out;
    uint64_t word;
    unsigned fill; /* 0..63 bits waiting in word */
} fd_bit_writer;

/* Appends the low `count` bits of w, 1 <= count <= 64; the bits above have to be zero. */
FD_INLINE void fd_put_bits(fd_bit_writer *writer, uint64_t w, unsigned count) {
    writer->word |= w << writer->fill;
    unsigned fill = writer->fill + count;
    if (fill >= 64) {
        fd_store64(writer->out, writer->word);
        writer->out += 8;
        /* w >> (64 - old fill), in two shifts because the old fill may be 0 */
        writer->word = w >> 1 >> (63 - writer->fill);
        fill -= 64;
    }
    writer->fill = fill;
}

/* Appends n whole words. */
FD_INLINE void fd_put_words(fd_bit_writer *writer, const uint64_t *w, size_t n) {
    fd_bit_writer now = *writer; /* behind the pointer, each store might change it */
    if (now.fill) {
        for (size_t i = 0; i < n; i++) {
            fd_store64(now.out + 8 * i, now.word | w[i] << now.fill);
            now.word = w[i] >> (64 - now.fill);
        }
    } else {
        for (size_t i = 0; i < n; i++) { fd_store64(now.out + 8 * i, w[i]); }
    }
    now.out += 8 * n;
    *writer = now;
}

FD_INLINE void fd_flush_bits(fd_bit_writer *writer) {
    for (unsigned done = 0; done < writer->fill; done += 8) {
        *writer->out++ = (uint8_t)(writer->word >> done);
    }
    writer->word = 0;
    writer->fill = 0;
}

/* 8 bytes (0 = drop) to 8 bits, and back, inside one 64-bit word. */
FD_INLINE uint64_t fd_pack8(uint64_t bytes) {
    const uint64_t low7 = UINT64_C(0x7F7F7F7F7F7F7F7F);
    uint64_t ones = ((((bytes & low7) + low7) | bytes) >> 7) & UINT64_C(0x0101010101010101);
    return ones * UINT64_C(0x0102040810204080) >> 56;
}

FD_INLINE uint64_t fd_unpack8(uint64_t bits) {
    const uint64_t low7 = UINT64_C(0x7F7F7F7F7F7F7F7F);
    uint64_t spread = bits * UINT64_C(0x0101010101010101) & UINT64_C(0x8040201008040201);
    return (((spread & low7) + low7) | spread) >> 7 & UINT64_C(0x0101010101010101);
}

/* 64 elements; a vocabulary that knows a shorter way defines these names itself. */
FD_INLINE uint64_t fd_pack64_portable(const uint8_t *mask) {
    uint64_t w = 0;
    for (unsigned i = 0; i < 8; i++) { w |= fd_pack8(fd_load64(mask + 8 * i)) << (8 * i); }
    return w;
}

FD_INLINE void fd_unpack64_portable(uint8_t *mask, uint64_t w) {
    for (unsigned i = 0; i < 8; i++) { fd_store64(mask + 8 * i, fd_unpack8(w >> (8 * i) & 0xFF)); }
}

#endif
