"""The Numba backend: the loops of C in Python, compiled on first use, for where no C is.

The operation on a run of elements is written once for each kind, and serves both decisions that
were just drawn and a mask that the caller has. Kernels are compiled when they are first
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

from fastdrop._rates import Plan
from fastdrop.backends.call import Call, in_runs
from fastdrop.stream import Key

from . import jit  # first: it raises a clear error where Numba cannot be imported
from .activations import act, act_slope
from .computing import add, affine_kernel, mix, select, split
from .drop_block import drop_block_packed
from .kernels import KINDS, draw, masking_kernel
from .noise import run as run_noise
from .norm import max_norm
from .products import dropconnect, dropconnect_dw, dropconnect_dx
from .softmax import softmax_dropout, softmax_dropout_backward
from .stepped import draw_stepped, stepped

__all__ = [
    "drop_block_packed",
    "dropconnect",
    "dropconnect_dw",
    "dropconnect_dx",
    "dropout_samples",
    "info",
    "mask_bool",
    "mask_packed",
    "max_norm",
    "run",
    "softmax_dropout",
    "softmax_dropout_backward",
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


_ON_RUNS: dict[str, Callable[[Call], None]] = {
    "add": add,
    "select": select,
    "split": split,
    "mix": mix,
    "act": act,
    "act_slope": act_slope,
}


def run(call: Call) -> None:
    """Compute one element-wise operation."""
    if call.operation == "scale":
        _scale(call)
    elif call.operation == "affine":
        _affine(call)
    elif call.operation == "unmix":
        for out, number in zip(call.writes, call.numbers, strict=True):
            _scale(call._replace(writes=(out,), numbers=(number,)))
    elif call.operation in ("noise_factor", "noise_add"):
        run_noise(call)
    elif call.steps is None or call.operation == "mix":
        for part in in_runs(call):
            _ON_RUNS[call.operation](part)
    else:
        for part in in_runs(call, stepped(call)):
            *reads, keep = part.reads
            given = part._replace(reads=tuple(reads), key=None, mask=keep)
            _ON_RUNS[call.operation](given)


def _scale(call: Call) -> None:
    """``x * scale`` where the decision is to keep, else +0.0."""
    (x,), (out,), kind, (scale,) = call.reads, call.writes, call.kind, call.numbers
    key, plan = call.key, call.plan
    if key is not None and plan is not None and call.steps is None:
        drawn = plan._replace(scale=scale)
        _in_chunks(x, out, lambda part, start: draw(part, kind, key, drawn, start))
        return
    kernel, mask, factor = masking_kernel(kind), _decisions(call), KINDS[kind][2](scale)

    def apply(part: Array, start: int) -> None:
        kernel(part, mask(start, start + part.size), _KEEP, factor)

    _in_chunks(x, out, apply)


def _affine(call: Call) -> None:
    """``x * scale + shift`` where the decision is to keep, else ``dropped``."""
    (x,), (out,), kind = call.reads, call.writes, call.kind
    kernel, mask = affine_kernel(kind), _decisions(call)
    numbers = [KINDS[kind][2](number) for number in call.numbers]

    def apply(part: Array, start: int) -> None:
        kernel(part, mask(start, start + part.size), *numbers)

    _in_chunks(x, out, apply)


def _decisions(call: Call) -> Mask:
    """The decisions of a call, drawn or given, as bytes."""
    key, plan, mask, size = call.key, call.plan, call.mask, call.reads[0].size
    if key is None:
        if mask is not None:
            return _given(call, mask)
        ones = np.ones(min(size, _CHUNK), np.uint8)
        return lambda start, stop: ones[: stop - start]
    assert plan is not None
    if call.steps is not None:
        return _bytes(stepped(call))
    buffer = np.empty(min(size, _CHUNK), np.uint8)

    def drawn(start: int, stop: int) -> Array:
        keep = buffer[: stop - start]
        draw(keep, "mask", key, plan, start)
        return keep

    return drawn


def _given(call: Call, mask: Array) -> Mask:
    """Decisions of a mask that the caller has."""
    if mask.dtype == np.bool_:
        return _bytes(mask.view(np.uint8))
    if call.steps is not None:
        return _bytes(stepped(call))

    def packed(start: int, stop: int) -> Array:
        part = mask[start // 8 : -(-stop // 8)]
        return np.unpackbits(part, count=stop - start, bitorder="little")

    return packed


def _bytes(mask: Array) -> Mask:
    flat = mask.reshape(-1) if mask.flags.c_contiguous else mask.flat
    return lambda start, stop: flat[start:stop]


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


def mask_packed(
    out: Array,
    shape: int | tuple[int, ...],
    key: Key,
    plan: Plan,
    steps: tuple[int, ...] | None = None,
) -> None:
    """The decisions as bits, lowest first."""
    if steps is not None and not isinstance(shape, int):
        keep = np.empty(math.prod(shape), np.uint8)
        draw_stepped(keep, "mask", key, plan, shape, steps)
        out[:] = np.packbits(keep, bitorder="little")
        return
    n = shape if isinstance(shape, int) else math.prod(shape)
    buffer = np.empty(min(n, _CHUNK), np.uint8)
    for start in range(0, n, _CHUNK):
        keep = buffer[: min(_CHUNK, n - start)]
        draw(keep, "mask", key, plan, start)
        bits = np.packbits(keep, bitorder="little")
        out[start // 8 : start // 8 + bits.size] = bits


def mask_bool(out: Array, key: Key, plan: Plan, steps: tuple[int, ...] | None = None) -> None:
    """The decisions as bools."""
    keep = out.reshape(-1).view(np.uint8)
    if steps is None:
        draw(keep, "mask", key, plan, 0)
    else:
        draw_stepped(keep, "mask", key, plan, out.shape, steps)


def info() -> dict[str, object]:
    """What ``show_config`` says of this backend."""
    return {"numba": jit.VERSION}
