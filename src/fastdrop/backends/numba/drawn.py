"""Decisions, as bytes, and variates, as words of two fields: drawn in order, or with steps."""

import math

import numpy as np
from numpy.lib.stride_tricks import as_strided

from fastdrop._arrays import Array
from fastdrop._rates import Plan
from fastdrop.backends.call import Call, mask_shape
from fastdrop.stream import Key

from .kernels import draw

_KEEP_ALL = Plan(0, 0, 1.0)


def _room(n: int, plan: Plan | None) -> Array:
    """Room for so many decisions, or, without a plan, variates."""
    return np.empty(n, np.uint32 if plan is None else np.uint8)


def _draw(out: Array, key: Key, plan: Plan | None, start: int) -> None:
    """Draw from number ``start`` on."""
    if plan is None:
        draw(out.view(np.int16), "fields", key, _KEEP_ALL, 2 * start)
    else:
        draw(out, "mask", key, plan, start)


def draw_stepped(
    out: Array, key: Key, plan: Plan | None, shape: tuple[int, ...], steps: tuple[int, ...]
) -> None:
    """Draw at positions with steps, a row at a time; ``out`` is contiguous, of one axis."""
    rows, run = shape, 1
    if steps and (steps[-1] == 1 or shape[-1] == 1):
        rows, run = shape[:-1], shape[-1]
    for i, index in enumerate(np.ndindex(*rows)):
        first = sum(n * step for n, step in zip(index, steps, strict=False))
        _draw(out[i * run : (i + 1) * run], key, plan, first)


def at_once(call: Call) -> Array | None:
    """What has to be drawn or unpacked for the whole call at once: decisions that are not in order.

    The array has the operands' shape; elements that share a decision share its memory, too. None
    where decisions are in C order, drawn or packed, or there are none.
    """
    key, plan, mask, steps, x = call.key, call.plan, call.mask, call.steps, call.reads[0]
    if key is None and mask is not None and mask.dtype == np.bool_:
        return mask.view(np.uint8)
    if steps is None:
        return None
    if key is None:
        if mask is None:
            return None
        bits = np.unpackbits(mask, bitorder="little")
        return as_strided(bits, x.shape, steps, writeable=False)
    shape = mask_shape(call)
    small = _room(math.prod(shape), plan)
    draw_stepped(small, key, plan, shape, steps)
    return np.broadcast_to(small.reshape(shape), x.shape)


def of_piece(piece: Call) -> Array:
    """The decisions or variates of a piece (see ``pieces``): drawn, given, or to keep all."""
    n = piece.reads[0].size
    if piece.key is None:
        return np.ones(n, np.uint8) if piece.mask is None else piece.mask
    result = _room(n, piece.plan)
    _draw(result, piece.key, piece.plan, 0)
    return result
