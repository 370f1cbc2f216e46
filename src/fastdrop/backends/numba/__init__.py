"""The Numba backend: the loops of C in Python, compiled on first use, for where no C is.

The operation on a piece of the elements is written once for each kind, and serves both decisions
that were just drawn and a mask that the caller has. Kernels are compiled when they are first needed
and kept in Numba's cache where that can be written. They work on contiguous data; anything else
goes through a small buffer. float16 and bfloat16 are converted with integer
arithmetic, since Numba knows neither.

Subnormal numbers and rounding are as the calling thread has them: one that has set flush-to-zero
or another rounding mode changes them here, unlike in the C backend.
"""

import math
import sys
from collections.abc import Callable

import numpy as np

if sys.byteorder != "little":
    raise ImportError("the numba backend needs a little-endian machine")

from fastdrop._arrays import Array
from fastdrop._rates import Plan
from fastdrop.backends.call import Call, Steps, parts
from fastdrop.stream import Key

from . import jit  # first: it raises a clear error where Numba cannot be imported
from .activations import act
from .computing import compute, scale
from .drawn import draw_stepped
from .drop_block import drop_block_packed as drop_block_packed
from .kernels import draw
from .norm import max_norm as max_norm
from .pieces import CHUNK, pieces
from .products import dropconnect as dropconnect
from .products import dropconnect_dw as dropconnect_dw
from .products import dropconnect_dx as dropconnect_dx
from .softmax import softmax_dropout as softmax_dropout
from .softmax import softmax_dropout_backward as softmax_dropout_backward

_OPERATIONS: dict[str, Callable[[Call], None]] = {"scale": scale, "act": act, "act_slope": act}
"""Those that ``compute`` does not do."""


def run(call: Call) -> None:
    """Compute one element-wise operation, a piece at a time."""
    on_piece = _OPERATIONS.get(call.operation, compute)
    for piece in pieces(call):
        on_piece(piece)


def dropout_samples(x: Array, out: Array, kind: str, key: Key, plan: Plan) -> None:
    """Drop and scale once for each of ``out[k]``, on consecutive streams."""
    for k in range(len(out)):
        one = Key(key.seed, (key.stream + k) % 2**64, key.offset)
        run(Call("scale", kind, (x,), (out[k, ...],), (plan.scale,), one, plan))


def mask_packed(
    out: Array, shape: int | tuple[int, ...], key: Key, plan: Plan, steps: Steps = None
) -> None:
    """The decisions as bits, lowest first."""
    n = shape if isinstance(shape, int) else math.prod(shape)
    if steps is not None and not isinstance(shape, int):
        keep = np.empty(n, np.uint8)
        draw_stepped(keep, key, plan, shape, steps)
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
        draw_stepped(keep, key, plan, out.shape, steps)


def info() -> dict[str, object]:
    """What ``show_config`` says of this backend."""
    return {"numba": jit.VERSION}
