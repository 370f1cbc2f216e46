/* exp(x) for x <= 0: -inf gives 0, nan gives nan. 25 operations (binary64: 35) on `count` registers
 * at once, so that one test for all of them can choose a shorter sequence.
 *
 * The product of n and the high part of ln 2 is exact, so that it may be fused with the sum. */
#define EACH \
    FD_UNROLL \
    for (int i = 0; i < count; i++)

/* x - n * ln 2 for k = n + magic, where `high` is x or the larger part of it and `low` the rest, or
 * NULL. */
FD_INLINE void V(exp_rest)(const VR *k, VR magic, const VR *high, const VR *low, VR *r, int count) {
    VR n[4];
    EACH { n[i] = V(sub)(k[i], magic); }
    EACH { r[i] = V(fma)(n[i], V(set)(-FD_CAT(FD_LN2_HIGH, FD_F)), high[i]); }
    if (low) {
        EACH { r[i] = V(add)(r[i], low[i]); }
    }
    EACH { n[i] = V(mul)(n[i], CONSTANT(LN2_LOW)); }
    EACH { r[i] = V(sub)(r[i], n[i]); }
}

/* exp(r), and 2^n * exp(r): for k = n + magic as it is, or for k less 64, where 2^n is normal. */
FD_INLINE void V(exp_from)(const VR *k, const VR *r, VR *p, int count, int normal) {
    VR square[4];
    EACH { square[i] = V(mul)(r[i], r[i]); }
    POLYNOMIALS(exp_q, r, p, count);
    EACH { p[i] = V(mul)(square[i], p[i]); }
    EACH { p[i] = V(add)(p[i], r[i]); }
    EACH { p[i] = V(add)(p[i], V(set)(1)); }
    EACH { p[i] = V(mul)(p[i], V(shl)(k[i], FD_EXPONENT)); }
    if (!normal) {
        EACH { p[i] = V(mul)(p[i], CONSTANT(LOWERED)); }
    }
}

FD_INLINE void V(exp_each)(VR *x, int count, int normal) {
    FD_CAT(k, R) far[4];
    VR magic = V(set)(FD_CAT(FD_MAGIC, FD_F) - (normal ? 64 : 0)), k[4], r[4];
    if (!normal) {
        /* Mask results that are 0: an underflow takes some processors a hundred cycles. */
        EACH { far[i] = V(lt)(x[i], CONSTANT(EXP_LOWEST)); }
        EACH { x[i] = V(select)(far[i], V(set)(0), x[i]); }
    }
    EACH { k[i] = V(mul)(x[i], CONSTANT(LOG2E)); }
    EACH { k[i] = V(add)(k[i], magic); }
    V(exp_rest)(k, magic, x, NULL, r, count);
    V(exp_from)(k, r, x, count, normal);
    if (!normal) {
        EACH { x[i] = V(select)(far[i], V(set)(0), x[i]); }
    }
}

FD_INLINE VR V(exp)(VR x) {
    V(exp_each)(&x, 1, 0);
    return x;
}

/* Four registers, with a shorter sequence where all results are normal numbers, the usual case. A
 * nan either stays in `least` or is ignored there. */
FD_INLINE void V(exp_four)(VR *x) {
    VR least = V(min)(x[1], x[0]);
    least = V(min)(x[2], least);
    least = V(min)(x[3], least);
    if (V(all)(V(lt)(V(set)(FD_NORMAL_EXP), least))) {
        V(exp_each)(x, 4, 1);
    } else {
        V(exp_each)(x, 4, 0);
    }
}

#undef EACH
