"""Arrays for tests of what backends compute: numbers of every kind, in memory of every kind."""

import functools

import numpy as np
from support import STORAGE, to_storage

KINDS = tuple(STORAGE)
BIG = 128 * 4096 + 77  # more than a chunk of any backend


@functools.cache
def numbers(kind: str, which: int) -> np.ndarray:
    """Numbers of every size and sign, with what is special among them."""
    source = np.random.default_rng(100 + which)
    values = source.standard_normal(BIG) * np.exp2(source.integers(-150, 150, BIG))
    values[::2] = source.standard_normal(values[::2].size) * 3
    special = np.array([np.inf, -np.inf, np.nan, 0.0, -0.0, 1e-45, -6e-8, 5e-324, 65504, 3.3e38])
    source.shuffle(special)
    values[which::11] = np.resize(special, values[which::11].size)
    stored = to_storage(values, kind)
    stored.flags.writeable = False
    return stored


def layouts(x: np.ndarray) -> dict[str, np.ndarray]:
    """The same numbers in memory of many kinds: each a copy of its own."""
    reversed_ = np.empty_like(x)[::-1]
    reversed_[...] = x
    padded = np.empty((*x.shape[:-1], x.shape[-1] + 3), x.dtype)[..., 1:-2]
    padded[...] = x
    every_other = np.empty((*x.shape[:-1], 2 * x.shape[-1]), x.dtype)[..., ::2]
    every_other[...] = x
    return {
        "contiguous": x.copy(),
        "fortran": x.copy("F"),
        "rotated": np.moveaxis(np.moveaxis(x, 0, -1).copy(), -1, 0),
        "reversed": reversed_,
        "padded": padded,
        "every other": every_other,
    }
