"""Many keys, a short mask of each: avalanche, collisions, rates, neighbours.

All at p = 1/2, where a mask is made of fair bits.
"""

from collections.abc import Callable

import numpy as np
import pytest
from binomial import believe, deviations, spend, surprises
from masks import BLOCK, column_sums, count, fastest, plan_of, to_bools, words
from mistakes import splitmix

from fastdrop import Key

BASES = 2**8
Draw = Callable[[int], np.ndarray]


def flips(draw: Draw, bits: int, bases: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """How often another bit of the key changes a decision, and out of how many.

    For each bit of the key and position, for each bit over all positions, and for each position
    over all bits. The first masks of a base and its neighbours are independent fair bits, so their
    differences from the base are.
    """
    cell = np.zeros((bits, BLOCK), np.int64)
    for base in bases:
        mask = draw(base)
        changed = np.stack([draw(base ^ 2**i) for i in range(bits)]) ^ mask
        cell += to_bools(changed).reshape(bits, BLOCK)
    groups = [cell.ravel(), cell.sum(axis=1), cell.sum(axis=0)]
    sizes = [np.full(g.size, len(bases) * bits * BLOCK // g.size) for g in groups]
    return np.concatenate(groups), np.concatenate(sizes)


def random_bases(bits: int) -> list[int]:
    return [
        int(b) >> (64 - bits)
        for b in np.random.default_rng(71).integers(2**64, size=BASES, dtype=np.uint64)
    ]


AVALANCHES = {
    "seed": (64, lambda base: words(BLOCK, Key(base, 72), 0.5)),
    "stream": (64, lambda base: words(BLOCK, Key(73, base), 0.5)),
    "block": (52, lambda base: words(BLOCK, Key(74, 75, base * BLOCK), 0.5)),
}


@pytest.mark.parametrize("of", AVALANCHES)
def test_avalanche(of):
    bits, draw = AVALANCHES[of]
    counts, n = flips(draw, bits, random_bases(bits))
    # 0.41 in a single (bit, position); 0.0065 for one bit, 0.052 for one position.
    believe(f"avalanche of {of}", counts, n, 0.5, deviations(n, np.float64(0.5), 13))


def without_mixer(base: int) -> np.ndarray:
    """The seed's bits go into the words as they are, beside those of 4096 fixed masks."""
    return words(BLOCK, Key(76), 0.5) ^ np.uint64(base)


def one_bit_ignored(base: int) -> np.ndarray:
    """As of a seed that is taken as a signed number, or goes through a binary64."""
    return words(BLOCK, Key(base & ~1), 0.5)


@pytest.mark.parametrize("draw", [without_mixer, one_bit_ignored])
def test_avalanche_finds(draw):
    assert surprises(*flips(draw, 64, random_bases(64)[:32]), 0.5)


SIDE = 2**10
BITS = 128


@pytest.fixture(scope="module")
def many() -> np.ndarray:
    """Short masks of a square of seeds and streams, as packed bytes."""
    masks = np.empty((SIDE, SIDE, BITS // 8), np.uint8)
    draw, plan = fastest().mask_packed, plan_of(0.5)
    for seed, row in enumerate(masks):
        for stream, mask in enumerate(row):
            draw(mask, BITS, Key(seed, stream), plan)
    return masks


def collisions(masks: np.ndarray) -> int:
    """How many of the masks are equal to another one."""
    pair = np.ascontiguousarray(masks).reshape(-1, BITS // 8).view(np.uint64)
    # Sorted by the first word alone: that it is equal and the second is not is as rare as 2**-25.
    pair = pair[np.argsort(pair[:, 0])]
    return np.count_nonzero((pair[1:] == pair[:-1]).all(axis=1))


def test_keys_do_not_collide(many):
    """By chance, two do with probability 2**-89, which is less than a share.

    If there were but 2**35 different masks, sixteen pairs would be expected, and none at all would
    be found once in ten million times.
    """
    spend("collisions", many[0].tobytes())
    assert collisions(many) == 0


def test_collisions_find_streams_made_by_sum(many):
    seed, stream = np.meshgrid(np.arange(SIDE), np.arange(SIDE))
    flat = many.reshape(-1, BITS // 8)
    assert collisions(flat[seed + stream]) == SIDE**2 - (2 * SIDE - 1)


def test_collisions_find_keys_of_32_bits():
    """Of 2**20 keys that go through 32 bits, 128 pairs should meet; of those through 12, most."""
    numbers = splitmix(np.arange(SIDE**2, dtype=np.uint64))
    for bits in (32, 12):
        few = splitmix(numbers >> np.uint64(64 - bits))
        masks = np.stack([few, splitmix(few)], axis=1).view(np.uint8)
        assert collisions(masks) > 0


def test_bytes_of_short_masks_are_uniform(many):
    """Each value of each byte, over all keys."""
    n = SIDE**2
    counts = [np.bincount(column, minlength=256) for column in many.reshape(n, -1).T]
    believe("bytes of keys", np.array(counts), n, 1 / 256, 8.4e-4)


@pytest.mark.parametrize("axis", ["seed", "stream"])
def test_neighbouring_keys_differ_in_half_of_their_decisions(many, axis):
    """Bit by bit: one decision of all pairs of neighbours; and all decisions of a pair."""
    pairs = many[1:] ^ many[:-1] if axis == "seed" else many[:, 1:] ^ many[:, :-1]
    pairs = pairs.reshape(-1, BITS // 8)
    bits = column_sums(np.unpackbits(pairs, axis=1, bitorder="little"))
    n = np.full(BITS + 1, len(pairs))
    n[-1] *= BITS
    error = deviations(n, np.float64(0.5), 12)
    believe(f"neighbours by {axis}", np.append(bits, count(pairs)), n, 0.5, error)
