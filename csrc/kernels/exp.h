/* exp(unit * x) for unit * x <= 0: -inf gives 0, nan gives nan. The unit is 1, -1 or -1/2, and
 * costs nothing: a sum or product of numbers that are all multiplied by it is what it would be
 * else, times the unit, and the constants take it up. 25 operations (binary64: 35), or 21 (31)
 * where all results are normal numbers, as one test for several registers can find.
 *
 * The product of n and the high part of ln 2 is exact, so that it may be fused with the sum. */

/* x - n * ln 2 for k = n + magic, in units, where `high` is x or the larger part of it and `low`
 * the rest, or NULL. */
FD_INLINE void V(exp_rest)(const VR *k, VR magic, double unit, const VR *high, const VR *low, VR *r,
                           int count) {
    VR n[FD_TOGETHER];
    EACH { n[i] = V(sub)(k[i], magic); }
    EACH { r[i] = V(fma)(n[i], V(set)(-FD_CAT(FD_LN2_HIGH, FD_F) / unit), high[i]); }
    if (low) {
        EACH { r[i] = V(add)(r[i], low[i]); }
    }
    EACH { n[i] = V(mul)(n[i], V(set)(FD_CAT(FD_LN2_LOW, FD_F) / unit)); }
    EACH { r[i] = V(sub)(r[i], n[i]); }
}

/* 2^n * exp(r) of p = exp_q(r), in units: for k = n + magic as it is, or for k less 64, where 2^n
 * is normal. The product by the unit is exact. */
FD_INLINE void V(exp_from)(const VR *k, double unit, const VR *r, VR *p, int count, int normal) {
    VR square[FD_TOGETHER];
    EACH { square[i] = V(mul)(r[i], r[i]); }
    EACH { p[i] = V(mul)(square[i], p[i]); }
    EACH { p[i] = V(add)(p[i], r[i]); }
    if (unit == 1) {
        EACH { p[i] = V(add)(p[i], V(set)(1)); }
    } else if (unit == -1) {
        EACH { p[i] = V(sub)(V(set)(1), p[i]); }
    } else {
        EACH { p[i] = V(fma)(p[i], V(set)(unit), V(set)(1)); }
    }
    EACH { p[i] = V(mul)(p[i], V(shl)(k[i], FD_EXPONENT)); }
    if (!normal) {
        EACH { p[i] = V(mul)(p[i], CONSTANT(LOWERED)); }
    }
}

FD_INLINE VR V(exp_magic)(int normal) { return V(set)(FD_CAT(FD_MAGIC, FD_F) - (normal ? 64 : 0)); }

FD_INLINE void V(exp_each)(VR *x, double unit, int count, int normal) {
    FD_CAT(k, R) far[FD_TOGETHER];
    VR magic = V(exp_magic)(normal), lowest = V(set)(FD_CAT(FD_EXP_LOWEST, FD_F) / unit);
    VR k[FD_TOGETHER], r[FD_TOGETHER];
    if (!normal) {
        /* Mask results that are 0: an underflow takes some processors a hundred cycles. */
        EACH { far[i] = unit < 0 ? V(lt)(lowest, x[i]) : V(lt)(x[i], lowest); }
        EACH { x[i] = V(select)(far[i], V(set)(0), x[i]); }
    }
    EACH { k[i] = V(mul)(x[i], V(set)(FD_CAT(FD_LOG2E, FD_F) * unit)); }
    EACH { k[i] = V(add)(k[i], magic); }
    V(exp_rest)(k, magic, unit, x, NULL, r, count);
    POLYNOMIALS(exp_q, unit, r, x, count);
    V(exp_from)(k, unit, r, x, count, normal);
    if (!normal) {
        EACH { x[i] = V(select)(far[i], V(set)(0), x[i]); }
    }
}

/* k and r of exp(-a * a / 2), 0 <= a <= FARTHEST, in units of -1/2. */
FD_INLINE void V(exp_half_square)(const VR *a, VR *k, VR *r, int count, int normal) {
    VR magic = V(exp_magic)(normal), high[FD_TOGETHER], low[FD_TOGETHER];
    double unit = -0.5;
    EACH { high[i] = V(and)(a[i], V(bits)(FD_UPPER_HALF)); }
    EACH { low[i] = V(mul)(V(sub)(a[i], high[i]), V(add)(a[i], high[i])); }
    EACH { high[i] = V(mul)(high[i], high[i]); }
    EACH { k[i] = V(mul)(V(add)(high[i], low[i]), V(set)(FD_CAT(FD_LOG2E, FD_F) * unit)); }
    EACH { k[i] = V(add)(k[i], magic); }
    V(exp_rest)(k, magic, unit, high, low, r, count);
}

/* Four registers, with a shorter sequence where all results are normal numbers, the usual case. A
 * nan either stays in `least` or is ignored there. */
FD_INLINE void V(exp_four)(VR *x) {
    VR least = x[0];
    FD_UNROLL
    for (int i = 1; i < FD_TOGETHER; i++) { least = V(min)(x[i], least); }
    if (FD_LIKELY(V(all)(V(lt)(V(set)(FD_NORMAL_EXP), least)))) {
        V(exp_each)(x, 1, FD_TOGETHER, 1);
    } else {
        V(exp_each)(x, 1, FD_TOGETHER, 0);
    }
}
