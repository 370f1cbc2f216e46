"""Summation in the order that all backends share."""

import numpy as np

from fastdrop._arrays import Array

from .jit import jit


@jit
def row_sum(e: Array, places: Array, at_most: int) -> float:
    """The sum in the order that all backends have (see ``numpy/sums.py``), by way of 16 places."""
    zero = e.dtype.type(0)
    total = 0.0
    for run in range(0, e.size, at_most):
        places[:] = 0
        end = min(run + at_most, e.size)
        for step in range(run, end, 64):
            if step + 64 <= end:
                for j in range(16):
                    i = step + j
                    places[j] += (e[i] + e[i + 16]) + (e[i + 32] + e[i + 48])
            else:
                for j in range(16):
                    i = step + j
                    a = e[i] if i < end else zero
                    b = e[i + 16] if i + 16 < end else zero
                    c = e[i + 32] if i + 32 < end else zero
                    d = e[i + 48] if i + 48 < end else zero
                    places[j] += (a + b) + (c + d)
        half = 8
        while half:
            for j in range(half):
                places[j] += places[j + half]
            half >>= 1
        total += np.float64(places[0])
    return total
