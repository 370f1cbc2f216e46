/* Gaussian dropout and noise: y = x * (1 + deviation * z) and y = x + deviation * z with normal
 * variates z, each operation rounded in the compute type. */

typedef VR FD_CAT(noise_fn, D)(VR x, VR z, VR deviation);

FD_INLINE VR FD_CAT(noise_factor, D)(VR x, VR z, VR deviation) {
    return V(mul)(x, V(add)(V(set)(1), V(mul)(deviation, z)));
}

FD_INLINE VR FD_CAT(noise_term, D)(VR x, VR z, VR deviation) {
    return V(add)(x, V(mul)(deviation, z));
}

/* 64 elements. Compute the variates first: their polynomials need all registers, and the compute
 * type may be wider than binary32. */
FD_INLINE void FD_CAT(noise_step, D)(const char *x, char *y, const char *fields, VR deviation,
                                     FD_CAT(noise_fn, D) * noise) {
    FD_ALIGN64 char z[FD_STEP * 4];
    normal_step(z, fields);
    for (int i = 0; i < FD_STEP / VN; i++) {
        int place = i * VN * FD_SIZE;
        VR v = noise(LOAD(x + place), V(load_f32)(z + i * VN * 4), deviation);
        STORE(y + place, v);
    }
}

/* The tail goes through copies: no load or store touches memory outside the caller's array. */
FD_INLINE void FD_CAT(noise_walk, D)(const char *x, char *y, size_t n, const char *fields,
                                     double deviation, FD_CAT(noise_fn, D) * noise) {
    VR d = V(set)(deviation);
    for (; n >= FD_STEP; n -= FD_STEP) {
        FD_CAT(noise_step, D)(x, y, fields, d, noise);
        x += FD_STEP * FD_SIZE;
        y += FD_STEP * FD_SIZE;
        fields += FD_STEP * 4;
    }
    if (!n) { return; }
    FD_ALIGN64 char elements[FD_STEP * FD_SIZE] = {0}, words[FD_STEP * 4] = {0};
    memcpy(elements, x, n * FD_SIZE);
    memcpy(words, fields, n * 4);
    FD_CAT(noise_step, D)(elements, elements, words, d, noise);
    memcpy(y, elements, n * FD_SIZE);
}

static void FD_CAT(gaussian_dropout, D)(const void *x, void *y, size_t n, const uint16_t *fields,
                                        double deviation) {
    FD_CAT(noise_walk, D)(x, y, n, (const char *)fields, deviation, FD_CAT(noise_factor, D));
}

static void FD_CAT(gaussian_noise, D)(const void *x, void *y, size_t n, const uint16_t *fields,
                                      double deviation) {
    FD_CAT(noise_walk, D)(x, y, n, (const char *)fields, deviation, FD_CAT(noise_term, D));
}
