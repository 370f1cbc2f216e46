# cython: language_level=3, freethreading_compatible=True, binding=True, always_allow_keywords=True
"""The binding: buffers in, GIL released, kernels out.

Beside the entry points that `backends.c` wraps, it holds what has to cost well under a
microsecond: `Key`, `Generator`, and the common case of `dropout` and `dropout_`. Buffers are raw
`Py_buffer`s, because a typed memoryview costs more than the whole call. All that is rare or raises is
left to the Python modules: `stream` checks numbers and states, `elementwise` takes every other case.
"""

cimport cython
from cpython.buffer cimport (
    PyBUF_C_CONTIGUOUS, PyBUF_FORMAT, PyBUF_STRIDES, PyBUF_WRITABLE, PyBuffer_Release,
    PyObject_GetBuffer,
)
from libc.stdint cimport UINT64_MAX, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc

import os

import numpy as np

from fastdrop import stream as _stream


cdef extern from "fastdrop.h" nogil:
    enum:
        FD_MAX_DIMS
    ctypedef enum fd_dtype:
        FD_f32
        FD_f64
        FD_f16
        FD_bf16
    ctypedef struct fd_key:
        uint64_t seed, stream, offset
    ctypedef struct fd_plan:
        uint32_t threshold
        uint64_t fraction
    ctypedef struct fd_layout:
        int ndim
        size_t shape[64]
        Py_ssize_t x_strides[64]
        Py_ssize_t y_strides[64]
        Py_ssize_t mask_strides[64]
    ctypedef struct fd_blocks:
        size_t planes
        size_t shape[3]
        size_t block[3]
    fd_plan fd_plan_make(double p)
    double fd_scale_make(fd_dtype, double p)
    void fd_dropout(fd_dtype, const void *x, void *y, size_t n, const fd_key *, const fd_plan *,
                    double scale)
    void fd_dropout_strided(fd_dtype, const void *x, void *y, const fd_layout *, const fd_key *,
                            const fd_plan *, double scale)
    void fd_dropout_samples(fd_dtype, const void *x, void *y, const fd_layout *, size_t samples,
                            Py_ssize_t step, const fd_key *, const fd_plan *, double scale)
    void fd_apply_bits(fd_dtype, const void *x, void *y, const fd_layout *, const uint8_t *,
                       double scale)
    void fd_apply_bool(fd_dtype, const void *x, void *y, const fd_layout *, const uint8_t *,
                       double scale)
    void fd_scale(fd_dtype, const void *x, void *y, const fd_layout *, double scale)
    void fd_mask_bits(uint8_t *, size_t n, const fd_key *, const fd_plan *)
    void fd_mask_bool(uint8_t *, size_t n, const fd_key *, const fd_plan *)
    size_t fd_drop_block_bits(uint8_t *, const fd_blocks *, const fd_key *, const fd_plan *)
    int fd_isa_count()
    const char *fd_isa_name(int)
    const char *fd_isa_reason(int)
    int fd_isa_active()
    int fd_isa_select(int)
    void fd_set_num_threads(int)
    int fd_get_num_threads()
    int fd_limit_threads(int)
    void fd_set_streaming_bytes(size_t)
    size_t fd_get_streaming_bytes()
    int fd_fresh_outputs(int)


include "_core_key.pxi"


# --- The common case of dropout and dropout_ -------------------------------------------------------

cdef extern from *:
    """
    #include "shared.h"
    static FD_SHARED(int) fastdrop_fronts_enabled;
    """
    int _enabled "fastdrop_fronts_enabled"  # set_backend may write it while others call

cdef object _ndarray = np.ndarray
cdef object _empty_like = np.empty_like
cdef object _general = None  # fastdrop.elementwise
cdef object _default_generator = None

# Below this many elements a call is shorter than giving up and taking back the GIL.
cdef enum:
    GIL_ELEMENTS = 8192

# Shared masks of at most so many bytes need no memory of their own.
cdef enum:
    FEW_BYTES = 512


def attach(general, default_generator):
    """What the fronts need of modules that import this one: once, while fastdrop is imported."""
    global _general, _default_generator
    _general = general
    _default_generator = default_generator


def enable(on):
    """Whether the fast fronts may take a call: only while the c backend is the active one."""
    global _enabled
    _enabled = bool(on)


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


cdef bint _apart(Py_buffer *x, Py_buffer *y) noexcept:
    """Whether y can take the result for x: the same dtype and shape, no byte in common."""
    cdef const char *a = <const char *>x.buf
    cdef const char *b = <const char *>y.buf
    cdef int d
    if x.ndim != y.ndim or _dtype_of(x.format) != _dtype_of(y.format):
        return False
    for d in range(x.ndim):
        if x.shape[d] != y.shape[d]:
            return False
    return a + x.len <= b or b + y.len <= a


cdef bint _noise_layout(noise_shape, const Py_buffer *x, fd_layout *layout, size_t *n):
    """The layout of x, which is contiguous, under a mask of that shape, and the mask's elements.

    A result has the same strides. False where the shape is no tuple of int and None that x allows.
    """
    cdef Py_ssize_t stride = 1, length
    cdef int d, missing
    if type(noise_shape) is not tuple or len(<tuple>noise_shape) > <size_t>x.ndim:
        return False
    missing = x.ndim - <int>len(<tuple>noise_shape)
    layout.ndim = x.ndim
    for d in range(x.ndim - 1, -1, -1):
        layout.shape[d] = x.shape[d]
        layout.x_strides[d] = layout.y_strides[d] = x.strides[d]
        layout.mask_strides[d] = 0
        if d < missing:
            continue
        axis = (<tuple>noise_shape)[d - missing]
        if axis is not None:
            if type(axis) is not int:
                return False
            if axis == 1:
                continue
            if axis != x.shape[d]:
                return False
        length = x.shape[d]
        if length != 1:
            layout.mask_strides[d] = stride
            stride *= length
    n[0] = stride
    return True


cdef void _compute(
    fd_dtype dtype, const void *x, void *y, size_t n, const fd_layout *layout, uint8_t *bits,
    size_t positions, const fd_key *key, const fd_plan *plan, double scale,
) noexcept nogil:
    """Dropout, by way of a small mask in `bits` where there is one."""
    if bits == NULL:
        fd_dropout(dtype, x, y, n, key, plan, scale)
    else:
        fd_mask_bits(bits, positions, key, plan)
        fd_apply_bits(dtype, x, y, layout, bits, scale)


cdef object _fast(x, p, rng, out, noise_shape):
    """The result, or None where this is not the common case: the general path then decides.

    The common case: contiguous native arrays, p a float in [0, 1), a fastdrop generator or key, a
    new result, one in place or one apart, any shape of the mask. Nothing is reserved or written
    before that is certain.
    """
    cdef double probability, scale
    cdef Py_buffer source, target
    cdef int dtype
    cdef size_t n, positions
    cdef fd_key key
    cdef fd_plan plan
    cdef fd_layout layout
    cdef uint8_t few_bits[FEW_BYTES]
    cdef uint8_t *bits = NULL
    cdef bint in_place = out is x, has_target = False
    cdef int before, fresh = out is None
    cdef const void *from_
    cdef void *to
    if type(x) is not _ndarray or type(p) is not float:
        return None
    probability = p
    if not 0.0 <= probability < 1.0:
        return None
    if rng is None:
        rng = _default_generator()
    if type(rng) is not Generator and type(rng) is not Key:
        return None
    if not in_place and out is not None and type(out) is not _ndarray:
        return None
    try:
        PyObject_GetBuffer(
            x, &source, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT | (PyBUF_WRITABLE if in_place else 0)
        )
    except Exception:  # not contiguous, read-only, bfloat16: each has its own word elsewhere
        return None
    try:
        dtype = _dtype_of(source.format)
        n = source.len // source.itemsize
        if dtype < 0 or n == 0:
            return None
        positions = n
        if noise_shape is not None:
            if not _noise_layout(noise_shape, &source, &layout, &positions):
                return None
            if positions < n:
                if positions <= 8 * FEW_BYTES:
                    bits = &few_bits[0]
                else:
                    bits = <uint8_t *>malloc((positions + 7) // 8)
                if bits == NULL:
                    return None
        from_ = to = source.buf
        if not in_place:
            if out is None:
                out = _empty_like(x)
            try:
                PyObject_GetBuffer(out, &target, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT | PyBUF_WRITABLE)
            except Exception:
                return None
            has_target = True
            to = target.buf
            if not _apart(&source, &target):
                return None
        if type(rng) is Generator:
            if not (<Generator>rng)._take(positions, &key):
                return None
        else:
            key = (<Key>rng).key
            if positions - 1 > UINT64_MAX - key.offset:
                return None
        plan = fd_plan_make(probability)
        scale = fd_scale_make(<fd_dtype>dtype, probability)
        if n < GIL_ELEMENTS:
            _compute(<fd_dtype>dtype, from_, to, n, &layout, bits, positions, &key, &plan, scale)
        else:
            with nogil:
                before = fd_fresh_outputs(fresh)
                _compute(
                    <fd_dtype>dtype, from_, to, n, &layout, bits, positions, &key, &plan, scale
                )
                fd_fresh_outputs(before)
    finally:
        if bits != &few_bits[0]:
            free(bits)
        PyBuffer_Release(&source)
        if has_target:
            PyBuffer_Release(&target)
    return out


def dropout(x, p=0.5, training=True, *, rng=None, out=None, noise_shape=None, mode="inverted"):
    if _enabled and training is True and mode is "inverted":
        result = _fast(x, p, rng, out, noise_shape)
        if result is not None:
            return result
    return _general.dropout(
        x, p, training, rng=rng, out=out, noise_shape=noise_shape, mode=mode
    )


def dropout_(x, p=0.5, training=True, *, rng=None, noise_shape=None, mode="inverted"):
    if _enabled and training is True and mode is "inverted":
        if _fast(x, p, rng, x, noise_shape) is not None:
            return x
    return _general.dropout_(
        x, p, training, rng=rng, noise_shape=noise_shape, mode=mode
    )


include "_core_backend.pxi"
include "_core_family.pxi"
include "_core_tensor.pxi"
include "_core_act.pxi"
include "_core_softmax.pxi"
include "_core_products.pxi"
include "_core_capi.pxi"
include "_core_norm.pxi"


# --- Instruction sets, threads, streaming ----------------------------------------------------------

def isas():
    """Every instruction set, best first: None where it can run, else why it cannot."""
    cdef int i
    cdef const char *reason
    sets = {}
    for i in range(fd_isa_count()):
        reason = fd_isa_reason(i)
        sets[fd_isa_name(i).decode()] = None if reason == NULL else reason.decode()
    return sets


def get_isa():
    """The instruction set in use."""
    return fd_isa_name(fd_isa_active()).decode()


def set_isa(name, source="isa"):
    """Use the instruction set `name`; ValueError for an unknown name, RuntimeError if it cannot."""
    sets = isas()
    if name not in sets:
        raise ValueError(f"{source} has to be one of {', '.join(sets)}, but got {name!r}")
    if fd_isa_select(list(sets).index(name)):
        raise RuntimeError(f"{source}={name}, but it cannot run here: {sets[name]}")


def set_num_threads(int n):
    fd_set_num_threads(n)


def get_num_threads():
    return fd_get_num_threads()


def set_streaming_bytes(size_t n):
    """From how many bytes (of x and out) on out-of-place calls bypass the cache."""
    fd_set_streaming_bytes(n)


def get_streaming_bytes():
    return fd_get_streaming_bytes()


if os.environ.get("FASTDROP_ISA"):
    set_isa(os.environ["FASTDROP_ISA"], "FASTDROP_ISA")
else:
    fd_isa_active()  # chosen here, while no other thread can be choosing
