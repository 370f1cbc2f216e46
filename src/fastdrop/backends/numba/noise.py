"""Operations with normal variates."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types

from fastdrop._arrays import Array
from fastdrop.backends._coefficients import NORMAL, NORMAL_CENTRE
from fastdrop.backends.call import Call

from .computing import numbers_of
from .drawn import of_piece
from .halves import bits_of, conversions, float_of
from .jit import compiled, jit
from .kernels import KINDS, types_of, vector, written

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


def noise(piece: Call) -> None:
    """``x * (1 + deviation * z)``, or ``x + deviation * z``."""
    kernel = _kernel(piece.kind, piece.operation == "noise_factor")
    kernel(*piece.reads, *piece.writes, of_piece(piece).view(np.int16), *numbers_of(piece))
