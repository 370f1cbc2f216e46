# --- One element-wise operation: what backends/call.py describes, filled into a struct -------------

cdef extern from "fastdrop.h" nogil:
    ctypedef struct fd_affine:
        double scale, shift, dropped
    void fd_dropout_affine(fd_dtype, const void *x, void *y, const fd_layout *, const fd_key *,
                           const fd_plan *, const fd_affine *)
    void fd_apply_bits_affine(fd_dtype, const void *x, void *y, const fd_layout *, const uint8_t *,
                              const fd_affine *)
    void fd_dropout_add(fd_dtype, const void *x, const void *residual, void *y, size_t n,
                        const fd_key *, const fd_plan *, double scale)
    void fd_zoneout(fd_dtype, const void *a, const void *b, void *y, size_t n, const fd_key *,
                    const fd_plan *)
    void fd_weighted_sum(fd_dtype, const void *a, const void *b, void *y, size_t n, double kept,
                double dropped)
    void fd_zoneout_split(fd_dtype, const void *dy, void *da, void *db, size_t n, const fd_key *,
                          const fd_plan *)
    void fd_gaussian_dropout(fd_dtype, const void *x, void *y, size_t n, const fd_key *,
                             double deviation)
    void fd_gaussian_noise(fd_dtype, const void *x, void *y, size_t n, const fd_key *,
                           double deviation)

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


cdef enum fd_operation:
    OP_SCALE
    OP_AFFINE
    OP_ADD
    OP_SELECT
    OP_SPLIT
    OP_UNMIX
    OP_MIX
    OP_ACT
    OP_ACT_SLOPE
    OP_NOISE_FACTOR
    OP_NOISE_ADD
    OP_NONE

cdef dict _operations = {
    "scale": OP_SCALE, "affine": OP_AFFINE, "add": OP_ADD, "select": OP_SELECT, "split": OP_SPLIT,
    "unmix": OP_UNMIX, "mix": OP_MIX,
    "act": OP_ACT, "act_slope": OP_ACT_SLOPE, "noise_factor": OP_NOISE_FACTOR,
    "noise_add": OP_NOISE_ADD,
}

cdef struct fd_call:
    fd_operation operation
    fd_dtype dtype
    size_t n
    const void *reads[2]
    void *writes[2]
    bint contiguous  # if not, `layout` has the strides of reads[0] and writes[0]
    fd_layout layout
    bint drawn  # from `key`, with `plan`
    fd_key key
    fd_plan plan
    uint8_t *bits  # given, or room for `positions` that are drawn, with the layout's mask strides
    size_t positions
    const uint8_t *bools  # given, with the layout's mask strides
    double numbers[3]
    fd_act act
    fd_bias bias


cdef void _run(const fd_call *c) noexcept nogil:
    """Compute the call; what has no layout in C has to be contiguous."""
    cdef const fd_key *key = &c.key if c.drawn else NULL
    cdef double scale = c.numbers[0]
    cdef fd_dtype moved = FD_f16 if c.dtype == FD_bf16 else c.dtype  # the bits are not looked at
    cdef fd_affine map
    if c.drawn and c.bits != NULL:
        fd_mask_bits(c.bits, c.positions, key, &c.plan)
    if c.operation == OP_SCALE:
        if c.bools != NULL:
            fd_apply_bool(c.dtype, c.reads[0], c.writes[0], &c.layout, c.bools, scale)
        elif c.bits != NULL:
            fd_apply_bits(c.dtype, c.reads[0], c.writes[0], &c.layout, c.bits, scale)
        elif not c.drawn:
            fd_scale(c.dtype, c.reads[0], c.writes[0], &c.layout, scale)
        elif c.contiguous:
            fd_dropout(c.dtype, c.reads[0], c.writes[0], c.n, key, &c.plan, scale)
        else:
            fd_dropout_strided(c.dtype, c.reads[0], c.writes[0], &c.layout, key, &c.plan, scale)
    elif c.operation == OP_AFFINE:
        map.scale, map.shift, map.dropped = c.numbers[0], c.numbers[1], c.numbers[2]
        if c.bits != NULL:
            fd_apply_bits_affine(c.dtype, c.reads[0], c.writes[0], &c.layout, c.bits, &map)
        else:
            fd_dropout_affine(c.dtype, c.reads[0], c.writes[0], &c.layout, key, &c.plan, &map)
    elif c.operation == OP_ADD:
        fd_dropout_add(
            c.dtype, c.reads[0], c.reads[1], c.writes[0], c.n, key, &c.plan, scale
        )
    elif c.operation == OP_SELECT:
        fd_zoneout(moved, c.reads[0], c.reads[1], c.writes[0], c.n, key, &c.plan)
    elif c.operation == OP_SPLIT:
        fd_zoneout_split(moved, c.reads[0], c.writes[0], c.writes[1], c.n, key, &c.plan)
    elif c.operation == OP_UNMIX:
        fd_scale(c.dtype, c.reads[0], c.writes[0], &c.layout, scale)
        fd_scale(c.dtype, c.reads[0], c.writes[1], &c.layout, c.numbers[1])
    elif c.operation == OP_MIX:
        fd_weighted_sum(c.dtype, c.reads[0], c.reads[1], c.writes[0], c.n, scale, c.numbers[1])
    elif c.operation == OP_ACT:
        fd_bias_act_dropout(
            c.dtype, c.act, c.reads[0], &c.bias, c.writes[0], c.n, key, &c.plan, scale
        )
    elif c.operation == OP_ACT_SLOPE:
        fd_bias_act_dropout_backward(
            c.dtype, c.act, c.reads[1], c.reads[0], &c.bias, c.writes[0], c.n, key, &c.plan, scale
        )
    elif c.operation == OP_NOISE_FACTOR:
        fd_gaussian_dropout(c.dtype, c.reads[0], c.writes[0], c.n, key, scale)
    elif c.operation == OP_NOISE_ADD:
        fd_gaussian_noise(c.dtype, c.reads[0], c.writes[0], c.n, key, scale)


@cython.final
cdef class _Span:
    """The buffer of a contiguous array, read or written."""

    cdef Py_buffer view
    cdef bint held

    def __cinit__(self, array, bint written=False):
        PyObject_GetBuffer(array, &self.view, PyBUF_C_CONTIGUOUS | (PyBUF_WRITABLE if written else 0))
        self.held = True

    def __dealloc__(self):
        if self.held:
            PyBuffer_Release(&self.view)


@cython.final
cdef class _Buffers:
    """The buffers of a call's arrays, held while C computes with them."""

    cdef Py_buffer views[6]
    cdef int held

    cdef Py_buffer *hold(self, array, bint written=False) except NULL:
        cdef Py_buffer *view = &self.views[self.held]
        PyObject_GetBuffer(array, view, PyBUF_STRIDES | (PyBUF_WRITABLE if written else 0))
        self.held += 1
        return view

    def __dealloc__(self):
        while self.held:
            self.held -= 1
            PyBuffer_Release(&self.views[self.held])


cdef int _share_mask(fd_layout *layout, mask_shape) except -1:
    """The strides of a packed mask that is shared along the axes where its shape is 1."""
    cdef Py_ssize_t stride = 1
    cdef int d
    for d in range(layout.ndim - 1, -1, -1):
        if mask_shape[d] != 1:
            layout.mask_strides[d] = stride
            stride *= mask_shape[d]
    return 0


cdef size_t _mask_layout(fd_layout *layout, steps) except? 0:
    """The strides of a mask with these steps, and how many decisions it has."""
    cdef size_t count = 1, n = 1
    cdef int d
    for d in range(layout.ndim - 1, -1, -1):
        layout.mask_strides[d] = (n if layout.shape[d] != 1 else 0) if steps is None else steps[d]
        n *= layout.shape[d]
        if layout.mask_strides[d]:
            count *= layout.shape[d]
    return count


def run(call):
    """One element-wise operation. False, and nothing is done, where C does not take the call:

    shared variates, and what is not contiguous of operations without a layout.
    """
    operation, kind, reads, writes, numbers, key, plan, steps, mask, act, bias = call
    cdef _Buffers buffers = _Buffers()
    cdef Py_buffer *x
    cdef Py_buffer *y
    cdef Py_buffer *view
    cdef fd_call c
    cdef int i, d
    c.operation = <fd_operation><int>_operations.get(operation, OP_NONE)
    if c.operation == OP_NONE or (steps is not None and c.operation > OP_AFFINE):
        return False
    c.dtype = <fd_dtype><int>_dtypes[kind]
    c.contiguous = True
    for i in range(len(<tuple>reads)):
        view = buffers.hold((<tuple>reads)[i])
        c.reads[i] = view.buf
        c.contiguous = c.contiguous and PyBuffer_IsContiguous(view, c"C")
    x = &buffers.views[0]
    y = &buffers.views[buffers.held]
    for i in range(len(<tuple>writes)):
        view = buffers.hold((<tuple>writes)[i], True)
        c.writes[i] = view.buf
        c.contiguous = c.contiguous and PyBuffer_IsContiguous(view, c"C")
    if not c.contiguous and c.operation > OP_AFFINE:
        return False
    c.n = x.len // x.itemsize
    c.layout.ndim = x.ndim
    for d in range(x.ndim):
        c.layout.shape[d] = x.shape[d]
        c.layout.x_strides[d] = x.strides[d]
        c.layout.y_strides[d] = y.strides[d]
        c.layout.mask_strides[d] = 0
    for i in range(len(<tuple>numbers)):
        c.numbers[i] = (<tuple>numbers)[i]
    c.drawn = key is not None
    if c.drawn:
        c.key = _key(key)
        if plan is not None:
            c.plan = _plan(plan)
    c.bits = NULL
    c.bools = NULL
    if mask is not None:
        view = buffers.hold(mask)
        if mask.dtype == bool:
            c.bools = <const uint8_t *>view.buf
            for d in range(x.ndim):
                c.layout.mask_strides[d] = view.strides[d]
        else:
            c.bits = <uint8_t *>view.buf
            c.positions = _mask_layout(&c.layout, steps)
    if bias is not None:
        c.act = <fd_act><int>_acts[act]
        values, c.bias.n, c.bias.column = bias
        c.bias.values = buffers.hold(values).buf
    if c.n < GIL_ELEMENTS:
        _run(&c)
    else:
        with nogil:
            _run(&c)
    return True
