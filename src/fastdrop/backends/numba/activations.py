"""Bias, activation and dropout together, and the gradient."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types

from fastdrop.backends.call import Call

from .computing import MASK, chunks, conversions, types_of, vector, written
from .functions import functions
from .jit import compiled, jit
from .kernels import KINDS

Array = np.ndarray[Any, np.dtype[Any]]

# Elements for which a lengthened bias goes on without a jump.
_RUN = 4096


@jit
def _identity(x: Any) -> Any:
    return x


@functools.cache
def _kernel(kind: str, act: str) -> Callable[..., None]:
    load, store = conversions(kind)
    activation = _identity if act == "none" else getattr(functions(KINDS[kind][2]), act)

    def kernel(
        x: Array, values: Array, n: int, column: int, out: Array, keep: Array, scale: Any
    ) -> None:
        zero = scale - scale
        for first in range(0, x.size, _RUN):
            place = (column + first) % n
            for i in range(first, min(first + _RUN, x.size)):
                y = activation(load(x[i]) + load(values[place + i - first])) * scale
                out[i] = store(y if keep[i] else zero)

    element, number = types_of(kind)
    a, n = vector(element), types.int64
    return compiled(kernel, a, a, n, n, written(element), MASK, number)


@functools.cache
def _slope_kernel(kind: str, act: str) -> Callable[..., None]:
    load, store = conversions(kind)
    number = KINDS[kind][2]
    one = number(1)

    @jit
    def constant(_: Any) -> Any:
        return one

    slope = constant if act == "none" else getattr(functions(number), f"{act}_slope")

    def kernel(
        x: Array,
        dy: Array,
        values: Array,
        n: int,
        column: int,
        out: Array,
        keep: Array,
        scale: Any,
    ) -> None:
        zero = scale - scale
        for first in range(0, x.size, _RUN):
            place = (column + first) % n
            for i in range(first, min(first + _RUN, x.size)):
                v = load(x[i]) + load(values[place + i - first])
                dx = (load(dy[i]) * scale) * slope(v)
                out[i] = store(dx if keep[i] else zero)

    element, scalar = types_of(kind)
    a, n = vector(element), types.int64
    return compiled(kernel, a, a, a, n, n, written(element), MASK, scalar)


def _run(kernel: Callable[..., None], call: Call) -> None:
    bias, scale = call.bias, KINDS[call.kind][2](call.numbers[0])
    assert bias is not None
    for part, keep in chunks(call):
        column = (bias.column + part.start) % bias.n
        operands = (operand[part] for operand in call.reads)
        kernel(*operands, bias.values, bias.n, column, call.writes[0][part], keep, scale)


def act(call: Call) -> None:
    """Dropout of ``act(x + bias)``."""
    _run(_kernel(call.kind, call.act), call)


def act_slope(call: Call) -> None:
    """The gradient with respect to ``x + bias``."""
    _run(_slope_kernel(call.kind, call.act), call)
