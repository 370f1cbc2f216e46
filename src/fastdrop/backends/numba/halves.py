"""float16 and bfloat16, which Numba does not know, as integers: to float32 and back.

Every result is brought back to its width, because Numba computes in 64 bits unless told otherwise:
the vectors of LLVM are then as wide as the data, not as the intermediate values.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from .jit import jit


@jit
def bits_of(x: Any) -> Any:
    """The bit pattern of a float32."""
    return np.uint32(np.float32(x).view(np.uint32))


@jit
def float_of(bits: Any) -> Any:
    """The float32 with a bit pattern."""
    return np.float32(np.uint32(bits).view(np.float32))


@jit
def from_bfloat16(h: Any) -> Any:
    """The upper half of a float32."""
    return float_of(np.uint32(h) << np.uint32(16))


@jit
def to_bfloat16(x: Any) -> Any:
    """To nearest even."""
    bits = bits_of(x)
    odd = np.uint32(np.uint32(bits >> np.uint32(16)) & np.uint32(1))
    rounded = np.uint32(np.uint32(bits + np.uint32(0x7FFF)) + odd)
    # A nan could be rounded to inf or to 0: keep its upper half, made quiet.
    is_nan = np.uint32(bits & np.uint32(0x7FFFFFFF)) > np.uint32(0x7F800000)
    y = np.uint32(bits | np.uint32(0x400000)) if is_nan else rounded
    return np.uint16(y >> np.uint32(16))


@jit
def from_float16(h: Any) -> Any:
    """A subnormal is its bits times 2**-24; inf and nan keep the largest exponent."""
    sign = np.uint32(np.uint32(np.uint32(h) & np.uint32(0x8000)) << np.uint32(16))
    rest = np.uint32(np.uint32(h) & np.uint32(0x7FFF))
    normal = np.uint32(np.uint32(rest << np.uint32(13)) + np.uint32(0x38000000))
    special = np.uint32(normal + np.uint32(0x38000000))
    subnormal = bits_of(np.float32(np.int32(rest)) * np.float32(2.0**-24))
    large = special if rest >= np.uint32(0x7C00) else normal
    return float_of(sign | (subnormal if rest < np.uint32(0x0400) else large))


@jit
def to_float16(x: Any) -> Any:
    """To nearest even."""
    # The exponent's bias changes by 112, and half a unit in the last place, less one for an even
    # number, makes the shift round, up to inf if need be.
    bits = bits_of(x)
    sign = np.uint32(np.uint32(bits >> np.uint32(16)) & np.uint32(0x8000))
    rest = np.uint32(bits & np.uint32(0x7FFFFFFF))
    odd = np.uint32(np.uint32(rest >> np.uint32(13)) & np.uint32(1))
    rounded = np.uint32(np.uint32(rest - np.uint32(0x37FFF001)) + odd)
    # Below 2**-14: 0.5 has the unit of a subnormal, so that the addition rounds to it.
    small = np.uint32(bits_of(float_of(rest) + np.float32(0.5)) - np.uint32(0x3F000000))
    y = small if rest < np.uint32(0x38800000) else np.uint32(rounded >> np.uint32(13))
    y = np.uint32(0x7C00) if rest >= np.uint32(0x47800000) else y
    y = np.uint32(0x7E00) if rest > np.uint32(0x7F800000) else y
    return np.uint16(sign | y)


@jit
def same(v: Any) -> Any:
    """What needs no conversion."""
    return v


_HALVES = {"float16": (from_float16, to_float16), "bfloat16": (from_bfloat16, to_bfloat16)}


def conversions(kind: str) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    """From an element of ``kind`` to its compute type, and back."""
    return _HALVES.get(kind, (same, same))
