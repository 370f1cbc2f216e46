"""The Numba backend: the loops of C in Python, compiled on first use, for where no C is.

What is to become of the elements of a run is written once for each kind; it then serves a block
that was just drawn as well as a mask that the caller has. Kernels are compiled when they are first
needed and kept in Numba's cache where that can be written. They work in place on contiguous data;
anything else goes through a small buffer. float16 and bfloat16 are converted with integer
arithmetic, since Numba knows neither.

Subnormal numbers and rounding are as the calling thread has them: one that has set flush-to-zero
or another rounding mode changes them here, unlike in the C backend.
"""

import functools
import math
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

if sys.byteorder != "little":
    raise ImportError("the numba backend needs a little-endian machine")

try:
    import numba
    from numba import types
    from numba.extending import register_jitable
except ImportError:
    raise
except Exception as error:
    # What a damaged installation raises, an OSError of llvmlite for one, means the same: not here.
    raise ImportError(f"numba cannot be imported: {error!r}") from error

from fastdrop._plan import Plan
from fastdrop.stream import Key

Array = np.ndarray[Any, np.dtype[Any]]
F = TypeVar("F", bound=Callable[..., Any])

_CHUNK = 64 * 4096  # elements at a time: a multiple of 8, so that packed masks are cut at bytes


# --- kernels ----------------------------------------------------------------------------------
#
# Every result is brought back to its width, because Numba computes in 64 bits unless told
# otherwise: the vectors of LLVM are then as wide as the data, not as the intermediate values.


def _jit(function: F) -> F:
    """A function for Numba to compile, alone or as a part of another, when it is needed."""
    part: F = register_jitable(function)
    return part


@_jit
def _mix(z: Any) -> Any:
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@_jit
def _bits(x: Any) -> Any:
    return np.uint32(np.float32(x).view(np.uint32))


@_jit
def _float(bits: Any) -> Any:
    return np.float32(np.uint32(bits).view(np.float32))


@_jit
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

    @_jit
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


@_jit
def _apply_nothing(keep: Array, drawn: Array, bound: Any, _: float) -> None:
    """The decisions themselves."""
    for i in range(keep.size):
        keep[i] = drawn[i] >= bound


@_jit
def _apply_float(x: Array, drawn: Array, bound: Any, scale: Any) -> None:
    zero = x.dtype.type(0)
    for i in range(x.size):
        x[i] = x[i] * scale if drawn[i] >= bound else zero


@_jit
def _apply_bfloat16(x: Array, drawn: Array, bound: Any, scale: Any) -> None:
    for i in range(x.size):
        bits = _bits(_float(np.uint32(x[i]) << np.uint32(16)) * scale)
        odd = np.uint32(np.uint32(bits >> np.uint32(16)) & np.uint32(1))
        rounded = np.uint32(np.uint32(bits + np.uint32(0x7FFF)) + odd)
        # A nan could be rounded to inf or to 0: keep its upper half, made quiet.
        is_nan = np.uint32(bits & np.uint32(0x7FFFFFFF)) > np.uint32(0x7F800000)
        y = np.uint32(bits | np.uint32(0x400000)) if is_nan else rounded
        x[i] = np.uint16(y >> np.uint32(16)) if drawn[i] >= bound else np.uint16(0)


@_jit
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


# --- compilation ------------------------------------------------------------------------------


def _compile(function: Callable[..., None], *signature: Any) -> Callable[..., None]:
    """``function`` compiled for ``signature``, from Numba's cache where there is one."""
    compiled: Callable[..., None]
    try:
        compiled = numba.njit(signature, nogil=True, cache=True)(function)
    except (RuntimeError, OSError):
        # No directory for the cache can be written, or it is full.
        compiled = numba.njit(signature, nogil=True)(function)
    return compiled


# An explicit signature takes every array: a writable or aligned one is accepted where neither is
# asked for, so that nothing is ever compiled twice.
_U64 = types.uint64
_MASK = types.Array(types.uint8, 1, "C", readonly=True)
_KEEP = np.uint8(1)

# What is applied, to elements of which type, with a scale of which type.
_KINDS: dict[str, tuple[Callable[..., None], Any, Any]] = {
    "float32": (_apply_float, types.float32, np.float32),
    "float64": (_apply_float, types.float64, np.float64),
    "float16": (_apply_float16, types.uint16, np.float32),
    "bfloat16": (_apply_bfloat16, types.uint16, np.float32),
    "mask": (_apply_nothing, types.uint8, np.float32),
}


@functools.cache
def _drawing_kernel(kind: str) -> Callable[..., None]:
    apply, element, factor = _KINDS[kind]
    vector = types.Array(element, 1, "C", aligned=False)
    scale = numba.from_dtype(np.dtype(factor))
    return _compile(_over_blocks(apply), vector, scale, _U64, _U64, _U64, types.int64, _U64)


@functools.cache
def _masking_kernel(kind: str) -> Callable[..., None]:
    apply, element, factor = _KINDS[kind]
    vector = types.Array(element, 1, "C", aligned=False)
    return _compile(apply, vector, _MASK, types.uint8, numba.from_dtype(np.dtype(factor)))


# --- the operations of a backend --------------------------------------------------------------


def _draw(x: Array, kind: str, key: Key, plan: Plan, start: int) -> None:
    """Dropout in place of contiguous elements; the first of them is number ``start``."""
    _drawing_kernel(kind)(
        x,
        _KINDS[kind][2](plan.scale),
        np.uint64(key.seed),
        np.uint64(key.stream),
        np.uint64((key.offset + start) % 2**64),
        plan.threshold,
        np.uint64(plan.fraction),
    )


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
    _in_chunks(x, out, lambda part, start: _draw(part, kind, key, plan, start))


def mask_packed(out: Array, n: int, key: Key, plan: Plan) -> None:
    """The first ``n`` decisions as bits, lowest first."""
    buffer = np.empty(min(n, _CHUNK), np.uint8)
    for start in range(0, n, _CHUNK):
        keep = buffer[: min(_CHUNK, n - start)]
        _draw(keep, "mask", key, plan, start)
        bits = np.packbits(keep, bitorder="little")
        out[start // 8 : start // 8 + bits.size] = bits


def mask_bool(out: Array, key: Key, plan: Plan) -> None:
    """The decisions as bools."""
    _draw(out.reshape(-1).view(np.uint8), "mask", key, plan, 0)


def _masked(
    x: Array, out: Array, kind: str, mask: Callable[[int, int], Array], scale: float
) -> None:
    """``x * scale`` where ``mask(start, stop)``, for elements start to stop, is 1, else +0.0."""
    kernel = _masking_kernel(kind)
    factor = _KINDS[kind][2](scale)

    def apply(part: Array, start: int) -> None:
        kernel(part, mask(start, start + part.size), _KEEP, factor)

    _in_chunks(x, out, apply)


def apply_packed(
    x: Array, out: Array, kind: str, bits: Array, mask_shape: tuple[int, ...], scale: float
) -> None:
    """Apply packed bits of a mask that is shared along the axes where its shape is 1."""
    if mask_shape == x.shape:

        def mask(start: int, stop: int) -> Array:
            part = bits[start // 8 : -(-stop // 8)]
            return np.unpackbits(part, count=stop - start, bitorder="little")

        _masked(x, out, kind, mask, scale)
    else:
        small = np.unpackbits(bits, count=math.prod(mask_shape), bitorder="little")
        _apply_bytes(x, out, kind, np.broadcast_to(small.reshape(mask_shape), x.shape), scale)


def apply_bool(x: Array, out: Array, kind: str, mask: Array, scale: float) -> None:
    """Apply a bool mask of x's shape."""
    _apply_bytes(x, out, kind, mask.view(np.uint8), scale)


def _apply_bytes(x: Array, out: Array, kind: str, mask: Array, scale: float) -> None:
    flat = mask.reshape(-1) if mask.flags.c_contiguous else mask.flat
    _masked(x, out, kind, lambda start, stop: flat[start:stop], scale)


def scale(x: Array, out: Array, kind: str, scale: float) -> None:
    """Multiply by ``scale``."""
    ones = np.ones(min(x.size, _CHUNK), np.uint8)
    _masked(x, out, kind, lambda start, stop: ones[: stop - start], scale)


def info() -> dict[str, object]:
    """What ``show_config`` says of this backend."""
    return {"numba": numba.__version__}
