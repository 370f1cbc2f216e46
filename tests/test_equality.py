"""Every implementation gives the known answers, and the NumPy reference's masks everywhere.

Sizes lie on both sides of every boundary of the stream (a lane of 4, a step of 64, a block of
4096) and of the backends' chunks; memory around every result has to stay as it was.
"""

import functools
import random

import numpy as np
from oracle import Stream, block_words, fnv1a
from support import Guarded, double, number, records
from test_operations import SIZES

from fastdrop import backends
from fastdrop._rates import Plan, make_plan
from fastdrop.stream import Key

LARGEST = max(SIZES)
MIDDLE = random.Random(1).getrandbits(64)
OFFSETS = (0, 1, 63, 64, 65, 4095, 4096, 2**63, MIDDLE, 2**64 - LARGEST, 2**64 - 77)
BIG = 2 * 128 * 4096 + 77  # several chunks of every backend


@functools.cache
def decisions(key: Key, plan: Plan, n: int = LARGEST) -> np.ndarray:
    result = np.empty(n, np.bool_)
    backends.load("numpy").mask_bool(result, key, plan)
    result.flags.writeable = False
    return result


# Of every probability, and past the end of the stream.


def test_known_masks(impl):
    lines = list(records("mask"))
    assert len(lines) >= 35
    for seed, stream, offset, p, n, *bits in lines:
        key = Key(number(seed), number(stream), number(offset))
        wanted = bytes.fromhex("".join(bits))
        packed = np.full(len(wanted), 0xA5, np.uint8)
        impl.mask_packed(packed, number(n), key, make_plan(double(p), "float32"))
        assert packed.tobytes() == wanted, (key, double(p))


def test_known_digests(impl):
    lines = list(records("digest"))
    assert len(lines) >= 36
    for seed, stream, offset, p, n, kept, digest in lines:
        key = Key(number(seed), number(stream), number(offset))
        keep = np.empty(number(n), np.bool_)
        impl.mask_bool(keep, key, make_plan(double(p), "float32"))
        assert np.count_nonzero(keep) == number(kept), (key, double(p))
        packed = np.packbits(keep, bitorder="little").tobytes()
        assert fnv1a(packed) == number(digest), (key, double(p))


def test_masks_at_every_size_and_offset(impl):
    cases = [(p, at, n) for p in (0.3, 0.0, 1.0, 2.0**-17) for at in OFFSETS for n in SIZES]
    for p, offset, n in [*cases, (0.1, 4095, BIG)]:
        key, plan, case = Key(1, 2, offset), make_plan(p, "float32"), (p, offset, n)
        wanted = decisions(key, plan, max(n, LARGEST))[:n]
        keep = Guarded(n, np.dtype(np.bool_), offset % 5)
        impl.mask_bool(keep.array, key, plan)
        assert np.array_equal(keep.array.view(np.uint8), wanted.view(np.uint8)), case
        assert keep.intact(), case
        packed = Guarded((n + 7) // 8, np.dtype(np.uint8), offset % 3)
        impl.mask_packed(packed.array, n, key, plan)
        assert np.array_equal(packed.array, np.packbits(wanted, bitorder="little")), case
        assert packed.intact(), case


def test_a_threshold_is_one_higher_only_below_the_fraction(impl):
    """With a field that lies between the two thresholds, and the word u itself as the fraction."""
    for seed in range(50):
        _, _, u = block_words(seed, 2, 3)
        position = 3 * 4096 + 77 * seed
        threshold = Stream(seed, 2).field(position) ^ 0x8000
        for fraction, kept in ((u - 1, True), (u, True), (u + 1, False)):
            keep = np.empty(1, np.bool_)
            impl.mask_bool(keep, Key(seed, 2, position), Plan(threshold, fraction, 1.0))
            assert keep[0] == kept, (seed, fraction - u)
