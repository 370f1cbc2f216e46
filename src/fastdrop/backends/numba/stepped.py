"""Decisions and variates that are drawn at positions with steps, a row at a time."""

import math
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from fastdrop._rates import Plan
from fastdrop.backends.call import Call, mask_shape
from fastdrop.stream import Key

from .kernels import draw

Array = np.ndarray[Any, np.dtype[Any]]

_KEEP_ALL = Plan(0, 0, 1.0)


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


def stepped(call: Call) -> Array:
    """For each element of a call with steps: 1 to keep as a byte, or the two fields of a variate.

    The array has the operands' shape; elements that share a decision share its memory, too.
    """
    key, plan, mask, steps = call.key, call.plan, call.mask, call.steps
    x, shape = call.reads[0], mask_shape(call)
    assert steps is not None
    if key is None:
        assert mask is not None
        bits = np.unpackbits(mask, bitorder="little")
        return as_strided(bits, x.shape, steps, writeable=False)
    n = math.prod(shape)
    if plan is None:
        fields = np.empty(2 * n, np.int16)
        draw_stepped(fields, "fields", key, _KEEP_ALL, shape, steps)
        small = fields.view(np.uint32)
    else:
        small = np.empty(n, np.uint8)
        draw_stepped(small, "mask", key, plan, shape, steps)
    return np.broadcast_to(small.reshape(shape), x.shape)
