# --- Norms of groups of numbers --------------------------------------------------------------------

cdef extern from "fastdrop.h" nogil:
    ctypedef struct fd_norms:
        size_t outer, n, inner
        Py_ssize_t outer_step, step
    void fd_max_norm(fd_dtype, void *w, const fd_norms *, double limit)


def max_norm_into(w, kind, double limit):
    cdef fd_dtype dtype = <fd_dtype><int>_dtypes[kind]
    cdef _Buffers buffers = _Buffers()
    cdef Py_buffer *view = buffers.hold(w, True)
    cdef fd_norms norms
    norms.outer, norms.n, norms.inner = view.shape[0], view.shape[1], view.shape[2]
    norms.outer_step, norms.step = view.strides[0], view.strides[1]
    with nogil:
        fd_max_norm(dtype, view.buf, &norms, limit)
