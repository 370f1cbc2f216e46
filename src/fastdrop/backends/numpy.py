"""The NumPy backend: the reference, written to be read beside the definition of the stream.

Whole arrays of 64-bit words, one axis for the blocks and one for the 16 lanes, 128 blocks
at a time so that the memory stays bounded. It shares no code with the other backends.

Subnormal numbers and rounding are as in NumPy's own arithmetic: a thread that has set
flush-to-zero or another rounding mode changes them here, unlike in the C backend.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fastdrop._plan import Plan
from fastdrop.stream import G, Key, mix

Array = np.ndarray[Any, np.dtype[Any]]

BLOCK = 4096  # positions in a block
LANES = 16
STEPS = 64
_CHUNK = 128 * BLOCK  # elements at a time
_BLOCKS_IN_STREAM = 2**52


# --- the stream -------------------------------------------------------------------------------


def _mix(z: Array) -> Array:
    """SplitMix64's finaliser of every word of a uint64 array (see ``stream.mix``)."""
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB
    z ^= z >> 31
    return z


def _fields_and_words(key: Key, first: int, count: int) -> tuple[Array, Array]:
    """The fields of blocks ``first`` to ``first + count``, (count, 4096), and their words u."""
    k0 = mix(mix(key.seed + G) ^ key.stream)
    k1 = mix(mix(key.seed + 2 * G) + key.stream)

    # The block after the last one is block 0 again: positions are modulo 2**64.
    block = (np.arange(count, dtype=np.uint64) + first) % _BLOCKS_IN_STREAM
    a = _mix(block * G + k0)
    b = _mix(block * G + k1)
    u = _mix(a + (17 * G) % 2**64)

    lane = np.arange(1, LANES + 1, dtype=np.uint64) * G
    s0 = _mix(a[:, None] + lane)
    s1 = _mix(b[:, None] + lane) | 1

    # Little-endian, so that the view below finds the lowest field of a word first everywhere.
    r = np.empty((count, STEPS, LANES), dtype="<u8")
    for t in range(STEPS):
        r[:, t] = s0 + s1
        x = s0 ^ (s0 << 23)
        s0, s1 = s1, x ^ s1 ^ (x >> 18) ^ (s1 >> 5)
    return r.view("<i2").reshape(count, BLOCK), u


def _keep(key: Key, plan: Plan, start: int, stop: int) -> Array:
    """The decisions for elements ``start`` to ``stop``, True to keep."""
    position = (key.offset + start) % 2**64
    first, skipped = divmod(position, BLOCK)
    blocks = -(-(skipped + stop - start) // BLOCK)
    field, u = _fields_and_words(key, first, blocks)
    threshold = plan.threshold + (u < plan.fraction).astype(np.int32)
    keep = field >= threshold[:, None] - 32768
    return keep.reshape(-1)[skipped : skipped + stop - start]


# --- arithmetic -------------------------------------------------------------------------------


def _multiplied(x: Array, kind: str, scale: float) -> Array:
    """``x * scale`` in the compute type of ``kind``, rounded to its storage type."""
    with np.errstate(all="ignore"):
        if kind == "float64":
            return x * np.float64(scale)
        if kind == "float32":
            return x * np.float32(scale)
        if kind == "float16":
            product = x.view(np.float16).astype(np.float32) * np.float32(scale)
            return product.astype(np.float16).view(np.uint16)
        product = (x.astype(np.uint32) << 16).view(np.float32) * np.float32(scale)
        return _bfloat16_bits(product)


def _bfloat16_bits(x: Array) -> Array:
    """float32 to bfloat16, to nearest even: the upper half of the bits, after rounding."""
    bits = x.view(np.uint32)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
    # A nan could be rounded to inf or to 0: keep its upper half, made quiet.
    return np.where(np.isnan(x), (bits >> 16) | 0x40, rounded).astype(np.uint16)


def _masked(y: Array, keep: Array) -> Array:
    """``y`` where ``keep`` is True, else +0.0, whose bits are all 0.

    An AND of the bits: multiplying by 0 would give nan for inf and -0.0 for negative numbers, and
    ``np.where`` takes four times as long with a mask that no processor can predict.
    """
    bits = y.view(f"i{y.itemsize}") & -keep.view(np.int8)
    return bits.view(y.dtype)


def _apply(
    x: Array, out: Array, kind: str, keep: Callable[[int, int], Array] | None, scale: float
) -> None:
    """``x * scale`` where ``keep(start, stop)``, for elements start to stop, is True, else +0.0."""
    # A view where the elements lie in C order, else .flat, which finds them wherever they lie.
    source = x.reshape(-1) if x.flags.c_contiguous else x.flat
    target = out.reshape(-1) if out.flags.c_contiguous else out.flat
    for start in range(0, x.size, _CHUNK):
        stop = min(start + _CHUNK, x.size)
        y = _multiplied(source[start:stop], kind, scale)
        target[start:stop] = y if keep is None else _masked(y, keep(start, stop))


# --- the operations of a backend --------------------------------------------------------------


def dropout(x: Array, out: Array, kind: str, key: Key, plan: Plan) -> None:
    """Drop and scale."""
    _apply(x, out, kind, lambda start, stop: _keep(key, plan, start, stop), plan.scale)


def mask_packed(out: Array, n: int, key: Key, plan: Plan) -> None:
    """The first ``n`` decisions as bits, lowest first."""
    for start in range(0, n, _CHUNK):  # a multiple of 8: every chunk starts a byte
        stop = min(start + _CHUNK, n)
        bits = np.packbits(_keep(key, plan, start, stop), bitorder="little")
        out[start // 8 : start // 8 + bits.size] = bits


def mask_bool(out: Array, key: Key, plan: Plan) -> None:
    """The decisions as bools."""
    flat = out.reshape(-1)
    for start in range(0, flat.size, _CHUNK):
        stop = min(start + _CHUNK, flat.size)
        flat[start:stop] = _keep(key, plan, start, stop)


def apply_packed(
    x: Array, out: Array, kind: str, bits: Array, mask_shape: tuple[int, ...], scale: float
) -> None:
    """Apply packed bits of a mask that is shared along the axes where its shape is 1."""
    if mask_shape == x.shape:

        def keep(start: int, stop: int) -> Array:
            part = bits[start // 8 : -(-stop // 8)]
            return np.unpackbits(part, count=stop - start, bitorder="little").view(np.bool_)

        _apply(x, out, kind, keep, scale)
    else:
        size = math.prod(mask_shape)
        mask = np.unpackbits(bits, count=size, bitorder="little").view(np.bool_)
        apply_bool(x, out, kind, np.broadcast_to(mask.reshape(mask_shape), x.shape), scale)


def apply_bool(x: Array, out: Array, kind: str, mask: Array, scale: float) -> None:
    """Apply a bool mask of x's shape."""
    # A bool array that is a view of other bytes may hold more than 0 and 1.
    keep = mask.view(np.uint8)
    _apply(x, out, kind, lambda start, stop: keep.flat[start:stop] != 0, scale)


def scale(x: Array, out: Array, kind: str, scale: float) -> None:
    """Multiply by ``scale``."""
    _apply(x, out, kind, None, scale)


def info() -> dict[str, object]:
    """What ``show_config`` says of this backend."""
    return {"numpy": np.__version__}
