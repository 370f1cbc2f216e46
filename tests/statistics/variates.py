"""Normal variates from the stream, what they should be, and tests of means and of distributions.

Not everything that is said of normal variates is a binomial count. The tests here have bounds that
hold for every sample size, not only in the limit, so that their false failures fit the suite's
budget; they spend shares of it as ``believe`` does.
"""

import math
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from binomial import POWER, SHARE, spend

import fastdrop
from fastdrop import Key
from fastdrop.backends.numpy import draw

special = pytest.importorskip("scipy.special", reason="the normal distribution comes from SciPy")

CHUNK = 2**14  # words at a time: what is computed from them stays in the cache
BLOCKS = 2**10
FARTHEST = 6.2303  # no variate is larger
APPROXIMATION = 3.6e-6  # the error of a variate, tested elsewhere

Variates = Callable[[np.ndarray], np.ndarray]


def word_chunks(n: int, key: Key) -> Iterator[np.ndarray]:
    """The words of ``n`` variates: a whole number of chunks, from a block's start on."""
    in_block = draw.BLOCK // 2
    first = key.offset // draw.BLOCK
    for block in range(0, -(-n // in_block), BLOCKS):
        fields, _ = draw._fields_and_words(key, draw._blocks(first + block, BLOCKS))
        words = fields.view("<u4").reshape(-1).astype(np.uint32, copy=False)
        yield from words[: n - block * in_block].reshape(-1, CHUNK)


def chunks(n: int, key: Key, wrong: Variates | None = None) -> Iterator[np.ndarray]:
    """``n`` variates, piece by piece: fastdrop's, or those that ``wrong`` makes from the words."""
    if wrong is not None:
        yield from map(wrong, word_chunks(n, key))
        return
    zeros = np.zeros(BLOCKS * draw.BLOCK // 2, np.float32)
    for first in range(0, n, zeros.size):
        here = Key(key.seed, key.stream, key.offset + 2 * first)
        z = fastdrop.gaussian_noise(zeros, 1.0, rng=here)
        yield from z[: n - first].reshape(-1, CHUNK)


def sample(n: int, key: Key, wrong: Variates | None = None) -> np.ndarray:
    return np.concatenate(list(chunks(n, key, wrong)))


def chance_beyond(c: float) -> float:
    """P(|z| > c): of the 2**31 odd numbers s, those with |s| below Phi(-c) * 2**32."""
    return 2 * math.floor((special.ndtr(-c) * 2**32 + 1) / 2) / 2**31


# --- Means of bounded numbers -----------------------------------------------------------------


def bernstein(n: int, variance: float, bound: float, chance: float) -> float:
    """What the mean of ``n`` numbers is off by, up or down, with at most this chance.

    Bernstein's inequality, for numbers that are never off their mean by more than ``bound``:
    P(|mean - expected| > t) <= 2 exp(-n t**2 / (2 variance + 2 bound t / 3)).
    """
    nats = math.log(2 / chance)
    skew = nats * bound / 3
    return (skew + math.sqrt(skew**2 + 2 * n * nats * variance)) / n


def normal_moment(k: int) -> float:
    """E z**k."""
    return 0.0 if k % 2 else math.prod(range(k - 1, 0, -2))


def absolute_moment(k: int) -> float:
    """E |z|**k."""
    return 2 ** (k / 2) * math.gamma((k + 1) / 2) / math.sqrt(math.pi)


def moment_limits(n: int, k: int, comparisons: int) -> tuple[float, float]:
    """What the k-th moment of n variates may be off by, and what error is then found."""
    variance = normal_moment(2 * k) - normal_moment(k) ** 2
    bound = FARTHEST**k + normal_moment(k)
    # The variates are not quite normal: off by the approximation, and cut off.
    bias = k * absolute_moment(k - 1) * APPROXIMATION + 2.0**-32 * FARTHEST**k
    allowed = bernstein(n, variance, bound, SHARE / comparisons) + bias
    return allowed, allowed + bernstein(n, variance, bound, 1 - POWER)


def moments(n: int, pieces: Iterator[np.ndarray], highest: int) -> np.ndarray:
    """The means of z, z**2, ..."""
    total = np.zeros(highest)
    for z in pieces:
        wide = z.astype(np.float64)
        power = np.ones_like(wide)
        for k in range(highest):
            power *= wide
            total[k] += power.sum()
    return total / n


def moment_surprises(found: np.ndarray, n: int) -> list[int]:
    """Which moments are not believed to be a normal distribution's."""
    return [
        k
        for k, moment in enumerate(found.tolist(), 1)
        if abs(moment - normal_moment(k)) > moment_limits(n, k, found.size)[0]
    ]


def believe_moments(name: str, found: np.ndarray, n: int, errors: list[float]) -> None:
    """Assert that the moments are normal; spends one share. ``errors`` are surely found."""
    for k, error in enumerate(errors, 1):
        assert moment_limits(n, k, found.size)[1] <= error, f"moment {k} needs a larger sample"
    spend(name, found.tobytes())
    surprising = moment_surprises(found, n)
    assert not surprising, f"{name}: moments {surprising} of {found}"


# --- The distribution function ----------------------------------------------------------------


def largest_deviation(z: np.ndarray) -> float:
    """Kolmogorov's and Smirnov's statistic: between the variates' distribution and the normal."""
    expected = special.ndtr(np.sort(z).astype(np.float64))
    steps = np.arange(z.size + 1) / z.size
    return float(max((expected - steps[:-1]).max(), (steps[1:] - expected).max()))


def deviation_allowed(n: int) -> float:
    """P(statistic > t) <= 2 exp(-2 n t**2), with the best constant, whatever the distribution.

    Massart, "The tight constant in the Dvoretzky-Kiefer-Wolfowitz inequality" (1990). What the
    approximation moves the distribution function by is less than half of its error.
    """
    return math.sqrt(math.log(2 / SHARE) / (2 * n)) + APPROXIMATION / 2


def believe_distribution(name: str, z: np.ndarray, error: float) -> None:
    """Assert that variates are normal; spends one share.

    A distribution function that is off by ``error`` somewhere is found with probability ``POWER``.
    """
    # There, the sample's function is off its own by more with this chance (Hoeffding).
    surely = math.sqrt(math.log(1 / (1 - POWER)) / (2 * z.size))
    assert deviation_allowed(z.size) + surely <= error, "the sample is too small"
    found = largest_deviation(z)
    spend(name, np.float64(found).tobytes())
    assert found <= deviation_allowed(z.size), f"{name}: {found}"
