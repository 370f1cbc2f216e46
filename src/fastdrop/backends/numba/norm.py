"""Max-norm: limiting the norms of groups of numbers.

Groups are gathered as squares, some that are neighbours at a time, and summed as rows.
"""

import functools
import math
from collections.abc import Callable

import numba
import numpy as np
from numba import types

from fastdrop._arrays import Array

from ..numpy.sums import SQUARES
from .halves import conversions
from .jit import compiled
from .kernels import KINDS
from .sums import row_sum

_TOGETHER = 16  # neighbours, as far as a cache line goes
_LARGEST = float(np.finfo(np.float64).max)


@functools.cache
def _kernel(kind: str) -> Callable[..., None]:
    _, element, compute = KINDS[kind]
    load, store = conversions(kind)
    small, power = (2.0**-900, 600) if kind == "float64" else (2.0**-90, 100)
    higher, lower = 2.0**power, 2.0**-power

    def max_norm(w: Array, limit: float) -> None:
        outer, n, inner = w.shape
        squares = np.empty((min(inner, _TOGETHER), n), compute)
        others, places = np.empty(0, np.float64), np.empty(16, compute)
        wide_places = np.empty(16, np.float64)
        for i in range(outer):
            for first in range(0, inner, _TOGETHER):
                width = min(inner - first, _TOGETHER)
                for row in range(n):
                    for j in range(width):
                        v = load(w[i, row, first + j])
                        squares[j, row] = v * v
                for j in range(width):
                    total, scale = row_sum(squares[j], places, SQUARES), 1.0
                    if not small <= total <= _LARGEST:
                        scale = higher if total < small else lower
                        if not others.size:
                            others = np.empty(n, np.float64)
                        for row in range(n):
                            u = np.float64(load(w[i, row, first + j])) * scale
                            others[row] = u * u
                        total = row_sum(others, wide_places, SQUARES)
                    norm = math.sqrt(total)
                    if norm > limit * scale and norm <= _LARGEST:
                        factor = limit / norm * scale if scale < 1 else limit * scale / norm
                        times = compute(factor)
                        for row in range(n):
                            w[i, row, first + j] = store(load(w[i, row, first + j]) * times)

    return compiled(max_norm, kind, types.Array(element, 3, "A", aligned=False), numba.float64)


def max_norm(w: Array, kind: str, limit: float) -> None:
    """Multiply each ``w[i, :, j]`` whose norm passes the limit with ``limit / norm``."""
    _kernel(kind)(w, limit)
