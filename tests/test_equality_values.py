"""Every number there is comes out the same everywhere, and as an independent computation has it."""

import functools

import numpy as np
import operations
import pytest
from support import COMPUTE, STORAGE, bits, difference, same_bits, to_storage

from fastdrop._rates import Plan, evaluation_scale, make_plan
from fastdrop.stream import Key

SCALES = {
    kind: tuple(
        dict.fromkeys(
            [make_plan(p, kind).scale for p in (0.0, 0.1, 0.25, 0.5, 0.999, 1 - 2.0**-53)]
            + [evaluation_scale(p, kind) for p in (0.1, 0.5, 0.999, 1 - 2.0**-53, 1.0)]
        )
    )
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
        number = np.finfo(STORAGE[kind])
        edges = [0.0, number.smallest_subnormal, number.tiny, 1.0, number.max, np.inf, np.nan]
        with np.errstate(all="ignore"):
            near = [
                np.nextafter(STORAGE[kind].type(e), d) for e in edges for d in (-np.inf, np.inf)
            ]
        values = np.array(edges + near, STORAGE[kind])
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


@pytest.mark.parametrize("kind", STORAGE)
def test_every_number_times_every_scale(impl, kind):
    x = every_number(kind)
    ones = np.ones(x.size, np.bool_)
    packed = np.packbits(ones, bitorder="little")
    for scale in SCALES[kind]:
        wanted = products(kind, scale)
        for name, call in (
            ("dropout", lambda y, s: impl.dropout(x, y, kind, Key(1), Plan(0, 0, s))),
            ("scale", lambda y, s: impl.scale(x, y, kind, s)),
            ("bool", lambda y, s: impl.apply_bool(x, y, kind, ones, s)),
            ("packed", lambda y, s: impl.apply_packed(x, y, kind, packed, x.shape, s)),
        ):
            y = np.empty_like(x)
            call(y, scale)
            assert same_bits(y, wanted, kind), f"{name}, {scale}: {difference(y, wanted)}"


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
        got = np.empty_like(x)
        reference.scale(x, got, kind, scale)
        assert same_bits(got, wanted, kind), f"{scale}: {difference(got, wanted)}"


@pytest.mark.parametrize("kind", STORAGE)
def test_dropped_is_plus_zero_whatever_was_there(impl, kind):
    x = every_number(kind)
    zeros = np.zeros(x.size, np.bool_)
    packed = np.zeros(-(-x.size // 8), np.uint8)
    plan = make_plan(1.0, kind)
    for name, call in (
        ("dropout", lambda y: impl.dropout(x, y, kind, Key(1), plan)),
        ("bool", lambda y: impl.apply_bool(x, y, kind, zeros, 2.0)),
        ("packed", lambda y: impl.apply_packed(x, y, kind, packed, x.shape, 2.0)),
    ):
        y = np.ones_like(x)
        call(y)
        assert not bits(y).any(), name


def test_the_scale_is_rounded_to_the_compute_type(impl):
    """PyTorch rounds it to bfloat16, which at p = 0.1 makes every result 0.16 % too small."""
    for kind in STORAGE:
        x = to_storage(np.full(64, 1.0), kind)
        impl.dropout(x, x, kind, Key(1), make_plan(0.1, kind))
        wanted = to_storage(float(COMPUTE[kind](1 / 0.9)), kind)
        if kind == "bfloat16":
            wanted = np.uint16(0x3F8E)  # 1.109375, the nearest to 1.1111112
        assert set(bits(x).tolist()) == {0, int(bits(np.asarray(wanted))[0])}, kind
