"""The kernels: drawing, and what is to become of the elements, once for each kind.

Every result is brought back to its width, because Numba computes in 64 bits unless told otherwise:
the vectors of LLVM are then as wide as the data, not as the intermediate values.
"""

import functools
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numba import types

from .jit import compiled, jit

Array = np.ndarray[Any, np.dtype[Any]]


@jit
def _mix(z: Any) -> Any:
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@jit
def _bits(x: Any) -> Any:
    return np.uint32(np.float32(x).view(np.uint32))


@jit
def _float(bits: Any) -> Any:
    return np.float32(np.uint32(bits).view(np.float32))


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
        x: Array,
        scale: float,
        seed: Any,
        stream: Any,
        position: Any,
        threshold: int,
        fraction: Any,
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


# The four below keep element i where drawn[i] >= bound: fields of the stream and the threshold of
# their block, or the bytes of a mask and 1.


@jit
def _apply_nothing(keep: Array, drawn: Array, bound: Any, _: float) -> None:
    """The decisions themselves."""
    for i in range(keep.size):
        keep[i] = drawn[i] >= bound


@jit
def _apply_float(x: Array, drawn: Array, bound: Any, scale: Any) -> None:
    zero = x.dtype.type(0)
    for i in range(x.size):
        x[i] = x[i] * scale if drawn[i] >= bound else zero


@jit
def _apply_bfloat16(x: Array, drawn: Array, bound: Any, scale: Any) -> None:
    for i in range(x.size):
        bits = _bits(_float(np.uint32(x[i]) << np.uint32(16)) * scale)
        odd = np.uint32(np.uint32(bits >> np.uint32(16)) & np.uint32(1))
        rounded = np.uint32(np.uint32(bits + np.uint32(0x7FFF)) + odd)
        # A nan could be rounded to inf or to 0: keep its upper half, made quiet.
        is_nan = np.uint32(bits & np.uint32(0x7FFFFFFF)) > np.uint32(0x7F800000)
        y = np.uint32(bits | np.uint32(0x400000)) if is_nan else rounded
        x[i] = np.uint16(y >> np.uint32(16)) if drawn[i] >= bound else np.uint16(0)


@jit
def _apply_float16(x: Array, drawn: Array, bound: Any, scale: Any) -> None:
    for i in range(x.size):
        h = np.uint32(np.uint32(x[i]) & np.uint32(0x7FFF))

        # To float32, without the sign. A subnormal is its bits, as an integer, times 2**-24; inf
        # and nan keep the largest exponent.
        normal = np.uint32(np.uint32(h << np.uint32(13)) + np.uint32(0x38000000))
        special = np.uint32(normal + np.uint32(0x38000000))
        subnormal = np.float32(np.int32(h)) * np.float32(2.0**-24)
        value = _float(special if h >= np.uint32(0x7C00) else normal)
        product = np.float32((subnormal if h < np.uint32(0x0400) else value) * scale)

        # To float16, to nearest even: the exponent's bias changes by 112, and half a unit in the
        # last place, less one for an even number, makes the shift round, up to inf if need be.
        bits = _bits(product)
        odd = np.uint32(np.uint32(bits >> np.uint32(13)) & np.uint32(1))
        rounded = np.uint32(np.uint32(bits - np.uint32(0x37FFF001)) + odd)
        # Below 2**-14: 0.5 has the unit of a subnormal, so that the addition rounds to it.
        small = np.uint32(_bits(product + np.float32(0.5)) - np.uint32(0x3F000000))
        y = small if bits < np.uint32(0x38800000) else np.uint32(rounded >> np.uint32(13))
        y = np.uint32(0x7C00) if bits >= np.uint32(0x47800000) else y
        y = np.uint32(0x7E00) if bits > np.uint32(0x7F800000) else y

        # The scale is not negative: the sign stays.
        sign = np.uint32(np.uint32(x[i]) & np.uint32(0x8000))
        x[i] = np.uint16(sign | y) if drawn[i] >= bound else np.uint16(0)


# --- compiled ---------------------------------------------------------------------------------

# An explicit signature takes every array: a writable or aligned one is accepted where neither is
# asked for, so that nothing is ever compiled twice.
_U64 = types.uint64
_MASK = types.Array(types.uint8, 1, "C", readonly=True)

# What is applied, to elements of which type, with a scale of which type.
KINDS: dict[str, tuple[Callable[..., None], Any, Any]] = {
    "float32": (_apply_float, types.float32, np.float32),
    "float64": (_apply_float, types.float64, np.float64),
    "float16": (_apply_float16, types.uint16, np.float32),
    "bfloat16": (_apply_bfloat16, types.uint16, np.float32),
    "mask": (_apply_nothing, types.uint8, np.float32),
}


@functools.cache
def drawing_kernel(kind: str) -> Callable[..., None]:
    """The kernel that draws and applies in one go."""
    apply, element, factor = KINDS[kind]
    vector = types.Array(element, 1, "C", aligned=False)
    scale = numba.from_dtype(np.dtype(factor))
    return compiled(_over_blocks(apply), vector, scale, _U64, _U64, _U64, types.int64, _U64)


@functools.cache
def masking_kernel(kind: str) -> Callable[..., None]:
    """The kernel that applies the bytes of a mask."""
    apply, element, factor = KINDS[kind]
    vector = types.Array(element, 1, "C", aligned=False)
    return compiled(apply, vector, _MASK, types.uint8, numba.from_dtype(np.dtype(factor)))
