"""Products with a mask for each sample: the mask of some outputs is drawn as bytes, then used.

The order of every sum is that of the NumPy backend, which says what it is.
"""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numba import types

from fastdrop._arrays import Array
from fastdrop._rates import Plan
from fastdrop.backends.call import parts
from fastdrop.stream import Key

from .halves import conversions, same
from .jit import compiled, jit
from .kernels import KINDS, draw, types_of, vector, written

_PLACES = 32
_CHUNK = 4096  # inputs
_TILE = 64 * 4096  # decisions at a time

_KEEP = types.Array(types.uint8, 2, "C")


def _matrix(element: Any) -> Any:
    """Numba's type of a contiguous matrix, aligned or not, that may be read-only."""
    return types.Array(element, 2, "C", readonly=True, aligned=False)


@jit
def _sum_of(places: Array) -> Any:
    """The sum of all places, which are changed."""
    half = _PLACES // 2
    while half:
        for j in range(half):
            places[j] += places[j + half]
        half //= 2
    return places[0]


@functools.cache
def _dot_kernel(kind: str) -> Callable[..., None]:
    load, _ = conversions(kind)

    def dot(x: Array, w: Array, out: Array, keep: Array, zero: Any) -> None:
        """Add to ``out``, for each row of w, the sum of what is kept of it times x."""
        inputs = x.size
        places = np.zeros(_PLACES, out.dtype)
        for r in range(out.size):
            for first in range(0, inputs, _CHUNK):
                end = min(first + _CHUNK, inputs)
                places[:] = zero
                whole = end - (end - first) % _PLACES
                for i in range(first, whole, _PLACES):
                    for j in range(_PLACES):
                        term = load(w[r, i + j]) * load(x[i + j])
                        places[j] += term if keep[r, i + j] else zero
                for i in range(whole, end):
                    term = load(w[r, i]) * load(x[i])
                    places[i - whole] += term if keep[r, i] else zero
                out[r] += _sum_of(places)

    element, number = types_of(kind)
    return compiled(
        dot, vector(element), _matrix(element), types.Array(number, 1, "C"), _KEEP, number
    )


@functools.cache
def _add_kernel(kind: str) -> Callable[..., None]:
    load, _ = conversions(kind)

    def add(a: Array, gradient: Array, out: Array, keep: Array, zero: Any) -> None:
        # Row r of a times gradient[r] is added to row r of out; either may have one row for all r.
        for r in range(gradient.size):
            row, to = min(r, a.shape[0] - 1), min(r, out.shape[0] - 1)
            for i in range(a.shape[1]):
                term = load(a[row, i]) * gradient[r]
                out[to, i] += term if keep[r, i] else zero

    element, number = types_of(kind)
    numbers = types.Array(number, 1, "C")
    return compiled(add, _matrix(element), numbers, types.Array(number, 2, "C"), _KEEP, number)


@functools.cache
def _scaling(kind: str, widens: bool) -> Callable[..., None]:
    """Products with a number: of elements, to compute with, or of what was computed, rounded."""
    load, store = conversions(kind)
    element, number = types_of(kind)
    source, target = vector(element), types.Array(number, 1, "C")
    if widens:
        store = same
    else:
        load, source, target = same, target, written(element)

    def scaled(x: Array, out: Array, scale: Any) -> None:
        for i in range(x.size):
            out[i] = store(load(x[i]) * scale)

    return compiled(scaled, source, target, number)


def _tiles(outputs: int, inputs: int) -> Iterator[slice]:
    return parts(outputs, max(1, _TILE // max(1, inputs)))


def _masks(key: Key, plan: Plan, shape: tuple[int, int]) -> Callable[[int, slice], Array]:
    """What gives the mask of some outputs of a sample, in one buffer.

    One that is asked for again, as it is where samples share it, is there still.
    """
    outputs, inputs = shape
    buffer = np.empty(min(max(_TILE, inputs), outputs * inputs), np.uint8)

    @functools.lru_cache(maxsize=1)
    def drawn(first: int, count: int) -> Array:
        keep = buffer[: count * inputs]
        draw(keep, "mask", key, plan, first * inputs)
        return keep.reshape(count, inputs)

    return lambda sample, rows: drawn(sample * outputs + rows.start, rows.stop - rows.start)


def _zeros(shape: Any, kind: str) -> Array:
    return np.zeros(shape, KINDS[kind][2])


def dropconnect(
    x: Array, w: Array, bias: Array | None, y: Array, kind: str, key: Key, plan: Plan, shared: bool
) -> None:
    """The output of a linear layer without the dropped weights."""
    real, mask = KINDS[kind][2], _masks(key, plan, w.shape)
    dot, widen, narrow = (
        _dot_kernel(kind),
        _scaling(kind, True),
        _scaling(kind, False),
    )
    constant = None
    if bias is not None:
        constant = _zeros(bias.size, kind)
        widen(bias, constant, real(1))
    with np.errstate(all="ignore"):
        for rows in _tiles(*w.shape):
            for n in range(len(x)):
                total = _zeros(rows.stop - rows.start, kind)
                dot(x[n], w[rows], total, mask(0 if shared else n, rows), real(0))
                total *= real(plan.scale)
                narrow(total if constant is None else total + constant[rows], y[n, rows], real(1))


def dropconnect_dx(
    dy: Array, w: Array, dx: Array, kind: str, key: Key, plan: Plan, shared: bool
) -> None:
    """The gradient with respect to the input."""
    real, mask, (outputs, inputs) = KINDS[kind][2], _masks(key, plan, w.shape), w.shape
    add, widen, narrow = (
        _add_kernel(kind),
        _scaling(kind, True),
        _scaling(kind, False),
    )
    for n in range(len(dy) if inputs else 0):
        gradient, total = _zeros(outputs, kind), _zeros((1, inputs), kind)
        widen(dy[n], gradient, real(plan.scale))
        for rows in _tiles(outputs, inputs):
            add(w[rows], gradient[rows], total, mask(0 if shared else n, rows), real(0))
        narrow(total[0], dx[n], real(1))


def dropconnect_dw(
    dy: Array, x: Array, dw: Array, kind: str, key: Key, plan: Plan, shared: bool
) -> None:
    """The gradient with respect to the weights."""
    real, mask, (outputs, inputs) = KINDS[kind][2], _masks(key, plan, dw.shape), dw.shape
    add, widen, narrow = (
        _add_kernel(kind),
        _scaling(kind, True),
        _scaling(kind, False),
    )
    for rows in _tiles(outputs, inputs) if inputs else ():
        count = rows.stop - rows.start
        gradient, total = _zeros(count, kind), _zeros((count, inputs), kind)
        for n in range(len(x)):
            widen(dy[n, rows], gradient, real(plan.scale))
            add(x[n : n + 1], gradient, total, mask(0 if shared else n, rows), real(0))
        narrow(total.reshape(-1), dw[rows].reshape(-1), real(1))
