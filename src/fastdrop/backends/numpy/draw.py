"""The stream: whole arrays of 64-bit words, one axis for the blocks and one for the 16 lanes."""

import numpy as np

from fastdrop._arrays import Array
from fastdrop._rates import Plan
from fastdrop.stream import G, Key, mix

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


def _fields_and_words(key: Key, block: Array) -> tuple[Array, Array]:
    """The fields of blocks with these numbers, (count, 4096), and their words u."""
    count = block.size
    k0 = mix(mix(key.seed + G) ^ key.stream)
    k1 = mix(mix(key.seed + 2 * G) + key.stream)

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


def _blocks(first: int, count: int) -> Array:
    # The block after the last one is block 0 again: positions are modulo 2**64.
    block: Array = (np.arange(count, dtype=np.uint64) + first) % _BLOCKS_IN_STREAM
    return block


def words(key: Key, start: int, stop: int) -> Array:
    """The words of normal variates ``start`` to ``stop``: two fields each, the lower one first."""
    position = (key.offset + 2 * start) % 2**64
    first, skipped = divmod(position, BLOCK)
    count = 2 * (stop - start)
    field, _ = _fields_and_words(key, _blocks(first, -(-(skipped + count) // BLOCK)))
    return _joined(field.reshape(-1)[skipped : skipped + count].reshape(-1, 2))


def _joined(field: Array) -> Array:
    """The word of each two fields."""
    bits = field.astype(np.uint16).astype(np.uint32)
    word: Array = bits[:, 0] | bits[:, 1] << 16
    return word


def keep(key: Key, plan: Plan, start: int, stop: int) -> Array:
    """The decisions for elements ``start`` to ``stop``, True to keep."""
    position = (key.offset + start) % 2**64
    first, skipped = divmod(position, BLOCK)
    field, u = _fields_and_words(key, _blocks(first, -(-(skipped + stop - start) // BLOCK)))
    kept = field >= _threshold(plan, u)[:, None]
    return kept.reshape(-1)[skipped : skipped + stop - start]


def _threshold(plan: Plan, u: Array) -> Array:
    """What the fields to keep are not below, of blocks with the words u."""
    return plan.threshold + (u < plan.fraction).astype(np.int32) - 32768


# --- at positions that do not follow on each other ------------------------------------------------


def numbers(shape: tuple[int, ...], steps: tuple[int, ...], part: slice) -> Array:
    """The numbers of the decisions for a part of the elements of an array."""
    index = np.arange(part.start, part.stop)
    number = np.zeros(index.size, np.uint64)
    for n, step in zip(reversed(shape), reversed(steps), strict=True):
        number += (index % n).astype(np.uint64) * np.uint64(step)
        index //= n
    return number


def _fields_at(key: Key, position: Array) -> tuple[Array, Array]:
    """The fields at these positions, and the words u of their blocks."""
    position = position + np.uint64(key.offset)
    order = np.argsort(position)
    block, place = np.divmod(position[order], np.uint64(BLOCK))
    blocks, first = np.unique(block, return_index=True)
    first = np.append(first, block.size)
    field, word = np.empty(block.size, np.int16), np.empty(block.size, np.uint64)
    for i in range(0, blocks.size, CHUNK // BLOCK):
        some = blocks[i : i + CHUNK // BLOCK]
        fields, u = _fields_and_words(key, some)
        here = slice(first[i], first[i + some.size])
        row = np.searchsorted(some, block[here])
        field[order[here]] = fields[row, place[here].astype(np.intp)]
        word[order[here]] = u[row]
    return field, word


def keep_at(key: Key, plan: Plan, number: Array) -> Array:
    """The decisions with these numbers, True to keep."""
    field, u = _fields_at(key, number)
    kept: Array = field >= _threshold(plan, u)
    return kept


def words_at(key: Key, number: Array) -> Array:
    """The words of the normal variates with these numbers."""
    both = 2 * number[:, None] + np.arange(2, dtype=np.uint64)
    field, _ = _fields_at(key, both.reshape(-1))
    return _joined(field.reshape(-1, 2))
