"""Summation in the order that all backends share: pairwise within 64, then 16 partial sums."""

import numpy as np

from fastdrop._arrays import Array

_PLACES = 16

# How many are summed in the type that they have, before the sums are in float64.
EXPONENTIALS = 4096
SQUARES = 256


def row_sums(e: Array, at_most: int) -> Array:
    """The sums of the rows, in float64.

    Of each 64 elements, place j = 0..15 takes (e[j] + e[j + 16]) + (e[j + 32] + e[j + 48]). After
    `at_most` elements, a multiple of 64, the places are added by halves, and that to the rest in
    float64.
    """
    count, n = e.shape
    total = np.zeros(count)
    for start in range(0, n, at_most):
        run = e[:, start : start + at_most]
        steps = -(-run.shape[1] // 64)
        padded = np.zeros((count, steps * 64), e.dtype)
        padded[:, : run.shape[1]] = run
        quarter = padded.reshape(count, steps, 4, _PLACES)
        four = (quarter[:, :, 0] + quarter[:, :, 1]) + (quarter[:, :, 2] + quarter[:, :, 3])
        places = np.zeros((count, _PLACES), e.dtype)
        for step in range(steps):
            places = places + four[:, step]
        while places.shape[1] > 1:
            half = places.shape[1] // 2
            places = places[:, :half] + places[:, half:]
        total += places[:, 0]
    return total
