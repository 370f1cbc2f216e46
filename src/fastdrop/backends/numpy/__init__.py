"""The NumPy backend: the reference, written to be read beside the definition of the stream.

`draw` is the stream, `arithmetic` what is done to kept numbers. It shares no code with the other
backends.

Subnormal numbers and rounding are as in NumPy's own arithmetic: a thread that has set
flush-to-zero or another rounding mode changes them here, unlike in the C backend.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fastdrop._plan import Plan
from fastdrop.stream import Key

from .arithmetic import masked, multiplied
from .draw import CHUNK, keep
from .drop_block import drop_block_packed
from .fused import dropout_add, zoneout, zoneout_split

__all__ = [
    "apply_bool",
    "apply_packed",
    "drop_block_packed",
    "dropout",
    "dropout_add",
    "info",
    "mask_bool",
    "mask_packed",
    "scale",
    "zoneout",
    "zoneout_split",
]

Array = np.ndarray[Any, np.dtype[Any]]


def _apply(
    x: Array, out: Array, kind: str, mask: Callable[[int, int], Array] | None, scale: float
) -> None:
    """``x * scale`` where ``mask(start, stop)``, for elements start to stop, is True, else +0.0."""
    # A view where the elements lie in C order, else .flat, which finds them wherever they lie.
    source = x.reshape(-1) if x.flags.c_contiguous else x.flat
    target = out.reshape(-1) if out.flags.c_contiguous else out.flat
    for start in range(0, x.size, CHUNK):
        stop = min(start + CHUNK, x.size)
        y = multiplied(source[start:stop], kind, scale)
        target[start:stop] = y if mask is None else masked(y, mask(start, stop))


def dropout(x: Array, out: Array, kind: str, key: Key, plan: Plan) -> None:
    """Drop and scale."""
    _apply(x, out, kind, lambda start, stop: keep(key, plan, start, stop), plan.scale)


def mask_packed(out: Array, n: int, key: Key, plan: Plan) -> None:
    """The first ``n`` decisions as bits, lowest first."""
    for start in range(0, n, CHUNK):  # a multiple of 8: every chunk starts a byte
        stop = min(start + CHUNK, n)
        bits = np.packbits(keep(key, plan, start, stop), bitorder="little")
        out[start // 8 : start // 8 + bits.size] = bits


def mask_bool(out: Array, key: Key, plan: Plan) -> None:
    """The decisions as bools."""
    flat = out.reshape(-1)
    for start in range(0, flat.size, CHUNK):
        stop = min(start + CHUNK, flat.size)
        flat[start:stop] = keep(key, plan, start, stop)


def apply_packed(
    x: Array, out: Array, kind: str, bits: Array, mask_shape: tuple[int, ...], scale: float
) -> None:
    """Apply packed bits of a mask that is shared along the axes where its shape is 1."""
    if mask_shape == x.shape:

        def mask(start: int, stop: int) -> Array:
            part = bits[start // 8 : -(-stop // 8)]
            return np.unpackbits(part, count=stop - start, bitorder="little").view(np.bool_)

        _apply(x, out, kind, mask, scale)
    else:
        size = math.prod(mask_shape)
        small = np.unpackbits(bits, count=size, bitorder="little").view(np.bool_)
        apply_bool(x, out, kind, np.broadcast_to(small.reshape(mask_shape), x.shape), scale)


def apply_bool(x: Array, out: Array, kind: str, mask: Array, scale: float) -> None:
    """Apply a bool mask of x's shape."""
    # A bool array that is a view of other bytes may hold more than 0 and 1.
    flat = mask.view(np.uint8).flat
    _apply(x, out, kind, lambda start, stop: flat[start:stop] != 0, scale)


def scale(x: Array, out: Array, kind: str, scale: float) -> None:
    """Multiply by ``scale``."""
    _apply(x, out, kind, None, scale)


def info() -> dict[str, object]:
    """What ``show_config`` says of this backend."""
    return {"numpy": np.__version__}
