"""What the statistical suite proves, how surely, and the exact binomial test that it is made of.

Every test here draws masks from fixed seeds, counts something whose distribution is exactly
binomial if the decisions are independent with probability p, and calls ``believe``; for what is no
count, ``variates`` has its like. Two numbers are stated beforehand: how often that fails though
nothing is wrong, and how surely it finds an error of the size that stands in the test.

- **False failures**: ``IN_ALL``, one in a million, for the whole suite. It is divided into
  ``ASSERTIONS`` equal shares. Each name that ``believe`` is given spends one, and there is no
  share beyond the last, so that the sum cannot be passed. Within an assertion the share is
  divided again by its number of counts (Bonferroni: that holds however the counts depend on each
  other, and needs the binomial distribution of each alone).
- **Power**: an error of the stated size, in any one count, is found with probability ``POWER``,
  which ``believe`` checks before it looks at the counts. Errors are absolute, in the probability
  that is counted. Next to each test stands a mistake that it has to find.

==================  ========================================================================
test_rate           P(drop), to 3.4e-4 at p = 0.5; with ``-m slow`` to 6.1e-6 at p = 0.1
test_places         each of the 4096 positions of a block, over blocks, seeds, streams, calls
test_correlation    lags, triples and lengths of runs within a stream
test_sums           popcounts of words; sums of rows and columns of 2-D masks
test_cross          related seeds, streams, blocks, layers and calls, at every shift to 64
test_keys           avalanche of seed, stream and block; collisions of 2**20 keys
test_expectation    the mean of dropout(x) is x, for every dtype
test_normal         normal variates: distribution function to 1e-3, moments to the sixth, tails to
                    4.5 (with ``-m slow`` to 5.5), neighbours
test_gaussian       Gaussian dropout and noise: their variates are the numbers that test_normal
                    believes, so that no shares are spent
test_blocks         DropBlock: each element of a plane
test_family         every other variant: its rate, and that the mean is what its definition says
==================  ========================================================================

Decisions of one block share a threshold. This correlates them by at most 2**-34 / (p (1 - p)),
which widens no distribution here by more than 3e-4 of its variance (one test does, and says so),
and adds no false failures beyond those that the shares left over pay for. Seeds are fixed, so each
test either always fails or never does.
"""

import functools
import math
from typing import Any

import numpy as np

IN_ALL = 1e-6
ASSERTIONS = 96
SHARE = IN_ALL / ASSERTIONS
POWER = 1 - 1e-6

_spent: dict[str, bytes] = {}


def spend(name: str, evidence: bytes) -> None:
    """One share for the assertion ``name``; the same one may be run again on the same numbers."""
    if _spent.setdefault(name, evidence) != evidence:
        raise ValueError(f"two assertions have the name {name!r}")
    if len(_spent) > ASSERTIONS:
        raise ValueError(f"{name!r} is assertion {len(_spent)} of {ASSERTIONS}: no share is left")


def _stirling_error(n: int) -> float:
    """Of the logarithm of n!"""
    if n < 32:
        return math.lgamma(n + 1) - (n + 0.5) * math.log(n) + n - math.log(2 * math.pi) / 2
    return (1 / 12 - (1 / 360 - 1 / 1260 / n**2) / n**2) / n


def _deviance(k: int, mean: float) -> float:
    """k log(k / mean) + mean - k."""
    d = (k - mean) / mean
    return mean * ((1 + d) * math.log1p(d) - d)


def log_pmf(k: int, n: int, p: float) -> float:
    """log P(X = k). Differences of log-gammas would lose all their digits at n = 2**38.

    Loader, "Fast and accurate computation of binomial probabilities" (2000).
    """
    if k == 0:
        return n * math.log1p(-p)
    if k == n:
        return n * math.log(p)
    exact = _stirling_error(n) - _stirling_error(k) - _stirling_error(n - k)
    exact -= _deviance(k, n * p) + _deviance(n - k, n * (1 - p))
    return exact + math.log(n / k / (n - k) / (2 * math.pi)) / 2


def upper_tail(k: int, n: int, p: float) -> float:
    """P(X >= k), to about 1e-4 of itself."""
    if k <= 0:
        return 1.0
    if k > n:
        return 0.0
    if k <= n * p:
        return 1 - lower_tail(k - 1, n, p)
    first = log_pmf(k, n, p)
    if first < -700:
        return 0.0
    # The sum of pmf(i) from k on: each term is the one before times a falling ratio below 1.
    terms = min(n - k, 100 + math.ceil(12 * math.sqrt(n * p * (1 - p))))
    i = np.arange(k, k + terms, dtype=np.float64)
    ratios = (n - i) / (i + 1) * (p / (1 - p))
    return math.exp(first) * (1 + float(np.cumprod(ratios).sum()))


def lower_tail(k: int, n: int, p: float) -> float:
    """P(X <= k)."""
    return upper_tail(n - k, n, 1 - p)


@functools.cache
def accepted(n: int, p: float, comparisons: int = 1) -> tuple[int, int]:
    """The counts from lowest to highest that are believed; each side has half of the share."""
    half = SHARE / comparisons / 2

    def first_too_large(n: int, p: float) -> int:
        low, high = math.floor(n * p), n + 1
        while low < high:
            middle = (low + high) // 2
            if upper_tail(middle, n, p) < half:
                high = middle
            else:
                low = middle + 1
        return low

    return n - first_too_large(n, 1 - p) + 1, first_too_large(n, p) - 1


def power(n: int, p: float, actual: float, comparisons: int = 1) -> float:
    """How surely a count with probability ``actual`` is not believed to have ``p``."""
    low, high = accepted(n, p, comparisons)
    return lower_tail(low - 1, n, actual) + upper_tail(high + 1, n, actual)


@functools.cache
def check_power(n: int, p: float, error: float, comparisons: int = 1) -> None:
    """The sample is large enough to find an error of this size, up or down."""
    for actual in (p - error, p + error):
        found = power(n, p, actual, comparisons)
        assert found >= POWER, f"{n} at {p}: {actual} is found with probability {found}"


def surprises(counts: Any, n: Any, p: Any, comparisons: int = 0) -> list[str]:
    """The counts out of ``n`` that are not believed to have probability ``p``."""
    counts, n, p = (a.ravel() for a in np.broadcast_arrays(np.atleast_1d(counts), n, p))
    cases = list(zip(n.tolist(), p.tolist(), strict=True))
    limits = {case: accepted(*case, comparisons or counts.size) for case in set(cases)}
    low, high = np.array([limits[case] for case in cases]).T
    return [
        f"count {counts[i]} of {n[i]} at {i} is not between {low[i]} and {high[i]}"
        for i in np.flatnonzero((counts < low) | (counts > high)).tolist()
    ]


def believe(name: str, counts: Any, n: Any, p: Any, error: Any, comparisons: int = 0) -> None:
    """Assert that each count out of ``n`` has probability ``p``; spends one share.

    ``error`` is what is found with probability ``POWER``. All numbers but the name broadcast.
    """
    counts = np.atleast_1d(counts)
    comparisons = comparisons or counts.size
    cases = np.broadcast_arrays(counts, n, p, error)[1:]
    for case in set(zip(*(a.ravel().tolist() for a in cases), strict=True)):
        check_power(*case, comparisons)
    spend(name, counts.astype("<i8").tobytes())
    found = surprises(counts, n, p, comparisons)
    assert not found, f"{name}: {found[:10]}"


def pmf(n: int, p: float) -> np.ndarray:
    """P(X = k) for k = 0..n."""
    return np.exp([log_pmf(k, n, p) for k in range(n + 1)])


def cells(chances: np.ndarray, n: int, expected: float) -> tuple[np.ndarray, np.ndarray]:
    """Neighbouring values put together, so that each cell is met ``expected`` times of ``n``.

    The cell of each value, and the chance of each cell.
    """
    cell = np.zeros(chances.size, np.int64)
    number, within = 0, 0.0
    for value in range(chances.size):
        cell[value] = number
        within += chances[value]
        if within * n >= expected and chances[value + 1 :].sum() * n >= expected:
            number, within = number + 1, 0.0
    return cell, np.bincount(cell, chances)


def deviations(n: int, p: np.ndarray, times: float) -> np.ndarray:
    """So many standard deviations of a count, as an error in ``p``."""
    return times * np.sqrt(p * (1 - p) / n)
