"""Masks as 64-bit words, bit i of word w for element 64 w + i, which makes counting fast.

Here a set bit is a **dropped** element, unlike in the packed masks of the package.
"""

import contextlib
import functools
from collections.abc import Iterator

import numpy as np
import pytest

from fastdrop import Key, backends
from fastdrop._rates import Plan, make_plan

BLOCK = 4096
WORD = 64
CHUNK = 2**23


@functools.cache
def fastest() -> backends.Backend:
    for name in ("c", "numba"):
        with contextlib.suppress(ImportError):
            return backends.load(name)
    pytest.skip("only NumPy runs here: it draws the same bits, but would take many minutes")


def plan_of(p: float) -> Plan:
    return make_plan(p, "float32")


def keep_to_words(packed: np.ndarray) -> np.ndarray:
    """From the package's packed mask of whole words."""
    return ~packed.view("<u8").astype(np.uint64, copy=False)


def words(n: int, key: Key, p: float) -> np.ndarray:
    """The decisions of ``n`` elements, a whole number of words."""
    packed = np.empty(n // 8, np.uint8)
    fastest().mask_packed(packed, n, key, plan_of(p))
    return keep_to_words(packed)


def bools(n: int, key: Key, p: float) -> np.ndarray:
    """True where an element is dropped."""
    keep = np.empty(n, np.bool_)
    fastest().mask_bool(keep, key, plan_of(p))
    return ~keep


def to_words(drops: np.ndarray) -> np.ndarray:
    packed = np.packbits(drops, bitorder="little")
    return packed.view("<u8").astype(np.uint64, copy=False)


def to_bools(drops: np.ndarray) -> np.ndarray:
    return np.unpackbits(drops.astype("<u8", copy=False).view(np.uint8), bitorder="little")


def column_sums(drops: np.ndarray) -> np.ndarray:
    """As sum(axis=0), with bytes as sums, which takes a tenth of the time."""
    rows = drops.view(np.uint8)
    parts = [rows[i : i + 255].sum(axis=0, dtype=np.uint8) for i in range(0, len(rows), 255)]
    return np.sum(parts, axis=0, dtype=np.int64)


def count(drops: np.ndarray) -> int:
    return int(np.bitwise_count(drops).sum(dtype=np.int64))


def shifted(drops: np.ndarray, by: int, size: int) -> np.ndarray:
    """The ``size`` words that begin at element ``by``."""
    first, bits = divmod(by, WORD)
    low = drops[first : first + size]
    if not bits:
        return low
    high = drops[first + 1 : first + size + 1]
    return (low >> np.uint64(bits)) | (high << np.uint64(WORD - bits))


def chunks(n: int, key: Key, plan: Plan) -> Iterator[np.ndarray]:
    """The packed mask (1 = keep) of ``n`` elements, piece by piece, in one buffer."""
    packed = np.empty(CHUNK // 8, np.uint8)
    for start in range(0, n, CHUNK):
        fastest().mask_packed(packed, CHUNK, Key(key.seed, key.stream, key.offset + start), plan)
        yield packed


def count_dropped(n: int, key: Key, plan: Plan) -> int:
    """Of ``n`` elements, a whole number of chunks."""
    return n - sum(count(packed.view(np.uint64)) for packed in chunks(n, key, plan))
