# --- Softmax with dropout --------------------------------------------------------------------------

cdef extern from "fastdrop.h" nogil:
    ctypedef struct fd_softmax:
        size_t groups, rows, n
        uint64_t group_positions, row_positions
        size_t visible
        double scale
        const void *mask
        int additive
        Py_ssize_t mask_step
        fd_layout mask_rows
    void fd_softmax_dropout(fd_dtype, const fd_softmax *, const void *x, void *y, const fd_key *,
                            const fd_plan *, double keep_scale)
    void fd_softmax_dropout_backward(fd_dtype, const fd_softmax *, const void *x, const void *dy,
                                     void *dx, void *weights, const fd_key *, const fd_plan *,
                                     double keep_scale)


@cython.final
cdef class _Rows:
    """What `Rows` says, and the buffer of its mask."""

    cdef fd_softmax s
    cdef Py_buffer mask
    cdef bint has_mask

    def __cinit__(self, x, rows):
        cdef int d
        self.s.rows = rows.group
        self.s.groups = x.shape[0] // rows.group
        self.s.n = x.shape[1]
        self.s.group_positions, self.s.row_positions = rows.group_positions, rows.row_positions
        self.s.visible = rows.visible
        self.s.scale = rows.scale
        if rows.mask is None:
            return
        PyObject_GetBuffer(rows.mask, &self.mask, PyBUF_STRIDES)
        self.has_mask = True
        self.s.mask = self.mask.buf
        self.s.additive = rows.mask.dtype != bool
        d = self.mask.ndim - 1
        self.s.mask_step = self.mask.strides[d]
        self.s.mask_rows.ndim = d
        for d in range(self.mask.ndim - 1):
            self.s.mask_rows.shape[d] = self.mask.shape[d]
            self.s.mask_rows.mask_strides[d] = self.mask.strides[d]

    def __dealloc__(self):
        if self.has_mask:
            PyBuffer_Release(&self.mask)


def softmax_dropout_into(x, out, kind, rows, key, plan):
    cdef fd_dtype dtype = <fd_dtype><int>_dtypes[kind]
    cdef _Rows r = _Rows(x, rows)
    cdef _Span a = _Span(x), y = _Span(out, True)
    cdef fd_key k = _key(key)
    cdef fd_plan c = _plan(plan)
    cdef double scale = plan.scale
    with nogil:
        fd_softmax_dropout(dtype, &r.s, a.view.buf, y.view.buf, &k, &c, scale)


def softmax_dropout_backward_into(x, dy, dx, weights, kind, rows, key, plan):
    cdef fd_dtype dtype = <fd_dtype><int>_dtypes[kind]
    cdef _Rows r = _Rows(x, rows)
    cdef _Span a = _Span(x), d = _Span(dy), y = _Span(dx, True)
    cdef _Span w = None if weights is None else _Span(weights, True)
    cdef void *w_buffer = NULL if weights is None else w.view.buf
    cdef fd_key k = _key(key)
    cdef fd_plan c = _plan(plan)
    cdef double scale = plan.scale
    with nogil:
        fd_softmax_dropout_backward(
            dtype, &r.s, a.view.buf, d.view.buf, y.view.buf, w_buffer, &k, &c, scale
        )


cdef bint _is_short(double x) noexcept:
    """Whether x is finite and a binary32 number with its sign, where rounding changes nothing."""
    return -3e38 < x < 3e38 and <double><float>x == x


cdef object _quick_softmax(Front front, x, p, double scale, rng, default_generator):
    """The result for contiguous rows that are seen in full, or None: the general path then decides."""
    cdef Py_buffer source, target
    cdef int before, dtype
    cdef size_t n
    cdef fd_softmax s
    cdef fd_key key
    cdef fd_plan plan
    cdef double keep
    cdef _Rate rate
    if rng is None:
        rng = default_generator()
    if type(rng) is not Key and type(rng) is not Generator:
        return None
    try:
        PyObject_GetBuffer(x, &source, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT)
    except Exception:
        return None
    try:
        dtype = _dtype_of(source.format)
        n = source.len // source.itemsize
        if dtype < 0 or n == 0 or source.ndim == 0:
            return None
        rate = front.rate_of(p, <fd_dtype>dtype)
        if rate is None:
            return None
        s.n = s.row_positions = s.visible = source.shape[source.ndim - 1]
        s.groups, s.rows, s.group_positions = 1, n // s.n, n
        s.scale, s.mask, s.additive = scale, NULL, False
        out = _empty_like(x)
        PyObject_GetBuffer(out, &target, PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE)
        try:
            if type(rng) is Generator:
                if not (<Generator>rng)._take(n, &key):
                    return None
            else:
                key = (<Key>rng).key
                if n - 1 > UINT64_MAX - key.offset:
                    return None
            plan, keep = rate.plan, rate.numbers[0]
            if n < GIL_ELEMENTS:
                fd_softmax_dropout(<fd_dtype>dtype, &s, source.buf, target.buf, &key, &plan, keep)
            else:
                with nogil:
                    fd_softmax_dropout(
                        <fd_dtype>dtype, &s, source.buf, target.buf, &key, &plan, keep
                    )
        finally:
            PyBuffer_Release(&target)
    finally:
        PyBuffer_Release(&source)
    return out


def softmax_front(general, default_generator, variant):
    """`softmax_dropout`: the common case compiled, every other one left to `general`."""
    cdef Front front = Front(variant)

    def softmax_dropout(
        scores, p=0.5, training=True, *, axis=-1, mask=None, scale=1.0, rng=None, out=None
    ):
        # A scale that is no binary32 number is rounded by the general path, as the dtype asks.
        if (
            _enabled and training is True and mask is None and out is None
            and type(scores) is _ndarray and type(axis) is int and axis == -1
            and type(p) is float and type(scale) is float and _is_short(scale)
        ):
            result = _quick_softmax(front, scores, p, scale, rng, default_generator)
            if result is not None:
                return result
        return general(
            scores, p, training, axis=axis, mask=mask, scale=scale, rng=rng, out=out
        )
    return softmax_dropout
