"""Operations with normal variates: the fields of a chunk are drawn into a buffer."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types

from fastdrop._arrays import Array
from fastdrop.backends._coefficients import NORMAL, NORMAL_CENTRE
from fastdrop.backends.call import Call, parts

from .halves import bits_of, conversions, float_of
from .jit import compiled, jit
from .kernels import KINDS, draw, types_of, vector, written
from .stepped import KEEP_ALL

CHUNK = 64 * 2048  # elements at a time, of two positions each

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

    def noisy(x: Array, out: Array, field: Array, deviation: Any) -> None:
        for i in range(x.size):
            v = load(x[i])
            noise = compute(normal(field[2 * i], field[2 * i + 1])) * deviation
            out[i] = store(v * (one + noise) if multiplies else v + noise)

    element, number = types_of(kind)
    fields = types.Array(types.int16, 1, "C", readonly=True)
    return compiled(noisy, vector(element), written(element), fields, number)


def noise(call: Call) -> None:
    """``x * (1 + deviation * z)``, or ``x + deviation * z``; a mask has the words of z."""
    (x,), (out,), (number,), key = call.reads, call.writes, call.numbers, call.key
    kernel = _kernel(call.kind, call.operation == "noise_factor")
    deviation = KINDS[call.kind][2](number)
    if key is None:
        assert call.mask is not None
        kernel(x, out, call.mask.view(np.int16), deviation)
        return
    buffer = np.empty(2 * min(x.size, CHUNK), np.int16)
    for part in parts(x.size, CHUNK):
        field = buffer[: 2 * (part.stop - part.start)]
        draw(field, "fields", key, KEEP_ALL, 2 * part.start)
        kernel(x[part], out[part], field, deviation)
