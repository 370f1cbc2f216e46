"""Operations that take several contiguous arrays, element by element, in the compute type.

The bytes of a chunk's mask are drawn into a buffer; a kernel, made of the conversions of a kind, is
compiled on first use.
"""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numba
import numpy as np
from numba import types

from fastdrop.backends.call import Call

from .halves import from_bfloat16, from_float16, to_bfloat16, to_float16
from .jit import compiled, jit
from .kernels import KINDS, draw

Array = np.ndarray[Any, np.dtype[Any]]

CHUNK = 64 * 4096  # elements at a time


@jit
def _same(v: Any) -> Any:
    return v


_HALVES = {"float16": (from_float16, to_float16), "bfloat16": (from_bfloat16, to_bfloat16)}


def conversions(kind: str) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    """From an element of ``kind`` to its compute type, and back."""
    return _HALVES.get(kind, (_same, _same))


def vector(element: Any) -> Any:
    """Numba's type of a contiguous array, aligned or not, that may be read-only."""
    return types.Array(element, 1, "C", readonly=True, aligned=False)


def written(element: Any) -> Any:
    """The same of an array that is written."""
    return types.Array(element, 1, "C", aligned=False)


def types_of(kind: str) -> tuple[Any, Any]:
    """Numba's types of an element of ``kind``, and of a number in its compute type."""
    _, element, compute = KINDS[kind]
    return element, numba.from_dtype(np.dtype(compute))


MASK = types.Array(types.uint8, 1, "C", readonly=True)


def chunks(call: Call) -> Iterator[tuple[slice, Array]]:
    """Parts of the elements, each with its decisions as bytes of 0 and 1.

    They are drawn, or in `mask` as bytes; without either they are 1.
    """
    n, key, plan = call.reads[0].size, call.key, call.plan
    if call.mask is not None:
        yield slice(0, n), call.mask
        return
    buffer = np.ones(min(n, CHUNK), np.uint8)
    for start in range(0, n, CHUNK):
        part = slice(start, min(start + CHUNK, n))
        keep = buffer[: part.stop - start]
        if key is not None and plan is not None:
            draw(keep, "mask", key, plan, start)
        yield part, keep


def over_chunks(kernel: Callable[..., None], call: Call) -> None:
    """Call a kernel that takes operands, the bytes of their decisions, and the call's numbers."""
    operands = (*call.reads, *call.writes)
    numbers = [KINDS[call.kind][2](number) for number in call.numbers]
    for part, keep in chunks(call):
        kernel(*(operand[part] for operand in operands), keep, *numbers)


@functools.cache
def _add_kernel(kind: str) -> Callable[..., None]:
    load, store = conversions(kind)

    def add(x: Array, residual: Array, out: Array, keep: Array, scale: Any) -> None:
        for i in range(x.size):
            # The product is made before it is chosen, or a branch would be mispredicted.
            product = load(x[i]) * scale
            kept = product if keep[i] else scale - scale
            out[i] = store(kept + load(residual[i]))

    element, number = types_of(kind)
    return compiled(add, vector(element), vector(element), written(element), MASK, number)


def add(call: Call) -> None:
    """``residual`` plus what dropout makes of ``x``."""
    over_chunks(_add_kernel(call.kind), call)


@functools.cache
def _select_kernel(dtype: np.dtype[Any]) -> Callable[..., None]:
    def select(a: Array, b: Array, out: Array, keep: Array) -> None:
        for i in range(a.size):
            out[i] = a[i] if keep[i] else b[i]

    element = numba.from_dtype(dtype)
    x = vector(element)
    return compiled(select, x, x, written(element), MASK)


def select(call: Call) -> None:
    """``a`` where the decision is to keep, else ``b``."""
    over_chunks(_select_kernel(call.reads[0].dtype), call)


@functools.cache
def _split_kernel(dtype: np.dtype[Any]) -> Callable[..., None]:
    def split(dy: Array, new: Array, old: Array, keep: Array) -> None:
        zero = dy.dtype.type(0)
        for i in range(dy.size):
            gradient = dy[i]
            new[i] = gradient if keep[i] else zero
            old[i] = zero if keep[i] else gradient

    element = numba.from_dtype(dtype)
    return compiled(split, vector(element), written(element), written(element), MASK)


def split(call: Call) -> None:
    """``dy`` to one of two, by the decision; the other gets +0.0."""
    over_chunks(_split_kernel(call.reads[0].dtype), call)


@functools.cache
def _mix_kernel(kind: str) -> Callable[..., None]:
    load, store = conversions(kind)

    def mix(a: Array, b: Array, out: Array, keep: Any, drop: Any) -> None:
        for i in range(a.size):
            out[i] = store(load(a[i]) * keep + load(b[i]) * drop)

    element, number = types_of(kind)
    x = vector(element)
    return compiled(mix, x, x, written(element), number, number)


def mix(call: Call) -> None:
    """``a * keep + b * drop``."""
    numbers = (KINDS[call.kind][2](number) for number in call.numbers)
    _mix_kernel(call.kind)(*call.reads, *call.writes, *numbers)


@functools.cache
def affine_kernel(kind: str) -> Callable[..., None]:
    """Alpha dropout in place, by the bytes of a mask."""
    load, store = conversions(kind)

    def affine(x: Array, keep: Array, scale: Any, shift: Any, dropped: Any) -> None:
        for i in range(x.size):
            y = load(x[i]) * scale + shift
            x[i] = store(y if keep[i] else dropped)

    element, number = types_of(kind)
    mask = types.Array(types.uint8, 1, "C", readonly=True)
    return compiled(affine, written(element), mask, number, number, number)
