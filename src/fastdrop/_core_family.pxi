# --- Operations over several contiguous arrays -----------------------------------------------------

cdef extern from "fastdrop.h" nogil:
    void fd_dropout_add(fd_dtype, const void *x, const void *residual, void *y, size_t n,
                        const fd_key *, const fd_plan *, double scale)


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
