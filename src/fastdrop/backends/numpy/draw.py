"""The stream: whole arrays of 64-bit words, one axis for the blocks and one for the 16 lanes."""

from typing import Any

import numpy as np

from fastdrop._plan import Plan
from fastdrop.stream import G, Key, mix

Array = np.ndarray[Any, np.dtype[Any]]

BLOCK = 4096  # positions in a block
LANES = 16
STEPS = 64
CHUNK = 128 * BLOCK
"""Elements at a time, so that the memory stays bounded."""

_BLOCKS_IN_STREAM = 2**52


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


def words(key: Key, start: int, stop: int) -> Array:
    """The words of normal variates ``start`` to ``stop``: two fields each, the lower one first."""
    position = (key.offset + 2 * start) % 2**64
    first, skipped = divmod(position, BLOCK)
    count = 2 * (stop - start)
    field, _ = _fields_and_words(key, first, -(-(skipped + count) // BLOCK))
    bits = field.reshape(-1)[skipped : skipped + count].astype(np.uint16).astype(np.uint32)
    word: Array = bits[0::2] | bits[1::2] << 16
    return word


def keep(key: Key, plan: Plan, start: int, stop: int) -> Array:
    """The decisions for elements ``start`` to ``stop``, True to keep."""
    position = (key.offset + start) % 2**64
    first, skipped = divmod(position, BLOCK)
    blocks = -(-(skipped + stop - start) // BLOCK)
    field, u = _fields_and_words(key, first, blocks)
    threshold = plan.threshold + (u < plan.fraction).astype(np.int32)
    kept = field >= threshold[:, None] - 32768
    return kept.reshape(-1)[skipped : skipped + stop - start]
