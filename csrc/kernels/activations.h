/* The activations and their derivatives; backends/numpy/functions.py explains each line. */

FD_INLINE VR V(abs)(VR x) { return V(xor)(x, V(and)(x, V(set)(-0.0))); }

/* f(x) from f(-|x|), where f(x) + f(-x) = 1. */
FD_INLINE VR V(mirrored)(VR x, VR below) {
    return V(select)(V(lt)(x, V(set)(0)), below, V(sub)(V(set)(1), below));
}

FD_INLINE VR V(sigmoid)(VR x) {
    VR one = V(set)(1), e = V(exp)(V(xor)(V(abs)(x), V(set)(-0.0)));
    return V(div)(V(select)(V(lt)(x, V(set)(0)), e, one), V(add)(one, e));
}

/* exp(-a * a / 2). */
FD_INLINE VR V(exp_half_square)(VR a) {
    VR h = V(and)(a, V(bits)(FD_UPPER_HALF)), half = V(set)(-0.5);
    VR high = V(mul)(V(mul)(h, h), half);
    VR low = V(mul)(V(mul)(V(sub)(a, h), V(add)(a, h)), half);
    VR k = V(add)(V(mul)(V(add)(high, low), CONSTANT(LOG2E)), CONSTANT(MAGIC));
    VR r, e;
    V(exp_rest)(&k, CONSTANT(MAGIC), &high, &low, &r, 1);
    V(exp_from)(&k, &r, &e, 1, 0);
    return e;
}

/* Phi(-a) = *e * *r for a = |x|, clamped; returns a. */
FD_INLINE VR V(tail)(VR x, VR *e, VR *r) {
    VR a = V(min)(CONSTANT(FARTHEST), V(abs)(x));
    VR q = V(div)(V(set)(1), V(add)(a, CONSTANT(TAIL_CENTRE)));
    VR t = V(mul)(V(sub)(a, CONSTANT(TAIL_CENTRE)), q);
    *e = V(exp_half_square)(a);
    *r = V(mul)(POLYNOMIAL(tail_r, t), q);
    return a;
}

/* max() returns a nan as it is, and may return -0.0, which the addition turns into +0.0. */
FD_INLINE VR V(relu)(VR x) { return V(add)(V(max)(V(set)(0), x), V(set)(0)); }
FD_INLINE VR V(relu_slope)(VR x) { return V(select)(V(lt)(V(set)(0), x), V(set)(1), V(relu)(x)); }

FD_INLINE VR V(gelu)(VR x) {
    VR e, r;
    V(tail)(x, &e, &r);
    return V(mul)(V(max)(V(set)(-FD_CAT(FD_FARTHEST, FD_F)), x), V(mirrored)(x, V(mul)(e, r)));
}
FD_INLINE VR V(gelu_slope)(VR x) {
    VR e, r, a = V(tail)(x, &e, &r);
    return V(mirrored)(x, V(mul)(e, V(sub)(r, V(mul)(a, CONSTANT(DENSITY)))));
}

FD_INLINE VR V(silu)(VR x) { return V(mul)(V(max)(CONSTANT(EXP_LOWEST), x), V(sigmoid)(x)); }
FD_INLINE VR V(silu_slope)(VR x) {
    VR one = V(set)(1), a = V(min)(V(set)(-FD_CAT(FD_EXP_LOWEST, FD_F)), V(abs)(x));
    VR e = V(exp)(V(xor)(a, V(set)(-0.0))), d = V(div)(one, V(add)(one, e));
    return V(mirrored)(x, V(mul)(V(mul)(e, d), V(sub)(one, V(mul)(a, d))));
}

FD_INLINE VR V(gelu_tanh)(VR x) {
    x = V(max)(V(set)(-FD_CAT(FD_FARTHEST, FD_F)), x);
    VR cubic = V(mul)(V(mul)(x, x), CONSTANT(TANH_CUBIC));
    return V(mul)(x, V(sigmoid)(V(mul)(x, V(add)(cubic, CONSTANT(TANH_LINEAR)))));
}
FD_INLINE VR V(gelu_tanh_slope)(VR x) {
    VR one = V(set)(1), a = V(min)(CONSTANT(FARTHEST), V(abs)(x)), square = V(mul)(a, a);
    VR v = V(mul)(a, V(add)(V(mul)(square, CONSTANT(TANH_CUBIC)), CONSTANT(TANH_LINEAR)));
    VR e = V(exp)(V(xor)(v, V(set)(-0.0))), d = V(div)(one, V(add)(one, e));
    VR slope = V(add)(V(mul)(square, CONSTANT(TANH_SLOPE)), CONSTANT(TANH_LINEAR));
    VR rest = V(sub)(one, V(mul)(V(mul)(a, d), slope));
    return V(mirrored)(x, V(mul)(V(mul)(e, d), rest));
}

/* Dispatch by name. Callers pass a constant, so that the switch folds away. */
FD_INLINE VR V(activation)(fd_act act, VR x) {
    switch (act) {
    case FD_ACT_RELU:
        return V(relu)(x);
    case FD_ACT_GELU:
        return V(gelu)(x);
    case FD_ACT_GELU_TANH:
        return V(gelu_tanh)(x);
    case FD_ACT_SILU:
        return V(silu)(x);
    default:
        return x;
    }
}
FD_INLINE VR V(slope)(fd_act act, VR x) {
    switch (act) {
    case FD_ACT_RELU:
        return V(relu_slope)(x);
    case FD_ACT_GELU:
        return V(gelu_slope)(x);
    case FD_ACT_GELU_TANH:
        return V(gelu_tanh_slope)(x);
    case FD_ACT_SILU:
        return V(silu_slope)(x);
    default:
        return V(set)(1);
    }
}
