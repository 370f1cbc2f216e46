"""The Numba backend: the loops of C in Python, compiled on first use, for where no C is.

What is to become of the elements of a run is written once for each kind; it then serves a block
that was just drawn as well as a mask that the caller has. Kernels are compiled when they are first
needed and kept in Numba's cache where that can be written. They work in place on contiguous data;
anything else goes through a small buffer. float16 and bfloat16 are converted with integer
arithmetic, since Numba knows neither.

Subnormal numbers and rounding are as the calling thread has them: one that has set flush-to-zero
or another rounding mode changes them here, unlike in the C backend.
"""

import math
import sys
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

if sys.byteorder != "little":
    raise ImportError("the numba backend needs a little-endian machine")

from fastdrop._plan import Affine, Plan
from fastdrop.stream import Key

from . import jit  # first: it says what it means if Numba cannot be imported
from .activations import bias_act, bias_act_slope
from .computing import affine_kernel, dropout_add, zoneout, zoneout_split
from .drop_block import drop_block_packed
from .kernels import KINDS, draw, masking_kernel
from .noise import gaussian_dropout, gaussian_noise
from .norm import max_norm
from .products import dropconnect, dropconnect_dw, dropconnect_dx
from .softmax import softmax_dropout, softmax_dropout_backward

__all__ = [
    "apply_affine",
    "apply_bool",
    "apply_packed",
    "bias_act",
    "bias_act_slope",
    "drop_block_packed",
    "dropconnect",
    "dropconnect_dw",
    "dropconnect_dx",
    "dropout",
    "dropout_add",
    "dropout_affine",
    "dropout_samples",
    "gaussian_dropout",
    "gaussian_noise",
    "info",
    "mask_bool",
    "mask_packed",
    "max_norm",
    "scale",
    "softmax_dropout",
    "softmax_dropout_backward",
    "zoneout",
    "zoneout_split",
]

Array = np.ndarray[Any, np.dtype[Any]]

_CHUNK = 64 * 4096  # elements at a time: a multiple of 8, so that packed masks are cut at bytes
_KEEP = np.uint8(1)


Mask: TypeAlias = Callable[[int, int], Array]
"""What gives bytes for elements start to stop, 1 to keep."""


def _in_chunks(x: Array, out: Array, apply: Callable[[Array, int], None]) -> None:
    """Copy x to out and call ``apply(elements, start)`` on contiguous runs of the elements."""
    # A view where the elements lie in C order, else .flat, which finds them wherever they lie.
    source = x.reshape(-1) if x.flags.c_contiguous else x.flat
    in_place = out.flags.c_contiguous
    target = out.reshape(-1) if in_place else out.flat
    same = in_place and x.flags.c_contiguous and _address(x) == _address(out)
    buffer = None if in_place else np.empty(min(x.size, _CHUNK), x.dtype)
    for start in range(0, x.size, _CHUNK):
        stop = min(start + _CHUNK, x.size)
        part = target[start:stop] if buffer is None else buffer[: stop - start]
        if not same:
            part[:] = source[start:stop]
        apply(part, start)
        if not in_place:
            target[start:stop] = part


def _address(x: Array) -> int:
    address: int = x.__array_interface__["data"][0]
    return address


def dropout(x: Array, out: Array, kind: str, key: Key, plan: Plan) -> None:
    """Drop and scale."""
    _in_chunks(x, out, lambda part, start: draw(part, kind, key, plan, start))


def dropout_samples(x: Array, out: Array, kind: str, key: Key, plan: Plan) -> None:
    """Drop and scale once for each of ``out[k]``, on consecutive streams."""
    source = x.reshape(-1) if x.flags.c_contiguous else x.flat
    buffer = np.empty(min(x.size, _CHUNK), x.dtype)
    for start in range(0, x.size, _CHUNK):
        stop = min(start + _CHUNK, x.size)
        elements, part = np.asarray(source[start:stop]), buffer[: stop - start]
        for k in range(len(out)):
            one = Key(key.seed, (key.stream + k) % 2**64, key.offset)
            part[:] = elements
            draw(part, kind, one, plan, start)
            out[k, ...].flat[start:stop] = part


def mask_packed(out: Array, n: int, key: Key, plan: Plan) -> None:
    """The first ``n`` decisions as bits, lowest first."""
    buffer = np.empty(min(n, _CHUNK), np.uint8)
    for start in range(0, n, _CHUNK):
        keep = buffer[: min(_CHUNK, n - start)]
        draw(keep, "mask", key, plan, start)
        bits = np.packbits(keep, bitorder="little")
        out[start // 8 : start // 8 + bits.size] = bits


def mask_bool(out: Array, key: Key, plan: Plan) -> None:
    """The decisions as bools."""
    draw(out.reshape(-1).view(np.uint8), "mask", key, plan, 0)


def _masked(x: Array, out: Array, kind: str, mask: Mask, scale: float) -> None:
    """``x * scale`` where the mask is 1, else +0.0."""
    kernel = masking_kernel(kind)
    factor = KINDS[kind][2](scale)

    def apply(part: Array, start: int) -> None:
        kernel(part, mask(start, start + part.size), _KEEP, factor)

    _in_chunks(x, out, apply)


def apply_packed(
    x: Array, out: Array, kind: str, bits: Array, mask_shape: tuple[int, ...], scale: float
) -> None:
    """Apply packed bits of a mask that is shared along the axes where its shape is 1."""
    _masked(x, out, kind, _packed(bits, mask_shape, x), scale)


def apply_bool(x: Array, out: Array, kind: str, mask: Array, scale: float) -> None:
    """Apply a bool mask of x's shape."""
    _masked(x, out, kind, _bytes(mask.view(np.uint8)), scale)


def _packed(bits: Array, mask_shape: tuple[int, ...], x: Array) -> Mask:
    """The mask whose bits these are, for ``x``."""
    if mask_shape == x.shape:

        def mask(start: int, stop: int) -> Array:
            part = bits[start // 8 : -(-stop // 8)]
            return np.unpackbits(part, count=stop - start, bitorder="little")

        return mask
    small = np.unpackbits(bits, count=math.prod(mask_shape), bitorder="little")
    return _bytes(np.broadcast_to(small.reshape(mask_shape), x.shape))


def _bytes(mask: Array) -> Mask:
    flat = mask.reshape(-1) if mask.flags.c_contiguous else mask.flat
    return lambda start, stop: flat[start:stop]


def scale(x: Array, out: Array, kind: str, scale: float) -> None:
    """Multiply by ``scale``."""
    ones = np.ones(min(x.size, _CHUNK), np.uint8)
    _masked(x, out, kind, lambda start, stop: ones[: stop - start], scale)


def _apply_affine(x: Array, out: Array, kind: str, mask: Mask, affine: Affine) -> None:
    kernel = affine_kernel(kind)
    scale, shift, dropped = (KINDS[kind][2](value) for value in affine)

    def apply(part: Array, start: int) -> None:
        kernel(part, mask(start, start + part.size), scale, shift, dropped)

    _in_chunks(x, out, apply)


def dropout_affine(x: Array, out: Array, kind: str, key: Key, plan: Plan, affine: Affine) -> None:
    """What ``affine`` says of kept and of dropped elements."""
    buffer = np.empty(min(x.size, _CHUNK), np.uint8)

    def mask(start: int, stop: int) -> Array:
        keep = buffer[: stop - start]
        draw(keep, "mask", key, plan, start)
        return keep

    _apply_affine(x, out, kind, mask, affine)


def apply_affine(
    x: Array, out: Array, kind: str, bits: Array, mask_shape: tuple[int, ...], affine: Affine
) -> None:
    """The same with packed bits of a mask that is shared along the axes where its shape is 1."""
    _apply_affine(x, out, kind, _packed(bits, mask_shape, x), affine)


def info() -> dict[str, object]:
    """What ``show_config`` says of this backend."""
    return {"numba": jit.VERSION}
