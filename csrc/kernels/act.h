/* bias_act_dropout: y = keep ? act(x + b) * scale : +0.0, and its gradient with respect to x + b:
 * dx = keep ? (dy * scale) * act'(x + b) : +0.0. Each operation is rounded in the compute type. */

FD_INLINE void FD_CAT(act_word, D)(const fd_operands *at, uint64_t w, const void *context) {
    const fd_act_context *c = context;
    VR s = V(set)(c->scale);
    for (int i = 0; i < FD_STEP / VN; i++) {
        int place = i * VN * FD_SIZE;
        VR v = V(add)(LOAD(at->in[0] + place), LOAD(at->in[1] + place));
        v = V(mul)(V(activation)(c->act, v), s);
        STORE(at->out[0] + place, V(keep)(V(mask)(w, i), v));
    }
}

FD_INLINE void FD_CAT(slope_word, D)(const fd_operands *at, uint64_t w, const void *context) {
    const fd_act_context *c = context;
    VR s = V(set)(c->scale);
    for (int i = 0; i < FD_STEP / VN; i++) {
        int place = i * VN * FD_SIZE;
        VR v = V(add)(LOAD(at->in[1] + place), LOAD(at->in[2] + place));
        v = V(mul)(V(mul)(LOAD(at->in[0] + place), s), V(slope)(c->act, v));
        STORE(at->out[0] + place, V(keep)(V(mask)(w, i), v));
    }
}

/* `act` is a constant in each call, so that each activation gets a loop of its own. */
FD_INLINE void FD_CAT(act_loop, D)(fd_operands at, int inputs, size_t n, const fd_keep *keep,
                                   FD_CAT(word_fn, D) * word, double scale, fd_act act) {
    fd_act_context c = {scale, act};
    int computes = act != FD_ACT_RELU && act != FD_ACT_NONE;
    FD_CAT(walk, D)(at, inputs, 1, n, keep, computes, word, &c);
}

FD_INLINE void FD_CAT(act_loops, D)(fd_operands at, int inputs, size_t n, const fd_keep *keep,
                                    FD_CAT(word_fn, D) * word, double scale, fd_act act) {
    switch (act) {
    case FD_ACT_RELU:
        FD_CAT(act_loop, D)(at, inputs, n, keep, word, scale, FD_ACT_RELU);
        break;
    case FD_ACT_GELU:
        FD_CAT(act_loop, D)(at, inputs, n, keep, word, scale, FD_ACT_GELU);
        break;
    case FD_ACT_GELU_TANH:
        FD_CAT(act_loop, D)(at, inputs, n, keep, word, scale, FD_ACT_GELU_TANH);
        break;
    case FD_ACT_SILU:
        FD_CAT(act_loop, D)(at, inputs, n, keep, word, scale, FD_ACT_SILU);
        break;
    default:
        FD_CAT(act_loop, D)(at, inputs, n, keep, word, scale, FD_ACT_NONE);
    }
}

static void FD_CAT(bias_act, D)(const void *x, const void *bias, void *y, size_t n,
                                const fd_keep *keep, double scale, fd_act act) {
    fd_operands at = {{x, bias}, {y}};
    FD_CAT(act_loops, D)(at, 2, n, keep, FD_CAT(act_word, D), scale, act);
}

static void FD_CAT(bias_act_slope, D)(const void *dy, const void *x, const void *bias, void *dx,
                                      size_t n, const fd_keep *keep, double scale, fd_act act) {
    fd_operands at = {{dy, x, bias}, {dx}};
    FD_CAT(act_loops, D)(at, 3, n, keep, FD_CAT(slope_word, D), scale, act);
}
