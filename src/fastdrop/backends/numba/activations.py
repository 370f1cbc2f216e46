"""Bias, activation and dropout together, and the gradient."""

import functools
from collections.abc import Callable
from typing import Any

from numba import types

from fastdrop._arrays import Array
from fastdrop.backends.call import Call

from .computing import numbers_of
from .drawn import of_piece
from .functions import functions
from .halves import conversions
from .jit import compiled
from .kernels import KINDS, MASK, types_of, vector, written

# Elements for which a lengthened bias goes on without a jump.
_RUN = 4096


@functools.cache
def _kernel(kind: str, act: str, slope: bool) -> Callable[..., None]:
    load, store = conversions(kind)
    name = f"{act}_slope" if slope else act
    function = functions(KINDS[kind][2])[name]

    def kernel(
        x: Array, dy: Array, values: Array, n: int, column: int, out: Array, keep: Array, scale: Any
    ) -> None:
        zero = scale - scale
        for first in range(0, x.size, _RUN):
            place = (column + first) % n
            for i in range(first, min(first + _RUN, x.size)):
                f = function(load(x[i]) + load(values[place + i - first]))
                y = (load(dy[i]) * scale) * f if slope else f * scale
                out[i] = store(y if keep[i] else zero)

    element, number = types_of(kind)
    a, n = vector(element), types.int64
    return compiled(kernel, f"{kind}.{name}", a, a, a, n, n, written(element), MASK, number)


def act(piece: Call) -> None:
    """Dropout of ``act(x + bias)``, or its gradient with respect to ``x + bias``."""
    kernel = _kernel(piece.kind, piece.act, piece.operation == "act_slope")
    (out,), (scale,), bias = piece.writes, numbers_of(piece), piece.bias
    x, dy = piece.reads[0], piece.reads[-1]
    assert bias is not None
    kernel(x, dy, bias.values, bias.n, bias.column, out, of_piece(piece), scale)
