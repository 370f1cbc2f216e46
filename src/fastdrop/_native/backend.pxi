# --- What backends/c.py wraps: arrays checked, any strides -----------------------------------------

cdef dict _dtypes = {
    "float32": FD_f32, "float64": FD_f64, "float16": FD_f16, "bfloat16": FD_bf16,
}


cdef fd_key _key(key) except *:
    cdef fd_key k
    k.seed, k.stream, k.offset = key.seed, key.stream, key.offset
    return k


cdef fd_plan _plan(plan) except *:
    cdef fd_plan c
    c.threshold, c.fraction = plan.threshold, plan.fraction
    return c


@cython.final
cdef class _Pair:
    """The buffers of x and out, and the layout they have together."""

    cdef Py_buffer x, y
    cdef bint has_x, has_y
    cdef fd_layout layout
    cdef fd_dtype dtype

    def __cinit__(self, x, out, kind):
        cdef int d
        self.dtype = <fd_dtype><int>_dtypes[kind]
        PyObject_GetBuffer(x, &self.x, PyBUF_STRIDES)
        self.has_x = True
        PyObject_GetBuffer(out, &self.y, PyBUF_STRIDES | PyBUF_WRITABLE)
        self.has_y = True
        self.layout.ndim = self.x.ndim
        for d in range(self.x.ndim):
            self.layout.shape[d] = self.x.shape[d]
            self.layout.x_strides[d] = self.x.strides[d]
            self.layout.y_strides[d] = self.y.strides[d]
            self.layout.mask_strides[d] = 0

    def __dealloc__(self):
        if self.has_x:
            PyBuffer_Release(&self.x)
        if self.has_y:
            PyBuffer_Release(&self.y)


def dropout_samples_into(x, out, kind, key, plan):
    cdef size_t samples = out.shape[0]
    cdef Py_ssize_t step = out.strides[0]
    cdef _Pair pair = _Pair(x, out[0, ...], kind)
    cdef fd_key k = _key(key)
    cdef fd_plan c = _plan(plan)
    cdef double scale = plan.scale
    with nogil:
        fd_dropout_samples(
            pair.dtype, pair.x.buf, pair.y.buf, &pair.layout, samples, step, &k, &c, scale
        )


cdef int _draw_mask(out, bint packed, shape, steps, key, plan) except -1:
    """A mask with steps, or, without them, of decisions in C order."""
    cdef fd_key k = _key(key)
    cdef fd_plan c = _plan(plan)
    cdef size_t lengths[64]
    cdef Py_ssize_t strides[64]
    cdef Py_buffer view
    cdef int d, ndim = len(shape)
    cdef Py_ssize_t step = 1
    for d in range(ndim - 1, -1, -1):
        lengths[d] = shape[d]
        strides[d] = step if steps is None else steps[d]
        step *= shape[d]
    PyObject_GetBuffer(out, &view, PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE)
    with nogil:
        fd_draw_mask(<uint8_t *>view.buf, packed, ndim, lengths, strides, &k, &c)
    PyBuffer_Release(&view)
    return 0


def mask_packed_into(out, shape, key, plan, steps=None):
    _draw_mask(out, True, shape if isinstance(shape, tuple) else (shape,), steps, key, plan)


def mask_bool_into(out, key, plan, steps=None):
    _draw_mask(out, False, out.shape, steps, key, plan)


def drop_block_packed_into(out, shape, size_t block, key, plan):
    cdef fd_key k = _key(key)
    cdef fd_plan c = _plan(plan)
    cdef fd_blocks blocks
    cdef Py_buffer view
    cdef size_t kept
    cdef int d, missing = 4 - len(shape)
    blocks.planes = shape[0]
    for d in range(3):
        blocks.shape[d] = shape[d + 1 - missing] if d >= missing else 1
        blocks.block[d] = block if d >= missing else 1
    PyObject_GetBuffer(out, &view, PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE)
    with nogil:
        kept = fd_drop_block_bits(<uint8_t *>view.buf, &blocks, &k, &c)
    PyBuffer_Release(&view)
    return kept
