"""Cases of bad input, and what holds for each: the exact exception, its words, no effect."""

import functools
import math
import re
from collections.abc import Callable, Iterable
from decimal import Decimal
from fractions import Fraction
from types import FunctionType
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.lib.stride_tricks import as_strided

import fastdrop

SWAPPED = np.dtype(np.float32).newbyteorder("S")


class Scene:
    """The arrays and the generator of a case, and what they were before it."""

    def __init__(self) -> None:
        self.rng = fastdrop.Generator(1, 2, 8192)
        self._state = self.rng.state
        self._kept: list[tuple[np.ndarray, bytes]] = []
        self.x = self.keep(np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4))
        self.out = self.keep(np.full((3, 4), 7, np.float32))
        self.buffer = self.keep(np.linspace(1, 2, 100, dtype=np.float32))

    def keep(self, array: np.ndarray) -> np.ndarray:
        self._kept.append((array, array.tobytes()))
        return array

    def full(self, dtype: Any, shape: tuple[int, ...] = (3, 4)) -> np.ndarray:
        return self.keep(np.ones(shape, dtype))

    def part(self, start: int, shape: tuple[int, ...] = (3, 4)) -> np.ndarray:
        """A part of one buffer."""
        return self.buffer[start : start + int(np.prod(shape))].reshape(shape)

    def read_only(self) -> np.ndarray:
        array = self.full(np.float32)
        array.flags.writeable = False
        return array

    def sliding(self) -> np.ndarray:
        """Writeable windows on one buffer: element (0, 1) is element (1, 0)."""
        return as_strided(self.buffer, (3, 4), (4, 4))

    def repeated(self) -> np.ndarray:
        return as_strided(self.buffer, (3, 4), (0, 4))

    def check(self) -> None:
        assert self.rng.state == self._state
        for array, before in self._kept:
            assert array.tobytes() == before


UNKNOWN = "has to be an array or something that numpy.asarray makes one of, but got "
DTYPES = "has to have dtype float16, bfloat16, float32 or float64, but got "
PROBABILITY = "dropout probability has to be between 0 and 1, but got "
_NO_NUMBERS = (
    (np.array(0.25), "ndarray"), (np.array([0.25]), "ndarray"), ([0.25], "list"),
    (Decimal("0.25"), "Decimal"), (True, "bool"), (np.True_, "bool"), ("0.25", "str"),
    (0.25 + 0j, "complex"), (np.complex64(0.25), "complex64"), (None, "NoneType"),
)  # fmt: skip
_NO_PROBABILITIES = (
    (-0.25, "-0.25"), (-5e-324, "-5e-324"), (2, "2"), (10**400, "1" + 400 * "0"),
    (math.nextafter(1, 2), "1.0000000000000002"), (np.float32(1.5), "1.5"),
    (Fraction(5, 4), "5/4"), (np.float32("inf"), "inf"), (float("nan"), "nan"),
    (np.float64("nan"), "nan"),
)  # fmt: skip
BAD_P: list[tuple[Any, type[Exception], str]] = [
    *((p, TypeError, f"p has to be a real number, but got {came}") for p, came in _NO_NUMBERS),
    *((p, ValueError, f"{PROBABILITY}{came}") for p, came in _NO_PROBABILITIES),
]
"""What is no p, with the error and its words."""
RNG = "rng has to be None, an integer seed, a fastdrop Key or Generator"
NATIVE = "has to be in the machine's native byte order, but got dtype"
OVERLAPS = "itself or share no memory with it, but got an array that overlaps"
APART = "has to share no memory with the array that is written"
READ_ONLY = "has to be writeable, but got a read-only array"
OWN_PLACES = "has to have each element at a place of its own in memory, but got an array that"

RANKS: dict[str, tuple[str, list[tuple[int, ...]]]] = {
    "dropout1d": ("x has to have 2 or 3 axes", [(), (3,), (1, 2, 3, 4)]),
    "dropout2d": ("x has to have 3 or 4 axes", [(3, 4), (1, 1, 1, 1, 1)]),
    "dropout3d": ("x has to have 4 or 5 axes", [(1, 2, 3), (1,) * 6]),
    "drop_block1d": ("x has to have 2 or 3 axes", [(3,), (1, 1, 1, 1)]),
    "drop_block2d": ("x has to have 3 or 4 axes", [(), (3, 4)]),
    "drop_block3d": ("x has to have 4 or 5 axes", [(1, 2, 3), (1,) * 6]),
    "drop_path": ("x has to have at least 1 axis", [()]),
    "feature_alpha_dropout": ("x has to have at least 2 axes", [(), (3,)]),
    "feature_alpha_dropout_backward": ("dy has to have at least 2 axes", [(), (3,)]),
    "embedding_dropout": ("table has to have 2 axes", [(3,), (1, 2, 3)]),
}
"""Functions of arrays of a certain number of axes: what is said of other shapes."""


class Bad(NamedTuple):
    name: str
    call: Callable[[Scene], object]
    error: type[Exception]
    words: str


def values(
    name: str, call: Callable[[Scene, Any], object], *rows: tuple[Any, type[Exception], str]
) -> list[Bad]:
    """One argument with bad values, or what makes them of the scene: the error and its words."""

    def called(s: Scene, value: Any) -> object:
        if isinstance(value, FunctionType):
            value = value(s)
        if isinstance(value, np.ndarray):
            s.keep(value)
        return call(s, value)

    return [
        Bad(f"{name}-{i}", functools.partial(called, value=value), error, words)
        for i, (value, error, words) in enumerate(rows)
    ]


def parametrize(cases: Iterable[Bad]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in cases])


def check(case: Bad) -> None:
    """Call, and see that the exception is right and that no array and no generator changed."""
    scene = Scene()
    with pytest.raises(case.error, match=re.escape(case.words)) as caught:
        case.call(scene)
    if case.error is not MemoryError:  # NumPy's is a subclass
        assert caught.type is case.error
    scene.check()


def refusals(name: str, f: Any, x: str, shape: tuple[int, ...], out: bool = True) -> list[Bad]:
    """What every function of an array `x` refuses; with `out`, if it has one.

    Rates, flags and generators: test_scalars_everywhere.py; no arrays: test_foreign_arrays.py.
    """
    n = int(np.prod(shape))
    whose = f"{x}'" if x.endswith("s") else f"{x}'s"
    end, frozen = fastdrop.Key(1, 0, 2**64 - 1), np.broadcast_to(np.float32(1), shape)

    def good(s: Scene) -> np.ndarray:
        return s.full(np.float32, shape)

    found = values(
        name,
        lambda s, v: f(v, rng=s.rng),
        (np.ones(shape, int), TypeError, f"{x} {DTYPES}int64"),
        (np.ones(shape, SWAPPED), TypeError, f"{x} {NATIVE}"),
    )
    found.append(Bad(f"{name}-end", lambda s: f(good(s), rng=end), OverflowError, "2**64"))
    if not out:
        return found
    dtype = f"out has to have {whose} dtype float32, but got float64"
    other_shape = f"out has to have {whose} shape {shape}, but got ({n},)"
    return [
        *found,
        *values(
            f"{name}-out",
            lambda s, v: f(good(s), rng=s.rng, out=v),
            (np.ones(shape), TypeError, dtype),
            (np.ones(n, np.float32), ValueError, other_shape),
            (frozen, ValueError, f"out {READ_ONLY}"),
        ),
        Bad(
            f"{name}-out-overlaps",
            lambda s: f(s.part(0, shape), rng=s.rng, out=s.part(1, shape)),
            ValueError,
            f"out has to be {x} {OVERLAPS}",
        ),
    ]
