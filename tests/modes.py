"""The calling thread's floating-point modes, set to what no kernel may mind."""

import ctypes
import platform
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

# Where C's fenv_t holds the word of modes; in it the bits that flush subnormals (results and, where
# that is apart, inputs) and the two bits that choose the rounding, with what they mean.
_X86 = (0x8040, 0x6000, {"down": 0x2000, "up": 0x4000, "to zero": 0x6000})
_ARM = (1 << 24, 3 << 22, {"up": 1 << 22, "down": 2 << 22, "to zero": 3 << 22})
_PLACES = {
    ("linux", "x86_64"): (28, *_X86),
    ("darwin", "x86_64"): (4, *_X86),
    ("linux", "aarch64"): (0, *_ARM),
    ("darwin", "arm64"): (8, *_ARM),
}

ROUNDINGS = ("down", "up", "to zero")


def unavailable() -> str | None:
    """Why the modes cannot be set here, or None."""
    here = (sys.platform, platform.machine())
    return None if here in _PLACES else f"no way to set the floating-point modes on {here}"


@contextmanager
def odd(rounding: str = "down") -> Iterator[None]:
    """Subnormals are flushed and arithmetic rounds the other way, in this thread alone."""
    offset, flush, rounding_bits, roundings = _PLACES[sys.platform, platform.machine()]
    libm = ctypes.CDLL(None)
    before, changed = (ctypes.create_string_buffer(64) for _ in range(2))
    assert libm.fegetenv(before) == libm.fegetenv(changed) == 0
    (word,) = struct.unpack_from("I", changed, offset)
    struct.pack_into("I", changed, offset, word & ~rounding_bits | roundings[rounding] | flush)
    assert libm.fesetenv(changed) == 0
    try:
        yield
    finally:
        assert libm.fesetenv(before) == 0


def in_force() -> tuple[bool, float]:
    """Whether subnormals are flushed here, and what 1 / 10 is rounded to."""
    tiny, one, ten = np.float32(1e-40), np.float64(1), np.float64(10)
    return not bool(tiny * np.float32(0.5) != 0), float(one / ten)
