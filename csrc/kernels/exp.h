/* exp(x) for x <= 0: -inf gives 0, nan gives nan. 25 operations (binary64: 35). */
/* 2^n * exp(r) for k = n + magic. */
FD_INLINE VR V(exp_from)(VR k, VR r) {
    VR p = V(add)(V(mul)(V(mul)(r, r), POLYNOMIAL(exp_q, r)), r);
    p = V(add)(p, V(set)(1));
    return V(mul)(V(mul)(p, V(shl)(k, FD_EXPONENT)), CONSTANT(LOWERED));
}

FD_INLINE VR V(exp)(VR x) {
    /* What is 0 is not computed: an underflow takes some processors a hundred cycles. */
    FD_CAT(k, R) far = V(lt)(x, CONSTANT(EXP_LOWEST));
    x = V(select)(far, V(set)(0), x);
    VR k = V(add)(V(mul)(x, CONSTANT(LOG2E)), CONSTANT(MAGIC));
    VR n = V(sub)(k, CONSTANT(MAGIC));
    VR r = V(sub)(x, V(mul)(n, CONSTANT(LN2_HIGH)));
    VR y = V(exp_from)(k, V(sub)(r, V(mul)(n, CONSTANT(LN2_LOW))));
    return V(select)(far, V(set)(0), y);
}
