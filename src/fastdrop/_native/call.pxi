# --- One element-wise operation: what backends/call.py describes, filled into a struct -------------

cdef extern from "call.h" nogil:
    enum:
        FD_OPERANDS
    ctypedef enum fd_operation:
        FD_OP_scale
        FD_OPERATION_COUNT
    ctypedef enum fd_act:
        pass
    ctypedef struct fd_bias:
        const void *values
        size_t n, column
    ctypedef struct fd_axes:
        int ndim, operands
        size_t shape[64]
        Py_ssize_t strides[3][64]
        Py_ssize_t steps[64]
    ctypedef struct fd_call:
        fd_operation operation
        fd_dtype dtype
        void *at[3]
        fd_axes axes
        bint drawn
        fd_key key
        fd_plan plan
        uint8_t *bits
        const uint8_t *bools
        double numbers[3]
        fd_act act
        fd_bias bias
    const char *fd_operation_name(int)
    int fd_operation_operands(int)
    void fd_run(const fd_call *)
    void fd_draw_mask(uint8_t *out, bint packed, int ndim, const size_t *shape,
                      const Py_ssize_t *steps, const fd_key *, const fd_plan *)

# Shared decisions of at most so many bytes need no memory of their own.
cdef enum:
    FEW_BYTES = 512

cdef dict _acts = {act: number for number, act in enumerate(_bias.ACTIVATIONS)}  # as in fd_act

cdef dict _operations = {
    fd_operation_name(operation).decode(): operation for operation in range(FD_OPERATION_COUNT)
}


cdef void _begin(fd_call *c, int operation, int dtype) noexcept:
    """A call without decisions."""
    c.operation, c.dtype = <fd_operation>operation, <fd_dtype>dtype
    c.axes.operands = fd_operation_operands(operation)
    c.drawn, c.bits, c.bools = False, NULL, NULL


cdef bint _room_for(fd_call *c, size_t decisions, uint8_t *few, void **memory) noexcept:
    """Room for the bits of shared decisions: in `few`, FEW_BYTES, or in memory to be freed."""
    if decisions <= 8 * FEW_BYTES:
        c.bits = few
        return True
    memory[0] = malloc((decisions + 7) // 8)
    c.bits = <uint8_t *>memory[0]
    return memory[0] != NULL


cdef void _compute(const fd_call *c, size_t n, bint fresh) noexcept:
    """A call on n elements; `fresh` is as in `fresh_outputs`."""
    cdef int before
    if n < GIL_ELEMENTS:
        fd_run(c)
        return
    with nogil:
        before = fresh_outputs(fresh)
        fd_run(c)
        fresh_outputs(before)


def run(call):
    """One element-wise operation: any strides of operands, any steps of decisions."""
    operation, kind, reads, writes, numbers, key, plan, steps, mask, act, bias = call
    cdef _Buffers buffers = _Buffers()
    cdef Py_buffer *view
    cdef fd_call c
    cdef fd_axes *axes = &c.axes
    cdef int i, d
    cdef size_t n = 1
    cdef tuple operands = <tuple>reads + <tuple>writes
    _begin(&c, _operations[operation], _dtypes[kind])
    for i in range(axes.operands):
        view = buffers.hold(operands[i], i >= len(<tuple>reads))
        c.at[i] = view.buf
        axes.ndim = view.ndim
        for d in range(view.ndim):
            axes.strides[i][d] = view.strides[d]
            axes.shape[d] = view.shape[d]
    for d in range(axes.ndim - 1, -1, -1):
        axes.steps[d] = n if steps is None else (<tuple>steps)[d]
        n *= axes.shape[d]
    for i in range(len(<tuple>numbers)):
        c.numbers[i] = (<tuple>numbers)[i]
    c.drawn = key is not None
    if c.drawn:
        c.key = _key(key)
        if plan is not None:
            c.plan = _plan(plan)
    if mask is not None:
        view = buffers.hold(mask)
        if mask.dtype == bool:
            c.bools = <const uint8_t *>view.buf
            for d in range(axes.ndim):
                axes.steps[d] = view.strides[d]
        else:
            c.bits = <uint8_t *>view.buf
    if bias is not None:
        c.act = <fd_act><int>_acts[act]
        values, c.bias.n, c.bias.column = bias
        c.bias.values = buffers.hold(values).buf
    if n < GIL_ELEMENTS:
        fd_run(&c)
    else:
        with nogil:
            fd_run(&c)
