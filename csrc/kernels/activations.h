/* The activations and their derivatives; backends/numpy/functions.py explains each line. They
 * replace `count` registers x. Where all x are `usual`, what leads out of the normal numbers is
 * left out, with the same bits.
 *
 * What 16 usual numbers of binary32 take in the compiled loop with AVX-512: bias, scale, choice by
 * the keep bits and the division are among the operations; 4 more draw the bits. Zen 4 starts two
 * in a cycle, of 3.7e9 in a second, but one multiplication, which is what bounds the slope of the
 * tanh form; the division's 6 cycles or more pass beside the rest. llvm-mca, LLVM's model of Zen 4,
 * knows latencies, too; what it says of one register after another, last, was measured as 1.0, 1.3
 * and 1.7 forward.
 *
 *                     operations   with bits, Gel/s   llvm-mca   one after another
 *   gelu, slope           58, 60           1.9, 1.8   1.8, 1.8   63, 64: 1.4, 1.4
 *   gelu_tanh, slope      33, 41           3.2, 2.5   2.6, 2.0   38, 45: 2.2, 1.8
 *   silu, slope           29, 33           3.6, 3.2   3.1, 2.8   34, 38: 2.7, 2.2
 */

FD_INLINE VR V(abs)(VR x) { return V(and)(x, V(bits)(FD_MAGNITUDE)); }

/* f(x) from f(-|x|), where f(x) + f(-x) = 1. */
FD_INLINE VR V(mirrored)(VR x, VR below) {
    return V(select)(V(le)(V(set)(0), x), V(sub)(V(set)(1), below), below);
}

/* y = 1 / (1 + exp(-x)). */
FD_INLINE void V(sigmoid)(const VR *x, VR *y, int count, int usual) {
    VR one = V(set)(1);
    EACH { y[i] = V(abs)(x[i]); }
    V(exp_each)(y, -1, count, usual);
    EACH {
        VR above = V(select)(V(lt)(x[i], V(set)(0)), y[i], one);
        y[i] = V(div)(above, V(add)(one, y[i]));
    }
}

/* y = e * d of e = exp(-v) and d = 1 / (1 + e), and a * d in the place of a; v >= 0. */
FD_INLINE void V(sigmoid_parts)(const VR *v, VR *a, VR *y, int count, int usual) {
    VR one = V(set)(1), d[FD_TOGETHER];
    EACH { y[i] = v[i]; }
    V(exp_each)(y, -1, count, usual);
    EACH { d[i] = V(div)(one, V(add)(one, y[i])); }
    EACH { y[i] = V(mul)(y[i], d[i]); }
    EACH { a[i] = V(mul)(a[i], d[i]); }
}

/* exp_q of x in units of -1/2, and tail_r of t, whose steps do not wait for each other. */
FD_INLINE void V(tail_polynomials)(const VR *x, VR *e, const VR *t, VR *r, int count) {
    double unit = -0.5, factor = unit;
    int j = TERMS(tail_r) - 1;
    EACH { r[i] = V(set)(COEFFICIENTS(tail_r)[j]); }
    FD_UNROLL
    while (--j >= TERMS(exp_q)) { V(horner)(r, t, COEFFICIENTS(tail_r)[j], NULL, NULL, 0, count); }
    FD_UNROLL
    for (int i = 1; i < TERMS(exp_q); i++) { factor *= unit; }
    V(horner)(r, t, COEFFICIENTS(tail_r)[j], NULL, NULL, 0, count);
    EACH { e[i] = V(set)(COEFFICIENTS(exp_q)[j] * factor); }
    FD_UNROLL
    while (--j >= 0) {
        factor /= unit;
        V(horner)(r, t, COEFFICIENTS(tail_r)[j], e, x, COEFFICIENTS(exp_q)[j] * factor, count);
    }
}

/* Phi(-a) = e * r for a = |x|, clamped. */
FD_INLINE void V(tail)(const VR *x, VR *a, VR *e, VR *r, int count, int usual) {
    VR q[FD_TOGETHER], t[FD_TOGETHER], k[FD_TOGETHER], rest[FD_TOGETHER];
    EACH { a[i] = V(abs)(x[i]); }
    if (!usual) {
        EACH { a[i] = V(min)(CONSTANT(FARTHEST), a[i]); }
    }
    EACH { q[i] = V(div)(V(set)(1), V(add)(a[i], CONSTANT(TAIL_CENTRE))); }
    V(exp_half_square)(a, k, rest, count, usual);
    EACH { t[i] = V(mul)(V(sub)(a[i], CONSTANT(TAIL_CENTRE)), q[i]); }
    V(tail_polynomials)(rest, e, t, r, count);
    V(exp_from)(k, -0.5, rest, e, count, usual);
    EACH { r[i] = V(mul)(r[i], q[i]); }
}

/* x, but no less than `lowest`, where not all are usual. */
FD_INLINE void V(cut)(VR *x, double lowest, int count, int usual) {
    if (usual) { return; }
    EACH { x[i] = V(max)(V(set)(lowest), x[i]); }
}

/* max() returns a nan as it is, and may return -0.0, which the addition turns into +0.0. */
FD_INLINE VR V(relu)(VR x) { return V(add)(V(max)(V(set)(0), x), V(set)(0)); }
FD_INLINE VR V(relu_slope)(VR x) { return V(select)(V(lt)(V(set)(0), x), V(set)(1), V(relu)(x)); }

FD_INLINE void V(gelu)(VR *x, int count, int usual) {
    VR a[FD_TOGETHER], e[FD_TOGETHER], r[FD_TOGETHER];
    V(tail)(x, a, e, r, count, usual);
    EACH { r[i] = V(mirrored)(x[i], V(mul)(e[i], r[i])); }
    V(cut)(x, -FD_CAT(FD_FARTHEST, FD_F), count, usual);
    EACH { x[i] = V(mul)(x[i], r[i]); }
}
FD_INLINE void V(gelu_slope)(VR *x, int count, int usual) {
    VR a[FD_TOGETHER], e[FD_TOGETHER], r[FD_TOGETHER];
    V(tail)(x, a, e, r, count, usual);
    EACH { r[i] = V(sub)(r[i], V(mul)(a[i], CONSTANT(DENSITY))); }
    EACH { x[i] = V(mirrored)(x[i], V(mul)(e[i], r[i])); }
}

FD_INLINE void V(silu)(VR *x, int count, int usual) {
    VR y[FD_TOGETHER];
    V(sigmoid)(x, y, count, usual);
    V(cut)(x, FD_CAT(FD_EXP_LOWEST, FD_F), count, usual);
    EACH { x[i] = V(mul)(x[i], y[i]); }
}
FD_INLINE void V(silu_slope)(VR *x, int count, int usual) {
    VR a[FD_TOGETHER], y[FD_TOGETHER];
    EACH { a[i] = V(abs)(x[i]); }
    if (!usual) {
        EACH { a[i] = V(min)(V(set)(-FD_CAT(FD_EXP_LOWEST, FD_F)), a[i]); }
    }
    V(sigmoid_parts)(a, a, y, count, usual);
    EACH { x[i] = V(mirrored)(x[i], V(mul)(y[i], V(sub)(V(set)(1), a[i]))); }
}

FD_INLINE void V(gelu_tanh)(VR *x, int count, int usual) {
    VR v[FD_TOGETHER], y[FD_TOGETHER];
    V(cut)(x, -FD_CAT(FD_FARTHEST, FD_F), count, usual);
    EACH { v[i] = V(mul)(V(mul)(x[i], x[i]), CONSTANT(TANH_CUBIC)); }
    EACH { v[i] = V(mul)(x[i], V(add)(v[i], CONSTANT(TANH_LINEAR))); }
    V(sigmoid)(v, y, count, usual);
    EACH { x[i] = V(mul)(x[i], y[i]); }
}
FD_INLINE void V(gelu_tanh_slope)(VR *x, int count, int usual) {
    VR a[FD_TOGETHER], square[FD_TOGETHER], v[FD_TOGETHER], y[FD_TOGETHER];
    EACH { a[i] = V(abs)(x[i]); }
    if (!usual) {
        EACH { a[i] = V(min)(CONSTANT(FARTHEST), a[i]); }
    }
    EACH { square[i] = V(mul)(a[i], a[i]); }
    EACH { v[i] = V(add)(V(mul)(square[i], CONSTANT(TANH_CUBIC)), CONSTANT(TANH_LINEAR)); }
    EACH { v[i] = V(mul)(a[i], v[i]); }
    V(sigmoid_parts)(v, a, y, count, usual);
    EACH {
        VR slope = V(add)(V(mul)(square[i], CONSTANT(TANH_SLOPE)), CONSTANT(TANH_LINEAR));
        VR rest = V(sub)(V(set)(1), V(mul)(a[i], slope));
        x[i] = V(mirrored)(x[i], V(mul)(y[i], rest));
    }
}

/* Dispatch by name. Callers pass a constant, so that the switch folds away. */
FD_INLINE void V(activation)(fd_act act, VR *x, int count, int usual) {
    switch (act) {
    case FD_ACT_RELU:
        EACH { x[i] = V(relu)(x[i]); }
        break;
    case FD_ACT_GELU:
        V(gelu)(x, count, usual);
        break;
    case FD_ACT_GELU_TANH:
        V(gelu_tanh)(x, count, usual);
        break;
    case FD_ACT_SILU:
        V(silu)(x, count, usual);
        break;
    default:
        break;
    }
}
FD_INLINE void V(slope)(fd_act act, VR *x, int count, int usual) {
    switch (act) {
    case FD_ACT_RELU:
        EACH { x[i] = V(relu_slope)(x[i]); }
        break;
    case FD_ACT_GELU:
        V(gelu_slope)(x, count, usual);
        break;
    case FD_ACT_GELU_TANH:
        V(gelu_tanh_slope)(x, count, usual);
        break;
    case FD_ACT_SILU:
        V(silu_slope)(x, count, usual);
        break;
    default:
        EACH { x[i] = V(set)(1); }
    }
}

/* Whether all x are so small that every exponential is a normal number. A nan either stays in
 * `most` or is ignored there. */
FD_INLINE VR V(size)(fd_act act, VR x) {
    return act == FD_ACT_GELU_TANH ? V(mul)(x, x) : V(abs)(x);
}
FD_INLINE int V(small)(fd_act act, const VR *x, int count) {
    double limit = act == FD_ACT_GELU ? FD_USUAL_TAIL : FD_USUAL_SQUARE;
    if (act == FD_ACT_NONE || act == FD_ACT_RELU) { return 1; }
    if (act == FD_ACT_SILU) { limit = -(FD_NORMAL_EXP); }
    VR most = V(size)(act, x[0]);
    FD_UNROLL
    for (int i = 1; i < count; i++) { most = V(max)(V(size)(act, x[i]), most); }
    return V(all)(V(lt)(most, V(set)(limit)));
}
FD_INLINE void V(activations)(fd_act act, VR *x, int count) {
    if (FD_LIKELY(V(small)(act, x, count))) {
        V(activation)(act, x, count, 1);
    } else {
        VR each[FD_TOGETHER];
        EACH { each[i] = x[i]; }
        FD_ROLL
        for (int i = 0; i < count; i++) { V(activation)(act, &each[i], 1, 0); }
        EACH { x[i] = each[i]; }
    }
}
FD_INLINE void V(slopes)(fd_act act, VR *x, int count) {
    if (FD_LIKELY(V(small)(act, x, count))) {
        V(slope)(act, x, count, 1);
    } else {
        VR each[FD_TOGETHER];
        EACH { each[i] = x[i]; }
        FD_ROLL
        for (int i = 0; i < count; i++) { V(slope)(act, &each[i], 1, 0); }
        EACH { x[i] = each[i]; }
    }
}
