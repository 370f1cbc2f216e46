# --- Bias, activation and dropout ------------------------------------------------------------------

cdef extern from "fastdrop.h" nogil:
    ctypedef enum fd_act:
        FD_ACT_NONE
        FD_ACT_RELU
        FD_ACT_GELU
        FD_ACT_GELU_TANH
        FD_ACT_SILU
    ctypedef struct fd_bias:
        const void *values
        size_t n, column
    void fd_bias_act_dropout(fd_dtype, fd_act, const void *x, const fd_bias *, void *y, size_t n,
                             const fd_key *, const fd_plan *, double scale)
    void fd_bias_act_dropout_backward(fd_dtype, fd_act, const void *dy, const void *x,
                                      const fd_bias *, void *dx, size_t n, const fd_key *,
                                      const fd_plan *, double scale)

cdef dict _acts = {
    "none": FD_ACT_NONE, "relu": FD_ACT_RELU, "gelu": FD_ACT_GELU, "gelu_tanh": FD_ACT_GELU_TANH,
    "silu": FD_ACT_SILU,
}


@cython.final
cdef class _Act:
    """What both operations are told: the activation, the bias, and what is drawn, if anything."""

    cdef fd_dtype dtype
    cdef fd_act act
    cdef fd_bias bias
    cdef _Span values
    cdef fd_key key
    cdef const fd_key *drawn
    cdef fd_plan plan
    cdef double scale

    def __cinit__(self, kind, act, bias, key, plan):
        self.dtype = <fd_dtype><int>_dtypes[kind]
        self.act = <fd_act><int>_acts[act]
        self.bias.n, self.bias.column = bias.n, bias.column
        self.values = _Span(bias.values)
        self.bias.values = self.values.view.buf
        if key is not None:
            self.key = _key(key)
            self.drawn = &self.key
        self.plan = _plan(plan)
        self.scale = plan.scale


def bias_act_into(x, out, kind, act, bias, key, plan):
    cdef _Act c = _Act(kind, act, bias, key, plan)
    cdef _Span a = _Span(x), y = _Span(out, True)
    cdef size_t n = x.size
    with nogil:
        fd_bias_act_dropout(
            c.dtype, c.act, a.view.buf, &c.bias, y.view.buf, n, c.drawn, &c.plan, c.scale
        )


def bias_act_slope_into(dy, x, out, kind, act, bias, key, plan):
    cdef _Act c = _Act(kind, act, bias, key, plan)
    cdef _Span d = _Span(dy), a = _Span(x), y = _Span(out, True)
    cdef size_t n = x.size
    with nogil:
        fd_bias_act_dropout_backward(
            c.dtype, c.act, d.view.buf, a.view.buf, &c.bias, y.view.buf, n, c.drawn, &c.plan,
            c.scale,
        )
