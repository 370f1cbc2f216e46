# --- Buffers of arrays: taken, compared, held ------------------------------------------------------

cdef extern from "Python.h":
    int _get_buffer "PyObject_GetBuffer"(object, Py_buffer *, int) noexcept


cdef bint _lends(array, Py_buffer *view, int flags) noexcept:
    """Takes the buffer of a contiguous array, with what the flags ask for beside; False for none.

    Why there is none is forgotten. It costs less than to catch an exception.
    """
    if _get_buffer(array, view, PyBUF_C_CONTIGUOUS | flags) == 0:
        return True
    PyErr_Clear()
    return False


cdef int _dtype_of(const char *format) noexcept:
    """The dtype of a buffer with a one-letter format, or -1 (also for other byte orders)."""
    if format == NULL or format[0] == 0 or format[1] != 0:
        return -1
    if format[0] == c"f":
        return FD_f32
    if format[0] == c"d":
        return FD_f64
    if format[0] == c"e":
        return FD_f16
    return -1


cdef Py_ssize_t _size_of(int dtype) noexcept:
    """The bytes of an element."""
    return 8 if dtype == FD_f64 else 4 if dtype == FD_f32 else 2


cdef bint _like(const Py_buffer *x, const Py_buffer *y) noexcept:
    """Whether two contiguous arrays have one dtype and shape."""
    cdef int d
    if x.ndim != y.ndim or _dtype_of(x.format) != _dtype_of(y.format):
        return False
    for d in range(x.ndim):
        if x.shape[d] != y.shape[d]:
            return False
    return True


cdef bint _no_common_byte(const Py_buffer *x, const Py_buffer *y) noexcept:
    """Whether two contiguous arrays are apart in memory."""
    cdef const char *a = <const char *>x.buf
    cdef const char *b = <const char *>y.buf
    return a + x.len <= b or b + y.len <= a


cdef bint _apart(const Py_buffer *x, const Py_buffer *y) noexcept:
    """Whether y can take the result for x: the same dtype and shape, no byte in common."""
    return _like(x, y) and _no_common_byte(x, y)


@cython.final
cdef class _Buffers:
    """The buffers of a call's arrays, held while C computes with them."""

    cdef Py_buffer views[6]
    cdef int held

    cdef Py_buffer *hold(self, array, bint written=False, int flags=PyBUF_STRIDES) except NULL:
        cdef Py_buffer *view = &self.views[self.held]
        PyObject_GetBuffer(array, view, flags | (PyBUF_WRITABLE if written else 0))
        self.held += 1
        return view

    cdef void *memory(self, array, bint written=False) except? NULL:
        """The memory of a contiguous array; NULL for None."""
        return NULL if array is None else self.hold(array, written, PyBUF_C_CONTIGUOUS).buf

    def __dealloc__(self):
        while self.held:
            self.held -= 1
            PyBuffer_Release(&self.views[self.held])
