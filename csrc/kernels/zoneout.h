/* select: y = keep ? a : b; split, its gradients: of a where kept, of b where not. */

FD_INLINE void FD_CAT(select_word, D)(const fd_operands *at, uint64_t w, const void *unused,
                                      int nt) {
    (void)unused;
    for (int i = 0; i < FD_STEP / VN; i++) {
        int place = i * VN * FD_SIZE;
        VR a = LOAD(at->in[0] + place), b = LOAD(at->in[1] + place);
        PUT(at->out[0] + place, V(select)(V(mask)(w, i), a, b), nt);
    }
}

static void FD_CAT(select, D)(const fd_part *part) {
    FD_CAT(walk, D)(part, 2, 1, 0, 0, FD_CAT(select_word, D), NULL);
}

FD_INLINE void FD_CAT(split_word, D)(const fd_operands *at, uint64_t w, const void *unused,
                                     int nt) {
    (void)unused;
    for (int i = 0; i < FD_STEP / VN; i++) {
        int place = i * VN * FD_SIZE;
        VR v = LOAD(at->in[0] + place), kept = V(keep)(V(mask)(w, i), v);
        PUT(at->out[0] + place, kept, nt);
        PUT(at->out[1] + place, V(xor)(v, kept), nt); /* the bits that are left: v or +0.0 */
    }
}

static void FD_CAT(split, D)(const fd_part *part) {
    FD_CAT(walk, D)(part, 1, 2, 0, 0, FD_CAT(split_word, D), NULL);
}
