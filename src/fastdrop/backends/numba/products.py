"""Products with a mask for each sample: the mask of some outputs is drawn as bytes, then used.

The order of every sum is that of the NumPy backend, which says what it is.
"""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numba import types

from fastdrop._rates import Plan
from fastdrop.stream import Key

from .computing import conversions, types_of, vector, written
from .jit import compiled, jit
from .kernels import KINDS, draw

Array = np.ndarray[Any, np.dtype[Any]]

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
def _convert_kernel(kind: str) -> Callable[..., None]:
    """Round ``total`` to ``out``."""
    _, store = conversions(kind)

    def convert(total: Array, out: Array) -> None:
        for i in range(total.size):
            out[i] = store(total[i])

    element, number = types_of(kind)
    return compiled(convert, types.Array(number, 1, "C"), written(element))


@functools.cache
def _scaled_kernel(kind: str) -> Callable[..., None]:
    load, _ = conversions(kind)

    def scaled(x: Array, out: Array, scale: Any) -> None:
        for i in range(x.size):
            out[i] = load(x[i]) * scale

    element, number = types_of(kind)
    return compiled(scaled, vector(element), types.Array(number, 1, "C"), number)


class _Masks:
    """The masks of tiles, drawn into one buffer; a shared one stays there for the next sample."""

    def __init__(self, key: Key, plan: Plan, shape: tuple[int, int], shared: bool) -> None:
        self.key, self.plan, self.shared = key, plan, shared
        self.outputs, self.inputs = shape
        self.rows = max(1, min(_TILE // max(1, self.inputs), self.outputs))
        self.buffer = np.empty(self.rows * self.inputs, np.uint8)
        self.drawn: slice | None = None

    def tiles(self) -> Iterator[slice]:
        for first in range(0, self.outputs, self.rows):
            yield slice(first, min(first + self.rows, self.outputs))

    def draw(self, sample: int, rows: slice) -> Array:
        count = rows.stop - rows.start
        start = ((0 if self.shared else sample * self.outputs) + rows.start) * self.inputs
        keep = self.buffer[: count * self.inputs]
        if not self.shared or self.drawn != rows:
            draw(keep, "mask", self.key, self.plan, start)
            self.drawn = rows
        return keep.reshape(count, self.inputs)


def _zeros(shape: Any, kind: str) -> Array:
    return np.zeros(shape, KINDS[kind][2])


def dropconnect(
    x: Array,
    w: Array,
    bias: Array | None,
    out: Array,
    kind: str,
    key: Key,
    plan: Plan,
    shared: bool,
) -> None:
    """The output of a linear layer without the dropped weights."""
    real = KINDS[kind][2]
    masks = _Masks(key, plan, w.shape, shared)
    dot, convert = _dot_kernel(kind), _convert_kernel(kind)
    constant = None
    if bias is not None:
        constant = _zeros(bias.size, kind)
        _scaled_kernel(kind)(bias, constant, real(1))
    with np.errstate(all="ignore"):
        for rows in masks.tiles():
            for n in range(len(x)):
                keep = masks.draw(n, rows) if masks.inputs else masks.buffer.reshape(0, 0)
                y = _zeros(rows.stop - rows.start, kind)
                dot(x[n], w[rows], y, keep, real(0))
                y *= real(plan.scale)
                convert(y if constant is None else y + constant[rows], out[n, rows])


def dropconnect_dx(
    dy: Array, w: Array, dx: Array, kind: str, key: Key, plan: Plan, shared: bool
) -> None:
    """The gradient with respect to the input."""
    real = KINDS[kind][2]
    masks = _Masks(key, plan, w.shape, shared)
    add, scaled, convert = _add_kernel(kind), _scaled_kernel(kind), _convert_kernel(kind)
    for n in range(len(dy) if masks.inputs else 0):
        gradient, total = _zeros(masks.outputs, kind), _zeros((1, masks.inputs), kind)
        scaled(dy[n], gradient, real(plan.scale))
        for rows in masks.tiles():
            add(w[rows], gradient[rows], total, masks.draw(n, rows), real(0))
        convert(total[0], dx[n])


def dropconnect_dw(
    dy: Array, x: Array, dw: Array, kind: str, key: Key, plan: Plan, shared: bool
) -> None:
    """The gradient with respect to the weights."""
    real = KINDS[kind][2]
    masks = _Masks(key, plan, dw.shape, shared)
    add, scaled, convert = _add_kernel(kind), _scaled_kernel(kind), _convert_kernel(kind)
    for rows in masks.tiles() if masks.inputs else ():
        count = rows.stop - rows.start
        gradient, total = _zeros(count, kind), _zeros((count, masks.inputs), kind)
        for n in range(len(x)):
            scaled(dy[n, rows], gradient, real(plan.scale))
            add(x[n : n + 1], gradient, total, masks.draw(n, rows), real(0))
        convert(total.reshape(-1), dw[rows].reshape(-1))
