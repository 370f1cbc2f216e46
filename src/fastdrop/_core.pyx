# cython: language_level=3, freethreading_compatible=True, binding=True, always_allow_keywords=True
"""The binding: buffers in, GIL released, kernels out.

Beside the entry points that `backends.c` wraps, it holds what has to cost well under a
microsecond: `Key`, `Generator`, and the common case of every variant. Buffers are raw
`Py_buffer`s, because a typed memoryview costs more than the whole call. All that is rare or raises is
left to the Python modules: `stream` checks numbers and states, `pipeline` takes every other case.
"""

cimport cython
from cpython.buffer cimport (
    PyBUF_C_CONTIGUOUS, PyBUF_FORMAT, PyBUF_STRIDES, PyBUF_WRITABLE, PyBuffer_IsContiguous,
    PyBuffer_Release, PyObject_GetBuffer,
)
from cpython.exc cimport PyErr_Clear
from libc.stdint cimport UINT64_MAX, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

import os

import numpy as np

from fastdrop import _bias, _rates
from fastdrop import decisions as _decisions
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
    void fd_dropout_samples(fd_dtype, const void *x, void *y, const fd_layout *, size_t samples,
                            Py_ssize_t step, const fd_key *, const fd_plan *, double scale)
    size_t fd_drop_block_bits(uint8_t *, const fd_blocks *, const fd_key *, const fd_plan *)
    int fd_isa_count()
    const char *fd_isa_name(int)
    const char *fd_isa_reason(int)
    int fd_isa_active()
    int fd_isa_select(int)
    cpdef void set_num_threads "fd_set_num_threads"(int n)
    cpdef int get_num_threads "fd_get_num_threads"()
    # At most `n` threads for this thread's calls, 0 for no limit; returns what it was.
    cpdef int limit_threads "fd_limit_threads"(int n)
    # From how many bytes (of x and out) on out-of-place calls bypass the cache.
    cpdef void set_streaming_bytes "fd_set_streaming_bytes"(size_t n)
    cpdef size_t get_streaming_bytes "fd_get_streaming_bytes"()
    # Whether loops at memory speed prefetch; the results are the same.
    cpdef void set_prefetch "fd_set_prefetch"(bint on)
    cpdef bint get_prefetch "fd_get_prefetch"()
    # Whether this thread's calls write to memory that has just been allocated; what it was.
    cpdef bint fresh_outputs "fd_fresh_outputs"(bint fresh)


include "_native/key.pxi"


# --- What the fronts and the calls have in common --------------------------------------------------

cdef extern from *:
    """
    #include "run/shared.h"
    static FD_SHARED(int) fastdrop_fronts_enabled;
    """
    int _enabled "fastdrop_fronts_enabled"  # set_backend may write it while others call

cdef object _ndarray = np.ndarray
cdef object _float32 = np.float32
cdef object _empty = np.empty
cdef object _empty_like = np.empty_like

# Below this many elements a call is shorter than giving up and taking back the GIL.
cdef enum:
    GIL_ELEMENTS = 8192

def enable(on):
    """Whether the fast fronts may take a call: only while the c backend is the active one."""
    global _enabled
    _enabled = bool(on)


include "_native/buffers.pxi"
include "_native/backend.pxi"
include "_native/call.pxi"
include "_native/places.pxi"
include "_native/front.pxi"
include "_native/rows.pxi"
include "_native/tensor.pxi"
include "_native/softmax.pxi"
include "_native/products.pxi"
include "_native/capi.pxi"
include "_native/norm.pxi"
include "_native/xla.pxi"


# --- Instruction sets ------------------------------------------------------------------------------

def isas():
    """Every instruction set, best first: None where it can run, else why it cannot."""
    return {
        fd_isa_name(i).decode(): fd_isa_reason(i).decode() if fd_isa_reason(i) else None
        for i in range(fd_isa_count())
    }


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


if os.environ.get("FASTDROP_ISA"):
    set_isa(os.environ["FASTDROP_ISA"], "FASTDROP_ISA")
else:
    fd_isa_active()  # chosen here, while no other thread can be choosing

cdef object _prefetch = os.environ.get("FASTDROP_PREFETCH")
if _prefetch:
    if _prefetch not in ("0", "1"):
        raise ValueError(f"FASTDROP_PREFETCH has to be 0 or 1, but got {_prefetch!r}")
    set_prefetch(_prefetch == "1")
