# --- The common case of every variant, without Python's part of the pipeline -----------------------

# Shared masks of at most so many bytes need no memory of their own.
cdef enum:
    FEW_BYTES = 512

cdef tuple _kinds = ("float32", "float64", "float16", "bfloat16")  # by fd_dtype


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


cdef bint _shared_axes(noise_shape, const Py_buffer *x, fd_axes *axes, size_t *n):
    """The axes of x, which is contiguous, with decisions of that shape, and how many these are.

    Every operand has the same strides. False where the shape is no tuple of int and None that x
    allows.
    """
    cdef Py_ssize_t step = 1, length
    cdef int d, i, missing
    if type(noise_shape) is not tuple or len(<tuple>noise_shape) > <size_t>x.ndim:
        return False
    missing = x.ndim - <int>len(<tuple>noise_shape)
    axes.ndim = x.ndim
    for d in range(x.ndim - 1, -1, -1):
        length = x.shape[d]
        axes.shape[d] = length
        for i in range(axes.operands):
            axes.strides[i][d] = x.strides[d]
        axes.steps[d] = 0
        if d < missing:
            continue
        axis = (<tuple>noise_shape)[d - missing]
        if axis is not None:
            if type(axis) is not int:
                return False
            if axis == 1:
                continue
            if axis != length:
                return False
        if length != 1:
            axes.steps[d] = step
            step *= length
    n[0] = step
    return True


@cython.final
cdef class _Rate:
    """What a variant makes of one p for one dtype; immutable."""

    cdef double p
    cdef fd_dtype dtype
    cdef fd_plan plan
    cdef double numbers[3]


@cython.final
@cython.auto_pickle(False)
cdef class Front:
    """The compiled front of one variant: its declaration, and the rate of its last call."""

    cdef object variant, rate, decisions
    cdef int operation, operands, results, block_axes
    cdef size_t positions  # of the stream that a decision takes
    cdef bint repeats, identity
    cdef _Rate last
    cdef dict shapes  # of decisions, by the array's shape and the option

    def __init__(self, variant):
        self.variant, self.rate, self.decisions = variant, variant.rate, variant.decisions
        self.operation = _operations[variant.operation]
        self.positions = 2 if variant.operation.startswith("noise") else 1
        self.operands, self.results = len(variant.operands), variant.results
        self.repeats, self.identity = variant.repeats, variant.evaluation is None
        self.block_axes = variant.block_axes
        self.shapes = {}

    cdef _Rate rate_of(self, p, fd_dtype dtype):
        """The rate, or None where p is not what the variant takes."""
        cdef _Rate rate
        cdef int i
        with cython.critical_section(self):
            rate = self.last
        if rate is not None and rate.p == <double>p and rate.dtype == dtype:
            return rate
        try:
            plan, numbers = self.rate(p, _kinds[dtype])
        except (TypeError, ValueError):
            return None
        rate = _Rate()
        rate.p, rate.dtype = p, dtype
        if plan is not None:
            rate.plan = _plan(plan)
        for i in range(len(<tuple>numbers)):
            rate.numbers[i] = (<tuple>numbers)[i]
        with cython.critical_section(self):
            self.last = rate
        return rate


    cdef object shape_of(self, x, tuple option):
        """The shape of the decisions for `x`; raises what is wrong with it or with the option."""
        # Of other types some numbers are equal to an integer and no option: True, 1.0.
        if option and type(option[0]) is not int and type(option[0]) is not str:
            return self.decisions(x, *option)
        known = (x.shape, option)
        shape = self.shapes.get(known)
        if shape is None:
            shape = self.decisions(x, *option)
            if len(self.shapes) >= 64:
                self.shapes.clear()
            self.shapes[known] = shape
        return shape


cdef void *_lengthened(const Py_buffer *bias, fd_dtype dtype, size_t n, fd_bias *c):
    """A bias, or what changes nothing, as an operation on n elements reads it: to be freed."""
    cdef size_t size = 8 if dtype == FD_f64 else 4 if dtype == FD_f32 else 2
    cdef size_t length = 1 if bias == NULL else <size_t>bias.shape[0]
    cdef size_t i, total = length + (n if n < 4096 else 4096)
    cdef char *values = <char *>malloc(total * size)
    if values == NULL:
        return NULL
    if bias != NULL:
        memcpy(values, bias.buf, length * size)
    elif dtype == FD_f64:
        (<double *>values)[0] = -0.0
    elif dtype == FD_f32:
        (<float *>values)[0] = -0.0
    else:
        (<uint16_t *>values)[0] = 0x8000
    for i in range(length, total):
        memcpy(values + i * size, values + (i - length) * size, size)
    c.values, c.n, c.column = values, length, 0
    return values


cdef bint _reserve(rng, size_t positions, fd_key *key) noexcept:
    """The positions of a generator or key; False, and nothing moved, where the stream ends."""
    if type(rng) is Generator:
        return (<Generator>rng)._take(positions, key)
    key[0] = (<Key>rng).key
    return positions - 1 <= UINT64_MAX - key.offset


cdef size_t _blocks_of(const Py_buffer *x, corners, int axes, fd_blocks *blocks) except 0:
    """The planes and blocks of DropBlock for x, by the shape of its blocks' corners; how many."""
    cdef int d, from_ = x.ndim - axes
    cdef size_t positions = 1
    cdef Py_ssize_t block = x.shape[from_] - <Py_ssize_t>(<tuple>corners)[from_] + 1
    blocks.planes = 1
    for d in range(x.ndim):
        positions *= <size_t>(<tuple>corners)[d]
        if d < from_:
            blocks.planes *= x.shape[d]
    for d in range(3):
        blocks.shape[d] = x.shape[x.ndim - 3 + d] if d >= 3 - axes else 1
        blocks.block[d] = block if d >= 3 - axes else 1
    return positions


cdef object _quick(
    Front front, x, second, p, bint training, rng, out, noise_shape, tuple option, act,
    default_generator,
):
    """The result, or None where this is not the common case: the general path then decides.

    The common case: contiguous native arrays, p a float, a fastdrop generator or key, a new result,
    one in place or one apart. Nothing is reserved or written before that is certain.
    """
    cdef Py_buffer views[4]
    cdef Py_buffer *source = &views[0]
    cdef Py_buffer *target
    cdef Py_buffer *bias = NULL
    cdef int held = 0, i
    cdef fd_call c
    cdef size_t n, positions, kept
    cdef fd_blocks blocks
    cdef uint8_t few_bits[FEW_BYTES]
    cdef void *memory = NULL
    cdef _Rate rate
    cdef bint in_place = out is x
    cdef int before, fresh = out is None, dtype
    if type(x) is not _ndarray or type(p) is not float:
        return None
    if rng is None:
        rng = default_generator()
    if type(rng) is not Key and (front.repeats or type(rng) is not Generator):
        return None
    if out is not None and not in_place and type(out) is not _ndarray:
        return None
    try:
        try:
            PyObject_GetBuffer(
                x, source, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT | (PyBUF_WRITABLE if in_place else 0)
            )
            held = 1
            if front.operands == 2:
                if type(second) is not _ndarray:
                    return None
                PyObject_GetBuffer(second, &views[1], PyBUF_C_CONTIGUOUS | PyBUF_FORMAT)
                held = 2
        except Exception:  # not contiguous, read-only, bfloat16: each has its own word elsewhere
            return None
        dtype = _dtype_of(source.format)
        n = positions = source.len // source.itemsize
        if dtype < 0 or n == 0 or (held == 2 and not _like(source, &views[1])):
            return None
        _begin(&c, front.operation, dtype)
        rate = front.rate_of(p, c.dtype)
        if rate is None:
            return None
        if front.decisions is not None:
            noise_shape = front.shape_of(x, option)
        if not training:
            # All else that can be wrong is checked by the general path.
            return x if front.identity and fresh else None
        _flat(&c.axes, n, source.itemsize)
        if front.block_axes:
            # Each decision is for the corner of a block, which is spread over its elements.
            positions = _blocks_of(source, noise_shape, front.block_axes, &blocks)
            c.plan = _plan(_rates.make_block_plan(
                p, x.shape[source.ndim - front.block_axes:], blocks.block[2]
            ))
            memory = malloc((n + 7) // 8)
            if memory == NULL:
                return None
            c.bits = <uint8_t *>memory
        elif noise_shape is not None:
            if not _shared_axes(noise_shape, source, &c.axes, &positions):
                return None
            if positions < n and front.positions == 1:
                if positions <= 8 * FEW_BYTES:
                    c.bits = &few_bits[0]
                else:
                    memory = malloc((positions + 7) // 8)
                    if memory == NULL:
                        return None
                    c.bits = <uint8_t *>memory
        if act is not None:
            name, values = act
            if type(name) is not str or name not in _acts or n > GIL_ELEMENTS:
                return None
            if values is not None:
                if type(values) is not _ndarray or source.ndim == 0:
                    return None
                try:
                    PyObject_GetBuffer(values, &views[held], PyBUF_C_CONTIGUOUS | PyBUF_FORMAT)
                except Exception:
                    return None
                bias = &views[held]
                held += 1
                if (
                    bias.ndim != 1 or bias.shape[0] != source.shape[source.ndim - 1]
                    or _dtype_of(bias.format) != dtype
                ):
                    return None
            c.act = <fd_act><int>_acts[name]
            memory = _lengthened(bias, c.dtype, n, &c.bias)
            if memory == NULL:
                return None
        c.at[0] = source.buf
        if front.operands == 2:
            c.at[1] = views[1].buf
        c.at[front.operands] = source.buf
        if not in_place:
            result = out
            for i in range(front.results):
                if fresh:
                    array = _empty_like(x)
                    result = array if i == 0 else (result, array)
                else:
                    array = out
                target = &views[held]
                try:
                    PyObject_GetBuffer(
                        array, target, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT | PyBUF_WRITABLE
                    )
                except Exception:
                    return None
                held += 1
                c.at[front.operands + i] = target.buf
                if not fresh and not (
                    _apart(source, target)
                    and (front.operands == 1 or out is second or _apart(&views[1], target))
                ):
                    return None
                if not fresh and bias != NULL and not _no_common_byte(bias, target):
                    return None
            out = result
        elif (front.operands == 2 and not (second is x or _apart(source, &views[1]))) or (
            bias != NULL and not _no_common_byte(bias, source)
        ):
            return None
        positions *= front.positions
        if not _reserve(rng, positions, &c.key):
            return None
        c.drawn = True
        if front.block_axes:
            with nogil:
                kept = fd_drop_block_bits(c.bits, &blocks, &c.key, &c.plan)
            if kept == 0:
                memset(c.at[1], 0, source.len)
                return out
            c.drawn = False
            c.numbers[0] = _rates.kept_scale(n, kept, _kinds[dtype])
        else:
            c.plan = rate.plan
            for i in range(3):
                c.numbers[i] = rate.numbers[i]
        if n < GIL_ELEMENTS:
            fd_run(&c)
        else:
            with nogil:
                before = fd_fresh_outputs(fresh)
                fd_run(&c)
                fd_fresh_outputs(before)
    finally:
        free(memory)
        for i in range(held):
            PyBuffer_Release(&views[i])
    return out


def dropout_front(general, default_generator, variant):
    """`dropout`: the common case compiled, every other one left to `general`."""
    cdef Front front = Front(variant)
    front.decisions = None  # its option is the shape of the decisions

    def dropout(
        x, p=0.5, training=True, *, rng=None, out=None, noise_shape=None, mode="inverted",
        window=None,
    ):
        if _enabled and training is True and mode is "inverted" and window is None:
            result = _quick(
                front, x, None, p, True, rng, out, noise_shape, (), None, default_generator
            )
            if result is not None:
                return result
        return general(
            x, p, training, rng=rng, out=out, noise_shape=noise_shape, mode=mode, window=window
        )
    return dropout


def dropout_inplace_front(general, default_generator, variant):
    """`dropout_`, likewise."""
    cdef Front front = Front(variant)
    front.decisions = None

    def dropout_(
        x, p=0.5, training=True, *, rng=None, noise_shape=None, mode="inverted", window=None
    ):
        if _enabled and training is True and mode is "inverted" and window is None:
            result = _quick(
                front, x, None, p, True, rng, x, noise_shape, (), None, default_generator
            )
            if result is not None:
                return x
        return general(
            x, p, training, rng=rng, noise_shape=noise_shape, mode=mode, window=window
        )
    return dropout_


def run_front(general, default_generator):
    """`pipeline.run`, for every variant."""
    fronts = {}

    def run(variant, tuple operands, p, training, rng, out, *option, act=None, window=None):
        if _enabled and window is None and (training is True or training is False):
            front = fronts.get(variant)
            if front is None:
                front = fronts.setdefault(variant, Front(variant))
            result = _quick(
                <Front>front, operands[0], operands[1] if len(operands) > 1 else None, p,
                training, rng, out, None, option, act, default_generator,
            )
            if result is not None:
                return result
        return general(variant, operands, p, training, rng, out, *option, act=act, window=window)
    return run
