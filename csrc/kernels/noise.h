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
FD_INLINE void FD_CAT(noise_walk, D)(const char *x, char *y, size_t n, const char *fields, VR d,
                                     FD_CAT(noise_fn, D) * noise) {
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

#if defined(FD_DRAWS_NORMAL)
/* With the variates of one step of the generator. */
FD_INLINE void FD_CAT(noise_drawn, D)(const char *x, char *y, const v_r32 *z, VR deviation,
                                      FD_CAT(noise_fn, D) * noise) {
    FD_UNROLL
    for (int i = 0; i < FD_STEP / 2 / VN; i++) {
        int place = i * VN * FD_SIZE;
        STORE(y + place, noise(LOAD(x + place), V(part)(z, i), deviation));
    }
}

/* Elements whose fields are a whole block of the stream. */
FD_INLINE void FD_CAT(noise_block, D)(const char *x, char *y, const fd_draw *draw, VR d,
                                      FD_CAT(noise_fn, D) * noise) {
    enum { BYTES = FD_STEP / 2 * FD_SIZE };
    v_r32 z[FD_REGS];
    normal_words even, odd;
    lanes l;
    fd_block block = fd_block_open(draw, draw->position);
    lanes_seed(&l, &block);
    normal_draw(&even, l.s0, l.s1);
    for (int t = 0; t < FD_STEPS; t += 2) {
        normal_drawn(z, &even, &odd, l.s1, l.s0);
        FD_CAT(noise_drawn, D)(x, y, z, d, noise);
        normal_drawn(z, &odd, &even, l.s0, l.s1);
        FD_CAT(noise_drawn, D)(x + BYTES, y + BYTES, z, d, noise);
        x += 2 * BYTES;
        y += 2 * BYTES;
    }
}
#endif

FD_INLINE void FD_CAT(noise_part, D)(const fd_part *part, FD_CAT(noise_fn, D) * noise) {
    FD_ALIGN64 uint16_t drawn[FD_BLOCK];
    const char *x = part->at.in[0];
    char *y = part->at.out[0];
    fd_draw draw = part->variates.draw;
    VR d = V(set)(part->numbers[0]);
    for (size_t n = part->n, m; n; n -= m) {
        const uint16_t *words = part->variates.fields;
        size_t first = draw.position % FD_BLOCK, most = (FD_BLOCK + 1 - first) / 2;
        m = words || n < most ? n : most;
#if defined(FD_DRAWS_NORMAL)
        if (!words && !first && m == FD_BLOCK / 2) {
            FD_CAT(noise_block, D)(x, y, &draw, d, noise);
        } else
#endif
        {
            if (!words) {
                fields(drawn, 2 * m, &draw);
                words = drawn;
            }
            FD_CAT(noise_walk, D)(x, y, m, (const char *)words, d, noise);
        }
        x += m * FD_SIZE;
        y += m * FD_SIZE;
        draw.position += 2 * m;
    }
}

static void FD_CAT(noise_factor, D)(const fd_part *part) {
    FD_CAT(noise_part, D)(part, FD_CAT(times_noise, D));
}

static void FD_CAT(noise_add, D)(const fd_part *part) {
    FD_CAT(noise_part, D)(part, FD_CAT(plus_noise, D));
}
