"""The test of the tests: tails against exact sums, rates of failure as stated."""

import math

import binomial
import numpy as np
import pytest


@pytest.mark.parametrize(("n", "p"), [(1, 0.5), (10, 0.1), (100, 0.37), (400, 0.9), (500, 0.001)])
def test_tails_are_exact(n, p):
    # Whole numbers of 1 / whole**n.
    drop, whole = p.as_integer_ratio()
    pmf = [math.comb(n, k) * drop**k * (whole - drop) ** (n - k) for k in range(n + 1)]
    below = 0
    for k in range(n + 2):
        upper, lower = (whole**n - below) / whole**n, below / whole**n
        assert binomial.upper_tail(k, n, p) == pytest.approx(upper, rel=1e-6, abs=1e-12)
        assert binomial.lower_tail(k - 1, n, p) == pytest.approx(lower, rel=1e-6, abs=1e-12)
        below += pmf[k] if k <= n else 0


@pytest.mark.parametrize("comparisons", [1, 1000])
@pytest.mark.parametrize(("n", "p"), [(1000, 0.1), (2**20, 0.5), (2**27, 1e-4), (2**30, 0.5)])
def test_what_is_accepted_fails_as_rarely_as_stated(n, p, comparisons):
    low, high = binomial.accepted(n, p, comparisons)
    share = binomial.SHARE / comparisons
    outside = binomial.lower_tail(low - 1, n, p) + binomial.upper_tail(high + 1, n, p)
    assert outside <= share
    assert binomial.lower_tail(low, n, p) > share / 2
    assert binomial.upper_tail(high, n, p) > share / 2
    assert low < n * p < high


@pytest.mark.parametrize("n", [2**30, 2**38])
def test_large_tails_agree_with_the_normal_distribution(n):
    p = 0.5
    deviation = math.sqrt(n * p * (1 - p))
    for sigmas in (0.5, 2, 5):
        k = math.ceil(n * p + sigmas * deviation)
        normal = math.erfc((k - 0.5 - n * p) / deviation / math.sqrt(2)) / 2
        assert binomial.upper_tail(k, n, p) == pytest.approx(normal, rel=1e-3)


def test_power_grows_with_the_error():
    powers = [binomial.power(10000, 0.1, actual) for actual in (0.1, 0.11, 0.12, 0.15)]
    assert powers[0] <= binomial.SHARE
    assert powers == sorted(powers)
    assert powers[-1] > binomial.POWER
    with pytest.raises(AssertionError, match="is found with probability"):
        binomial.check_power(10000, 0.1, 0.01)


def test_counts_have_their_own_sizes_and_chances():
    counts = np.array([[500, 5000], [100, 1000]])
    n, p = np.array([1000, 10000]), np.array([[0.5], [0.1]])
    assert not binomial.surprises(counts, n, p)
    counts[1, 0] = 500
    (found,) = binomial.surprises(counts, n, p)
    assert found.startswith("count 500 of 1000")


@pytest.mark.parametrize("p", [0.1, 0.5])
def test_cells_are_met_often_enough(p):
    chances = binomial.pmf(64, p)
    assert chances.sum() == pytest.approx(1, rel=1e-12)
    cell, probability = binomial.cells(chances, 10000, 200)
    assert probability.sum() == pytest.approx(1, rel=1e-12)
    assert probability.min() * 10000 >= 200
    assert 10 <= probability.size < 64
    assert (np.diff(cell) >= 0).all()


def test_shares_cannot_be_overspent(monkeypatch):
    monkeypatch.setattr(binomial, "_spent", {})
    for i in range(binomial.ASSERTIONS):
        binomial.believe(f"assertion {i}", 500, 1000, 0.5, 0.2)
    binomial.believe("assertion 0", 500, 1000, 0.5, 0.2)
    with pytest.raises(ValueError, match="two assertions have the name"):
        binomial.believe("assertion 0", 501, 1000, 0.5, 0.2)
    with pytest.raises(ValueError, match="no share is left"):
        binomial.believe("one more", 500, 1000, 0.5, 0.2)
    assert math.isclose(binomial.SHARE * binomial.ASSERTIONS, binomial.IN_ALL)
