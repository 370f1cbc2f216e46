/* Loops over n elements of dtype D, 64 at a time with their keep bits; included for each D. */

/* Each `word` function is inlined into a loop of its own, with `context` in registers. It gets the
 * addresses of 64 elements of each operand; with `nt`, it stores past the cache. */
typedef void FD_CAT(word_fn, D)(const fd_operands *at, uint64_t w, const void *context, int nt);

FD_INLINE void FD_CAT(advance, D)(fd_operands *at, int inputs, int outputs, int biased) {
    for (int i = 0; i < inputs; i++) { at->in[i] += FD_STEP * FD_SIZE; }
    for (int i = 0; i < outputs; i++) { at->out[i] += FD_STEP * FD_SIZE; }
    /* Read again from its beginning, a bias stays in L1. */
    if (biased && (uintptr_t)at->in[inputs - 1] >= at->turn) { at->in[inputs - 1] -= at->period; }
}

/* Fewer than 64 elements go through copies: no load or store touches memory outside the caller's
 * arrays. */
FD_INLINE void FD_CAT(walk_some, D)(const fd_operands *at, int inputs, int outputs, size_t n,
                                    uint64_t w, FD_CAT(word_fn, D) * word, const void *context) {
    FD_ALIGN64 char copies[5][FD_STEP * FD_SIZE];
    memset(copies, 0, sizeof copies);
    fd_operands padded;
    for (int i = 0; i < inputs; i++) { padded.in[i] = memcpy(copies[i], at->in[i], n * FD_SIZE); }
    for (int i = 0; i < outputs; i++) { padded.out[i] = copies[3 + i]; }
    word(&padded, w, context, 0);
    for (int i = 0; i < outputs; i++) { memcpy(at->out[i], copies[3 + i], n * FD_SIZE); }
}

/* The bits are read in whole words. */
FD_INLINE void FD_CAT(walk_bits, D)(fd_operands at, int inputs, int outputs, int biased, size_t n,
                                    const uint8_t *bits, FD_CAT(word_fn, D) * word,
                                    const void *context, int nt) {
    for (; n >= FD_STEP; n -= FD_STEP, bits += FD_STEP / 8) {
        word(&at, fd_load64(bits), context, nt);
        FD_CAT(advance, D)(&at, inputs, outputs, biased);
    }
    if (n) { FD_CAT(walk_some, D)(&at, inputs, outputs, n, fd_load64(bits), word, context); }
}

#if defined(FD_VL)
/* A block whose bits are drawn word by word in the loop: the generator's arithmetic overlaps with
 * memory accesses. */
FD_INLINE void FD_CAT(walk_block, D)(fd_operands at, int inputs, int outputs, int biased,
                                     const fd_block *block, FD_CAT(word_fn, D) * word,
                                     const void *context) {
    vu threshold = vu_fields((int16_t)block->threshold);
    lanes l;
    lanes_seed(&l, block);
    for (int t = 0; t < FD_STEPS; t += 2) {
        word(&at, draw_even_word(&l, threshold), context, 0);
        FD_CAT(advance, D)(&at, inputs, outputs, biased);
        word(&at, draw_odd_word(&l, threshold), context, 0);
        FD_CAT(advance, D)(&at, inputs, outputs, biased);
    }
}

/* The same of any number of elements, from any position on, with stores that bypass the cache. */
FD_INLINE void FD_CAT(walk_drawn, D)(fd_operands at, int inputs, int outputs, int biased, size_t n,
                                     const fd_draw *draw, FD_CAT(word_fn, D) * word,
                                     const void *context) {
    shifted s = shifted_from(draw);
    int ahead = fd_get_prefetch();
    for (; n >= FD_STEP; n -= FD_STEP) {
        for (int i = 0; ahead && i < inputs; i++) { FD_CAT(prefetch, D)(at.in[i], 1); }
        word(&at, shifted_next(&s), context, 1);
        FD_CAT(advance, D)(&at, inputs, outputs, biased);
    }
    if (n) { FD_CAT(walk_some, D)(&at, inputs, outputs, n, shifted_next(&s), word, context); }
}
#endif

/* The bits of a block are drawn first where `word` computes so much that this costs next to nothing
 * and its loop has no register to spare. */
FD_INLINE void FD_CAT(walk, D)(const fd_part *part, int inputs, int outputs, int biased,
                               int computes, FD_CAT(word_fn, D) * word, const void *context) {
    const uint8_t *bits = part->keep.bits;
    int nt = FD_HAS_STREAM && !computes && part->streaming;
    uint64_t words[FD_STEPS];
#if defined(FD_VL)
    if (!bits && nt) {
        FD_CAT(walk_drawn, D)(part->at, inputs, outputs, biased, part->n, part->keep.draw, word,
                              context);
        fd_stream_end();
        return;
    }
    if (!bits && !computes) {
        FD_CAT(walk_block, D)(part->at, inputs, outputs, biased, &part->keep.block, word, context);
        return;
    }
#endif
    if (!bits) {
        draw_block(words, &part->keep.block);
        bits = (const uint8_t *)words;
    }
    if (nt) {
        FD_CAT(walk_bits, D)(part->at, inputs, outputs, biased, part->n, bits, word, context, 1);
        fd_stream_end();
    } else {
        FD_CAT(walk_bits, D)(part->at, inputs, outputs, biased, part->n, bits, word, context, 0);
    }
}
