# --- Norms of groups of numbers --------------------------------------------------------------------

cdef extern from "fastdrop.h" nogil:
    ctypedef struct fd_norms:
        size_t outer, n, inner
        Py_ssize_t outer_step, step
    void fd_max_norm(fd_dtype, void *w, const fd_norms *, double limit)


def max_norm_into(w, kind, double limit):
    cdef fd_dtype dtype = <fd_dtype><int>_dtypes[kind]
    cdef Py_buffer view
    cdef fd_norms norms
    PyObject_GetBuffer(w, &view, PyBUF_STRIDES | PyBUF_WRITABLE)
    try:
        norms.outer, norms.n, norms.inner = view.shape[0], view.shape[1], view.shape[2]
        norms.outer_step, norms.step = view.strides[0], view.strides[1]
        with nogil:
            fd_max_norm(dtype, view.buf, &norms, limit)
    finally:
        PyBuffer_Release(&view)
