"""Operations that take several contiguous arrays, element by element, in the compute type.

The bytes of a chunk's mask are drawn into a buffer; a kernel, made of the conversions of a kind, is
compiled on first use.
"""

import functools
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numba import types

from fastdrop._plan import Plan
from fastdrop.stream import Key

from .halves import from_bfloat16, from_float16, to_bfloat16, to_float16
from .jit import compiled, jit
from .kernels import KINDS, draw

Array = np.ndarray[Any, np.dtype[Any]]

CHUNK = 64 * 4096  # elements at a time


@jit
def _same(v: Any) -> Any:
    return v


LOAD = {"float16": from_float16, "bfloat16": from_bfloat16}
STORE = {"float16": to_float16, "bfloat16": to_bfloat16}


def vector(kind: str) -> Any:
    """Numba's type of a contiguous array of ``kind``, aligned or not, that may be read-only."""
    return types.Array(KINDS[kind][1], 1, "C", readonly=True, aligned=False)


def written(kind: str) -> Any:
    """The same of an array that is written."""
    return types.Array(KINDS[kind][1], 1, "C", aligned=False)


def number(kind: str) -> Any:
    """Numba's type of a number in the compute type of ``kind``."""
    return numba.from_dtype(np.dtype(KINDS[kind][2]))


MASK = types.Array(types.uint8, 1, "C")


def keep_bytes(key: Key, plan: Plan, start: int, count: int, buffer: Array) -> Array:
    """The decisions for elements from ``start`` on as bytes of 0 and 1, in ``buffer``."""
    keep = buffer[:count]
    draw(keep, "mask", key, plan, start)
    return keep


@functools.cache
def _add_kernel(kind: str) -> Callable[..., None]:
    load, store = LOAD.get(kind, _same), STORE.get(kind, _same)

    @jit
    def add(x: Array, residual: Array, out: Array, keep: Array, scale: Any) -> None:
        for i in range(x.size):
            # The product is made before it is chosen, or a branch would be mispredicted.
            product = load(x[i]) * scale
            kept = product if keep[i] else scale - scale
            out[i] = store(kept + load(residual[i]))

    a = vector(kind)
    return compiled(add, a, a, written(kind), MASK, number(kind))


def dropout_add(x: Array, residual: Array, out: Array, kind: str, key: Key, plan: Plan) -> None:
    """``residual`` plus what dropout makes of ``x``."""
    kernel = _add_kernel(kind)
    buffer = np.empty(min(x.size, CHUNK), np.uint8)
    for start in range(0, x.size, CHUNK):
        part = slice(start, min(start + CHUNK, x.size))
        keep = keep_bytes(key, plan, start, part.stop - start, buffer)
        kernel(x[part], residual[part], out[part], keep, KINDS[kind][2](plan.scale))
