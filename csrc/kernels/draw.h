/* Keep bits from the generator, a word of 64 to each of its steps. */

/* The even and the odd step of a pair: the two halves of the state swap roles, so that no register
 * is copied. */
FD_INLINE uint64_t draw_even_word(lanes *l, vu threshold) {
    vm k[FD_REGS];
    FD_UNROLL
    for (int i = 0; i < FD_REGS; i++) { k[i] = vm_draw(lane_next(&l->s0[i], l->s1[i]), threshold); }
    return vm_bits(k);
}

FD_INLINE uint64_t draw_odd_word(lanes *l, vu threshold) {
    vm k[FD_REGS];
    FD_UNROLL
    for (int i = 0; i < FD_REGS; i++) { k[i] = vm_draw(lane_next(&l->s1[i], l->s0[i]), threshold); }
    return vm_bits(k);
}

/* Whole steps of the stream, from a position on that begins one; no block may drop all. */
typedef struct steps {
    const fd_draw *draw;
    uint64_t position; /* of the next block */
    size_t left;       /* of this block */
    vu threshold;
    lanes l;
} steps;

FD_INLINE void steps_open(steps *s) {
    unsigned first = s->position % FD_BLOCK / FD_STEP;
    fd_block block = fd_block_open(s->draw, s->position);
    lanes_seed(&s->l, &block);
    lanes_skip(&s->l, first);
    s->threshold = vu_fields((int16_t)block.threshold);
    s->left = FD_STEPS - first;
    s->position += FD_STEP * s->left;
}

/* The masks of one step. */
FD_INLINE void steps_next(steps *s, vm *k) {
    vu r[FD_REGS];
    if (!s->left) { steps_open(s); }
    s->left--;
    lanes_next(&s->l, r);
    FD_UNROLL
    for (int i = 0; i < FD_REGS; i++) { k[i] = vm_draw(r[i], s->threshold); }
}

/* Words of keep bits from any position on, each made of two neighbouring steps. */
typedef struct shifted {
    const fd_draw *draw;
    uint64_t position; /* of the next block */
    uint64_t some;     /* zero in a block that drops all */
    uint64_t late;     /* the step before */
    unsigned left, shift;
    vu threshold;
    lanes l;
} shifted;

FD_INLINE uint64_t shifted_step(shifted *s) {
    vu r[FD_REGS];
    vm k[FD_REGS];
    if (!s->left) {
        unsigned first = s->position % FD_BLOCK / FD_STEP;
        fd_block block = fd_block_open(s->draw, s->position);
        lanes_seed(&s->l, &block);
        lanes_skip(&s->l, first);
        s->threshold = vu_fields((int16_t)block.threshold);
        s->some = block.threshold > INT16_MAX ? 0 : ~UINT64_C(0);
        s->left = FD_STEPS - first;
        s->position += FD_STEP * s->left;
    }
    s->left--;
    lanes_next(&s->l, r);
    FD_UNROLL
    for (int i = 0; i < FD_REGS; i++) { k[i] = vm_draw(r[i], s->threshold); }
    return vm_bits(k) & s->some;
}

FD_INLINE shifted shifted_from(const fd_draw *draw) {
    shifted s;
    s.draw = draw;
    s.shift = draw->position % FD_STEP;
    s.position = draw->position - s.shift;
    s.left = 0;
    s.late = shifted_step(&s);
    return s;
}

FD_INLINE uint64_t shifted_next(shifted *s) {
    uint64_t w = shifted_step(s), word = s->late >> s->shift | w << 1 << (63 - s->shift);
    s->late = w;
    return word;
}

/* `count` steps, starting at step `first` of a block. */
FD_NOINLINE void draw_words(uint64_t *w, unsigned first, unsigned count, const fd_block *block) {
    if (block->threshold > INT16_MAX) {
        memset(w, 0, count * sizeof *w);
        return;
    }
    vu threshold = vu_fields((int16_t)block->threshold);
    lanes l;
    lanes_seed(&l, block);
    lanes_skip(&l, first);
    for (; count >= 2; count -= 2) {
        *w++ = draw_even_word(&l, threshold);
        *w++ = draw_odd_word(&l, threshold);
    }
    if (count) { *w = draw_even_word(&l, threshold); }
}

/* A whole block, as packed bits in memory. */
FD_INLINE void draw_block(uint64_t words[FD_STEPS], const fd_block *block) {
    draw_words(words, 0, FD_STEPS, block);
}
