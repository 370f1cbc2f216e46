/* Bodies that handle masks alone. */

/* The keep words of `count` steps from step `first` of a block on. */
FD_INLINE void draw_words(uint64_t *w, unsigned first, unsigned count, const fd_draw *d,
                          uint64_t position) {
    fd_block block = fd_block_open(d, position);
    if (block.threshold > INT16_MAX) {
        memset(w, 0, count * sizeof *w);
        return;
    }
    lanes l;
    vu r[FD_REGS], threshold = vu_fields((int16_t)block.threshold);
    vm k[FD_REGS];
    lanes_seed(&l, &block);
    lanes_skip(&l, first);
    for (; count >= 2; count -= 2) { /* in pairs no register is copied */
        FD_UNROLL
        for (int i = 0; i < FD_REGS; i++) {
            k[i] = vm_draw(lane_next(&l.s0[i], l.s1[i]), threshold);
        }
        *w++ = vm_bits(k);
        FD_UNROLL
        for (int i = 0; i < FD_REGS; i++) {
            k[i] = vm_draw(lane_next(&l.s1[i], l.s0[i]), threshold);
        }
        *w++ = vm_bits(k);
    }
    if (count) {
        lanes_next(&l, r);
        FD_UNROLL
        for (int i = 0; i < FD_REGS; i++) { k[i] = vm_draw(r[i], threshold); }
        *w = vm_bits(k);
    }
}

static void mask_bits(uint8_t *bits, size_t n, const fd_draw *d) {
    fd_bit_writer writer = {bits, 0, 0};
    for (uint64_t position = d->position; n;) {
        unsigned first = position % FD_BLOCK;
        size_t m = FD_BLOCK - first < n ? FD_BLOCK - first : n;
        unsigned step = first / FD_STEP, end = (unsigned)((first + m - 1) / FD_STEP + 1);
        uint64_t words[FD_STEPS], *w = words;
        draw_words(words, step, end - step, d, position);
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
