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
