"""The kernels: drawing, and applying decisions to the elements, for each kind."""

import functools
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numba import types

from fastdrop._arrays import Array
from fastdrop._rates import Plan
from fastdrop.stream import Key

from .halves import conversions
from .jit import compiled, jit


@jit
def _mix(z: Any) -> Any:
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@jit
def _open_block(
    state: Array, r: Array, k0: Any, k1: Any, here: Any, end: int, threshold: int, fraction: Any
) -> Any:
    """Draw the fields of the block at position ``here``, at least ``end`` of them, into r.

    Returns the signed number that the fields to keep are not below.
    """
    g = np.uint64(0x9E3779B97F4A7C15)
    block = here >> np.uint64(12)
    a = _mix(k0 + block * g)
    b = _mix(k1 + block * g)
    # Row t of 16 is s0 of step t, and s1 of the step before: one array for the whole block makes
    # the recurrence one long loop, which LLVM vectorises because it reads 16 behind.
    for j in range(16):
        lane = np.uint64(j + 1) * g
        state[j] = _mix(a + lane)
        state[16 + j] = _mix(b + lane) | np.uint64(1)
    for i in range(16 * ((end + 63) >> 6)):
        s0 = state[i]
        s1 = state[i + 16]
        r[i] = s0 + s1
        x = s0 ^ (s0 << np.uint64(23))
        state[i + 32] = x ^ s1 ^ (x >> np.uint64(18)) ^ (s1 >> np.uint64(5))

    bound = threshold - 32768
    if _mix(a + np.uint64(17) * g) < fraction:
        bound += 1
    if bound > 32767:  # no int16: all of the block is dropped
        r[:] = np.uint64(0x8000800080008000)
        bound = 32767
    return np.int16(bound)


def _over_blocks(apply: Callable[..., None]) -> Callable[..., None]:
    """A kernel that draws block after block and calls ``apply`` on the elements of each."""

    @jit
    def kernel(
        x: Array, scale: float, seed: Any, stream: Any, position: Any, threshold: int, fraction: Any
    ) -> None:
        g = np.uint64(0x9E3779B97F4A7C15)
        k0 = _mix(_mix(seed + g) ^ stream)
        k1 = _mix(_mix(seed + g + g) + stream)
        state = np.empty(1056, np.uint64)
        r = np.empty(1024, np.uint64)
        field = r.view(np.int16)
        done = 0
        while done < x.size:
            here = np.uint64(position + np.uint64(done))
            skip = np.int64(here & np.uint64(4095))
            count: Any = min(4096 - skip, x.size - done)
            end = skip + count
            bound = _open_block(state, r, k0, k1, here, end, threshold, fraction)
            apply(x[done : done + count], field[skip:end], bound, scale)
            done += count

    return kernel


# Those below, but for `_apply_none`, keep element i where drawn[i] >= bound: fields of the stream
# and the threshold of their block, or the bytes of a mask and 1.


@jit
def _apply_nothing(keep: Array, drawn: Array, bound: Any, _: float) -> None:
    """The decisions themselves."""
    for i in range(keep.size):
        keep[i] = drawn[i] >= bound


@jit
def _apply_none(field: Array, drawn: Array, _bound: Any, _: float) -> None:
    """The fields as they are drawn."""
    for i in range(field.size):
        field[i] = drawn[i]


def _scaling(kind: str) -> Callable[..., None]:
    load, store = conversions(kind)

    @jit
    def scale_kept(x: Array, drawn: Array, bound: Any, scale: Any) -> None:
        zero = x.dtype.type(0)
        for i in range(x.size):
            y = store(load(x[i]) * scale)
            x[i] = y if drawn[i] >= bound else zero

    return scale_kept


# --- compiled ---------------------------------------------------------------------------------

# The function that is applied, and the types of the elements and of the scale.
KINDS: dict[str, tuple[Callable[..., None], Any, Any]] = {
    "float32": (_scaling("float32"), types.float32, np.float32),
    "float64": (_scaling("float64"), types.float64, np.float64),
    "float16": (_scaling("float16"), types.uint16, np.float32),
    "bfloat16": (_scaling("bfloat16"), types.uint16, np.float32),
    "mask": (_apply_nothing, types.uint8, np.float32),
    "fields": (_apply_none, types.int16, np.float32),
}


# An explicit signature takes every array: a writable or aligned one is accepted where neither is
# asked for, so that nothing is ever compiled twice.
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


@functools.cache
def drawing_kernel(kind: str) -> Callable[..., None]:
    """The kernel that draws and applies in one go."""
    element, scale = types_of(kind)
    word = types.uint64
    numbers = scale, word, word, word, types.int64, word
    return compiled(_over_blocks(KINDS[kind][0]), kind, written(element), *numbers)


def draw(x: Array, kind: str, key: Key, plan: Plan, start: int) -> None:
    """Dropout in place of contiguous elements; the first of them is number ``start``."""
    drawing_kernel(kind)(
        x, KINDS[kind][2](plan.scale), np.uint64(key.seed), np.uint64(key.stream),
        np.uint64((key.offset + start) % 2**64), plan.threshold, np.uint64(plan.fraction),
    )  # fmt: skip


@functools.cache
def masking_kernel(kind: str) -> Callable[..., None]:
    """The kernel that applies the bytes of a mask."""
    element, scale = types_of(kind)
    return compiled(KINDS[kind][0], kind, written(element), MASK, types.uint8, scale)
