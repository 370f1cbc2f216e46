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


cdef object _quick_softmax(
    Front front, x, dy, p, axis, scale, rng, out, default_generator,
):
    """The result for contiguous rows that are seen in full, or None: the general path then decides.

    With `dy` it is the gradient.
    """
    cdef Py_buffer views[3]
    cdef Py_buffer *target
    cdef int held = 0, i, dtype
    cdef size_t n
    cdef fd_softmax s
    cdef fd_key key
    cdef fd_plan plan
    cdef double keep
    cdef _Rate rate
    # A scale that is no binary32 number is rounded by the general path, as the dtype asks.
    if (
        type(x) is not _ndarray or type(axis) is not int or axis != -1 or type(p) is not float
        or type(scale) is not float or not _is_short(scale)
        or (out is not None and type(out) is not _ndarray)
        or (dy is not None and type(dy) is not _ndarray)
    ):
        return None
    if rng is None:
        rng = default_generator()
    if type(rng) is not Key and (dy is not None or type(rng) is not Generator):
        return None
    try:
        for array in (x, dy, out):
            if array is None or (held and array is out and (out is x or out is dy)):
                continue
            # Who lends no buffer has its own word in the general path.
            if not _lends(
                array, &views[held], PyBUF_FORMAT | (PyBUF_WRITABLE if array is out else 0)
            ):
                return None
            held += 1
        dtype = _dtype_of(views[0].format)
        n = views[0].len // views[0].itemsize
        if dtype < 0 or n == 0 or views[0].ndim == 0:
            return None
        if dy is not None and not _like(&views[0], &views[1]):
            return None
        rate = front.rate_of(p, <fd_dtype>dtype)
        if rate is None:
            return None
        target = &views[held - 1]
        if out is None:
            out = _empty_like(x)
            target = &views[held]
            if not _lends(out, target, PyBUF_WRITABLE):
                return None
            held += 1
        elif out is x or out is dy:
            target = &views[0 if out is x else 1]
            if dy is not None and dy is not x and not _apart(&views[0], &views[1]):
                return None
        else:
            for i in range(held - 1):
                if not _apart(&views[i], target):
                    return None
        s.n = s.row_positions = s.visible = views[0].shape[views[0].ndim - 1]
        s.groups, s.rows, s.group_positions = 1, n // s.n, n
        s.scale, s.mask, s.additive = scale, NULL, False
        if not _reserve(rng, n, &key):
            return None
        plan, keep = rate.plan, rate.numbers[0]
        if n < GIL_ELEMENTS:
            _softmax(<fd_dtype>dtype, &s, &views[0], dy is not None, target, &key, &plan, keep)
        else:
            with nogil:
                _softmax(<fd_dtype>dtype, &s, &views[0], dy is not None, target, &key, &plan, keep)
    finally:
        for i in range(held):
            PyBuffer_Release(&views[i])
    return out


cdef void _softmax(
    fd_dtype dtype, const fd_softmax *s, const Py_buffer *reads, bint backward,
    const Py_buffer *target, const fd_key *key, const fd_plan *plan, double keep,
) noexcept nogil:
    """Softmax with dropout, or its gradient: `reads` are the scores, and then the gradient."""
    if backward:
        fd_softmax_dropout_backward(
            dtype, s, reads[0].buf, reads[1].buf, target.buf, NULL, key, plan, keep
        )
    else:
        fd_softmax_dropout(dtype, s, reads[0].buf, target.buf, key, plan, keep)


def softmax_front(general, default_generator, variant):
    """`softmax_dropout`: the common case compiled, every other one left to `general`."""
    cdef Front front = Front(variant)

    def softmax_dropout(
        scores, p=0.5, training=True, *, axis=-1, mask=None, scale=1.0, rng=None, out=None
    ):
        if _enabled and training is True and mask is None:
            result = _quick_softmax(
                front, scores, None, p, axis, scale, rng, out, default_generator
            )
            if result is not None:
                return result
        return general(
            scores, p, training, axis=axis, mask=mask, scale=scale, rng=rng, out=out
        )
    return softmax_dropout


def softmax_backward_front(general, default_generator, variant):
    """`softmax_dropout_backward`, likewise."""
    cdef Front front = Front(variant)

    def softmax_dropout_backward(
        dy, scores, p=0.5, training=True, *, axis=-1, mask=None, scale=1.0, rng, out=None
    ):
        if _enabled and training is True and mask is None and dy is not None:
            result = _quick_softmax(front, scores, dy, p, axis, scale, rng, out, default_generator)
            if result is not None:
                return result
        return general(
            dy, scores, p, training, axis=axis, mask=mask, scale=scale, rng=rng, out=out
        )
    return softmax_dropout_backward
