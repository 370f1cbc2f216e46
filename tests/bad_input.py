"""Cases of bad input, and what holds for each: the exact exception, its words, no effect."""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.lib.stride_tricks import as_strided
from support import general

import fastdrop

# The functions as exported (compiled where the core is), and by the general path in Python.
FRONTS: dict[str, Callable[..., Any]] = {
    "exported": lambda function: function,
    "python": general,
}


class Functions:
    """The functions of one front; the two that are never compiled are the same in both."""

    def __init__(self, front: str) -> None:
        self.dropout = FRONTS[front](fastdrop.dropout)
        self.dropout_ = FRONTS[front](fastdrop.dropout_)
        self.dropout_mask = fastdrop.dropout_mask
        self.apply_mask = fastdrop.apply_mask


class Scene:
    """The arrays and the generator of a case, and what they were before it."""

    def __init__(self) -> None:
        self.rng = fastdrop.Generator(1, 2, 8192)
        self._state = self.rng.state
        self._kept: list[tuple[np.ndarray, bytes]] = []
        self.x = self.keep(np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4))
        self.out = self.keep(np.full((3, 4), 7, np.float32))
        self.buffer = self.keep(np.linspace(1, 2, 64, dtype=np.float32))

    def keep(self, array: np.ndarray) -> np.ndarray:
        self._kept.append((array, array.tobytes()))
        return array

    def full(self, dtype: Any, shape: tuple[int, ...] = (3, 4)) -> np.ndarray:
        return self.keep(np.ones(shape, dtype))

    def read_only(self) -> np.ndarray:
        array = self.keep(np.ones((3, 4), np.float32))
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


class Bad(NamedTuple):
    name: str
    call: Callable[[Any, Scene], object]
    error: type[Exception]
    words: str


def check(case: Bad, front: str) -> None:
    """Call, and see that the exception is right and that no array and no generator changed."""
    scene = Scene()
    with pytest.raises(case.error, match=re.escape(case.words)) as caught:
        case.call(Functions(front), scene)
    if case.error is not MemoryError:  # NumPy's is a subclass
        assert caught.type is case.error
    scene.check()


def refusals(name: str, f: Any, x: str, shape: tuple[int, ...]) -> list[Bad]:
    """What every function of one array refuses, with its own name `x` for it."""
    n = int(np.prod(shape))
    whose = f"{x}'" if x.endswith("s") else f"{x}'s"
    dtypes = f"{x} has to have dtype float16, bfloat16, float32 or float64, but got "
    swapped = np.dtype(np.float32).newbyteorder("S")
    frozen = np.broadcast_to(np.float32(1), shape)

    def good(s: Scene) -> np.ndarray:
        return s.full(np.float32, shape)

    rows: list[tuple[str, Callable[[Scene], object], type[Exception], str]] = [
        ("dtype", lambda s: f(s.full(int, shape), rng=s.rng), TypeError, f"{dtypes}int64"),
        ("none", lambda s: f(None, rng=s.rng), TypeError, f"{x} {UNKNOWN}NoneType"),
        (
            "byte-order",
            lambda s: f(s.full(swapped, shape), rng=s.rng),
            TypeError,
            f"{x} has to be in the machine's native byte order, but got dtype",
        ),
        (
            "ragged",
            lambda s: f([[1.0], [1.0, 2.0]], rng=s.rng),
            ValueError,
            f"{x} {UNKNOWN}list",
        ),
        (
            "p",
            lambda s: f(good(s), 1.5, rng=s.rng),
            ValueError,
            "dropout probability has to be between 0 and 1, but got 1.5",
        ),
        (
            "p-in-evaluation",
            lambda s: f(good(s), float("nan"), False, rng=s.rng),
            ValueError,
            "dropout probability has to be between 0 and 1, but got nan",
        ),
        (
            "p-type",
            lambda s: f(good(s), "0.5", rng=s.rng),
            TypeError,
            "p has to be a real number, but got str",
        ),
        (
            "training",
            lambda s: f(good(s), 0.5, "no", rng=s.rng),
            TypeError,
            "training has to be True or False, but got str",
        ),
        (
            "rng",
            lambda s: f(good(s), rng="x"),
            TypeError,
            "rng has to be None, an integer seed, a fastdrop Key or Generator",
        ),
        (
            "key-at-the-end",
            lambda s: f(good(s), rng=fastdrop.Key(1, 0, 2**64 - 1)),
            OverflowError,
            "2**64",
        ),
        (
            "out-type",
            lambda s: f(good(s), rng=s.rng, out=[0.0]),
            TypeError,
            "out has to be a NumPy array, but got list",
        ),
        (
            "out-dtype",
            lambda s: f(good(s), rng=s.rng, out=s.full(float, shape)),
            TypeError,
            f"out has to have {whose} dtype float32, but got float64",
        ),
        (
            "out-shape",
            lambda s: f(good(s), rng=s.rng, out=s.full(np.float32, (n,))),
            ValueError,
            f"out has to have {whose} shape {shape}, but got ({n},)",
        ),
        (
            "out-read-only",
            lambda s: f(good(s), rng=s.rng, out=frozen),
            ValueError,
            "out has to be writeable, but got a read-only array",
        ),
        (
            "out-overlaps",
            lambda s: f(
                s.buffer[:n].reshape(shape), rng=s.rng, out=s.buffer[1 : n + 1].reshape(shape)
            ),
            ValueError,
            f"out has to be {x} itself or share no memory with it, but got an array that",
        ),
    ]
    return [
        Bad(f"{name}-{what}", lambda _, s, call=call: call(s), error, words)
        for what, call, error, words in rows
    ]
