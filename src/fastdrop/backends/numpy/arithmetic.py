"""Arithmetic in the compute type of a kind, and rounding to its storage type."""

from typing import Any

import numpy as np

from fastdrop._arrays import Array


def widened(x: Array, kind: str) -> Array:
    """The numbers in the type that ``kind`` is computed in: float64, or float32."""
    if kind == "float16":
        return x.view(np.float16).astype(np.float32)
    if kind == "bfloat16":
        return (x.astype(np.uint32) << 16).view(np.float32)
    return x


def rounded(x: Array, kind: str) -> Array:
    """What was computed, rounded to nearest even, in the storage type of ``kind``."""
    if kind == "float16":
        with np.errstate(all="ignore"):
            return x.astype(np.float16).view(np.uint16)
    return _bfloat16_bits(x) if kind == "bfloat16" else x


def factor(value: float, kind: str) -> Any:
    """A number of the type that ``kind`` is computed in."""
    return np.float64(value) if kind == "float64" else np.float32(value)


def multiplied(x: Array, kind: str, scale: float) -> Array:
    """``x * scale`` in the compute type of ``kind``, rounded to its storage type."""
    with np.errstate(all="ignore"):
        return rounded(widened(x, kind) * factor(scale, kind), kind)


def _bfloat16_bits(x: Array) -> Array:
    """float32 to bfloat16, to nearest even: the upper half of the bits, after rounding."""
    bits = x.view(np.uint32)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
    # A nan could be rounded to inf or to 0: keep its upper half, made quiet.
    return np.where(np.isnan(x), (bits >> 16) | 0x40, rounded).astype(np.uint16)


def masked(y: Array, keep: Array) -> Array:
    """``y`` where ``keep`` is True, else +0.0, whose bits are all 0.

    An AND of the bits: multiplying by 0 would give nan for inf and -0.0 for negative numbers, and
    ``np.where`` takes four times as long with a mask that no processor can predict.
    """
    bits = y.view(f"i{y.itemsize}") & -keep.view(np.int8)
    return bits.view(y.dtype)
