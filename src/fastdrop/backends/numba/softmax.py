"""Softmax with dropout and its gradient, row by row.

The bytes of the masks of some rows are gathered into buffers; the kernels walk the rows.
"""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numba import types

from fastdrop._arrays import Array
from fastdrop._rates import Plan
from fastdrop._score_rows import Rows
from fastdrop.backends.call import parts
from fastdrop.stream import Key

from ..numpy.sums import EXPONENTIALS
from .functions import functions
from .halves import conversions
from .jit import compiled, jit
from .kernels import KINDS, MASK, draw, types_of, vector, written
from .pieces import CHUNK
from .sums import row_sum


@jit
def _part(a: float, total: float) -> float:
    return a / total if total != 0 else 0.0


@functools.cache
def _kernel(kind: str) -> Callable[..., None]:
    compute = KINDS[kind][2]
    (load, store), exp = conversions(kind), functions(compute)["exp"]
    lowest, zero = compute(-np.inf), compute(0)

    @jit
    def exponentials(x: Array, take: Array, add: Array, scale: Any, e: Array) -> float:
        """Turn a row of scores into e = exp(z - largest); the sum of e."""
        largest = lowest
        for i in range(e.size):
            z = load(x[i]) * scale
            if add.size:
                z = z + load(add[i])
            z = z if take[i] else lowest
            e[i] = z
            largest = max(largest, z)
        if largest == lowest:
            largest = zero
        for i in range(e.size):
            e[i] = exp(e[i] - largest)
        return row_sum(e, np.empty(16, compute), EXPONENTIALS)

    @jit
    def softmax(
        x: Array,
        dy: Array,
        dx: Array,
        weights: Array,
        take: Array,
        keep: Array,
        add: Array,
        n: int,
        scale: Any,
        kept: float,
    ) -> None:
        """The weights after dropout, the gradient, or both; the other arrays are empty.

        Either may be stored where x or dy are.
        """
        e, g, products = np.empty(n, compute), np.empty(n, compute), np.empty(n, compute)
        keep_scale = compute(kept)
        for row in range(0, x.size, n):
            here = slice(row, row + n)
            total = exponentials(x[here], take[here], add[row : row + min(n, add.size)], scale, e)
            if dx.size:
                for i in range(n):
                    d = load(dy[row + i]) * keep_scale
                    g[i] = d if keep[row + i] and take[row + i] else zero
                    products[i] = e[i] * g[i]
                slope = compute(_part(np.float64(scale), total))
                product = row_sum(products, np.empty(16, compute), EXPONENTIALS)
                centre = compute(_part(product, total))
                for i in range(n):
                    d = (e[i] * slope) * (g[i] - centre)
                    dx[row + i] = store(d if take[row + i] else zero)
            if weights.size:
                factor = compute(_part(kept, total))
                for i in range(n):
                    w = e[i] * factor
                    weights[row + i] = store(w if keep[row + i] else zero)

    element, real = types_of(kind)
    a, b = vector(element), written(element)
    return compiled(softmax, kind, a, a, b, b, MASK, MASK, a, types.int64, real, types.float64)


def _pieces(x: Array, rows: Rows, key: Key, plan: Plan) -> Iterator[tuple[Any, ...]]:
    """As many rows at a time as make up a chunk, or one row.

    Their range; their masks as bytes, unmasked and kept; and what is added to the scores.
    """
    count, n = x.shape
    together = rows.row_positions == n and rows.group_positions == rows.group * n
    for some in parts(count, max(1, CHUNK // n)) if n else ():
        numbers = np.arange(some.start, some.stop)
        group, row = np.divmod(numbers, rows.group)
        seen = np.arange(n) < (rows.visible + row)[:, None]
        take, add = seen, np.empty(0, x.dtype)
        if rows.mask is not None:
            mask = rows.mask[np.unravel_index(numbers, rows.mask.shape[:-1])]
            if mask.dtype == np.bool_:
                take = seen & (mask.view(np.uint8) != 0)
            else:
                add = np.ascontiguousarray(mask).reshape(-1)
        keep = np.empty((numbers.size, n), np.uint8)
        if together:
            draw(keep.reshape(-1), "mask", key, plan, some.start * n)
        else:
            for i, (g, r) in enumerate(zip(group.tolist(), row.tolist(), strict=True)):
                start = g * rows.group_positions + r * rows.row_positions
                draw(keep[i], "mask", key, plan, start)
        keep &= seen
        part = slice(some.start * n, some.stop * n)
        yield part, take.reshape(-1).view(np.uint8), keep.reshape(-1), add


def softmax_dropout(x: Array, out: Array, kind: str, rows: Rows, key: Key, plan: Plan) -> None:
    """Dropout of the softmax of each row."""
    nothing = np.empty(0, x.dtype)
    softmax_dropout_backward(x, nothing, nothing, out, kind, rows, key, plan)


def softmax_dropout_backward(
    x: Array, dy: Array, dx: Array, again: Array | None, kind: str, rows: Rows, key: Key, plan: Plan
) -> None:
    """Its gradient, and the result once more in ``again``."""
    kernel, scale = _kernel(kind), KINDS[kind][2](rows.scale)
    weights = np.empty(0, x.dtype) if again is None else again
    arrays = [array.reshape(-1) for array in (x, dy, dx, weights)]
    for part, *masks in _pieces(x, rows, key, plan):
        kernel(*(array[part] for array in arrays), *masks, x.shape[1], scale, plan.scale)
