# --- Products of contiguous matrices with masks ----------------------------------------------------

cdef extern from "fastdrop.h" nogil:
    void fd_dropconnect(fd_dtype, const void *x, const void *w, const void *bias, void *y,
                        size_t samples, size_t outputs, size_t inputs, int shared, const fd_key *,
                        const fd_plan *, double scale)
    void fd_dropconnect_dx(fd_dtype, const void *dy, const void *w, void *dx, size_t samples,
                           size_t outputs, size_t inputs, int shared, const fd_key *,
                           const fd_plan *, double scale)
    void fd_dropconnect_dw(fd_dtype, const void *dy, const void *x, void *dw, size_t samples,
                           size_t outputs, size_t inputs, int shared, const fd_key *,
                           const fd_plan *, double scale)

ctypedef void (*product)(fd_dtype, const void *, const void *, void *, size_t, size_t, size_t, int,
                         const fd_key *, const fd_plan *, double) noexcept nogil


cdef int _product(
    product gradient, a, b, bias, out, weights, kind, key, plan, bint shared
) except -1:
    """A gradient, or, without one, the output; `weights` are of their shape."""
    cdef fd_dtype dtype = <fd_dtype><int>_dtypes[kind]
    cdef drawn d = _drawn(key, plan)
    cdef _Buffers buffers = _Buffers()
    cdef const void *x = buffers.memory(a)
    cdef const void *w = buffers.memory(b)
    cdef const void *c = buffers.memory(bias)
    cdef void *y = buffers.memory(out, True)
    cdef size_t samples = a.shape[0], outputs = weights.shape[0], inputs = weights.shape[1]
    with nogil:
        if gradient == NULL:
            fd_dropconnect(dtype, x, w, c, y, samples, outputs, inputs, shared, &d.key, &d.plan,
                           d.scale)
        else:
            gradient(dtype, x, w, y, samples, outputs, inputs, shared, &d.key, &d.plan, d.scale)
    return 0


def dropconnect_into(x, w, bias, y, kind, key, plan, bint shared):
    _product(NULL, x, w, bias, y, w, kind, key, plan, shared)


def dropconnect_dx_into(dy, w, dx, kind, key, plan, bint shared):
    _product(fd_dropconnect_dx, dy, w, None, dx, w, kind, key, plan, shared)


def dropconnect_dw_into(dy, x, dw, kind, key, plan, bint shared):
    _product(fd_dropconnect_dw, dy, x, None, dw, dw, kind, key, plan, shared)
