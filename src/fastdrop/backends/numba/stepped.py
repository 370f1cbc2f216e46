"""Decisions and variates that are drawn at positions with steps, a row at a time."""

import math

import numpy as np
from numpy.lib.stride_tricks import as_strided

from fastdrop._arrays import Array
from fastdrop._rates import Plan
from fastdrop.backends.call import Call, mask_shape, steps_of
from fastdrop.stream import Key

from .kernels import draw

KEEP_ALL = Plan(0, 0, 1.0)


def draw_stepped(
    out: Array, kind: str, key: Key, plan: Plan, shape: tuple[int, ...], steps: tuple[int, ...]
) -> None:
    """Draw what ``draw`` draws; ``out`` is contiguous, and has ``each`` fields for a decision."""
    each = out.size // math.prod(shape)
    rows, run = shape, 1
    if steps and (steps[-1] == 1 or shape[-1] == 1):
        rows, run = shape[:-1], shape[-1]
    for i, index in enumerate(np.ndindex(*rows)):
        first = sum(n * step for n, step in zip(index, steps, strict=False))
        draw(out[i * run * each : (i + 1) * run * each], kind, key, plan, each * first)


def stepped(call: Call) -> Array | None:
    """For each element 1 to keep, as a byte, or the two fields of a variate.

    The array has the operands' shape; elements that share a decision share its memory, too. None
    where decisions are drawn in C order, or there are none.
    """
    key, plan, mask, steps, x = call.key, call.plan, call.mask, call.steps, call.reads[0]
    if key is None:
        if mask is None or mask.dtype == np.bool_:
            return None if mask is None else mask.view(np.uint8)
        bits = np.unpackbits(mask, bitorder="little")
        return as_strided(bits, x.shape, steps or steps_of(x.shape), writeable=False)
    if steps is None:
        return None
    shape = mask_shape(call)
    n = math.prod(shape)
    if plan is None:
        fields = np.empty(2 * n, np.int16)
        draw_stepped(fields, "fields", key, KEEP_ALL, shape, steps)
        small = fields.view(np.uint32)
    else:
        small = np.empty(n, np.uint8)
        draw_stepped(small, "mask", key, plan, shape, steps)
    return np.broadcast_to(small.reshape(shape), x.shape)
