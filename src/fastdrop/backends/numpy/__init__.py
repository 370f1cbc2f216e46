"""The NumPy backend: the reference, written to be read beside the definition of the stream.

`draw` is the stream, `arithmetic` computes with kept numbers. It shares no code with the other
backends.

Subnormal numbers and rounding are as in NumPy's own arithmetic: a thread that has set
flush-to-zero or another rounding mode changes them here, unlike in the C backend.
"""

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.lib.stride_tricks import as_strided

from fastdrop._arrays import Array
from fastdrop._rates import Plan
from fastdrop.backends.call import Call, Steps, mask_shape, parts
from fastdrop.stream import Key

from .arithmetic import masked, multiplied
from .draw import CHUNK, keep, keep_at, numbers, words, words_at
from .drop_block import drop_block_packed as drop_block_packed
from .functions import normal
from .norm import max_norm as max_norm
from .operations import OPERATIONS
from .products import dropconnect as dropconnect
from .products import dropconnect_dw as dropconnect_dw
from .products import dropconnect_dx as dropconnect_dx
from .softmax import softmax_dropout as softmax_dropout
from .softmax import softmax_dropout_backward as softmax_dropout_backward

Drawn: TypeAlias = Callable[[slice], Array | None]
"""What gives the decisions of a part of the elements, True to keep, or their variates."""


def run(call: Call) -> None:
    """Compute one element-wise operation, a chunk at a time."""
    compute, drawn = OPERATIONS[call.operation], _drawn(call)
    sources = [_flat(x) for x in call.reads]
    targets = [_flat(y) for y in call.writes]
    for part in parts(call.reads[0].size, CHUNK):
        with np.errstate(all="ignore"):
            results = compute(call, part, drawn(part), *(source[part] for source in sources))
        for target, result in zip(targets, results, strict=True):
            target[part] = result


def _flat(array: Array) -> Any:
    """The elements in C order: a view where they lie so, else .flat, which finds them anywhere."""
    return array.reshape(-1) if array.flags.c_contiguous else array.flat


def _drawn(call: Call) -> Drawn:
    """The decisions or variates of a call, drawn or given."""
    key, plan, mask = call.key, call.plan, call.mask
    if key is None:
        return (lambda _: None) if mask is None else _given(call, mask)
    if call.steps is not None:
        return _stepped(call, key, call.steps)
    if plan is None:
        return lambda part: normal(words(key, part.start, part.stop))
    return lambda part: keep(key, plan, part.start, part.stop)


def _stepped(call: Call, key: Key, steps: tuple[int, ...]) -> Drawn:
    """What is drawn at positions with steps: each decision once, then shared."""
    shape, x, plan = mask_shape(call), call.reads[0], call.plan
    small: Array = np.empty(math.prod(shape), np.float32 if plan is None else np.bool_)
    for part in parts(small.size, CHUNK):
        number = numbers(shape, steps, part)
        small[part] = normal(words_at(key, number)) if plan is None else keep_at(key, plan, number)
    flat = np.broadcast_to(small.reshape(shape), x.shape).flat
    return lambda part: flat[part]


def _given(call: Call, mask: Array) -> Drawn:
    """Decisions of a mask that the caller has."""
    if mask.dtype == np.bool_:
        return _bools(mask)
    if call.steps is not None:
        bits = np.unpackbits(mask, bitorder="little").view(np.bool_)
        return _bools(as_strided(bits, call.reads[0].shape, call.steps, writeable=False))

    def packed(part: slice) -> Array:
        some, count = mask[part.start // 8 : -(-part.stop // 8)], part.stop - part.start
        return np.unpackbits(some, count=count, bitorder="little").view(np.bool_)

    return packed


def _bools(mask: Array) -> Drawn:
    # A bool array that is a view of other bytes may hold more than 0 and 1.
    flat = mask.view(np.uint8).flat
    return lambda part: flat[part] != 0


def dropout_samples(x: Array, out: Array, kind: str, key: Key, plan: Plan) -> None:
    """Drop and scale once for each of ``out[k]``, on consecutive streams."""
    source = _flat(x)
    for part in parts(x.size, CHUNK):
        y = multiplied(source[part], kind, plan.scale)
        for k in range(len(out)):
            one = Key(key.seed, (key.stream + k) % 2**64, key.offset)
            out[k, ...].flat[part] = masked(y, keep(one, plan, part.start, part.stop))


def mask_packed(
    out: Array, shape: int | tuple[int, ...], key: Key, plan: Plan, steps: Steps = None
) -> None:
    """The decisions as bits, lowest first."""
    n = shape if isinstance(shape, int) else math.prod(shape)
    for part in parts(n, CHUNK):  # a multiple of 8: every chunk starts a byte
        bits = np.packbits(_mask(shape, key, plan, steps, part), bitorder="little")
        out[part.start // 8 : part.start // 8 + bits.size] = bits


def mask_bool(out: Array, key: Key, plan: Plan, steps: Steps = None) -> None:
    """The decisions as bools."""
    flat = out.reshape(-1)
    for part in parts(flat.size, CHUNK):
        flat[part] = _mask(out.shape, key, plan, steps, part)


def _mask(shape: int | tuple[int, ...], key: Key, plan: Plan, steps: Steps, part: slice) -> Array:
    if steps is None or isinstance(shape, int):
        return keep(key, plan, part.start, part.stop)
    return keep_at(key, plan, numbers(shape, steps, part))


def info() -> dict[str, object]:
    """What ``show_config`` says of this backend."""
    return {"numpy": np.__version__}
