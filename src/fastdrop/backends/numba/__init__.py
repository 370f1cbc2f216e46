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
from collections.abc import Callable, Iterator

import numpy as np

if sys.byteorder != "little":
    raise ImportError("the numba backend needs a little-endian machine")

from fastdrop._arrays import Array
from fastdrop._rates import Plan
from fastdrop.backends.call import Call, Steps, in_runs, part_of, parts
from fastdrop.stream import Key

from . import jit  # first: it raises a clear error where Numba cannot be imported
from .activations import act
from .computing import CHUNK, affine, compute, scale
from .drop_block import drop_block_packed as drop_block_packed
from .kernels import draw
from .noise import noise
from .norm import max_norm as max_norm
from .products import dropconnect as dropconnect
from .products import dropconnect_dw as dropconnect_dw
from .products import dropconnect_dx as dropconnect_dx
from .softmax import softmax_dropout as softmax_dropout
from .softmax import softmax_dropout_backward as softmax_dropout_backward
from .stepped import draw_stepped, stepped

_ON_RUNS: dict[str, Callable[[Call], None]] = {
    "scale": scale,
    "affine": affine,
    "act": act,
    "act_slope": act,
    "noise_factor": noise,
    "noise_add": noise,
}


def run(call: Call) -> None:
    """Compute one element-wise operation."""
    if call.operation == "unmix":
        for out, number in zip(call.writes, call.numbers, strict=True):
            run(call._replace(operation="scale", writes=(out,), numbers=(number,)))
        return
    for part in _with_short_masks(call):
        _run(part)


def _with_short_masks(call: Call) -> Iterator[Call]:
    """The call in parts whose packed masks are short, where its operands are contiguous."""
    mask, arrays = call.mask, (*call.reads, *call.writes)
    packed = mask is not None and mask.dtype != np.bool_ and call.steps is None
    if mask is None or not packed or not all(array.flags.c_contiguous for array in arrays):
        yield call
        return
    reads, writes = ([a.reshape(-1) for a in some] for some in (call.reads, call.writes))
    for part in parts(reads[0].size, CHUNK):  # a multiple of 8: every part starts a byte
        own = part_of(
            call, part.start, tuple(x[part] for x in reads), tuple(y[part] for y in writes)
        )
        yield own._replace(mask=mask[part.start // 8 : -(-part.stop // 8)])


def _run(call: Call) -> None:
    on_run, drawn = _ON_RUNS.get(call.operation, compute), stepped(call)
    if drawn is None:
        for part in in_runs(call):
            on_run(part)
        return
    for part in in_runs(call, drawn):
        *reads, own = part.reads
        on_run(part._replace(reads=tuple(reads), key=None, mask=own))


def dropout_samples(x: Array, out: Array, kind: str, key: Key, plan: Plan) -> None:
    """Drop and scale once for each of ``out[k]``, on consecutive streams."""
    source = x.reshape(-1) if x.flags.c_contiguous else x.flat
    buffer = np.empty(min(x.size, CHUNK), x.dtype)
    for part in parts(x.size, CHUNK):
        elements, result = np.asarray(source[part]), buffer[: part.stop - part.start]
        for k in range(len(out)):
            one = Key(key.seed, (key.stream + k) % 2**64, key.offset)
            result[:] = elements
            draw(result, kind, one, plan, part.start)
            out[k, ...].flat[part] = result


def mask_packed(
    out: Array, shape: int | tuple[int, ...], key: Key, plan: Plan, steps: Steps = None
) -> None:
    """The decisions as bits, lowest first."""
    n = shape if isinstance(shape, int) else math.prod(shape)
    if steps is not None and not isinstance(shape, int):
        keep = np.empty(n, np.uint8)
        draw_stepped(keep, "mask", key, plan, shape, steps)
        out[:] = np.packbits(keep, bitorder="little")
        return
    buffer = np.empty(min(n, CHUNK), np.uint8)
    for part in parts(n, CHUNK):  # a multiple of 8: every part starts a byte
        keep = buffer[: part.stop - part.start]
        draw(keep, "mask", key, plan, part.start)
        bits = np.packbits(keep, bitorder="little")
        out[part.start // 8 : part.start // 8 + bits.size] = bits


def mask_bool(out: Array, key: Key, plan: Plan, steps: Steps = None) -> None:
    """The decisions as bools."""
    keep = out.reshape(-1).view(np.uint8)
    if steps is None:
        draw(keep, "mask", key, plan, 0)
    else:
        draw_stepped(keep, "mask", key, plan, out.shape, steps)


def info() -> dict[str, object]:
    """What ``show_config`` says of this backend."""
    return {"numba": jit.VERSION}
