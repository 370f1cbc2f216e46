"""Every implementation gives the known answers, and the bits of the NumPy reference everywhere.

Sizes lie on both sides of every boundary of the stream (a lane of 4, a step of 64, a block of
4096) and of the backends' chunks; memory around every result has to stay as it was.
"""

import functools
import random

import numpy as np
import pytest
from computing import KINDS
from oracle import Stream, block_words
from support import (
    COMPUTE,
    STORAGE,
    Guarded,
    difference,
    double,
    number,
    records,
    same_bits,
)

from fastdrop import backends
from fastdrop._rates import Plan, make_plan
from fastdrop.stream import Key

SIZES = (
    0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 4095, 4096, 4097,
    8191, 8192, 8193, 3 * 4096 + 77,
)  # fmt: skip
LARGEST = max(SIZES)
MIDDLE = random.Random(1).getrandbits(64)
OFFSETS = (0, 1, 63, 64, 65, 4095, 4096, 2**63, MIDDLE, 2**64 - LARGEST, 2**64 - 77)
PROBABILITIES = (0.0, 2.0**-60, 1e-9, 1e-3, 0.1, 0.5, 1 - 1e-9, 1 - 2.0**-53, 1.0)
BIG = 2 * 128 * 4096 + 77  # several chunks of every backend


@functools.cache
def decisions(key: Key, plan: Plan, n: int = LARGEST) -> np.ndarray:
    result = np.empty(n, np.bool_)
    backends.load("numpy").mask_bool(result, key, plan)
    result.flags.writeable = False
    return result


def check(got: np.ndarray, wanted: np.ndarray, kind: str, *case: object) -> None:
    assert same_bits(got, wanted, kind), f"{case}: {difference(got, wanted)}"


# --- Known answers ----------------------------------------------------------------------------


def test_known_masks(impl):
    lines = list(records("mask"))
    assert len(lines) >= 35
    for seed, stream, offset, p, n, *bits in lines:
        key = Key(number(seed), number(stream), number(offset))
        plan = make_plan(double(p), "float32")
        wanted = bytes.fromhex("".join(bits))
        packed = np.full(len(wanted), 0xA5, np.uint8)
        impl.mask_packed(packed, number(n), key, plan)
        assert packed.tobytes() == wanted, (key, double(p))


def fnv1a(data: bytes) -> int:
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return value


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


@pytest.mark.parametrize("kind", KINDS)
def test_known_products(impl, kind):
    by_scale: dict[str, list[tuple[int, str]]] = {}
    for record, scale, x, y in records("multiply"):
        if record == kind:
            by_scale.setdefault(scale, []).append((number(x), y))
    assert by_scale
    storage = STORAGE[kind]
    unsigned = np.dtype(f"u{storage.itemsize}")
    for scale_bits, pairs in by_scale.items():
        compute = np.dtype(COMPUTE[kind])
        scale = float(
            np.array(number(scale_bits), f"u{compute.itemsize}").view(compute)  # exact in binary64
        )
        x = np.array([pair[0] for pair in pairs], unsigned).view(storage)
        nan = {
            "float16": 0x7E00,
            "bfloat16": 0x7FC0,
            "float32": 0x7FC00000,
            "float64": 0x7FF8 << 48,
        }
        wanted = np.array(
            [nan[kind] if y == "nan" else number(y) for _, y in pairs], unsigned
        ).view(storage)
        keep = np.ones(x.size, np.bool_)
        packed = np.packbits(keep, bitorder="little")
        for name, call in (
            ("dropout", lambda x, y, s: impl.dropout(x, y, kind, Key(1), Plan(0, 0, s))),
            ("scale", lambda x, y, s: impl.scale(x, y, kind, s)),
            ("bool", lambda x, y, s, k=keep: impl.apply_bool(x, y, kind, k, s)),
            ("packed", lambda x, y, s, b=packed: impl.apply_packed(x, y, kind, b, x.shape, s)),
        ):
            y = np.empty_like(x)
            call(x, y, scale)
            check(y, wanted, kind, name, scale)


# --- Sizes, offsets, probabilities ------------------------------------------------------------


def test_masks_at_every_size_and_offset(impl):
    for p in (0.3, 0.0, 1.0, 2.0**-17):
        plan = make_plan(p, "float32")
        for offset in OFFSETS:
            for n in SIZES:
                key = Key(1, 2, offset)
                wanted = decisions(key, plan)[:n]
                case = (key, p, n)
                keep = Guarded(n, np.dtype(np.bool_), offset % 5)
                impl.mask_bool(keep.array, key, plan)
                assert np.array_equal(keep.array.view(np.uint8), wanted.view(np.uint8)), case
                assert keep.intact(), case
                packed = Guarded((n + 7) // 8, np.dtype(np.uint8), offset % 3)
                impl.mask_packed(packed.array, n, key, plan)
                assert np.array_equal(packed.array, np.packbits(wanted, bitorder="little")), case
                assert packed.intact(), case


def test_masks_at_every_probability_and_of_many_elements(impl):
    for p in PROBABILITIES:
        plan = make_plan(p, "float32")
        for n, offset in ((LARGEST, 77), (BIG, 4095)):
            if n == BIG and p != 0.1:
                continue
            key = Key(9, 1, offset)
            wanted = decisions(key, plan, n)
            keep = np.empty((n,), np.bool_)
            impl.mask_bool(keep, key, plan)
            assert np.array_equal(keep, wanted), (p, n)
            packed = np.empty((n + 7) // 8, np.uint8)
            impl.mask_packed(packed, n, key, plan)
            assert np.array_equal(packed, np.packbits(wanted, bitorder="little")), (p, n)


def test_a_bool_mask_of_any_rank(impl):
    plan = make_plan(0.5, "float32")
    for shape in ((), (3, 5), (2, 0, 3), (2, 3, 4, 5)):
        keep = np.empty(shape, np.bool_)
        impl.mask_bool(keep, Key(1), plan)
        assert np.array_equal(keep.reshape(-1), decisions(Key(1), plan)[: keep.size]), shape


# --- What follows from the definition ---------------------------------------------------------


def draw(impl, n: int, key: Key, p: float) -> np.ndarray:
    keep = np.empty(n, np.bool_)
    impl.mask_bool(keep, key, make_plan(p, "float32"))
    return keep


def test_masks_nest(impl):
    before = np.ones(LARGEST, np.bool_)
    for p in sorted((*PROBABILITIES, *np.linspace(0.01, 0.99, 40).tolist())):
        keep = draw(impl, LARGEST, Key(1), p)
        assert not np.any(keep & ~before), p
        before = keep


def test_any_run_of_elements_can_be_drawn_alone(impl):
    whole = draw(impl, LARGEST, Key(1, 2, 5), 0.5)
    source = random.Random(3)
    for _ in range(200):
        start = source.randrange(LARGEST)
        n = source.randrange(LARGEST - start + 1)
        run = draw(impl, n, Key(1, 2, 5 + start), 0.5)
        assert np.array_equal(run, whole[start : start + n]), (start, n)


def test_a_threshold_is_one_higher_only_below_the_fraction(impl):
    """With a field that lies between the two thresholds, and the word u itself as the fraction."""
    for seed in range(50):
        source = Stream(seed, 2)
        _, _, u = block_words(seed, 2, 3)
        position = 3 * 4096 + 77 * (seed % 50)
        threshold = source.field(position) ^ 0x8000
        for fraction, kept in ((u - 1, True), (u, True), (u + 1, False)):
            keep = np.empty(1, np.bool_)
            impl.mask_bool(keep, Key(seed, 2, position), Plan(threshold, fraction, 1.0))
            assert keep[0] == kept, (seed, fraction - u)


def test_positions_wrap(impl):
    whole = draw(impl, 200, Key(7, 8, 2**64 - 100), 0.5)
    assert np.array_equal(whole[:100], draw(impl, 100, Key(7, 8, 2**64 - 100), 0.5))
    assert np.array_equal(whole[100:], draw(impl, 100, Key(7, 8, 0), 0.5))
