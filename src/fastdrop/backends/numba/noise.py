"""Operations with normal variates: the fields of a chunk are drawn into a buffer."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types

from fastdrop._rates import Plan
from fastdrop.backends._coefficients import NORMAL, NORMAL_CENTRE
from fastdrop.backends.call import Call, in_runs

from .computing import conversions, types_of, vector, written
from .halves import bits_of, float_of
from .jit import compiled, jit
from .kernels import KINDS, draw
from .stepped import stepped

Array = np.ndarray[Any, np.dtype[Any]]

CHUNK = 64 * 2048  # elements at a time, of two positions each
_KEEP_ALL = Plan(0, 0, 1.0)

_ROWS = np.array(NORMAL)


@jit
def normal(lower: Any, upper: Any) -> Any:
    """The variate of two fields: ``normal`` of numpy/functions.py on one word."""
    word = np.uint32(np.uint32(np.uint16(lower)) | np.uint32(np.uint32(upper) << np.uint32(16)))
    t = np.float32(np.int32(np.uint32(word | np.uint32(1))))
    bits = bits_of(t)
    octave = np.uint32(np.uint32(bits >> np.uint32(23)) & np.uint32(31))
    significand = np.uint32(bits & np.uint32(0x007FFFFF))
    f = float_of(np.uint32(significand | np.uint32(0x3F800000))) - NORMAL_CENTRE
    z = _ROWS[5, octave]
    for k in range(4, -1, -1):
        z = z * f + _ROWS[k, octave]
    return float_of(np.uint32(bits_of(z) ^ np.uint32(bits & np.uint32(0x80000000))))


@functools.cache
def _kernel(kind: str, multiplies: bool) -> Callable[..., None]:
    load, store = conversions(kind)
    compute = KINDS[kind][2]
    one = compute(1)

    def factor(x: Array, out: Array, field: Array, deviation: Any) -> None:
        for i in range(x.size):
            noise = compute(normal(field[2 * i], field[2 * i + 1])) * deviation
            out[i] = store(load(x[i]) * (one + noise))

    def term(x: Array, out: Array, field: Array, deviation: Any) -> None:
        for i in range(x.size):
            noise = compute(normal(field[2 * i], field[2 * i + 1])) * deviation
            out[i] = store(load(x[i]) + noise)

    element, number = types_of(kind)
    fields = types.Array(types.int16, 1, "C", readonly=True)
    return compiled(
        factor if multiplies else term, vector(element), written(element), fields, number
    )


def _run(call: Call, multiplies: bool) -> None:
    (x,), (out,), (deviation,), kind, key = (
        call.reads, call.writes, call.numbers, call.kind, call.key,
    )  # fmt: skip
    assert key is not None
    kernel = _kernel(kind, multiplies)
    buffer = np.empty(2 * min(x.size, CHUNK), np.int16)
    for start in range(0, x.size, CHUNK):
        part = slice(start, min(start + CHUNK, x.size))
        field = buffer[: 2 * (part.stop - start)]
        draw(field, "fields", key, _KEEP_ALL, 2 * start)
        kernel(x[part], out[part], field, KINDS[kind][2](deviation))


def run(call: Call) -> None:
    """``x * (1 + deviation * z)``, or ``x + deviation * z``."""
    multiplies = call.operation == "noise_factor"
    if call.steps is None:
        for part in in_runs(call):
            _run(part, multiplies)
        return
    kernel, deviation = _kernel(call.kind, multiplies), KINDS[call.kind][2](call.numbers[0])
    for part in in_runs(call, stepped(call)):
        x, words = part.reads
        kernel(x, part.writes[0], words.view(np.int16), deviation)
