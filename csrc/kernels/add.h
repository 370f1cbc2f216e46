/* dropout_add: y = (keep ? x * scale : +0.0) + r, each rounded in the compute type. */

FD_INLINE void FD_CAT(add_word, D)(const fd_operands *at, uint64_t w, const void *context) {
    VR s = V(set)(*(const double *)context);
    for (int i = 0; i < FD_STEP / VN; i++) {
        int place = i * VN * FD_SIZE;
        VR v = V(keep)(V(mask)(w, i), V(mul)(LOAD(at->in[0] + place), s));
        STORE(at->out[0] + place, V(add)(v, LOAD(at->in[1] + place)));
    }
}

static void FD_CAT(dropout_add, D)(const void *x, const void *r, void *y, size_t n,
                                   const fd_keep *keep, double scale) {
    fd_operands at = {{x, r}, {y}};
    FD_CAT(walk, D)(at, 2, 1, n, keep, 0, FD_CAT(add_word, D), &scale);
}
