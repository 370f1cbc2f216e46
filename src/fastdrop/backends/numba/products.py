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

from .halves import conversions
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
    load, store = conversions(kind)
    compute = KINDS[kind][2]
    zero = compute(0)

    def dot(x: Array, w: Array, bias: Array, out: Array, keep: Array, scale: Any) -> None:
        """For each row of w, the sum of what is kept of it times x; scaled, and the bias added."""
        inputs = x.size
        places = np.empty(_PLACES, compute)
        for r in range(out.size):
            total = zero
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
                total += _sum_of(places)
            total *= scale
            out[r] = store(total + load(bias[r]) if bias.size else total)

    element, number = types_of(kind)
    a = vector(element)
    return compiled(dot, kind, a, _matrix(element), a, written(element), _KEEP, number)


@functools.cache
def _add_kernel(kind: str) -> Callable[..., None]:
    load, _ = conversions(kind)
    zero = KINDS[kind][2](0)

    def add(a: Array, dy: Array, out: Array, keep: Array, scale: Any) -> None:
        # Row r of a times dy[r] * scale is added to row r of out; either may have one row for all.
        for r in range(dy.size):
            gradient = load(dy[r]) * scale
            row, to = min(r, a.shape[0] - 1), min(r, out.shape[0] - 1)
            for i in range(a.shape[1]):
                term = load(a[row, i]) * gradient
                out[to, i] += term if keep[r, i] else zero

    element, number = types_of(kind)
    totals = types.Array(number, 2, "C")
    return compiled(add, kind, _matrix(element), vector(element), totals, _KEEP, number)


@functools.cache
def _rounding_kernel(kind: str) -> Callable[..., None]:
    _, store = conversions(kind)

    def rounded(totals: Array, out: Array) -> None:
        for i in range(out.size):
            out[i] = store(totals[i])

    element, number = types_of(kind)
    return compiled(rounded, kind, types.Array(number, 1, "C"), written(element))


def _tiles(outputs: int, inputs: int) -> Iterator[slice]:
    return parts(outputs, max(1, _TILE // max(1, inputs)))


def _masks(
    key: Key, plan: Plan, shape: tuple[int, int], shared: bool
) -> Callable[[int, slice], Array]:
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

    def mask(sample: int, rows: slice) -> Array:
        return drawn((0 if shared else sample * outputs) + rows.start, rows.stop - rows.start)

    return mask


def dropconnect(
    x: Array, w: Array, bias: Array | None, y: Array, kind: str, key: Key, plan: Plan, shared: bool
) -> None:
    """The output of a linear layer without the dropped weights."""
    dot, mask = _dot_kernel(kind), _masks(key, plan, w.shape, shared)
    scale, constant = KINDS[kind][2](plan.scale), np.empty(0, w.dtype) if bias is None else bias
    for rows in _tiles(*w.shape):
        for n in range(len(x)):
            dot(x[n], w[rows], constant[rows], y[n, rows], mask(n, rows), scale)


def dropconnect_dx(
    dy: Array, w: Array, dx: Array, kind: str, key: Key, plan: Plan, shared: bool
) -> None:
    """The gradient with respect to the input."""
    add, mask, compute = _add_kernel(kind), _masks(key, plan, w.shape, shared), KINDS[kind][2]
    outputs, inputs = w.shape
    for n in range(len(dy) if inputs else 0):
        total = np.zeros((1, inputs), compute)
        for rows in _tiles(outputs, inputs):
            add(w[rows], dy[n, rows], total, mask(n, rows), compute(plan.scale))
        _rounding_kernel(kind)(total[0], dx[n])


def dropconnect_dw(
    dy: Array, x: Array, dw: Array, kind: str, key: Key, plan: Plan, shared: bool
) -> None:
    """The gradient with respect to the weights."""
    add, mask, compute = _add_kernel(kind), _masks(key, plan, dw.shape, shared), KINDS[kind][2]
    outputs, inputs = dw.shape
    for rows in _tiles(outputs, inputs) if inputs else ():
        total = np.zeros((rows.stop - rows.start, inputs), compute)
        for n in range(len(x)):
            add(x[n : n + 1], dy[n, rows], total, mask(n, rows), compute(plan.scale))
        _rounding_kernel(kind)(total.reshape(-1), dw[rows].reshape(-1))
