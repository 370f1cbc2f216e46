/* exp(x) for x <= 0: -inf gives 0, nan gives nan. 23 operations (binary64: 33). */

/* 2^n * exp(r) for k = n + magic. */
FD_INLINE VR V(exp_from)(VR k, VR r) {
    VR p = V(add)(V(mul)(V(mul)(r, r), POLYNOMIAL(exp_q, r)), r);
    p = V(add)(p, V(set)(1));
    return V(mul)(V(mul)(p, V(shl)(k, FD_EXPONENT)), CONSTANT(LOWERED));
}

FD_INLINE VR V(exp)(VR x) {
    x = V(max)(CONSTANT(EXP_LOWEST), x);
    VR k = V(add)(V(mul)(x, CONSTANT(LOG2E)), CONSTANT(MAGIC));
    VR n = V(sub)(k, CONSTANT(MAGIC));
    VR r = V(sub)(x, V(mul)(n, CONSTANT(LN2_HIGH)));
    return V(exp_from)(k, V(sub)(r, V(mul)(n, CONSTANT(LN2_LOW))));
}
