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


cdef void _softmax(
    fd_dtype dtype, const fd_softmax *s, const void *x, const void *dy, void *y, void *weights,
    const fd_key *key, const fd_plan *plan, double keep,
) noexcept nogil:
    """Softmax with dropout, or, where dy is not NULL, its gradient."""
    if dy != NULL:
        fd_softmax_dropout_backward(dtype, s, x, dy, y, weights, key, plan, keep)
    else:
        fd_softmax_dropout(dtype, s, x, y, key, plan, keep)


cdef int _softmax_into(x, dy, out, again, kind, rows, key, plan) except -1:
    """Softmax with dropout of what `Rows` says, or, where dy is not None, its gradient."""
    cdef fd_dtype dtype = <fd_dtype><int>_dtypes[kind]
    cdef drawn draw = _drawn(key, plan)
    cdef _Buffers buffers = _Buffers()
    cdef const void *scores = buffers.memory(x)
    cdef const void *gradient = buffers.memory(dy)
    cdef void *y = buffers.memory(out, True)
    cdef void *weights = buffers.memory(again, True)
    cdef Py_buffer *mask
    cdef fd_softmax s
    cdef int d
    s.rows, s.groups, s.n = rows.group, x.shape[0] // rows.group, x.shape[1]
    s.group_positions, s.row_positions = rows.group_positions, rows.row_positions
    s.visible, s.scale, s.mask = rows.visible, rows.scale, NULL
    if rows.mask is not None:
        mask = buffers.hold(rows.mask)
        s.mask, s.additive = mask.buf, rows.mask.dtype != bool
        s.mask_rows.ndim = mask.ndim - 1
        s.mask_step = mask.strides[mask.ndim - 1]
        for d in range(mask.ndim - 1):
            s.mask_rows.shape[d], s.mask_rows.mask_strides[d] = mask.shape[d], mask.strides[d]
    with nogil:
        _softmax(dtype, &s, scores, gradient, y, weights, &draw.key, &draw.plan, draw.scale)
    return 0


def softmax_dropout_into(x, out, kind, rows, key, plan):
    _softmax_into(x, None, out, None, kind, rows, key, plan)


def softmax_dropout_backward_into(x, dy, dx, again, kind, rows, key, plan):
    _softmax_into(x, dy, dx, again, kind, rows, key, plan)


cdef bint _is_short(double x) noexcept:
    """Whether x is finite and a binary32 number with its sign, where rounding changes nothing."""
    return -3e38 < x < 3e38 and <double><float>x == x


cdef object _quick_softmax(Front front, x, dy, p, axis, scale, rng, out, default_generator):
    """The result for contiguous rows that are seen in full, or None: the general path then decides.

    With `dy` it is the gradient.
    """
    cdef Py_buffer views[3]
    cdef Py_buffer *target
    cdef int held = 0, i, dtype
    cdef size_t n
    cdef fd_softmax s
    cdef fd_key key
    cdef _Rate rate
    cdef const void *gradient = NULL
    if type(p) is not float:
        p = _as_float(p)
    if type(scale) is not float:
        scale = _as_float(scale)
    rng = _as_source(rng, default_generator, dy is not None)
    # A scale that is no binary32 number is rounded by the general path, as the dtype asks.
    if (
        type(x) is not _ndarray or type(axis) is not int or axis != -1 or p is None
        or scale is None or rng is None or not _is_short(scale)
        or (out is not None and type(out) is not _ndarray)
        or (dy is not None and type(dy) is not _ndarray)
    ):
        return None
    try:
        for array in (x, dy, out):
            if array is None or (held and array is out and (out is x or out is dy)):
                continue
            # Who lends no buffer has its own word in the general path.
            flags = PyBUF_FORMAT | PyBUF_C_CONTIGUOUS | (PyBUF_WRITABLE if array is out else 0)
            if not _lends(array, &views[held], flags):
                return None
            held += 1
        dtype = _dtype_of(views[0].format)
        n = views[0].len // views[0].itemsize
        if dtype < 0 or n == 0 or views[0].ndim == 0:
            return None
        if dy is not None:
            gradient = views[1].buf
            if not _like(&views[0], &views[1]):
                return None
        rate = front.rate_of(p, <fd_dtype>dtype)
        if rate is None:
            return None
        target = &views[held - 1]
        if out is None:
            out = _empty_like(x)
            target = &views[held]
            if not _lends(out, target, PyBUF_WRITABLE | PyBUF_C_CONTIGUOUS):
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
        s.scale, s.mask = scale, NULL
        if not _reserve(rng, n, &key):
            return None
        if n < GIL_ELEMENTS:
            _softmax(rate.dtype, &s, views[0].buf, gradient, target.buf, NULL, &key, &rate.plan,
                     rate.numbers[0])
        else:
            with nogil:
                _softmax(rate.dtype, &s, views[0].buf, gradient, target.buf, NULL, &key,
                         &rate.plan, rate.numbers[0])
    finally:
        for i in range(held):
            PyBuffer_Release(&views[i])
    return out


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
