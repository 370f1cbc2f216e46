/* noise_factor and noise_add: y = x * (1 + deviation * z) and y = x + deviation * z with normal
 * variates z, each operation rounded in the compute type. */

typedef VR FD_CAT(noise_fn, D)(VR x, VR z, VR deviation);

FD_INLINE VR FD_CAT(times_noise, D)(VR x, VR z, VR deviation) {
    return V(mul)(x, V(add)(V(set)(1), V(mul)(deviation, z)));
}

FD_INLINE VR FD_CAT(plus_noise, D)(VR x, VR z, VR deviation) {
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
FD_INLINE void FD_CAT(noise_walk, D)(const fd_part *part, FD_CAT(noise_fn, D) * noise) {
    const char *x = part->at.in[0], *fields = (const char *)part->fields;
    char *y = part->at.out[0];
    size_t n = part->n;
    VR d = V(set)(part->numbers[0]);
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

static void FD_CAT(noise_factor, D)(const fd_part *part) {
    FD_CAT(noise_walk, D)(part, FD_CAT(times_noise, D));
}

static void FD_CAT(noise_add, D)(const fd_part *part) {
    FD_CAT(noise_walk, D)(part, FD_CAT(plus_noise, D));
}
