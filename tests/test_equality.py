"""Every implementation gives the known answers, and the NumPy reference's bits everywhere.

Sizes lie on both sides of every boundary of the stream (a lane of 4, a step of 64, a block of
4096) and of the backends' chunks; memory around every result has to stay as it was. Every number
there is comes out as an independent computation has it.
"""

import functools
import random

import numpy as np
import operations
import pytest
from oracle import Stream, block_words, fnv1a
from support import STORAGE, Guarded, check_bits, double, number, records
from test_operations import SIZES

from fastdrop import backends
from fastdrop._rates import Plan, evaluation_scale, make_plan
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


# --- Numbers ----------------------------------------------------------------------------------

RATES = (0.0, 0.1, 0.25, 0.3, 0.5, 0.999, 1 - 2.0**-53, 1.0)
SCALES = {
    kind: {scale for p in RATES for scale in (make_plan(p, kind).scale, evaluation_scale(p, kind))}
    for kind in STORAGE
}


@functools.cache
def every_number(kind: str) -> np.ndarray:
    """All 65536 numbers of a 16-bit kind; of the others the edges, and many random bits."""
    if STORAGE[kind] == np.uint16:
        result = np.arange(65536, dtype=np.uint16)
    else:
        unsigned = np.dtype(f"u{STORAGE[kind].itemsize}")
        source = np.random.default_rng(5)
        random_bits = source.integers(0, np.iinfo(unsigned).max, 20000, unsigned, endpoint=True)
        limits = np.finfo(STORAGE[kind])
        edges = [0.0, limits.smallest_subnormal, limits.tiny, 1.0, limits.max, np.inf, np.nan]
        at = np.array(edges, STORAGE[kind])
        with np.errstate(all="ignore"):
            values = np.concatenate([at, np.nextafter(at, -np.inf), np.nextafter(at, np.inf)])
        # A subnormal times a power of two is where rounding to nearest even meets ties.
        small = (random_bits[:5000] >> unsigned.type(9)).view(STORAGE[kind])
        result = np.concatenate([values, -values, small, -small, random_bits.view(STORAGE[kind])])
    result.flags.writeable = False
    return result


@functools.cache
def products(kind: str, scale: float) -> np.ndarray:
    result = np.empty_like(every_number(kind))
    operations.of("numpy").scale(every_number(kind), result, kind, scale)
    result.flags.writeable = False
    return result


def check(operation, x: np.ndarray, wanted: np.ndarray, kind: str, *arguments) -> None:
    y = np.ones_like(x)
    operation(x, y, kind, *arguments)
    check_bits(y, wanted, kind, operation.__name__, arguments)


@pytest.mark.parametrize("kind", STORAGE)
def test_every_number_times_every_scale_or_plus_zero(impl, kind):
    x = every_number(kind)
    zeros, thirds = np.zeros_like(x), np.arange(x.size) % 3 == 0
    for scale in SCALES[kind]:
        every = products(kind, scale)
        check(impl.scale, x, every, kind, scale)
        check(impl.dropout, x, every, kind, Key(1), Plan(0, 0, scale))
        check(impl.dropout, x, zeros, kind, Key(1), Plan(65536, 0, scale))
        for keep in (thirds, ~thirds):
            wanted, packed = np.where(keep, every, zeros), np.packbits(keep, bitorder="little")
            check(impl.apply_bool, x, wanted, kind, keep, scale)
            check(impl.apply_packed, x, wanted, kind, packed, x.shape, scale)


@pytest.mark.parametrize("kind", STORAGE)
def test_the_reference_multiplies_as_defined(reference, kind):
    """In the compute type, then to storage: here by way of binary64 and other people's code."""
    x = every_number(kind)
    for scale in SCALES[kind]:
        with np.errstate(all="ignore"):
            if kind == "bfloat16":
                ml_dtypes = pytest.importorskip("ml_dtypes")
                wide = x.view(ml_dtypes.bfloat16).astype(np.float32)
                wanted = (wide * np.float32(scale)).astype(ml_dtypes.bfloat16).view(np.uint16)
            elif kind == "float16":
                # 11 bits times 24 are exact in binary64: one rounding to binary32, one to binary16.
                wide = x.view(np.float16).astype(np.float64) * scale
                wanted = wide.astype(np.float32).astype(np.float16).view(np.uint16)
            elif kind == "float32":
                wanted = (x.astype(np.float64) * scale).astype(np.float32)
            else:
                wanted = x * np.full(x.size, scale)
        check(reference.scale, x, wanted, kind, scale)
