/* Alpha dropout: y = keep ? x * scale + shift : dropped. Product and sum are each rounded. */

FD_INLINE void FD_CAT(affine_word, D)(const fd_operands *at, uint64_t w, const void *context,
                                      int nt) {
    const fd_affine *map = context;
    VR scale = V(set)(map->scale), shift = V(set)(map->shift), dropped = V(set)(map->dropped);
    for (int i = 0; i < FD_STEP / VN; i++) {
        int place = i * VN * FD_SIZE;
        VR v = V(add)(V(mul)(LOAD(at->in[0] + place), scale), shift);
        PUT(at->out[0] + place, V(select)(V(mask)(w, i), v, dropped), nt);
    }
}

static void FD_CAT(affine, D)(const fd_part *part) {
    const fd_affine map = {part->numbers[0], part->numbers[1], part->numbers[2]};
    FD_CAT(walk, D)(part, 1, 1, 0, 0, FD_CAT(affine_word, D), &map);
}
