/* weighted_sum: y = a * kept + b * dropped, each operation rounded in the compute type. */

FD_INLINE void FD_CAT(weighted_sum_word, D)(const fd_operands *at, uint64_t unused,
                                            const void *context) {
    (void)unused;
    const double *weights = context;
    VR kept = V(set)(weights[0]), dropped = V(set)(weights[1]);
    for (int i = 0; i < FD_STEP / VN; i++) {
        int place = i * VN * FD_SIZE;
        VR a = V(mul)(LOAD(at->in[0] + place), kept);
        STORE(at->out[0] + place, V(add)(a, V(mul)(LOAD(at->in[1] + place), dropped)));
    }
}

static void FD_CAT(weighted_sum, D)(const void *a, const void *b, void *y, size_t n,
                                    const fd_keep *keep, double kept, double dropped) {
    fd_operands at = {{a, b}, {y}};
    const double weights[] = {kept, dropped};
    FD_CAT(walk, D)(at, 2, 1, n, keep, 0, FD_CAT(weighted_sum_word, D), weights);
}
