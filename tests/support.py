"""Helpers of the tests: arrays in awkward memory, and the file of known answers."""

import functools
import importlib
import platform
import struct
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import fastdrop
from fastdrop import Key, backends

KNOWN_ANSWERS = Path(__file__).with_name("known_answers.txt")

# Vector instructions belong to one architecture: on another there is nothing to test, and nothing
# to skip. What this processor or this build lacks of its own architecture's is a visible skip.
_OF_ARCHITECTURES = {
    "x86_64": ("avx2", "avx512"),
    "amd64": ("avx2", "avx512"),
    "aarch64": ("neon",),
    "arm64": ("neon",),
}
ISAS = ("scalar", "vec128", *_OF_ARCHITECTURES.get(platform.machine().lower(), ()))
"""The instruction sets that this machine's architecture has."""

STORAGE = {
    "float32": np.dtype(np.float32),
    "float64": np.dtype(np.float64),
    "float16": np.dtype(np.uint16),
    "bfloat16": np.dtype(np.uint16),
}
"""The dtype of the arrays that a backend is handed for each kind."""

try:
    import ml_dtypes

    DTYPES: list[np.dtype[Any]] = [np.dtype(ml_dtypes.bfloat16)]
except ImportError:  # bfloat16 by itself is tested by a backend's kinds
    DTYPES = []
DTYPES = [np.dtype(kind) for kind in ("float32", "float64", "float16")] + DTYPES
"""The dtypes of arrays that the public functions take, as far as they are here."""

COMPUTE = {"float32": np.float32, "float64": np.float64, "float16": np.float32}
COMPUTE["bfloat16"] = np.float32

_GUARD = 192  # bytes on either side: more than any vector


def core_or_skip() -> ModuleType:
    """The compiled module, or a skip that says why there is none."""
    try:
        return importlib.import_module("fastdrop._core")
    except ImportError as error:
        pytest.skip(f"no compiled module: {error}")


def sample_key(key: Key, sample: int) -> Key:
    """The key of one of several samples: each has a stream of its own."""
    return Key(key.seed, (key.stream + sample) % 2**64, key.offset)


def records(name: str) -> Iterator[list[str]]:
    """The entries of every record ``name`` in the file of known answers."""
    for line in KNOWN_ANSWERS.read_text(encoding="ascii").splitlines():
        words = line.split()
        if words and words[0] == name:
            yield words[1:]


def number(text: str) -> int:
    return int(text, 0)


def double(text: str) -> float:
    return struct.unpack("<d", struct.pack("<Q", number(text)))[0]


def to_storage(values: Any, kind: str) -> np.ndarray:
    """The values in the array that a backend is handed for ``kind``."""
    values = np.asarray(values, np.float64)
    with np.errstate(all="ignore"):
        if kind == "float16":
            return values.astype(np.float16).view(np.uint16)
        if kind == "bfloat16":
            return (values.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
        return values.astype(STORAGE[kind])


def is_nan(stored: np.ndarray, kind: str) -> np.ndarray:
    if kind == "float16":
        return np.isnan(stored.view(np.float16))
    if kind == "bfloat16":
        return (stored & 0x7FFF) > 0x7F80
    return np.isnan(stored)


def bits(stored: np.ndarray) -> np.ndarray:
    """The bits of every element, in C order."""
    return np.ascontiguousarray(stored).reshape(-1).view(f"u{stored.dtype.itemsize}")


def same_bits(got: np.ndarray, wanted: np.ndarray, kind: str) -> bool:
    """Whether the bits are equal; a nan equals every nan, since no payload is promised."""
    if got.shape != wanted.shape or got.dtype != wanted.dtype:
        return False
    if np.array_equal(bits(got), bits(wanted)):
        return True
    both = is_nan(got, kind) & is_nan(wanted, kind)
    return bool(np.all((bits(got) == bits(wanted)) | both.reshape(-1)))


def alike(got: Any, wanted: Any) -> bool:
    """Bit for bit, with the shape and the dtype; a nan is a nan."""
    got, wanted = np.asarray(got), np.asarray(wanted)
    if got.dtype != wanted.dtype or got.shape != wanted.shape:
        return False
    both = np.isnan(got) & np.isnan(wanted)
    return bool(np.all((bits(got) == bits(wanted)) | both.reshape(-1)))


def difference(got: np.ndarray, wanted: np.ndarray) -> str:
    """Where two arrays differ, for the message of an assertion."""
    if got.shape != wanted.shape or got.dtype != wanted.dtype:
        return f"{got.dtype}{got.shape} is not {wanted.dtype}{wanted.shape}"
    wrong = np.flatnonzero(bits(got) != bits(wanted))
    i = int(wrong[0]) if wrong.size else 0
    return (
        f"{wrong.size} of {got.size} differ, first at {i}: "
        f"{bits(got)[i]:#x} instead of {bits(wanted)[i]:#x}"
    )


class Guarded:
    """An array that begins at any byte of its cache line, between bytes that must not change."""

    def __init__(self, size: int, dtype: np.dtype, misalignment: int = 0) -> None:
        nbytes = size * dtype.itemsize
        self.memory = np.empty(nbytes + 2 * _GUARD + 64, np.uint8)
        address = self.memory.__array_interface__["data"][0]
        start = _GUARD + (misalignment - address - _GUARD) % 64
        self.pattern = (np.arange(self.memory.size) * 37 + 11).astype(np.uint8)
        self.memory[:] = self.pattern
        self.inside = slice(start, start + nbytes)
        self.array = self.memory[self.inside].view(dtype)

    def intact(self) -> bool:
        """Whether everything around the array is as it was."""
        changed = self.memory != self.pattern
        changed[self.inside] = False
        return not changed.any()


def guarded(array: np.ndarray, misalignment: int) -> Guarded:
    """A copy between bytes that must not change, of the same shape."""
    copy = Guarded(array.size, array.dtype, misalignment)
    copy.array = copy.array.reshape(array.shape)
    copy.array[...] = array
    return copy


def by_threads(call: Callable[[], Any], counts: tuple[int, ...] = (1, 2, 7)) -> list[Any]:
    """What the call gives with each number of threads."""
    before, found = fastdrop.get_num_threads(), []
    try:
        for n in counts:
            fastdrop.set_num_threads(n)
            found.append(call())
    finally:
        fastdrop.set_num_threads(before)
    return found


def peak_of(call: Callable[[], Any]) -> int:
    """The most memory, in bytes, that a call has at a time."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def general(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function by the way that every case can take, in Python, without its compiled front."""

    enable = getattr(sys.modules.get("fastdrop._core"), "enable", bool)

    @functools.wraps(function)
    def without_fronts(*args: Any, **kwargs: Any) -> Any:
        enable(False)
        try:
            return function(*args, **kwargs)
        finally:
            enable(backends.name_of(backends.active()) == "c")

    return without_fronts


def check_bits(got: np.ndarray, wanted: np.ndarray, kind: str, *case: object) -> None:
    """Bit for bit the same, but for the payloads of nans."""
    assert same_bits(got, wanted, kind), f"{case}: {difference(got, wanted)}"
