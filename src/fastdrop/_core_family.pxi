# --- Operations over several contiguous arrays -----------------------------------------------------

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
    void fd_zoneout_split(fd_dtype, const void *dy, void *da, void *db, size_t n, const fd_key *,
                          const fd_plan *)
    void fd_gaussian_dropout(fd_dtype, const void *x, void *y, size_t n, const fd_key *,
                             double deviation)
    void fd_gaussian_noise(fd_dtype, const void *x, void *y, size_t n, const fd_key *,
                           double deviation)


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


def dropout_add_into(x, residual, out, kind, key, plan):
    cdef fd_dtype dtype = <fd_dtype><int>_dtypes[kind]
    cdef _Span a = _Span(x), b = _Span(residual), y = _Span(out, True)
    cdef fd_key k = _key(key)
    cdef fd_plan c = _plan(plan)
    cdef double scale = plan.scale
    cdef size_t n = x.size
    with nogil:
        fd_dropout_add(dtype, a.view.buf, b.view.buf, y.view.buf, n, &k, &c, scale)


cdef fd_dtype _moved(array) except *:
    """A dtype as wide as the elements, which are only moved."""
    return {2: FD_f16, 4: FD_f32, 8: FD_f64}[array.itemsize]


def zoneout_into(new, old, out, key, plan):
    cdef fd_dtype dtype = _moved(new)
    cdef _Span a = _Span(new), b = _Span(old), y = _Span(out, True)
    cdef fd_key k = _key(key)
    cdef fd_plan c = _plan(plan)
    cdef size_t n = new.size
    with nogil:
        fd_zoneout(dtype, a.view.buf, b.view.buf, y.view.buf, n, &k, &c)


def zoneout_split_into(dy, new, old, key, plan):
    cdef fd_dtype dtype = _moved(dy)
    cdef _Span d = _Span(dy), a = _Span(new, True), b = _Span(old, True)
    cdef fd_key k = _key(key)
    cdef fd_plan c = _plan(plan)
    cdef size_t n = dy.size
    with nogil:
        fd_zoneout_split(dtype, d.view.buf, a.view.buf, b.view.buf, n, &k, &c)


def gaussian_dropout_into(x, out, kind, key, double deviation):
    cdef fd_dtype dtype = <fd_dtype><int>_dtypes[kind]
    cdef _Span a = _Span(x), y = _Span(out, True)
    cdef fd_key k = _key(key)
    cdef size_t n = x.size
    with nogil:
        fd_gaussian_dropout(dtype, a.view.buf, y.view.buf, n, &k, deviation)


def gaussian_noise_into(x, out, kind, key, double deviation):
    cdef fd_dtype dtype = <fd_dtype><int>_dtypes[kind]
    cdef _Span a = _Span(x), y = _Span(out, True)
    cdef fd_key k = _key(key)
    cdef size_t n = x.size
    with nogil:
        fd_gaussian_noise(dtype, a.view.buf, y.view.buf, n, &k, deviation)


# --- Alpha dropout, on any layout ------------------------------------------------------------------

cdef fd_affine _affine(affine) except *:
    cdef fd_affine c
    c.scale, c.shift, c.dropped = affine
    return c


def dropout_affine_into(x, out, kind, key, plan, affine):
    cdef _Pair pair = _Pair(x, out, kind)
    cdef fd_key k = _key(key)
    cdef fd_plan c = _plan(plan)
    cdef fd_affine map = _affine(affine)
    with nogil:
        fd_dropout_affine(pair.dtype, pair.x.buf, pair.y.buf, &pair.layout, &k, &c, &map)


def apply_affine_into(x, out, kind, bits, mask_shape, affine):
    cdef _Pair pair = _Pair(x, out, kind)
    cdef _Span mask = _Span(bits)
    cdef fd_affine map = _affine(affine)
    _share_mask(&pair.layout, mask_shape)
    with nogil:
        fd_apply_bits_affine(pair.dtype, pair.x.buf, pair.y.buf, &pair.layout,
                             <uint8_t *>mask.view.buf, &map)
