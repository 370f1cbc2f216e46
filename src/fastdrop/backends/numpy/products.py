"""Products with a mask for each sample: a sample at a time, and some of the outputs.

Every sum has one order, which the other backends keep: a dot product adds term i of each chunk of
4096 inputs to place i % 32, then the upper half of the places to the lower until one is left, and
adds up the chunks; a gradient adds outputs or samples one after the other.
"""

from collections.abc import Iterator

import numpy as np

from fastdrop._arrays import Array
from fastdrop._rates import Plan
from fastdrop.backends.call import parts
from fastdrop.stream import Key

from .arithmetic import factor, masked, rounded, widened
from .draw import keep

PLACES = 32
CHUNK = 4096  # inputs

_TILE = 16 * 4096  # weights at a time


def _sums(terms: Array) -> Array:
    """The sums along the last axis."""
    rows, n = terms.shape
    steps = -(-n // PLACES)
    places = np.zeros((rows, steps * PLACES), terms.dtype)
    places[:, :n] = terms
    places = places.reshape(rows, steps, PLACES)
    places[:, 0] += 0  # a sum begins with +0.0, and -0.0 + 0.0 is +0.0
    # `add.accumulate` adds in sequence; the order of `sum` depends on the shape.
    total: Array = np.add.accumulate(places, axis=1)[:, -1]
    while total.shape[1] > 1:
        half = total.shape[1] // 2
        total = total[:, :half] + total[:, half:]
    return total[:, 0]


def _tiles(outputs: int, inputs: int) -> Iterator[slice]:
    return parts(outputs, max(1, _TILE // inputs))


def _keep(key: Key, plan: Plan, sample: int, rows: slice, shape: tuple[int, int]) -> Array:
    """The decisions for some outputs of a sample; ``shape`` is that of the weights."""
    outputs, inputs = shape
    first = (sample * outputs + rows.start) * inputs
    count = rows.stop - rows.start
    return keep(key, plan, first, first + count * inputs).reshape(count, inputs)


def dropconnect(
    x: Array, w: Array, bias: Array | None, y: Array, kind: str, key: Key, plan: Plan, shared: bool
) -> None:
    """The output of a linear layer without the dropped weights."""
    outputs, inputs = w.shape
    with np.errstate(all="ignore"):
        for n in range(len(x)):
            sample = widened(x[n], kind)
            total = np.zeros(outputs, sample.dtype)
            for rows in _tiles(outputs, inputs) if inputs else ():
                terms = widened(w[rows], kind) * sample
                terms = masked(terms, _keep(key, plan, 0 if shared else n, rows, w.shape))
                for first in range(0, inputs, CHUNK):
                    total[rows] += _sums(terms[:, first : first + CHUNK])
            total *= factor(plan.scale, kind)
            y[n] = rounded(total if bias is None else total + widened(bias, kind), kind)


def dropconnect_dx(
    dy: Array, w: Array, dx: Array, kind: str, key: Key, plan: Plan, shared: bool
) -> None:
    """The gradient with respect to the input."""
    outputs, inputs = w.shape
    with np.errstate(all="ignore"):
        for n in range(len(dy) if inputs else 0):
            gradient = widened(dy[n], kind) * factor(plan.scale, kind)
            total = np.zeros(inputs, gradient.dtype)
            for rows in _tiles(outputs, inputs):
                terms = widened(w[rows], kind) * gradient[rows, None]
                terms = masked(terms, _keep(key, plan, 0 if shared else n, rows, w.shape))
                terms[0] += total
                total = np.add.accumulate(terms, axis=0)[-1]
            dx[n] = rounded(total, kind)


def dropconnect_dw(
    dy: Array, x: Array, dw: Array, kind: str, key: Key, plan: Plan, shared: bool
) -> None:
    """The gradient with respect to the weights."""
    outputs, inputs = dw.shape
    with np.errstate(all="ignore"):
        for rows in _tiles(outputs, inputs) if inputs else ():
            total = np.zeros((rows.stop - rows.start, inputs), factor(1, kind).dtype)
            for n in range(len(x)):
                gradient = widened(dy[n, rows], kind) * factor(plan.scale, kind)
                terms = widened(x[n], kind) * gradient[:, None]
                total += masked(terms, _keep(key, plan, 0 if shared else n, rows, dw.shape))
            dw[rows] = rounded(total, kind)
