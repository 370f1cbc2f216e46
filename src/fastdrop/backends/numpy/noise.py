"""Operations with normal variates, element by element."""

from typing import Any

import numpy as np

from fastdrop.stream import Key

from .arithmetic import factor, rounded, widened
from .draw import CHUNK, words
from .functions import normal

Array = np.ndarray[Any, np.dtype[Any]]


def gaussian_dropout(x: Array, out: Array, kind: str, key: Key, deviation: float) -> None:
    """``x * (1 + deviation * z)``, each operation rounded; then to the storage type."""
    for start in range(0, x.size, CHUNK):
        part = slice(start, min(start + CHUNK, x.size))
        with np.errstate(all="ignore"):
            y = widened(x[part], kind) * (1 + _noise(kind, key, part, deviation))
        out[part] = rounded(y, kind)


def gaussian_noise(x: Array, out: Array, kind: str, key: Key, deviation: float) -> None:
    """``x + deviation * z``, likewise."""
    for start in range(0, x.size, CHUNK):
        part = slice(start, min(start + CHUNK, x.size))
        with np.errstate(all="ignore"):
            y = widened(x[part], kind) + _noise(kind, key, part, deviation)
        out[part] = rounded(y, kind)


def _noise(kind: str, key: Key, part: slice, deviation: float) -> Array:
    """``deviation * z``; the variates are binary32 for every kind."""
    scale = factor(deviation, kind)
    product: Array = normal(words(key, part.start, part.stop)).astype(scale.dtype) * scale
    return product
