"""Every variant drops at the rate p, and what it gives has the mean that its definition says.

A result is one of two values, that of a kept element and that of a dropped one: each is compared
with the definition, computed here in float64 from the formula alone. Their mean, with weights 1 - p
and p, has to be the expectation; so the mean over calls is right if the decisions have the rate p,
which they are counted for. DropBlock, the per-sample product, noise and samples have tests of their
own: their results take more values than two.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
from binomial import believe, deviations, surprises
from cases import CASES, Case
from formulas import alpha, alpha_constants

import fastdrop
from fastdrop import Generator

CALLS = 2**9
# In standard deviations of the rate over all calls: at p = 0.1 that is 2e-3 of an element's
# variants, and 0.1 of those that decide for whole samples.
ERROR = 13

pytestmark = pytest.mark.usefixtures("on_fastest")


class Variant(NamedTuple):
    """A call, the shape of its decisions, and what the definition makes of kept and dropped."""

    call: Callable[..., np.ndarray]
    decisions: tuple[int, ...]
    decided: Callable[[float, bool], np.ndarray]
    """All of them kept, or dropped."""
    expected: Callable[[float], np.ndarray]


def of(case: Case) -> Variant:
    """Of numbers above 0, which no activation makes 0."""
    operands = {name: np.abs(x) for name, x in case.operands(np.float64).items()}
    x, *others = operands.values()

    def decided(p: float, keep: bool) -> np.ndarray:
        given = case.given(p, np.float64, np.full(case.shape, keep))
        return case.formula(given, x, *others)

    def expected(p: float) -> np.ndarray:
        if case.formula is alpha:  # an x of mean 0 keeps it: a (1 - p) x
            return alpha_constants(p)[0] * (1 - p) * x
        dropped = decided(p, False)
        if np.isneginf(dropped).all():  # and so is every mean with it
            return dropped
        return x if case.evaluated is None else case.evaluated(case.given(p, float), x, *others)

    shape = case.shape if case.decisions is None else case.decisions
    return Variant(lambda p, rng: case(operands, p, rng=rng), shape, decided, expected)


def _softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


SCORES = np.random.default_rng(1).normal(size=(32, 12, 16)) + 3
VARIANTS = {
    str(case): of(case)
    for case in CASES
    if not case.axes and not case.repeats and case.variant.positions == 1
    if case.decisions is None or math.prod(case.decisions) > 1
}
VARIANTS["softmax"] = Variant(
    lambda p, rng: fastdrop.softmax_dropout(SCORES, p, rng=rng),
    SCORES.shape,
    lambda p, keep: keep * _softmax(SCORES) / (1 - p),
    lambda _: _softmax(SCORES),
)


def nearer(y: np.ndarray, dropped: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Which results are those of dropped elements, rather than of kept ones."""
    if np.isinf(dropped).all():
        return y == dropped
    return np.abs(y - dropped) < np.abs(y - kept)


def count(variant: Variant, p: float, seed: int) -> tuple[int, int]:
    """How many decisions dropped, and of how many, over all calls.

    Each result has to be one of the two values, and the same one wherever a decision is shared.
    """
    generator = Generator(seed)
    kept, dropped = variant.decided(p, True), variant.decided(p, False)
    shared = tuple(i for i, n in enumerate(variant.decisions) if n == 1)
    drops = 0
    for _ in range(CALLS):
        y = variant.call(p, generator)
        is_dropped = nearer(y, dropped, kept)
        np.testing.assert_allclose(y, np.where(is_dropped, dropped, kept), rtol=1e-12, atol=1e-14)
        decided = is_dropped.any(axis=shared)
        np.testing.assert_array_equal(is_dropped.all(axis=shared), decided)
        drops += int(np.count_nonzero(decided))
    return drops, CALLS * math.prod(variant.decisions)


@pytest.mark.parametrize("name", VARIANTS)
def test_the_mean_of_both_values_is_the_expectation(name):
    variant = VARIANTS[name]
    for p in (0.1, 0.5):
        mean = (1 - p) * variant.decided(p, True) + p * variant.decided(p, False)
        np.testing.assert_allclose(mean, variant.expected(p), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("p", [0.1, 0.5])
def test_rate_of_every_variant(p):
    counts, n = np.array([count(variant, p, 101) for variant in VARIANTS.values()]).T
    believe(f"family {p}", counts, n, p, deviations(n, np.float64(p), ERROR))


def test_a_biased_sampler_is_found():
    """8 bits for p = 0.1 drop 26 of 256: 1.6 % too many. Found wherever each element decides."""
    rate = 26 / 256
    for name, variant in VARIANTS.items():
        if 1 in variant.decisions or math.prod(variant.decisions) < 4096:
            continue
        right, n = count(variant, 0.1, 102)
        biased = np.random.default_rng(103).binomial(n, rate)
        comparisons = len(VARIANTS)
        assert surprises(biased, n, 0.1, comparisons), name
        assert not surprises(right, n, 0.1, comparisons), name
