"""Cases of bad input, and what holds for each: the exact exception, its words, no effect."""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.lib.stride_tricks import as_strided

import fastdrop
from fastdrop import elementwise

# The functions as exported (compiled where the core is), and the general path in Python.
FRONTS: dict[str, Any] = {"exported": fastdrop, "python": elementwise}


class Functions:
    """The functions of one front; the two that are never compiled are the same in both."""

    def __init__(self, front: str) -> None:
        self.dropout = FRONTS[front].dropout
        self.dropout_ = FRONTS[front].dropout_
        self.dropout_mask = elementwise.dropout_mask
        self.apply_mask = elementwise.apply_mask


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
