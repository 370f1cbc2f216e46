/* Kernels that read and write masks only. */

static void mask_bits(uint8_t *bits, size_t n, const fd_draw *d) {
    fd_bit_writer writer = {bits, 0, 0};
    for (uint64_t position = d->position; n;) {
        unsigned first = position % FD_BLOCK;
        size_t m = FD_BLOCK - first < n ? FD_BLOCK - first : n;
        unsigned step = first / FD_STEP, end = (unsigned)((first + m - 1) / FD_STEP + 1);
        uint64_t words[FD_STEPS], *w = words;
        fd_block block = fd_block_open(d, position);
        draw_words(words, step, end - step, &block);
        position += m;
        n -= m;
        unsigned skip = first % FD_STEP;
        if (skip) {
            unsigned count = FD_STEP - skip < m ? FD_STEP - skip : (unsigned)m;
            fd_put_bits(&writer, fd_low_bits(*w++ >> skip, count), count);
            m -= count;
        }
        fd_put_words(&writer, w, m / FD_STEP);
        unsigned rest = m % FD_STEP;
        if (rest) { fd_put_bits(&writer, fd_low_bits(w[m / FD_STEP], rest), rest); }
    }
    fd_flush_bits(&writer);
}

static void pack_bool(const uint8_t *mask, uint8_t *bits, size_t n) {
    for (; n >= 64; n -= 64, mask += 64, bits += 8) { fd_store64(bits, fd_pack64(mask)); }
    fd_bit_writer writer = {bits, 0, 0};
    for (size_t i = 0; i < n; i++) { fd_put_bits(&writer, mask[i] != 0, 1); }
    fd_flush_bits(&writer);
}

static void unpack_bool(const uint8_t *bits, uint8_t *mask, size_t n) {
    for (; n >= 64; n -= 64, mask += 64, bits += 8) { fd_unpack64(mask, fd_load64(bits)); }
    for (size_t i = 0; i < n; i++) { mask[i] = bits[i >> 3] >> (i & 7) & 1; }
}
