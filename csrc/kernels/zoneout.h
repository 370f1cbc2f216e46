/* zoneout: y = keep ? a : b; and its gradients: of a where kept, of b where not. */

FD_INLINE void FD_CAT(zoneout_word, D)(const fd_operands *at, uint64_t w, const void *unused) {
    (void)unused;
    for (int i = 0; i < FD_STEP / VN; i++) {
        int place = i * VN * FD_SIZE;
        VR a = LOAD(at->in[0] + place), b = LOAD(at->in[1] + place);
        STORE(at->out[0] + place, V(select)(V(mask)(w, i), a, b));
    }
}

static void FD_CAT(zoneout, D)(const void *a, const void *b, void *y, size_t n,
                               const fd_keep *keep) {
    fd_operands at = {{a, b}, {y}};
    FD_CAT(walk, D)(at, 2, 1, n, keep, 0, FD_CAT(zoneout_word, D), NULL);
}

FD_INLINE void FD_CAT(split_word, D)(const fd_operands *at, uint64_t w, const void *unused) {
    (void)unused;
    for (int i = 0; i < FD_STEP / VN; i++) {
        int place = i * VN * FD_SIZE;
        VR v = LOAD(at->in[0] + place), kept = V(keep)(V(mask)(w, i), v);
        STORE(at->out[0] + place, kept);
        STORE(at->out[1] + place, V(xor)(v, kept)); /* the bits that are left: v or +0.0 */
    }
}

static void FD_CAT(zoneout_split, D)(const void *dy, void *da, void *db, size_t n,
                                     const fd_keep *keep) {
    fd_operands at = {{dy}, {da, db}};
    FD_CAT(walk, D)(at, 1, 2, n, keep, 0, FD_CAT(split_word, D), NULL);
}
