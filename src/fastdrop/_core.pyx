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
    fd_plan fd_plan_make(double p)
    void fd_dropout(fd_dtype, const void *x, void *y, size_t n, const fd_key *, const fd_plan *,
                    double scale)
    void fd_dropout_strided(fd_dtype, const void *x, void *y, const fd_layout *, const fd_key *,
                            const fd_plan *, double scale)
    void fd_apply_bits(fd_dtype, const void *x, void *y, const fd_layout *, const uint8_t *,
                       double scale)
    void fd_apply_bool(fd_dtype, const void *x, void *y, const fd_layout *, const uint8_t *,
                       double scale)
    void fd_scale(fd_dtype, const void *x, void *y, const fd_layout *, double scale)
    void fd_mask_bits(uint8_t *, size_t n, const fd_key *, const fd_plan *)
    void fd_mask_bool(uint8_t *, size_t n, const fd_key *, const fd_plan *)
    int fd_isa_count()
    const char *fd_isa_name(int)
    const char *fd_isa_reason(int)
    int fd_isa_active()
    int fd_isa_select(int)
    void fd_set_num_threads(int)
    int fd_get_num_threads()
    void fd_set_streaming_bytes(size_t)
    size_t fd_get_streaming_bytes()


# --- Keys and generators: the compiled twins of those in stream.py ---------------------------------

@cython.final
cdef class Key:
    # Set in __cinit__ alone, which runs once: that makes it immutable.
    cdef fd_key key

    def __cinit__(self, seed, stream=0, offset=0):
        self.key.seed = _stream._word("seed", seed)
        self.key.stream = _stream._word("stream", stream)
        self.key.offset = _stream._word("offset", offset)

    @property
    def seed(self):
        return self.key.seed

    @property
    def stream(self):
        return self.key.stream

    @property
    def offset(self):
        return self.key.offset

    @property
    def state(self):
        return {
            "version": _stream.VERSION,
            "seed": self.key.seed,
            "stream": self.key.stream,
            "offset": self.key.offset,
        }

    @classmethod
    def from_state(cls, state):
        return cls(*_stream._entries(state, ("seed", "stream", "offset")))

    def __eq__(self, other):
        if type(other) is not Key:
            return NotImplemented
        cdef Key key = <Key>other
        return (self.key.seed == key.key.seed and self.key.stream == key.key.stream
                and self.key.offset == key.key.offset)

    def __hash__(self):
        return hash((self.key.seed, self.key.stream, self.key.offset))

    def __repr__(self):
        return f"Key(seed={self.key.seed}, stream={self.key.stream}, offset={self.key.offset})"

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self

    def __reduce__(self):
        from fastdrop._rng import _restore_key

        return _restore_key, (self.state,)


@cython.final
cdef class Generator:
    # The first position is `next_block * 4096 + within`: a number that also holds 2**64, where the
    # stream is used up.
    cdef uint64_t _seed, _stream, _spawned
    cdef uint64_t _next_block, _within
    cdef object __weakref__

    def __init__(self, seed=None, stream=0, offset=0):
        seed = _stream.secrets.randbits(64) if seed is None else _stream._word("seed", seed)
        stream = _stream._word("stream", stream)
        offset = _stream._word("offset", offset)
        self._set(seed, stream, offset, 0)

    cdef int _set(self, seed, stream, offset, spawned) except -1:
        with cython.critical_section(self):
            self._seed = seed
            self._stream = stream
            self._next_block = offset >> 12
            self._within = offset & 4095
            self._spawned = spawned
        return 0

    cdef object _offset(self):
        return (int(self._next_block) << 12) + int(self._within)

    cdef bint _take(self, uint64_t n, fd_key *key) noexcept:
        """Reserves n >= 1 positions; False, and nothing moved, where they would pass 2**64."""
        cdef bint fits
        with cython.critical_section(self):
            key.seed = self._seed
            key.stream = self._stream
            key.offset = (self._next_block << 12) + self._within
            fits = self._next_block >> 52 == 0 and n - 1 <= UINT64_MAX - key.offset
            if fits:
                self._next_block = ((key.offset + (n - 1)) >> 12) + 1
                self._within = 0
        return fits

    @property
    def seed(self):
        return self._seed

    @property
    def stream(self):
        return self._stream

    @property
    def offset(self):
        return self._offset()

    @property
    def spawned(self):
        return self._spawned

    def reserve(self, n):
        cdef fd_key key
        cdef object offset
        count = _stream._integer("n", n)
        if count < 0:
            raise ValueError(f"n has to be at least 0, but got {count}")
        if count == 0:
            with cython.critical_section(self):
                offset = self._offset()
                key.seed = self._seed
                key.stream = self._stream
            return Key(key.seed, key.stream, offset % 2**64)
        if count > UINT64_MAX or not self._take(count, &key):
            raise OverflowError(
                f"{count} positions from offset {self._offset()} would pass 2**64"
            )
        return Key(key.seed, key.stream, key.offset)

    def spawn(self, n):
        cdef uint64_t first, seed, stream
        cdef bint fits
        count = _stream._integer("n", n)
        if count < 0:
            raise ValueError(f"n has to be at least 0, but got {count}")
        with cython.critical_section(self):
            first = self._spawned
            seed = self._seed
            stream = self._stream
            fits = count <= UINT64_MAX - first
            if fits:
                self._spawned = first + <uint64_t>count
        if not fits:
            raise OverflowError(f"{count} children after {first} would pass 2**64 - 1")
        return [
            Generator(seed, _stream.child_stream(stream, i)) for i in range(first, first + count)
        ]

    @property
    def state(self):
        cdef uint64_t seed, stream, spawned, block, within
        with cython.critical_section(self):
            seed, stream, spawned = self._seed, self._stream, self._spawned
            block, within = self._next_block, self._within
        return {
            "version": _stream.VERSION,
            "seed": seed,
            "stream": stream,
            "offset": (int(block) << 12) + int(within),
            "spawned": spawned,
        }

    @state.setter
    def state(self, state):
        seed, stream, offset, spawned = _stream._entries(
            state, ("seed", "stream", "offset", "spawned")
        )
        seed, stream = _stream._word("seed", seed), _stream._word("stream", stream)
        offset = _stream._word("offset", offset, 2**64)  # 2**64: used up
        self._set(seed, stream, offset, _stream._word("spawned", spawned))

    def __repr__(self):
        return f"Generator(seed={self._seed}, stream={self._stream}, offset={self._offset()})"

    def __copy__(self):
        twin = Generator(0)
        twin.state = self.state
        return twin

    def __deepcopy__(self, memo):
        return self.__copy__()

    def __reduce__(self):
        from fastdrop._rng import _restore_generator

        return _restore_generator, (self.state,)


# --- The common case of dropout and dropout_ -------------------------------------------------------

cdef bint _enabled = False
cdef object _ndarray = np.ndarray
cdef object _empty_like = np.empty_like
cdef object _general = None  # fastdrop.elementwise
cdef object _default_generator = None

# Below this many elements a call is shorter than giving up and taking back the GIL.
cdef enum:
    GIL_ELEMENTS = 8192


def enable(on):
    """Whether the fast fronts may take a call: only while the c backend is the active one."""
    global _enabled, _general, _default_generator
    from fastdrop import _rng, elementwise

    _general = elementwise
    _default_generator = _rng.default_generator
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


cdef object _fast(x, p, rng, out):
    """The result, or None where this is not the common case: the general path then decides.

    The common case: a contiguous native array, p a float in [0, 1), a fastdrop generator or key, a
    new result or one in place. Nothing is reserved or written before that is certain.
    """
    cdef double probability, scale
    cdef Py_buffer source, target
    cdef int dtype
    cdef size_t n
    cdef fd_key key
    cdef fd_plan plan
    cdef bint in_place = out is x
    cdef const void *from_
    cdef void *to
    if type(x) is not _ndarray or type(p) is not float or not (in_place or out is None):
        return None
    probability = p
    if not 0.0 <= probability < 1.0:
        return None
    if rng is None:
        rng = _default_generator()
    if type(rng) is not Generator and type(rng) is not Key:
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
        from_ = to = source.buf
        if not in_place:
            out = _empty_like(x)
            PyObject_GetBuffer(out, &target, PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE)
            to = target.buf
            PyBuffer_Release(&target)  # `out` keeps the memory: nobody else knows of it yet
        if type(rng) is Generator:
            if not (<Generator>rng)._take(n, &key):
                return None
        else:
            key = (<Key>rng).key
            if n - 1 > UINT64_MAX - key.offset:
                return None
        plan = fd_plan_make(probability)
        scale = 1.0 / (1.0 - probability)
        if dtype != FD_f64:
            scale = <float>scale
        if n < GIL_ELEMENTS:
            fd_dropout(<fd_dtype>dtype, from_, to, n, &key, &plan, scale)
        else:
            with nogil:
                fd_dropout(<fd_dtype>dtype, from_, to, n, &key, &plan, scale)
    finally:
        PyBuffer_Release(&source)
    return out


def dropout(x, p=0.5, training=True, *, rng=None, out=None, noise_shape=None, mode="inverted"):
    if _enabled and training is True and noise_shape is None and mode is "inverted":
        result = _fast(x, p, rng, out)
        if result is not None:
            return result
    return _general_module().dropout(
        x, p, training, rng=rng, out=out, noise_shape=noise_shape, mode=mode
    )


def dropout_(x, p=0.5, training=True, *, rng=None, noise_shape=None, mode="inverted"):
    if _enabled and training is True and noise_shape is None and mode is "inverted":
        if _fast(x, p, rng, x) is not None:
            return x
    return _general_module().dropout_(
        x, p, training, rng=rng, noise_shape=noise_shape, mode=mode
    )


cdef object _general_module():
    if _general is None:
        from fastdrop import elementwise

        return elementwise
    return _general


# --- What backends/c.py wraps: arrays checked, any strides -----------------------------------------

cdef dict _dtypes = {
    "float32": FD_f32, "float64": FD_f64, "float16": FD_f16, "bfloat16": FD_bf16,
}


cdef fd_key _key(key) except *:
    cdef fd_key k
    k.seed, k.stream, k.offset = key.seed, key.stream, key.offset
    return k


cdef fd_plan _plan(plan) except *:
    cdef fd_plan c
    c.threshold, c.fraction = plan.threshold, plan.fraction
    return c


@cython.final
cdef class _Pair:
    """The buffers of x and out, and the layout they have together."""

    cdef Py_buffer x, y
    cdef bint has_x, has_y
    cdef fd_layout layout
    cdef fd_dtype dtype

    def __cinit__(self, x, out, kind):
        cdef int d
        self.dtype = <fd_dtype><int>_dtypes[kind]
        PyObject_GetBuffer(x, &self.x, PyBUF_STRIDES)
        self.has_x = True
        PyObject_GetBuffer(out, &self.y, PyBUF_STRIDES | PyBUF_WRITABLE)
        self.has_y = True
        self.layout.ndim = self.x.ndim
        for d in range(self.x.ndim):
            self.layout.shape[d] = self.x.shape[d]
            self.layout.x_strides[d] = self.x.strides[d]
            self.layout.y_strides[d] = self.y.strides[d]
            self.layout.mask_strides[d] = 0

    def __dealloc__(self):
        if self.has_x:
            PyBuffer_Release(&self.x)
        if self.has_y:
            PyBuffer_Release(&self.y)


def dropout_into(x, out, kind, key, plan):
    cdef _Pair pair = _Pair(x, out, kind)
    cdef fd_key k = _key(key)
    cdef fd_plan c = _plan(plan)
    cdef double scale = plan.scale
    with nogil:
        fd_dropout_strided(pair.dtype, pair.x.buf, pair.y.buf, &pair.layout, &k, &c, scale)


def apply_packed_into(x, out, kind, bits, mask_shape, double scale):
    cdef _Pair pair = _Pair(x, out, kind)
    cdef Py_buffer mask
    cdef Py_ssize_t stride = 1
    cdef int d
    for d in range(pair.layout.ndim - 1, -1, -1):
        if mask_shape[d] != 1:
            pair.layout.mask_strides[d] = stride
            stride *= mask_shape[d]
    PyObject_GetBuffer(bits, &mask, PyBUF_C_CONTIGUOUS)
    with nogil:
        fd_apply_bits(pair.dtype, pair.x.buf, pair.y.buf, &pair.layout, <uint8_t *>mask.buf, scale)
    PyBuffer_Release(&mask)


def apply_bool_into(x, out, kind, mask, double scale):
    cdef _Pair pair = _Pair(x, out, kind)
    cdef Py_buffer view
    cdef int d
    PyObject_GetBuffer(mask, &view, PyBUF_STRIDES)
    for d in range(pair.layout.ndim):
        pair.layout.mask_strides[d] = view.strides[d]
    with nogil:
        fd_apply_bool(pair.dtype, pair.x.buf, pair.y.buf, &pair.layout, <uint8_t *>view.buf, scale)
    PyBuffer_Release(&view)


def scale_into(x, out, kind, double scale):
    cdef _Pair pair = _Pair(x, out, kind)
    with nogil:
        fd_scale(pair.dtype, pair.x.buf, pair.y.buf, &pair.layout, scale)


def mask_packed_into(out, size_t n, key, plan):
    cdef fd_key k = _key(key)
    cdef fd_plan c = _plan(plan)
    cdef Py_buffer view
    PyObject_GetBuffer(out, &view, PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE)
    with nogil:
        fd_mask_bits(<uint8_t *>view.buf, n, &k, &c)
    PyBuffer_Release(&view)


def mask_bool_into(out, key, plan):
    cdef fd_key k = _key(key)
    cdef fd_plan c = _plan(plan)
    cdef Py_buffer view
    PyObject_GetBuffer(out, &view, PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE)
    with nogil:
        fd_mask_bool(<uint8_t *>view.buf, view.len, &k, &c)
    PyBuffer_Release(&view)


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
