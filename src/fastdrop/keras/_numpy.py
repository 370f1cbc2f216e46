"""What is drawn where Keras runs on NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastdrop._arrays import KINDS, Array
from fastdrop._rng import Key
from fastdrop.pipeline import run
from fastdrop.variants import Variant

from ._private import draw_seed as state_of

__all__ = ["draw", "state_of", "takes"]


def takes(x: object) -> bool:
    """Whether `x` is an array that is computed here."""
    return isinstance(x, np.ndarray | np.generic) and (
        x.dtype.name in KINDS and x.dtype.isnative and not isinstance(x, np.ma.MaskedArray)
    )


def draw(variant: Variant, x: Array, p: float, shape: tuple[int, ...] | None, state: Array) -> Any:
    """A training call at a state of Keras' generators; `shape` is that of the decisions."""
    seed, stream = state.tolist()
    option = () if variant.decisions is None else (shape,)
    return run(variant, (x,), p, True, Key(seed, stream), None, None, *option)
