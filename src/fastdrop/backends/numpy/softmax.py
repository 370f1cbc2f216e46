"""Softmax with dropout and its gradient, by rows of scores."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from fastdrop._arrays import Array
from fastdrop._rates import Plan
from fastdrop._score_rows import Rows
from fastdrop.backends.call import parts
from fastdrop.stream import Key

from .arithmetic import factor, masked, rounded, widened
from .draw import CHUNK, keep
from .functions import exp
from .sums import EXPONENTIALS, row_sums


def _quotients(number: Any, total: Array, dtype: Any) -> Array:
    """``number / total`` as a column; of an empty sum, 0."""
    nothing = total == 0
    quotients = np.where(nothing, 0, number / np.where(nothing, 1, total))
    return quotients.astype(dtype)[:, None]


def _decisions(rows: Rows, key: Key, plan: Plan, first: int, end: int, n: int) -> Array:
    """What is kept of rows ``first`` to ``end``."""
    if rows.row_positions == n and rows.group_positions == rows.group * n:
        return keep(key, plan, first * n, end * n).reshape(end - first, n)
    starts = (
        group * rows.group_positions + row * rows.row_positions
        for group, row in (divmod(number, rows.group) for number in range(first, end))
    )
    return np.stack([keep(key, plan, start, start + n) for start in starts])


def _pieces(x: Array, kind: str, rows: Rows, key: Key, plan: Plan) -> Iterator[tuple[Any, ...]]:
    """As many rows at a time as make up a chunk, or one row.

    Which they are, e = exp(z - largest) and its sums, what is not masked, and what is kept.
    """
    count, n = x.shape
    for part in parts(count, max(1, CHUNK // n)) if n else ():
        numbers = np.arange(part.start, part.stop)
        visible = rows.visible + numbers % rows.group
        take = np.arange(n) < visible[:, None]
        z = widened(x[part], kind) * factor(rows.scale, kind)
        if rows.mask is not None:
            mask = rows.mask[np.unravel_index(numbers, rows.mask.shape[:-1])]
            if mask.dtype == np.bool_:
                take &= mask.view(np.uint8) != 0
            else:
                z = z + widened(mask, kind)
        z = np.where(take, z, z.dtype.type(-np.inf))
        largest = np.fmax.reduce(z, axis=1, keepdims=True)
        e = exp(z - np.where(largest == -np.inf, z.dtype.type(0), largest))
        decisions = _decisions(rows, key, plan, part.start, part.stop, n)
        # A masked score counts for nothing, even where it is nan.
        decisions &= np.arange(n) < visible[:, None]
        yield part, e, row_sums(e, EXPONENTIALS), take, decisions


@np.errstate(all="ignore")
def softmax_dropout(x: Array, out: Array, kind: str, rows: Rows, key: Key, plan: Plan) -> None:
    """Dropout of the softmax of each row, rounded to the storage type once."""
    for part, e, total, _, kept in _pieces(x, kind, rows, key, plan):
        out[part] = rounded(masked(e * _quotients(plan.scale, total, e.dtype), kept), kind)


@np.errstate(all="ignore")
def softmax_dropout_backward(
    x: Array, dy: Array, dx: Array, again: Array | None, kind: str, rows: Rows, key: Key, plan: Plan
) -> None:
    """Its gradient: with weights w and g = dy * keep / (1 - p), w * (g - sum of w * g) * scale."""
    for part, e, total, take, kept in _pieces(x, kind, rows, key, plan):
        g = masked(widened(dy[part], kind) * factor(plan.scale, kind), kept & take)
        centre = _quotients(row_sums(e * g, EXPONENTIALS), total, e.dtype)
        gradient = (e * _quotients(rows.scale, total, e.dtype)) * (g - centre)
        dx[part] = rounded(masked(gradient, take), kind)
        if again is not None:
            weights = masked(e * _quotients(plan.scale, total, e.dtype), kept)
            again[part] = rounded(weights, kind)
