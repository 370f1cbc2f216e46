"""Normal variates: their distribution, moments and tails, and that neighbours are independent."""

from collections.abc import Iterator

import numpy as np
import pytest
import variates
from binomial import SHARE, believe, deviations, surprises

from fastdrop import Key
from fastdrop.backends.numpy import functions

SAMPLE = 2**25
SMALL_SAMPLE = 2**22  # enough for the mistakes below
LARGE_SAMPLE = 5 * 2**30

# What is found of the moments 0, 1, 0, 3, 0, 15.
MOMENT_ERRORS = [0.0021, 0.003, 0.0081, 0.021, 0.067, 0.23]


def from_16_bits(w: np.ndarray) -> np.ndarray:
    """The lower field unused."""
    return functions.normal((w & 0xFFFF0000) | 0x8000)


def from_sums(w: np.ndarray) -> np.ndarray:
    """Sums of four bytes, with the variance of normal variates."""
    sums = w.view(np.uint8).reshape(-1, 4).sum(axis=1, dtype=np.float32)
    return (sums - 510) / np.sqrt(np.float32(4 * (256**2 - 1) / 12))


def shifted(w: np.ndarray) -> np.ndarray:
    return functions.normal(w) + np.float32(0.01)


def wider(w: np.ndarray) -> np.ndarray:
    return functions.normal(w) * np.float32(1.02)


def with_wrong_octave(w: np.ndarray) -> np.ndarray:
    """The polynomial of |t| from 2^23 on used from 2^22 on as well."""
    z = functions.normal(w)
    s = np.abs((w | np.uint32(1)).view(np.int32).astype(np.float32))
    again = (s >= 2.0**22) & (s < 2.0**23)
    twice = np.where(again, 2 * s, 1).astype(np.uint32)
    return np.where(again, np.copysign(functions.normal(twice), z), z)


def test_distribution():
    variates.believe_distribution("normal distribution", variates.sample(SAMPLE, Key(91)), 1e-3)


@pytest.mark.parametrize("wrong", [from_sums, shifted])
def test_distribution_finds(wrong):
    z = variates.sample(SMALL_SAMPLE, Key(92), wrong)
    assert variates.largest_deviation(z) > variates.deviation_allowed(SMALL_SAMPLE)


CELLS = 1000
EDGES = variates.special.ndtri(np.arange(1, CELLS) / CELLS).astype(np.float32)


def in_cells(z: np.ndarray) -> np.ndarray:
    return np.bincount(np.searchsorted(EDGES, z), minlength=CELLS)


def test_cells_of_equal_chance():
    counts = sum(in_cells(z) for z in variates.chunks(SAMPLE, Key(93)))
    believe("normal cells", counts, SAMPLE, 1 / CELLS, deviations(SAMPLE, np.float64(1e-3), 13))


@pytest.mark.parametrize("wrong", [from_sums, wider])
def test_cells_find(wrong):
    counts = sum(in_cells(z) for z in variates.chunks(SMALL_SAMPLE, Key(94), wrong))
    assert surprises(counts, SMALL_SAMPLE, 1 / CELLS)


def test_moments():
    found = variates.moments(SAMPLE, variates.chunks(SAMPLE, Key(95)), 6)
    variates.believe_moments("normal moments", found, SAMPLE, MOMENT_ERRORS)


@pytest.mark.parametrize(("wrong", "which"), [(from_sums, [4, 6]), (shifted, [1]), (wider, [2])])
def test_moments_find(wrong, which):
    found = variates.moments(SMALL_SAMPLE, variates.chunks(SMALL_SAMPLE, Key(96), wrong), 6)
    assert set(which) <= set(variates.moment_surprises(found, SMALL_SAMPLE))


def beyond(limits: list[float], pieces: Iterator[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """How many variates lie beyond each limit, and the chances of that.

    On either side for all but the last limit, which few pass: on both sides together.
    """
    counts = np.zeros((len(limits), 2), np.int64)
    for z in pieces:
        far = z[np.abs(z) > limits[0]]
        counts += [[np.count_nonzero(far < -c), np.count_nonzero(far > c)] for c in limits]
    p = np.array([variates.chance_beyond(c) for c in limits])
    return np.append(counts[:-1], counts[-1].sum()), np.append((p[:-1] / 2).repeat(2), p[-1])


# Relative errors that are found: of the chance to lie beyond the limit.
NEAR_TAILS = {2.0: 0.013, 3.0: 0.054, 4.0: 0.38, 4.5: 0.9}
FAR_TAILS = {3.0: 0.005, 4.0: 0.031, 5.0: 0.34, 5.5: 0.9}


def errors_of(tails: dict[float, float]) -> np.ndarray:
    *both, last = tails.values()
    return np.append(np.repeat(both, 2), last)


def test_tails():
    counts, p = beyond(list(NEAR_TAILS), variates.chunks(SAMPLE, Key(97)))
    believe("normal tails", counts, SAMPLE, p, p * errors_of(NEAR_TAILS))


@pytest.mark.parametrize("wrong", [from_sums, from_16_bits, with_wrong_octave])
def test_tails_find(wrong):
    counts, p = beyond(list(NEAR_TAILS), variates.chunks(SAMPLE, Key(98), wrong))
    assert surprises(counts, SAMPLE, p)


@pytest.mark.slow
def test_far_tails():
    counts, p = beyond(list(FAR_TAILS), variates.chunks(LARGE_SAMPLE, Key(99)))
    believe("far normal tails", counts, LARGE_SAMPLE, p, p * errors_of(FAR_TAILS))


SIDE = 16
SIDE_EDGES = variates.special.ndtri(np.arange(1, SIDE) / SIDE).astype(np.float32)


def in_squares(z: np.ndarray, lag: int) -> np.ndarray:
    """Pairs, each variate in one, by the cells that both lie in."""
    cell = (z > SIDE_EDGES[:, np.newaxis]).sum(axis=0, dtype=np.uint8).reshape(-1, 2, lag)
    return np.bincount((cell[:, 0] * SIDE + cell[:, 1]).ravel(), minlength=SIDE**2)


@pytest.mark.parametrize("lag", [1, 2, 32, 64])
def test_neighbours(lag):
    """64 fields are a step, 32 variates."""
    counts = sum(in_squares(z, lag) for z in variates.chunks(SAMPLE, Key(100 + lag)))
    chance = np.float64(1 / SIDE**2)
    believe(f"neighbours {lag}", counts, SAMPLE // 2, chance, deviations(SAMPLE // 2, chance, 13))


def test_neighbours_find_a_weak_common_cause():
    """In one pair of a hundred the second is the first."""
    counts = np.zeros(SIDE**2, np.int64)
    for z in variates.chunks(SAMPLE, Key(105)):
        z[1::200] = z[::200]
        counts += in_squares(z, 1)
    assert surprises(counts, SAMPLE // 2, 1 / SIDE**2)


def test_bounds_are_safe_and_close():
    """The exact chance of failing: of the largest deviation, and of a mean if it were normal."""
    stats = pytest.importorskip("scipy.stats")
    exact = stats.kstwo.sf(variates.deviation_allowed(SMALL_SAMPLE), SMALL_SAMPLE)
    assert SHARE / 2 < exact <= SHARE
    for k in (1, 2):
        deviation = np.sqrt(
            (variates.normal_moment(2 * k) - variates.normal_moment(k) ** 2) / SAMPLE
        )
        exact = 2 * variates.special.ndtr(-variates.moment_limits(SAMPLE, k, 6)[0] / deviation)
        assert SHARE / 6 / 100 < exact <= SHARE / 6
