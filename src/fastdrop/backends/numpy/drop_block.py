"""DropBlock's mask: seeds, spread along one axis after the other."""

import math

import numpy as np

from fastdrop._arrays import Array
from fastdrop._rates import Plan
from fastdrop.stream import Key

from .draw import CHUNK, keep


def drop_block_packed(out: Array, shape: tuple[int, ...], block: int, key: Key, plan: Plan) -> int:
    """DropBlock's keep bits, lowest first; how many are kept."""
    planes, *lengths = shape
    corners = [n - block + 1 for n in lengths]
    size, seeds = math.prod(lengths), math.prod(corners)
    step = 8 * max(1, CHUNK // (8 * size))  # a multiple of 8: every chunk starts a byte
    kept = 0
    for first in range(0, planes, step):
        count = min(step, planes - first)
        dropped = ~keep(key, plan, first * seeds, (first + count) * seeds)
        dropped = dropped.reshape(count, *corners)
        for axis in range(1, len(shape)):
            dropped = _spread(dropped, axis, block)
        bits = np.packbits(~dropped, bitorder="little")
        out[first * size // 8 : first * size // 8 + bits.size] = bits
        kept += dropped.size - int(np.count_nonzero(dropped))
    return kept


def _spread(dropped: Array, axis: int, block: int) -> Array:
    """The axis made ``block - 1`` longer, and what is True spread over as many behind it."""
    length = dropped.shape[axis]
    before, after = dropped.shape[:axis], dropped.shape[axis + 1 :]
    result = np.zeros((*before, length + block - 1, *after), np.bool_)
    along = np.moveaxis(result, axis, 0)
    for i in range(block):
        along[i : i + length] |= np.moveaxis(dropped, axis, 0)
    return result
