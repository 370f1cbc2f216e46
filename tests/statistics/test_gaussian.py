"""Gaussian dropout and noise: what they multiply with and add is normal, with the right deviation.

They are given the numbers whose results show the variates exactly, at the keys of ``test_normal``:
so the variates are its samples, and the shares of its assertions are spent on the same numbers.
"""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import variates
from test_normal import MOMENT_ERRORS, SAMPLE, SMALL_SAMPLE

import fastdrop
from fastdrop import Key

pytestmark = pytest.mark.usefixtures("on_fastest")

Call = Callable[[np.ndarray, Key], np.ndarray]
PIECE = 2**20
DEVIATION = 0.5  # of Gaussian dropout at p = 0.2


def dropout_noise(x: np.ndarray, key: Key) -> np.ndarray:
    """What 1 + z / 2 is made of; float64 holds it."""
    return (fastdrop.gaussian_dropout(np.ones(x.shape), 0.2, rng=key) - 1) / DEVIATION


def added_noise(x: np.ndarray, key: Key) -> np.ndarray:
    return fastdrop.gaussian_noise(x, DEVIATION, rng=key) / np.float32(DEVIATION)


def without_the_root(x: np.ndarray, key: Key) -> np.ndarray:
    """A deviation of p / (1 - p)."""
    return fastdrop.gaussian_noise(x, 0.25, rng=key) / np.float32(DEVIATION)


def of_the_kept(x: np.ndarray, key: Key) -> np.ndarray:
    """A deviation of sqrt((1 - p) / p): the paper's formula, with its p the wrong way round."""
    return (fastdrop.gaussian_dropout(np.ones(x.shape), 0.8, rng=key) - 1) / DEVIATION


def pieces(n: int, key: Key, noise: Call) -> Iterator[np.ndarray]:
    zero = np.zeros(PIECE, np.float32)
    for start in range(0, n, PIECE):
        z = noise(zero, Key(key.seed, key.stream, key.offset + 2 * start))
        yield from z.astype(np.float32).reshape(-1, variates.CHUNK)


both = pytest.mark.parametrize("noise", [dropout_noise, added_noise])


@pytest.mark.heavy
@both
def test_distribution(noise):
    z = np.concatenate(list(pieces(SAMPLE, Key(91), noise)))
    variates.believe_distribution("normal distribution", z, 1e-3)


@both
def test_moments_to_the_sixth(noise):
    found = variates.moments(SAMPLE, pieces(SAMPLE, Key(95), noise), 6)
    variates.believe_moments("normal moments", found, SAMPLE, MOMENT_ERRORS)


@pytest.mark.parametrize("wrong", [without_the_root, of_the_kept])
def test_moments_find_a_wrong_deviation(wrong):
    found = variates.moments(SMALL_SAMPLE, pieces(SMALL_SAMPLE, Key(106), wrong), 6)
    assert {2, 4, 6} <= set(variates.moment_surprises(found, SMALL_SAMPLE))


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_mean_and_variance_are_dropout_s(p):
    """Of the result on ones: 1 and p / (1 - p), as the variates' moments at this key bound them."""
    variance = p / (1 - p)
    total = squares = 0.0
    one = np.ones(PIECE)
    for start in range(0, SAMPLE, PIECE):
        y = fastdrop.gaussian_dropout(one, p, rng=Key(95, 0, 2 * start)) - 1
        total += float(y.sum())
        squares += float((y * y).sum())
    first, second = (variates.moment_limits(SAMPLE, k, 6)[0] for k in (1, 2))
    assert abs(total / SAMPLE) <= variance**0.5 * first
    assert abs(squares / SAMPLE - variance) <= variance * second
