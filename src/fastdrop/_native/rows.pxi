# --- The sum of a few rows: the gradient with respect to a bias ------------------------------------

# Rows that Python adds in the compute type; beyond them it adds blocks in float64.
cdef enum:
    FEW_ROWS = 128

ctypedef fused real:
    float
    double


cdef bint _add_rows(const real *x, size_t rows, size_t n, real *total) noexcept nogil:
    """The sum of rows of n numbers, in order; whether it is finite."""
    cdef size_t i, j
    cdef bint finite = True
    memcpy(total, x, n * sizeof(real))
    for i in range(1, rows):
        for j in range(n):
            total[j] += x[i * n + j]
    for j in range(n):
        total[j] += 0.0  # no -0.0
        finite = finite and total[j] - total[j] == 0
    return finite


cdef object _quick_sum(x):
    """The sum over all axes but the last of an array in C order, or None for the general path.

    That one also warns of what overflows, and adds rows of one number as NumPy does, in pairs.
    """
    cdef Py_buffer source, target
    cdef size_t n, size
    cdef int dtype
    cdef bint finite = False
    if type(x) is not _ndarray or not _lends(x, &source, PyBUF_FORMAT | PyBUF_C_CONTIGUOUS):
        return None
    try:
        dtype = _dtype_of(source.format)
        size = source.len // source.itemsize
        if source.ndim == 0 or size == 0 or size > GIL_ELEMENTS:
            return None
        n = source.shape[source.ndim - 1]
        if n == 1 or size > FEW_ROWS * n or (dtype != FD_f32 and dtype != FD_f64):
            return None
        total = _empty(n, x.dtype)
        if not _lends(total, &target, PyBUF_WRITABLE):
            return None
        if dtype == FD_f32:
            finite = _add_rows(<const float *>source.buf, size // n, n, <float *>target.buf)
        else:
            finite = _add_rows(<const double *>source.buf, size // n, n, <double *>target.buf)
        PyBuffer_Release(&target)
    finally:
        PyBuffer_Release(&source)
    return total if finite else None


def sum_front(general, default_generator):
    """The sum of rows: the common case compiled, every other one left to `general`."""

    def sum_of_rows(x):
        result = _quick_sum(x) if _enabled else None
        return general(x) if result is None else result
    return sum_of_rows
