"""Every number there is comes out the same everywhere, and as an independent computation has it."""

import functools

import numpy as np
import operations
import pytest
from support import STORAGE, check_bits

from fastdrop._rates import Plan, evaluation_scale, make_plan
from fastdrop.stream import Key

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
        number = np.finfo(STORAGE[kind])
        edges = [0.0, number.smallest_subnormal, number.tiny, 1.0, number.max, np.inf, np.nan]
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
