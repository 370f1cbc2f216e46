/* mix: y = a * kept + b * dropped; unmix, its gradients: dy * kept and dy * dropped. Each operation
 * is rounded in the compute type; no decision is looked at. */

FD_INLINE void FD_CAT(mix_word, D)(const fd_operands *at, uint64_t unused, const void *context,
                                   int nt) {
    (void)unused;
    const double *weights = context;
    VR kept = V(set)(weights[0]), dropped = V(set)(weights[1]);
    for (int i = 0; i < FD_STEP / VN; i++) {
        int place = i * VN * FD_SIZE;
        VR a = V(mul)(LOAD(at->in[0] + place), kept);
        PUT(at->out[0] + place, V(add)(a, V(mul)(LOAD(at->in[1] + place), dropped)), nt);
    }
}

static void FD_CAT(mix, D)(const fd_part *part) {
    const double weights[] = {part->numbers[0], part->numbers[1]};
    FD_CAT(walk, D)(part, 2, 1, 0, 0, FD_CAT(mix_word, D), weights);
}

FD_INLINE void FD_CAT(unmix_word, D)(const fd_operands *at, uint64_t unused, const void *context,
                                     int nt) {
    (void)unused;
    const double *weights = context;
    VR kept = V(set)(weights[0]), dropped = V(set)(weights[1]);
    for (int i = 0; i < FD_STEP / VN; i++) {
        int place = i * VN * FD_SIZE;
        VR v = LOAD(at->in[0] + place);
        PUT(at->out[0] + place, V(mul)(v, kept), nt);
        PUT(at->out[1] + place, V(mul)(v, dropped), nt);
    }
}

static void FD_CAT(unmix, D)(const fd_part *part) {
    const double weights[] = {part->numbers[0], part->numbers[1]};
    FD_CAT(walk, D)(part, 1, 2, 0, 0, FD_CAT(unmix_word, D), weights);
}
