/* Softmax of a row of scores and its gradient, by runs of at most 4096 elements; kernel.h says what
 * each kernel computes.
 *
 * Sums have the order of sums.h; masked scores give +0.0. */

/* The registers that hold 16 partial sums. */
#define PLACES (16 / VN)

/* What is between two passes is in the compute type, of so many bytes. */
#define PART FD_CAT(FD_BYTES, R)
#define LOAD_PART(p) FD_CAT(V(load), FD_CAT(FD_STORED, R))(p)
#define STORE_PART(p, v) FD_CAT(V(store), FD_CAT(FD_STORED, R))(p, v, 0)

/* The 64 elements of a run from element `i` on. The tail goes through `copies`: no load or store
 * touches memory outside the caller's arrays. */
typedef struct FD_CAT(softmax_step, D) {
    size_t n;            /* how many of the 64 exist */
    uint64_t take, keep; /* bits: unmasked scores, and kept weights */
    const char *x, *add, *dy;
    char *y, *weights, *parts;
    FD_ALIGN64 char copies[5][FD_STEP * FD_SIZE];
    FD_ALIGN64 char copied_parts[FD_STEP * PART];
} FD_CAT(softmax_step, D);

FD_INLINE char *FD_CAT(softmax_copy, D)(char *copy, const char *from, size_t n) {
    memset(copy, 0, FD_STEP * FD_SIZE);
    return memcpy(copy, from, n * FD_SIZE);
}

FD_INLINE void FD_CAT(softmax_begin, D)(FD_CAT(softmax_step, D) * at, const fd_softmax_run *run,
                                        size_t i, int writes) {
    size_t rest = run->n - i, place = i * FD_SIZE;
    at->n = rest < FD_STEP ? rest : FD_STEP;
    at->take =
        fd_low_bits(run->take ? fd_load64(run->take + i / 8) : ~UINT64_C(0), (unsigned)at->n);
    at->keep = run->keep ? fd_load64(run->keep + i / 8) : ~UINT64_C(0);
    at->x = run->x + place;
    at->add = run->add ? run->add + place : NULL;
    at->dy = run->dy ? run->dy + place : NULL;
    at->y = writes && run->y ? run->y + place : NULL;
    at->weights = writes && run->weights ? run->weights + place : NULL;
    at->parts = run->parts ? run->parts + i * PART : NULL;
    if (at->n == FD_STEP) { return; }
    if (at->parts) {
        memset(at->copied_parts, 0, sizeof at->copied_parts);
        at->parts = memcpy(at->copied_parts, at->parts, at->n * PART);
    }
    at->x = FD_CAT(softmax_copy, D)(at->copies[0], at->x, at->n);
    if (at->add) { at->add = FD_CAT(softmax_copy, D)(at->copies[1], at->add, at->n); }
    if (at->dy) { at->dy = FD_CAT(softmax_copy, D)(at->copies[2], at->dy, at->n); }
    if (at->y) { at->y = at->copies[3]; }
    if (at->weights) { at->weights = at->copies[4]; }
}

FD_INLINE void FD_CAT(softmax_end, D)(const FD_CAT(softmax_step, D) * at, const fd_softmax_run *run,
                                      size_t i) {
    if (at->n == FD_STEP) { return; }
    if (at->y) { memcpy(run->y + i * FD_SIZE, at->y, at->n * FD_SIZE); }
    if (at->weights) { memcpy(run->weights + i * FD_SIZE, at->weights, at->n * FD_SIZE); }
    if (at->parts) { memcpy(run->parts + i * PART, at->parts, at->n * PART); }
}

/* Call `step` for each 64 elements, inlined once for the common case (no score masked, no additive
 * mask) and once for the rest. */
typedef void FD_CAT(softmax_fn, D)(const FD_CAT(softmax_step, D) * at, int masked, void *context);
FD_INLINE void FD_CAT(softmax_walk, D)(const fd_softmax_run *run, int writes,
                                       FD_CAT(softmax_fn, D) * step, void *context) {
    FD_CAT(softmax_step, D) at;
    for (size_t i = 0; i < run->n; i += FD_STEP) {
        FD_CAT(softmax_begin, D)(&at, run, i, writes);
        if (at.take == ~UINT64_C(0) && !at.add) {
            step(&at, 0, context);
        } else {
            step(&at, 1, context);
        }
        FD_CAT(softmax_end, D)(&at, run, i);
    }
}

/* The scores in register i of the step. */
FD_INLINE VR FD_CAT(softmax_score, D)(const FD_CAT(softmax_step, D) * at, int masked, int i,
                                      VR scale) {
    VR z = V(mul)(LOAD(at->x + i * VN * FD_SIZE), scale);
    if (!masked) { return z; }
    if (at->add) { z = V(add)(z, LOAD(at->add + i * VN * FD_SIZE)); }
    return V(select)(V(mask)(at->take, i), z, V(set)(-INFINITY));
}

typedef struct FD_CAT(softmax_state, D) {
    VR scale, largest, factor, keep_scale, slope, centre;
    VR most[4], sum[PLACES], product[PLACES];
} FD_CAT(softmax_state, D);

/* exp of the scores in four registers of the step, `apart` registers from each other. */
FD_INLINE void FD_CAT(softmax_exp, D)(const FD_CAT(softmax_step, D) * at, int masked, int first,
                                      int apart, const FD_CAT(softmax_state, D) * s, VR *e) {
    FD_UNROLL
    for (int j = 0; j < 4; j++) {
        e[j] = FD_CAT(softmax_score, D)(at, masked, first + j * apart, s->scale);
        e[j] = V(sub)(e[j], s->largest);
    }
    V(exp_four)(e);
}

/* The same, from where a pass before has put them, if it has. */
FD_INLINE void FD_CAT(softmax_again, D)(const FD_CAT(softmax_step, D) * at, int masked, int first,
                                        const FD_CAT(softmax_state, D) * s, VR *e) {
    if (!at->parts) {
        FD_CAT(softmax_exp, D)(at, masked, first, 1, s, e);
        return;
    }
    FD_UNROLL
    for (int j = 0; j < 4; j++) { e[j] = LOAD_PART(at->parts + (first + j) * VN * PART); }
}

/* Puts them there. */
FD_INLINE void FD_CAT(softmax_put, D)(const FD_CAT(softmax_step, D) * at, int first, int apart,
                                      const VR *e) {
    if (!at->parts) { return; }
    FD_UNROLL
    for (int j = 0; j < 4; j++) { STORE_PART(at->parts + (first + j * apart) * VN * PART, e[j]); }
}

/* dy of unmasked and kept weights, scaled. */
FD_INLINE VR FD_CAT(softmax_dy, D)(const FD_CAT(softmax_step, D) * at, int i,
                                   const FD_CAT(softmax_state, D) * s) {
    return V(keep)(V(mask)(at->keep & at->take, i),
                   V(mul)(LOAD(at->dy + i * VN * FD_SIZE), s->keep_scale));
}

FD_INLINE void FD_CAT(largest_step, D)(const FD_CAT(softmax_step, D) * at, int masked,
                                       void *context) {
    FD_CAT(softmax_state, D) *s = context;
    FD_UNROLL
    for (int i = 0; i < FD_STEP / VN; i++) {
        VR z = FD_CAT(softmax_score, D)(at, masked, i, s->scale);
        s->most[i % 4] = V(max)(z, s->most[i % 4]); /* ignores a nan */
    }
}

static double FD_CAT(softmax_largest, D)(const fd_softmax_run *run) {
    FD_CAT(softmax_state, D) s = {.scale = V(set)(run->scale)};
    fd_softmax_run rest = *run;
    for (int i = 0; i < 4; i++) { s.most[i] = V(set)(-INFINITY); }
    /* So little is computed that finding out what each 64 scores need would take longer. */
    if (!run->take && !run->add) {
        FD_CAT(softmax_step, D) at;
        for (; rest.n >= FD_STEP; rest.n -= FD_STEP, rest.x += FD_STEP * FD_SIZE) {
            at.x = rest.x;
            FD_CAT(largest_step, D)(&at, 0, &s);
        }
    }
    FD_CAT(softmax_walk, D)(&rest, 0, FD_CAT(largest_step, D), &s);
    return V(largest)(V(max)(V(max)(s.most[0], s.most[1]), V(max)(s.most[2], s.most[3])));
}

FD_INLINE void FD_CAT(sum_step, D)(const FD_CAT(softmax_step, D) * at, int masked, void *context) {
    FD_CAT(softmax_state, D) *s = context;
    FD_UNROLL
    for (int i = 0; i < PLACES; i++) {
        VR e[4];
        FD_CAT(softmax_exp, D)(at, masked, i, PLACES, s, e);
        FD_CAT(softmax_put, D)(at, i, PLACES, e);
        s->sum[i] = V(add)(s->sum[i], V(four)(e));
    }
}

static double FD_CAT(softmax_sum, D)(const fd_softmax_run *run) {
    FD_CAT(softmax_state, D) s = {.scale = V(set)(run->scale), .largest = V(set)(run->largest)};
    for (int i = 0; i < PLACES; i++) { s.sum[i] = V(set)(0); }
    FD_CAT(softmax_walk, D)(run, 0, FD_CAT(sum_step, D), &s);
    return V(total)(s.sum);
}

FD_INLINE void FD_CAT(weights_step, D)(const FD_CAT(softmax_step, D) * at, int masked,
                                       void *context) {
    const FD_CAT(softmax_state, D) *s = context;
    FD_UNROLL
    for (int first = 0; first < FD_STEP / VN; first += 4) {
        VR e[4];
        FD_CAT(softmax_again, D)(at, masked, first, s, e);
        FD_UNROLL
        for (int j = 0; j < 4; j++) {
            VR w = V(keep)(V(mask)(at->keep, first + j), V(mul)(e[j], s->factor));
            STORE(at->y + (first + j) * VN * FD_SIZE, w);
        }
    }
}

static void FD_CAT(softmax_weights, D)(const fd_softmax_run *run) {
    FD_CAT(softmax_state, D) s = {.scale = V(set)(run->scale), .largest = V(set)(run->largest)};
    s.factor = V(set)(run->factor);
    FD_CAT(softmax_walk, D)(run, 1, FD_CAT(weights_step, D), &s);
}

FD_INLINE void FD_CAT(sums_step, D)(const FD_CAT(softmax_step, D) * at, int masked, void *context) {
    FD_CAT(softmax_state, D) *s = context;
    FD_UNROLL
    for (int i = 0; i < PLACES; i++) {
        VR e[4], g[4];
        FD_CAT(softmax_exp, D)(at, masked, i, PLACES, s, e);
        FD_CAT(softmax_put, D)(at, i, PLACES, e);
        FD_UNROLL
        for (int j = 0; j < 4; j++) {
            g[j] = V(mul)(e[j], FD_CAT(softmax_dy, D)(at, i + j * PLACES, s));
        }
        s->sum[i] = V(add)(s->sum[i], V(four)(e));
        s->product[i] = V(add)(s->product[i], V(four)(g));
    }
}

static void FD_CAT(softmax_sums, D)(const fd_softmax_run *run, double *sum, double *product) {
    FD_CAT(softmax_state, D) s = {.scale = V(set)(run->scale), .largest = V(set)(run->largest)};
    s.keep_scale = V(set)(run->keep_scale);
    for (int i = 0; i < PLACES; i++) { s.sum[i] = s.product[i] = V(set)(0); }
    FD_CAT(softmax_walk, D)(run, 0, FD_CAT(sums_step, D), &s);
    *sum = V(total)(s.sum);
    *product = V(total)(s.product);
}

FD_INLINE void FD_CAT(gradient_step, D)(const FD_CAT(softmax_step, D) * at, int masked,
                                        void *context) {
    const FD_CAT(softmax_state, D) *s = context;
    FD_UNROLL
    for (int first = 0; first < FD_STEP / VN; first += 4) {
        VR e[4];
        FD_CAT(softmax_again, D)(at, masked, first, s, e);
        FD_UNROLL
        for (int j = 0; j < 4; j++) {
            int i = first + j;
            VR g = V(sub)(FD_CAT(softmax_dy, D)(at, i, s), s->centre);
            VR dx = V(mul)(V(mul)(e[j], s->slope), g);
            if (masked) { dx = V(keep)(V(mask)(at->take, i), dx); }
            STORE(at->y + i * VN * FD_SIZE, dx);
            if (at->weights) {
                VR w = V(keep)(V(mask)(at->keep, i), V(mul)(e[j], s->factor));
                STORE(at->weights + i * VN * FD_SIZE, w);
            }
        }
    }
}

static void FD_CAT(softmax_gradient, D)(const fd_softmax_run *run) {
    FD_CAT(softmax_state, D) s = {.scale = V(set)(run->scale), .largest = V(set)(run->largest)};
    s.keep_scale = V(set)(run->keep_scale);
    s.factor = V(set)(run->factor);
    s.slope = V(set)(run->slope);
    s.centre = V(set)(run->centre);
    FD_CAT(softmax_walk, D)(run, 1, FD_CAT(gradient_step, D), &s);
}

#undef PLACES
#undef PART
#undef LOAD_PART
#undef STORE_PART
