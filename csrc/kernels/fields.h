/* The raw fields of the stream, for the C API and for normal variates. */

/* Fields from any position; whole steps are stored as they are, in the order of positions. */
static void fields(uint16_t *out, size_t n, const fd_draw *d) {
    for (uint64_t position = d->position; n;) {
        unsigned first = position % FD_BLOCK, skip = first % FD_STEP;
        size_t m = FD_BLOCK - first < n ? FD_BLOCK - first : n;
        fd_block block = fd_block_open(d, position);
        lanes l;
        lanes_seed(&l, &block);
        lanes_skip(&l, first / FD_STEP);
        position += m;
        n -= m;
        for (size_t count; m; m -= count, out += count, skip = 0) {
            FD_ALIGN64 uint16_t part[FD_STEP];
            count = FD_STEP - skip < m ? FD_STEP - skip : m;
            char *to = (char *)(count == FD_STEP ? out : part);
            vu r[FD_REGS];
            lanes_next(&l, r);
            FD_UNROLL
            for (int i = 0; i < FD_REGS; i++) { vu_store(to + 2 * FD_FIELDS * i, r[i]); }
            if (count < FD_STEP) { memcpy(out, part + skip, count * sizeof *out); }
        }
    }
}
