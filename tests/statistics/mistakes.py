"""The stream rebuilt with the mistakes that others made, which the suite has to find.

Each gives the decisions at p = 1/2, as words. ``right`` has no mistake: it shows that it is the
mistake that is found, and not the way in which the stream is rebuilt here.
"""

import numpy as np
from masks import to_words

from fastdrop.stream import G

LANES = np.arange(1, 17, dtype=np.uint64)


def splitmix(z: np.ndarray) -> np.ndarray:
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB
    return z ^ (z >> 31)


def from_lanes(s0: np.ndarray, s1: np.ndarray) -> np.ndarray:
    """64 steps of xorshift128+ from the states of every block and lane."""
    s1 = s1 | 1
    r = np.empty((s0.shape[0], 64, 16), "<u8")
    for t in range(64):
        r[:, t] = s0 + s1
        x = s0 ^ (s0 << 23)
        s0, s1 = s1, x ^ s1 ^ (x >> 18) ^ (s1 >> 5)
    return to_words(r.view("<i2").reshape(-1) < 0)


def by_block(blocks: int, seed: int = 0x0123456789ABCDEF) -> tuple[np.ndarray, np.ndarray]:
    """A and B of each block, one in a row."""
    keys = splitmix(np.array([seed, seed ^ G], np.uint64))
    block = np.arange(blocks, dtype=np.uint64)[:, None] * np.uint64(G)
    return splitmix(keys[0] + block), splitmix(keys[1] + block)


def right(blocks: int) -> np.ndarray:
    a, b = by_block(blocks)
    return from_lanes(splitmix(a + LANES * G), splitmix(b + LANES * G))


def lanes_by_xor(blocks: int) -> np.ndarray:
    """The lanes of a block are its words xor a constant of the lane, and no mixer follows.

    xorshift128+ is linear but for the carries of one addition, so that lanes which begin a known
    xor apart remain so.
    """
    a, b = by_block(blocks)
    return from_lanes(a ^ (LANES * G), b ^ (LANES * G))


def lanes_by_addition(blocks: int) -> np.ndarray:
    """Neither blocks nor lanes are mixed: everything is a sum of seed, block and lane."""
    block = np.arange(blocks, dtype=np.uint64)[:, None] * np.uint64(G)
    return from_lanes(
        block + 0x0123456789ABCDEF + LANES * G, block + np.uint64(0xFEDCBA9876543210) + LANES * G
    )


def stream_by_sum(blocks: int, seed: int, stream: int) -> np.ndarray:
    """Stream i of a seed is the seed + i, well mixed: so it is stream i - 1 of the next seed."""
    a, b = by_block(blocks, seed + stream)
    return from_lanes(splitmix(a + LANES * G), splitmix(b + LANES * G))


def stream_by_state(blocks: int, seed: int, stream: int) -> np.ndarray:
    """Stream i begins at the state of stream 0 plus i: only the lowest bits differ at first."""
    a, b = by_block(blocks, seed)
    return from_lanes(splitmix(a + LANES * G) + np.uint64(stream), splitmix(b + LANES * G))


def thread_by_shift(blocks: int, seed: int, thread: int) -> np.ndarray:
    """LIBXSMM's: lane j of thread t is seeded with ``seed + t + j``.

    So lane j of the next thread is lane j + 1 of this one: a mask shifted by a lane, 4 elements.
    """
    a, b = by_block(blocks, seed)
    lanes = (LANES + np.uint64(thread)) * G
    return from_lanes(splitmix(a + lanes), splitmix(b + lanes))
