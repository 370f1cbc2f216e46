"""The NumPy backend: the reference, written to be read beside the definition of the stream.

`draw` is the stream, `arithmetic` what is done to kept numbers. It shares no code with the other
backends.

Subnormal numbers and rounding are as in NumPy's own arithmetic: a thread that has set
flush-to-zero or another rounding mode changes them here, unlike in the C backend.
"""

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from fastdrop._plan import Affine, Plan
from fastdrop.stream import Key

from .activations import bias_act, bias_act_slope
from .arithmetic import factor, masked, multiplied, rounded, widened
from .draw import CHUNK, keep
from .drop_block import drop_block_packed
from .fused import dropout_add, zoneout, zoneout_split
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


Mask: TypeAlias = Callable[[int, int], Array]
"""What gives the decisions for elements start to stop, True to keep."""


def _each(x: Array, out: Array, compute: Callable[[Array, int, int], Array]) -> None:
    """Put ``compute(elements, start, stop)`` for elements start to stop of x into out."""
    # A view where the elements lie in C order, else .flat, which finds them wherever they lie.
    source = x.reshape(-1) if x.flags.c_contiguous else x.flat
    target = out.reshape(-1) if out.flags.c_contiguous else out.flat
    for start in range(0, x.size, CHUNK):
        stop = min(start + CHUNK, x.size)
        target[start:stop] = compute(source[start:stop], start, stop)


def _apply(x: Array, out: Array, kind: str, mask: Mask, scale: float) -> None:
    """``x * scale`` where the mask keeps, else +0.0."""

    def compute(part: Array, start: int, stop: int) -> Array:
        return masked(multiplied(part, kind, scale), mask(start, stop))

    _each(x, out, compute)


def _apply_affine(x: Array, out: Array, kind: str, mask: Mask, affine: Affine) -> None:
    """``x * scale + shift`` where the mask keeps, else ``dropped``."""
    scale, shift, dropped = (factor(value, kind) for value in affine)

    def compute(part: Array, start: int, stop: int) -> Array:
        with np.errstate(all="ignore"):
            y = widened(part, kind) * scale + shift
        return rounded(np.where(mask(start, stop), y, dropped), kind)

    _each(x, out, compute)


def dropout(x: Array, out: Array, kind: str, key: Key, plan: Plan) -> None:
    """Drop and scale."""
    _apply(x, out, kind, lambda start, stop: keep(key, plan, start, stop), plan.scale)


def dropout_samples(x: Array, out: Array, kind: str, key: Key, plan: Plan) -> None:
    """Drop and scale once for each of ``out[k]``, on consecutive streams."""
    source = x.reshape(-1) if x.flags.c_contiguous else x.flat
    for start in range(0, x.size, CHUNK):
        stop = min(start + CHUNK, x.size)
        y = multiplied(source[start:stop], kind, plan.scale)
        for k in range(len(out)):
            one = Key(key.seed, (key.stream + k) % 2**64, key.offset)
            out[k, ...].flat[start:stop] = masked(y, keep(one, plan, start, stop))


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
    _apply(x, out, kind, _packed(bits, mask_shape, x), scale)


def apply_bool(x: Array, out: Array, kind: str, mask: Array, scale: float) -> None:
    """Apply a bool mask of x's shape."""
    _apply(x, out, kind, _bools(mask), scale)


def _packed(bits: Array, mask_shape: tuple[int, ...], x: Array) -> Mask:
    """The mask whose bits these are, for ``x``."""
    if mask_shape == x.shape:

        def mask(start: int, stop: int) -> Array:
            part = bits[start // 8 : -(-stop // 8)]
            return np.unpackbits(part, count=stop - start, bitorder="little").view(np.bool_)

        return mask
    small = np.unpackbits(bits, count=math.prod(mask_shape), bitorder="little").view(np.bool_)
    return _bools(np.broadcast_to(small.reshape(mask_shape), x.shape))


def _bools(mask: Array) -> Mask:
    # A bool array that is a view of other bytes may hold more than 0 and 1.
    flat = mask.view(np.uint8).flat
    return lambda start, stop: flat[start:stop] != 0


def scale(x: Array, out: Array, kind: str, scale: float) -> None:
    """Multiply by ``scale``."""
    _each(x, out, lambda part, _start, _stop: multiplied(part, kind, scale))


def dropout_affine(x: Array, out: Array, kind: str, key: Key, plan: Plan, affine: Affine) -> None:
    """What ``affine`` says of kept and of dropped elements."""
    _apply_affine(x, out, kind, lambda start, stop: keep(key, plan, start, stop), affine)


def apply_affine(
    x: Array, out: Array, kind: str, bits: Array, mask_shape: tuple[int, ...], affine: Affine
) -> None:
    """The same with packed bits of a mask that is shared along the axes where its shape is 1."""
    _apply_affine(x, out, kind, _packed(bits, mask_shape, x), affine)


def info() -> dict[str, object]:
    """What ``show_config`` says of this backend."""
    return {"numpy": np.__version__}
