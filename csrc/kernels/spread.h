/* DropBlock's kernels on the words of a packed mask: plain C, which compilers vectorise for each
 * instruction set. */

enum { FD_SPREAD_WORDS = 16 };

/* Bytes index..index+7 of n; bytes outside are zero. */
FD_NOINLINE uint64_t word_within(const uint8_t *bits, size_t n, ptrdiff_t index) {
    uint64_t w = 0;
    for (int i = 0; i < 8; i++) {
        ptrdiff_t at = index + i;
        if (at >= 0 && at < (ptrdiff_t)n) { w |= (uint64_t)bits[at] << (8 * i); }
    }
    return w;
}

/* The 8 bytes at `at` of the mask shifted up by `skip` bytes and `shift` bits. */
static uint64_t received(const uint8_t *bits, size_t n, size_t at, size_t skip, unsigned shift) {
    ptrdiff_t from = (ptrdiff_t)at - (ptrdiff_t)skip;
    return word_within(bits, n, from) << shift |
           word_within(bits, n, from - 8) >> 1 >> (63 - shift);
}

/* Several words at `at`, with at - skip >= 8. All are read before any is written: a constant number
 * of them stays in registers, and the compiler sees no loop-carried dependence. */
FD_INLINE void spread_words(uint8_t *bits, size_t at, size_t skip, unsigned shift, size_t count) {
    uint64_t words[FD_SPREAD_WORDS];
    const uint8_t *from = bits + at - skip;
    for (size_t i = 0; i < count; i++) {
        words[i] = fd_load64(bits + at + 8 * i) | fd_load64(from + 8 * i) << shift |
                   fd_load64(from + 8 * i - 8) >> 1 >> (63 - shift);
    }
    for (size_t i = 0; i < count; i++) { fd_store64(bits + at + 8 * i, words[i]); }
}

/* From the end down, so that no word is read after it was written. */
static void spread_bits(uint8_t *bits, size_t n, size_t distance) {
    size_t skip = distance / 8, at = n / 8 * 8;
    unsigned shift = distance % 8;
    if (at < n) {
        uint64_t w = received(bits, n, at, skip, shift);
        for (size_t i = at; i < n; i++, w >>= 8) { bits[i] |= (uint8_t)w; }
    }
    while (at >= skip + 8 + 8 * FD_SPREAD_WORDS) {
        at -= 8 * FD_SPREAD_WORDS;
        spread_words(bits, at, skip, shift, FD_SPREAD_WORDS);
    }
    while (at >= skip + 16) {
        at -= 8;
        spread_words(bits, at, skip, shift, 1);
    }
    while (at > skip) {
        at -= 8;
        fd_store64(bits + at, fd_load64(bits + at) | received(bits, n, at, skip, shift));
    }
}

static size_t invert_bits(uint8_t *bits, size_t n) {
    size_t set = 0;
    for (; n >= 64; n -= 64, bits += 8) {
        uint64_t w = ~fd_load64(bits);
        fd_store64(bits, w);
        set += fd_count_bits(w);
    }
    fd_bit_writer writer = {bits, fd_low_bits(~fd_bits_tail(bits, 0, (unsigned)n), (unsigned)n),
                            (unsigned)n};
    set += fd_count_bits(writer.word);
    fd_flush_bits(&writer);
    return set;
}
