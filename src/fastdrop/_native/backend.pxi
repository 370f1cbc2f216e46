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


cdef struct drawn:
    fd_key key
    fd_plan plan
    double scale


cdef drawn _drawn(key, plan) except *:
    cdef drawn d
    d.key, d.plan, d.scale = _key(key), _plan(plan), plan.scale
    return d


def dropout_samples_into(x, out, kind, key, plan):
    cdef fd_dtype dtype = <fd_dtype><int>_dtypes[kind]
    cdef drawn draw = _drawn(key, plan)
    cdef size_t samples = out.shape[0]
    cdef Py_ssize_t step = out.strides[0]
    cdef _Buffers buffers = _Buffers()
    cdef Py_buffer *source = buffers.hold(x)
    cdef Py_buffer *target = buffers.hold(out[0, ...], True)
    cdef fd_layout layout
    cdef int d
    layout.ndim = source.ndim
    for d in range(source.ndim):
        layout.shape[d] = source.shape[d]
        layout.x_strides[d], layout.y_strides[d] = source.strides[d], target.strides[d]
        layout.mask_strides[d] = 0
    with nogil:
        fd_dropout_samples(
            dtype, source.buf, target.buf, &layout, samples, step, &draw.key, &draw.plan, draw.scale
        )


cdef int _draw_mask(out, bint packed, shape, steps, key, plan) except -1:
    """A mask with steps, or, without them, of decisions in C order."""
    cdef drawn draw = _drawn(key, plan)
    cdef _Buffers buffers = _Buffers()
    cdef uint8_t *mask = <uint8_t *>buffers.memory(out, True)
    cdef size_t lengths[64]
    cdef Py_ssize_t strides[64]
    cdef int d, ndim = len(shape)
    cdef Py_ssize_t step = 1
    for d in range(ndim - 1, -1, -1):
        lengths[d] = shape[d]
        strides[d] = step if steps is None else steps[d]
        step *= shape[d]
    with nogil:
        fd_draw_mask(mask, packed, ndim, lengths, strides, &draw.key, &draw.plan)
    return 0


def mask_packed_into(out, shape, key, plan, steps=None):
    _draw_mask(out, True, shape if isinstance(shape, tuple) else (shape,), steps, key, plan)


def mask_bool_into(out, key, plan, steps=None):
    _draw_mask(out, False, out.shape, steps, key, plan)


def drop_block_packed_into(out, shape, size_t block, key, plan):
    cdef drawn draw = _drawn(key, plan)
    cdef _Buffers buffers = _Buffers()
    cdef uint8_t *mask = <uint8_t *>buffers.memory(out, True)
    cdef fd_blocks blocks
    cdef size_t kept
    cdef int d, missing = 4 - len(shape)
    blocks.planes = shape[0]
    for d in range(3):
        blocks.shape[d] = shape[d + 1 - missing] if d >= missing else 1
        blocks.block[d] = block if d >= missing else 1
    with nogil:
        kept = fd_drop_block_bits(mask, &blocks, &draw.key, &draw.plan)
    return kept
