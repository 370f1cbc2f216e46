# --- Buffers of arrays: taken, compared, held ------------------------------------------------------

cdef extern from "Python.h":
    int _get_buffer "PyObject_GetBuffer"(object, Py_buffer *, int) noexcept


cdef bint _lends(array, Py_buffer *view, int flags) noexcept:
    """Takes an array's buffer with its strides, and what the flags ask for beside; False for none.

    Why there is none is forgotten. It costs less than to catch an exception.
    """
    if _get_buffer(array, view, PyBUF_STRIDES | flags) == 0:
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
    """Whether two arrays have one dtype and shape."""
    cdef int d
    if x.ndim != y.ndim or _dtype_of(x.format) != _dtype_of(y.format):
        return False
    for d in range(x.ndim):
        if x.shape[d] != y.shape[d]:
            return False
    return True


cdef bint _contiguous(const Py_buffer *x) noexcept:
    """Whether the elements lie one after the other, in C order."""
    return PyBuffer_IsContiguous(<Py_buffer *>x, c"C")


cdef bint _has_own_places(const Py_buffer *x) noexcept:
    """Whether each axis steps over all that those with shorter strides span.

    So no two elements share memory. Without that some still do not: see `_overlap.py`.
    """
    cdef Py_ssize_t reach = x.itemsize, stride
    cdef uint64_t seen = 0
    cdef int d, i, nearest
    if _contiguous(x):
        return True
    for i in range(x.ndim):
        nearest = -1
        for d in range(x.ndim):
            if not seen >> d & 1 and (nearest < 0 or abs(x.strides[d]) < abs(x.strides[nearest])):
                nearest = d
        seen |= <uint64_t>1 << nearest
        stride = abs(x.strides[nearest])
        if x.shape[nearest] > 1:
            if stride < reach:
                return False
            reach += stride * (x.shape[nearest] - 1)
    return True


cdef const char *_first_byte(const Py_buffer *x) noexcept:
    """The lowest address of an array that is not empty."""
    cdef const char *low = <const char *>x.buf
    cdef int d
    for d in range(x.ndim):
        if x.strides[d] < 0:
            low += x.strides[d] * (x.shape[d] - 1)
    return low


cdef const char *_end(const Py_buffer *x) noexcept:
    """The address behind the highest one."""
    cdef const char *high = <const char *>x.buf + x.itemsize
    cdef int d
    for d in range(x.ndim):
        if x.strides[d] > 0:
            high += x.strides[d] * (x.shape[d] - 1)
    return high


cdef bint _no_common_byte(const Py_buffer *x, const Py_buffer *y) noexcept:
    """Whether one array that is not empty ends in memory before the other begins."""
    return _end(x) <= _first_byte(y) or _end(y) <= _first_byte(x)


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
