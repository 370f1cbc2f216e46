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


def dropconnect_into(x, w, bias, out, kind, key, plan, bint shared):
    cdef fd_dtype dtype = <fd_dtype><int>_dtypes[kind]
    cdef _Span a = _Span(x), b = _Span(w), y = _Span(out, True)
    cdef _Span c = None if bias is None else _Span(bias)
    cdef const void *bias_ = NULL if bias is None else c.view.buf
    cdef fd_key k = _key(key)
    cdef fd_plan p = _plan(plan)
    cdef double scale = plan.scale
    cdef size_t samples = x.shape[0], outputs = w.shape[0], inputs = w.shape[1]
    with nogil:
        fd_dropconnect(dtype, a.view.buf, b.view.buf, bias_, y.view.buf, samples, outputs, inputs,
                       shared, &k, &p, scale)


def dropconnect_dx_into(dy, w, dx, kind, key, plan, bint shared):
    cdef fd_dtype dtype = <fd_dtype><int>_dtypes[kind]
    cdef _Span a = _Span(dy), b = _Span(w), y = _Span(dx, True)
    cdef fd_key k = _key(key)
    cdef fd_plan p = _plan(plan)
    cdef double scale = plan.scale
    cdef size_t samples = dy.shape[0], outputs = w.shape[0], inputs = w.shape[1]
    with nogil:
        fd_dropconnect_dx(dtype, a.view.buf, b.view.buf, y.view.buf, samples, outputs, inputs,
                          shared, &k, &p, scale)


def dropconnect_dw_into(dy, x, dw, kind, key, plan, bint shared):
    cdef fd_dtype dtype = <fd_dtype><int>_dtypes[kind]
    cdef _Span a = _Span(dy), b = _Span(x), y = _Span(dw, True)
    cdef fd_key k = _key(key)
    cdef fd_plan p = _plan(plan)
    cdef double scale = plan.scale
    cdef size_t samples = x.shape[0], outputs = dw.shape[0], inputs = dw.shape[1]
    with nogil:
        fd_dropconnect_dw(dtype, a.view.buf, b.view.buf, y.view.buf, samples, outputs, inputs,
                          shared, &k, &p, scale)
