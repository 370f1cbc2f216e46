# --- The common case of every variant, without Python's part of the pipeline -----------------------

cdef tuple _kinds = tuple(_dtypes)  # by fd_dtype


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

    cdef object rate, decisions
    cdef int operation, operands, results, block_axes
    cdef size_t positions  # of the stream that a decision takes
    cdef bint repeats, identity
    cdef _Rate last
    cdef dict shapes  # of decisions, by the array's shape and the option

    def __init__(self, variant):
        self.rate, self.decisions = variant.rate, variant.decisions
        self.operation = _operations[variant.operation]
        self.positions = variant.positions
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

    cdef object shape_of(self, x, window, tuple option):
        """The shape of the decisions for `x`, or for the whole that it is a part of.

        Raises what is wrong with it or with the option.
        """
        # Of other types some numbers are equal to an integer and no option: True, 1.0.
        if option and type(option[0]) is not int and type(option[0]) is not str:
            return self._new_shape(x, window, option)
        known = (x.shape if window is None else (<tuple>window)[0], option)
        shape = self.shapes.get(known)
        if shape is None:
            shape = self._new_shape(x, window, option)
            if len(self.shapes) >= 64:
                self.shapes.clear()
            self.shapes[known] = shape
        return shape

    cdef object _new_shape(self, x, window, tuple option):
        if window is not None:
            x = _decisions.without_memory((<tuple>window)[0])
        return self.decisions(x, *option)


cdef object _as_float(number):
    """A real number that is no float, NumPy's or an integer, as one; None for the general path.

    An integer may be too large to be one, and a bool is no number.
    """
    if isinstance(number, (float, _float32)) or (
        type(number) is int and -(1 << 53) <= number <= 1 << 53
    ):
        return float(number)
    return None


cdef object _as_source(rng, default_generator, bint repeats):
    """The generator or key that `rng` stands for, or None for the general path.

    With `repeats` a key, which gives every call the same decisions.
    """
    if rng is None:
        rng = default_generator()
    if type(rng) is Generator:
        return None if repeats else rng
    if type(rng) is int and 0 <= rng <= UINT64_MAX:
        return Key(rng)
    return rng if type(rng) is Key else None


cdef void *_lengthened(const Py_buffer *bias, fd_dtype dtype, size_t n, fd_bias *c):
    """A bias, or what changes nothing, as an operation on n elements reads it: to be freed."""
    cdef size_t size = _size_of(dtype)
    cdef size_t length = 1 if bias == NULL else <size_t>bias.shape[0]
    cdef size_t filled = length * size, total = filled + (n if n < 4096 else 4096) * size, some
    cdef char *values = <char *>malloc(total)
    if values == NULL:
        return NULL
    if bias != NULL:
        memcpy(values, bias.buf, filled)
    elif dtype == FD_f64:
        (<double *>values)[0] = -0.0
    elif dtype == FD_f32:
        (<float *>values)[0] = -0.0
    else:
        (<uint16_t *>values)[0] = 0x8000
    while filled < total:
        some = filled if filled < total - filled else total - filled
        memcpy(values + filled, values, some)
        filled += some
    c.values, c.n, c.column = values, length, 0
    return values


cdef object _quick(
    Front front, x, second, p, bint training, rng, out, noise_shape, window, tuple option, act,
    default_generator,
):
    """The result, or None where this is not the common case: the general path then decides.

    The common case: native arrays, p a number, a seed or a fastdrop generator or key, a new result,
    one in place or one apart. Nothing is reserved or written before that is certain.
    """
    cdef Py_buffer views[4]
    cdef const Py_buffer *operands[3]
    cdef Py_buffer *source = &views[0]
    cdef Py_buffer *target
    cdef Py_buffer *bias = NULL
    cdef int held = 0, i
    cdef fd_call c
    cdef size_t n, positions, kept
    cdef place at
    cdef fd_blocks blocks
    cdef uint8_t few_bits[FEW_BYTES]
    cdef void *memory = NULL
    cdef _Rate rate
    cdef bint in_place = out is x, contiguous
    cdef int fresh = out is None, dtype
    if type(p) is not float:
        p = _as_float(p)
    rng = _as_source(rng, default_generator, front.repeats)
    if type(x) is not _ndarray or p is None or rng is None:
        return None
    if out is not None and not in_place and type(out) is not _ndarray:
        return None
    try:
        # Who lends no buffer (read-only, bfloat16) has its own word elsewhere.
        if not _lends(x, source, PyBUF_FORMAT | (PyBUF_WRITABLE if in_place else 0)):
            return None
        held = 1
        if front.operands == 2:
            if type(second) is not _ndarray or not _lends(second, &views[1], PyBUF_FORMAT):
                return None
            held = 2
        dtype = _dtype_of(source.format)
        n = positions = source.len // source.itemsize
        if dtype < 0 or n == 0 or (held == 2 and not _like(source, &views[1])):
            return None
        if window is not None and not _part_of(window, source, &at):
            return None
        contiguous = _contiguous(source)  # and then so is what is like it
        _begin(&c, front.operation, dtype)
        rate = front.rate_of(p, c.dtype)
        if rate is None:
            return None
        if front.decisions is not None:
            noise_shape = front.shape_of(x, window, option)
        if not training:
            # All else that can be wrong is checked by the general path.
            return x if front.identity and fresh else None
        if act is not None:
            name, values = act
            if type(name) is not str or name not in _acts:
                return None
            if values is not None:
                if type(values) is not _ndarray or source.ndim == 0:
                    return None
                bias = &views[held]
                if not _lends(values, bias, PyBUF_FORMAT):
                    return None
                held += 1
                if (
                    bias.ndim != 1 or bias.shape[0] != source.shape[source.ndim - 1]
                    or _dtype_of(bias.format) != dtype or not _contiguous(bias)
                ):
                    return None
            c.act = <fd_act><int>_acts[name]
            memory = _lengthened(bias, c.dtype, n, &c.bias)
            if memory == NULL:
                return None
        operands[0], operands[1], operands[front.operands] = source, &views[1], source
        if not in_place:
            result = out
            for i in range(front.results):
                if fresh:
                    array = _empty_like(x)
                    result = array if i == 0 else (result, array)
                else:
                    array = out
                target = &views[held]
                # A new array is like x, and NumPy takes its time to write a format.
                if not _lends(array, target, PyBUF_WRITABLE | (0 if fresh else PyBUF_FORMAT)):
                    return None
                held += 1
                operands[front.operands + i] = target
                if not fresh and not (
                    _has_own_places(target)
                    and _apart(source, target)
                    and (front.operands == 1 or out is second or _apart(&views[1], target))
                ):
                    return None
                if not fresh and bias != NULL and not _no_common_byte(bias, target):
                    return None
            out = result
        elif (
            not (contiguous or _has_own_places(source))
            or (front.operands == 2 and not (second is x or _apart(source, &views[1])))
            or (bias != NULL and not _no_common_byte(bias, source))
        ):
            return None
        for i in range(c.axes.operands):
            c.at[i] = operands[i].buf
            if operands[i] != source and not (fresh and i >= front.operands):
                contiguous = contiguous and _contiguous(operands[i])
        at.first = 0
        if contiguous and window is None and (noise_shape is None or front.block_axes):
            _flat(&c.axes, n, source.itemsize)
        else:
            if window is None:
                _part_of(None, source, &at)
            if not _axes_of(None if front.block_axes else noise_shape, source, &at, &c.axes):
                return None
            for i in range(c.axes.operands):
                _strides_of(&c.axes, i, operands[i])
            positions = at.total
            if at.own < n and front.positions == 1 and not _room_for(
                &c, at.own, few_bits, &memory
            ):
                return None
        if front.block_axes:
            # Each decision is for the corner of a block, which is spread over its elements.
            positions = _blocks_of(source, noise_shape, front.block_axes, &blocks)
            c.plan = _plan(_rates.make_block_plan(
                p, x.shape[source.ndim - front.block_axes:], blocks.block[2]
            ))
            if not _room_for(&c, n, few_bits, &memory):
                return None
        if not _reserve(rng, positions * front.positions, &c.key):
            return None
        c.key.offset += at.first * front.positions  # around the end of the stream, as in Python
        c.drawn = True
        if front.block_axes:
            with nogil:
                kept = fd_drop_block_bits(c.bits, &blocks, &c.key, &c.plan)
            c.drawn = False
            c.numbers[0] = 1.0 if kept == 0 else _rates.kept_scale(n, kept, _kinds[dtype])
        else:
            c.plan = rate.plan
            for i in range(3):
                c.numbers[i] = rate.numbers[i]
        _compute(&c, n, fresh)
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
        if _enabled and training is True and mode is "inverted":
            result = _quick(
                front, x, None, p, True, rng, out, noise_shape, window, (), None, default_generator
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
        if _enabled and training is True and mode is "inverted":
            result = _quick(
                front, x, None, p, True, rng, x, noise_shape, window, (), None, default_generator
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

    def run(variant, tuple operands, p, training, rng, out, window=None, *option, act=None):
        if _enabled and (training is True or training is False):
            front = fronts.get(variant)
            if front is None:
                front = fronts.setdefault(variant, Front(variant))
            result = _quick(
                <Front>front, operands[0], operands[1] if len(operands) > 1 else None, p,
                training, rng, out, None, window, option, act, default_generator,
            )
            if result is not None:
                return result
        return general(variant, operands, p, training, rng, out, window, *option, act=act)
    return run
