"""What the definitions of the variants compute and draw, from the publications and the docstrings.

Nothing here comes from `variants.py`: a wrong declaration is found.
"""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import numpy as np
import oracle

from fastdrop import Key
from fastdrop.backends.numpy import functions

Shape = tuple[int, ...]
BLOCK = 4096


class Given(NamedTuple):
    """What a formula knows beside the operands, which have the type that is computed in."""

    p: float
    real: Any
    drawn: Any = None
    """For each element whether it is kept, or a normal variate."""

    def scaled(self, x: np.ndarray) -> np.ndarray:
        return x * self.real(1 / (1 - self.p) if self.p < 1 else 1)

    def where_kept(self, x: np.ndarray, dropped: Any = 0) -> np.ndarray:
        return np.where(self.drawn, x, self.real(dropped))


# --- Formulas -------------------------------------------------------------------------------------


def scaled(g: Given, x: np.ndarray) -> Any:
    return g.where_kept(g.scaled(x))


def unscaled(g: Given, x: np.ndarray) -> Any:
    return g.where_kept(x)


def mean(g: Given, x: np.ndarray) -> Any:
    return x * g.real(1 - g.p)


def by_blocks(g: Given, x: np.ndarray) -> Any:
    kept = np.count_nonzero(g.drawn)
    return g.where_kept(x * g.real(np.float64(x.size) / np.float64(kept) if kept else 0))


SATURATION = -1.7580993408473766  # the value that SELU tends to


def alpha_constants(p: float) -> tuple[float, float, float]:
    """a, b, and what a dropped element becomes."""
    a = 1 / math.sqrt((1 - p) * (1 + p * SATURATION**2))
    b = -a * SATURATION * p
    return a, b, a * SATURATION + b


def alpha(g: Given, x: np.ndarray) -> Any:
    a, b, dropped = alpha_constants(g.p) if g.p < 1 else (0, 0, 0)
    return g.where_kept(x * g.real(a) + g.real(b), dropped)


def alpha_slope(g: Given, dy: np.ndarray) -> Any:
    return g.where_kept(dy * g.real(alpha_constants(g.p)[0] if g.p < 1 else 0))


def to_infinity(g: Given, scores: np.ndarray) -> Any:
    return g.where_kept(scores, -np.inf)


def noise_factor(g: Given, x: np.ndarray) -> Any:
    return x * (1 + g.real(math.sqrt(g.p / (1 - g.p))) * g.drawn)


def noise_term(g: Given, x: np.ndarray) -> Any:
    return x + g.real(g.p) * g.drawn


def added(g: Given, x: np.ndarray, residual: np.ndarray) -> Any:
    return g.where_kept(g.scaled(x)) + residual


def added_all(_: Given, x: np.ndarray, residual: np.ndarray) -> Any:
    return x + residual


def selected(g: Given, h_new: np.ndarray, h_old: np.ndarray) -> Any:
    return np.where(g.drawn, h_new, h_old)


def mixed(g: Given, h_new: np.ndarray, h_old: np.ndarray) -> Any:
    return h_new * g.real(1 - g.p) + h_old * g.real(g.p)


def split(g: Given, dy: np.ndarray) -> Any:
    return g.where_kept(dy), np.where(g.drawn, g.real(0), dy)


def shares(g: Given, dy: np.ndarray) -> Any:
    return dy * g.real(1 - g.p), dy * g.real(g.p)


def relu(g: Given, x: np.ndarray, bias: np.ndarray) -> Any:
    return g.where_kept(g.scaled(relu_all(g, x, bias)))


def relu_all(_: Given, x: np.ndarray, bias: np.ndarray) -> Any:
    return np.maximum(x + bias, 0)


def relu_slope(g: Given, dy: np.ndarray, x: np.ndarray, bias: np.ndarray) -> Any:
    return g.where_kept(relu_slope_all(g, g.scaled(dy), x, bias))


def relu_slope_all(_: Given, dy: np.ndarray, x: np.ndarray, bias: np.ndarray) -> Any:
    return dy * (x + bias > 0)


# --- What is drawn --------------------------------------------------------------------------------


@functools.cache
def block_mask(shape: Shape, axes: int, block: int, p: float, key: Key) -> np.ndarray:
    planes, lengths = math.prod(shape[:-axes]), list(shape[-axes:])
    gamma = oracle.seed_rate(p, block, lengths)
    place = key.seed, key.stream, key.offset
    return np.reshape(oracle.block_mask(*place, gamma, block, planes, lengths), shape)


def corners(shape: Shape, axes: int, block: int) -> Shape:
    return (*shape[:-axes], *(n - block + 1 for n in shape[-axes:]))


@functools.cache
def _fields(seed: int, stream: int, block: int) -> np.ndarray:
    rows = oracle.Stream(seed, stream).outputs(block)
    return np.array([r >> 16 * q & 0xFFFF for row in rows for r in row for q in range(4)], "u4")


def variates(n: int, key: Key) -> np.ndarray:
    """What stream.md says: element i has the fields at offset + 2 i and the next position."""
    blocks = range(key.offset // BLOCK, -(-(key.offset + 2 * n) // BLOCK))
    whole = np.concatenate([_fields(key.seed, key.stream, b % 2**52) for b in blocks])
    mine = whole[key.offset % BLOCK :][: 2 * n]
    return functions.normal(mine[::2] | mine[1::2] << np.uint32(16))
