"""DropBlock's mask, block by block.

What is written is at most what blocks would cover if none met another: with the plan that belongs
to p, about p times as many elements as there are.
"""

import functools
import math
from collections.abc import Callable

import numpy as np
from numba import types

from fastdrop._arrays import Array
from fastdrop._rates import Plan
from fastdrop.stream import Key

from .jit import compiled
from .kernels import draw
from .pieces import CHUNK


def _drop_blocks(keep: Array, no_seed: Array, block0: int, block1: int, block2: int) -> int:
    """Clear the blocks of ``keep`` that begin where ``no_seed`` is 0; how many are left."""
    keep[:] = 1
    planes, corners0, corners1, corners2 = no_seed.shape
    for plane in range(planes):
        for a in range(corners0):
            for b in range(corners1):
                for c in range(corners2):
                    if no_seed[plane, a, b, c]:
                        continue
                    for i in range(a, a + block0):
                        for j in range(b, b + block1):
                            for k in range(c, c + block2):
                                keep[plane, i, j, k] = 0
    kept = 0
    for element in keep.reshape(-1):
        kept += element
    return kept


@functools.cache
def _kernel() -> Callable[..., int]:
    planes = types.Array(types.uint8, 4, "C")
    return compiled(_drop_blocks, "bits", planes, planes, types.int64, types.int64, types.int64)


def drop_block_packed(out: Array, shape: tuple[int, ...], block: int, key: Key, plan: Plan) -> int:
    """DropBlock's keep bits, lowest first; how many are kept."""
    planes, *lengths = shape
    missing = 3 - len(lengths)
    lengths = [1] * missing + lengths
    blocks = [1] * missing + [block] * (3 - missing)
    corners = [n - b + 1 for n, b in zip(lengths, blocks, strict=True)]
    size, seeds = math.prod(lengths), math.prod(corners)
    step = 8 * max(1, CHUNK // (8 * size))  # a multiple of 8: every chunk starts a byte
    no_seed = np.empty((min(step, planes), *corners), np.uint8)
    keep = np.empty((min(step, planes), *lengths), np.uint8)
    kept = 0
    for first in range(0, planes, step):
        count = min(step, planes - first)
        draw(no_seed[:count].reshape(-1), "mask", key, plan, first * seeds)
        kept += _kernel()(keep[:count], no_seed[:count], *blocks)
        bits = np.packbits(keep[:count], bitorder="little")
        out[first * size // 8 : first * size // 8 + bits.size] = bits
    return kept
