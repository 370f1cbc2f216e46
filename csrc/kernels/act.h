/* act: y = keep ? act(x + b) * scale : +0.0; act_slope, its gradient with respect to x + b: dx =
 * keep ? (dy * scale) * act'(x + b) : +0.0. Each operation is rounded in the compute type. */

FD_INLINE void FD_CAT(act_word, D)(const fd_operands *at, uint64_t w, const void *context, int nt) {
    const fd_act_context *c = context;
    VR s = V(set)(c->scale), v[FD_TOGETHER];
    for (int first = 0; first < FD_STEP / VN; first += FD_TOGETHER) {
        FD_UNROLL
        for (int j = 0; j < FD_TOGETHER; j++) {
            int place = (first + j) * VN * FD_SIZE;
            v[j] = V(add)(LOAD(at->in[0] + place), LOAD(at->in[1] + place));
        }
        V(activations)(c->act, v, FD_TOGETHER);
        FD_UNROLL
        for (int j = 0; j < FD_TOGETHER; j++) {
            int place = (first + j) * VN * FD_SIZE;
            PUT(at->out[0] + place, V(keep)(V(mask)(w, j), V(mul)(v[j], s)), nt);
        }
        w = w >> FD_TOGETHER * VN / 2 >> FD_TOGETHER * VN / 2; /* 64 bits at most */
    }
}

FD_INLINE void FD_CAT(slope_word, D)(const fd_operands *at, uint64_t w, const void *context,
                                     int nt) {
    const fd_act_context *c = context;
    VR s = V(set)(c->scale), v[FD_TOGETHER];
    for (int first = 0; first < FD_STEP / VN; first += FD_TOGETHER) {
        FD_UNROLL
        for (int j = 0; j < FD_TOGETHER; j++) {
            int place = (first + j) * VN * FD_SIZE;
            v[j] = V(add)(LOAD(at->in[0] + place), LOAD(at->in[2] + place));
        }
        V(slopes)(c->act, v, FD_TOGETHER);
        FD_UNROLL
        for (int j = 0; j < FD_TOGETHER; j++) {
            int place = (first + j) * VN * FD_SIZE;
            v[j] = V(mul)(V(mul)(LOAD(at->in[1] + place), s), v[j]);
            PUT(at->out[0] + place, V(keep)(V(mask)(w, j), v[j]), nt);
        }
        w = w >> FD_TOGETHER * VN / 2 >> FD_TOGETHER * VN / 2;
    }
}

/* `act` is a constant in each call, so that each activation gets a loop of its own. */
FD_INLINE void FD_CAT(act_loop, D)(const fd_part *part, int inputs, FD_CAT(word_fn, D) * word,
                                   fd_act act) {
    fd_act_context c = {part->numbers[0], act};
    int computes = act != FD_ACT_RELU && act != FD_ACT_NONE;
    FD_CAT(walk, D)(part, inputs, 1, 1, computes, word, &c);
}

FD_INLINE void FD_CAT(act_loops, D)(const fd_part *part, int inputs, FD_CAT(word_fn, D) * word) {
    switch (part->act) {
    case FD_ACT_RELU:
        FD_CAT(act_loop, D)(part, inputs, word, FD_ACT_RELU);
        break;
    case FD_ACT_GELU:
        FD_CAT(act_loop, D)(part, inputs, word, FD_ACT_GELU);
        break;
    case FD_ACT_GELU_TANH:
        FD_CAT(act_loop, D)(part, inputs, word, FD_ACT_GELU_TANH);
        break;
    case FD_ACT_SILU:
        FD_CAT(act_loop, D)(part, inputs, word, FD_ACT_SILU);
        break;
    default:
        FD_CAT(act_loop, D)(part, inputs, word, FD_ACT_NONE);
    }
}

static void FD_CAT(act, D)(const fd_part *part) {
    FD_CAT(act_loops, D)(part, 2, FD_CAT(act_word, D));
}

static void FD_CAT(act_slope, D)(const fd_part *part) {
    FD_CAT(act_loops, D)(part, 3, FD_CAT(slope_word, D));
}
