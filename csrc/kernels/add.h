/* add: y = (keep ? x * scale : +0.0) + r, each rounded in the compute type. */

FD_INLINE void FD_CAT(add_word, D)(const fd_operands *at, uint64_t w, const void *context, int nt) {
    VR s = V(set)(*(const double *)context);
    for (int i = 0; i < FD_STEP / VN; i++) {
        int place = i * VN * FD_SIZE;
        VR v = V(keep)(V(mask)(w, i), V(mul)(LOAD(at->in[0] + place), s));
        PUT(at->out[0] + place, V(add)(v, LOAD(at->in[1] + place)), nt);
    }
}

static void FD_CAT(add, D)(const fd_part *part) {
    double scale = part->numbers[0]; /* a copy: behind the pointer, a store might change it */
    FD_CAT(walk, D)(part, 2, 1, 0, 0, FD_CAT(add_word, D), &scale);
}
