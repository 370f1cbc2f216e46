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

import fastdrop
from fastdrop import Generator

CALLS = 2**6
SIZES = (32, 8, 12, 16)
# In standard deviations of the rate over all calls: at p = 0.1 that is 2e-3 of an element's
# variants, and 0.2 of those that decide for whole samples.
ERROR = 13

pytestmark = pytest.mark.usefixtures("on_fastest")


class Variant(NamedTuple):
    """A call, the shape of its decisions, and what the definition makes of kept and dropped."""

    call: Callable[..., np.ndarray]
    decisions: tuple[int, ...]
    kept: Callable[[float], np.ndarray]
    dropped: Callable[[float], np.ndarray]
    expected: Callable[[float], np.ndarray] | None = None


def _normal(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=SIZES) + 3


X, H = _normal(1), _normal(2)
BIAS = np.linspace(-1, 1, SIZES[-1])
N, C, *SPACE = SIZES
SELU_FLOOR = -1.7580993408473766  # the value that SELU tends to, Klambauer 2017


def _nothing(_: float) -> np.ndarray:
    return np.zeros(SIZES)


def _plain(call: Callable[..., np.ndarray], decisions: tuple[int, ...]) -> Variant:
    """Inverted dropout of x: 0 or x / (1 - p), in the mean x."""
    return Variant(call, decisions, lambda p: X / (1 - p), _nothing, lambda _: X)


def _affine(p: float) -> tuple[float, float]:
    a = ((1 - p) * (1 + p * SELU_FLOOR**2)) ** -0.5
    return a, -a * SELU_FLOOR * p


def _alpha(call: Callable[..., np.ndarray], decisions: tuple[int, ...]) -> Variant:
    def kept(p: float) -> np.ndarray:
        a, b = _affine(p)
        return a * X + b

    def dropped(p: float) -> np.ndarray:
        a, b = _affine(p)
        return np.full(SIZES, a * SELU_FLOOR + b)

    def expected(p: float) -> np.ndarray:
        """An x of mean 0 keeps it: a (1 - p) x."""
        return _affine(p)[0] * (1 - p) * X

    return Variant(call, decisions, kept, dropped, expected)


def _softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def _gelu(x: np.ndarray) -> np.ndarray:
    return x * np.vectorize(lambda v: (1 + math.erf(v / math.sqrt(2))) / 2)(x)


def _of(function: str, **more: object) -> Callable[..., np.ndarray]:
    return lambda p, rng: getattr(fastdrop, function)(X, p, rng=rng, **more)


VARIANTS = {
    "channels first": _plain(_of("dropout2d"), (N, C, 1, 1)),
    "channels last": _plain(_of("dropout2d", data_format="channels_last"), (N, 1, 1, SPACE[1])),
    "variational": _plain(_of("variational_dropout", time_axis=1), (N, 1, *SPACE)),
    "paths": _plain(_of("drop_path"), (N, 1, 1, 1)),
    "weights": _plain(_of("drop_connect"), SIZES),
    "attention": _plain(_of("attention_dropout"), SIZES),
    "rows": _plain(
        lambda p, rng: fastdrop.embedding_dropout(X.reshape(N * C, -1), p, rng=rng).reshape(SIZES),
        (N, C, 1, 1),
    ),
    "alpha": _alpha(_of("alpha_dropout"), SIZES),
    "feature alpha": _alpha(_of("feature_alpha_dropout"), (N, C, 1, 1)),
    "addition": Variant(
        lambda p, rng: fastdrop.dropout_add(X, H, p, rng=rng),
        SIZES,
        lambda p: H + X / (1 - p),
        lambda _: H,
        lambda _: H + X,
    ),
    "zoneout": Variant(
        lambda p, rng: fastdrop.zoneout(X, H, p, rng=rng),
        SIZES,
        lambda _: X,
        lambda _: H,
        lambda p: (1 - p) * X + p * H,
    ),
    "bias and gelu": Variant(
        lambda p, rng: fastdrop.bias_act_dropout(X, BIAS, "gelu", p, rng=rng),
        SIZES,
        lambda p: _gelu(X + BIAS) / (1 - p),
        _nothing,
        lambda _: _gelu(X + BIAS),
    ),
    "softmax": Variant(
        lambda p, rng: fastdrop.softmax_dropout(X, p, rng=rng),
        SIZES,
        lambda p: _softmax(X) / (1 - p),
        _nothing,
        lambda _: _softmax(X),
    ),
}


def count(variant: Variant, p: float, seed: int) -> tuple[int, int]:
    """How many decisions dropped, and of how many, over all calls.

    Each result has to be one of the two values, and the same one wherever a decision is shared.
    """
    generator = Generator(seed)
    kept, dropped = variant.kept(p), variant.dropped(p)
    shared = tuple(i for i, n in enumerate(variant.decisions) if n == 1)
    drops = 0
    for _ in range(CALLS):
        y = variant.call(p, generator)
        is_dropped = np.abs(y - dropped) < np.abs(y - kept)
        np.testing.assert_allclose(y, np.where(is_dropped, dropped, kept), rtol=1e-12, atol=1e-14)
        decided = is_dropped.any(axis=shared)
        np.testing.assert_array_equal(is_dropped.all(axis=shared), decided)
        drops += int(np.count_nonzero(decided))
    return drops, CALLS * math.prod(variant.decisions)


@pytest.mark.parametrize("name", VARIANTS)
def test_the_mean_of_both_values_is_the_expectation(name):
    variant = VARIANTS[name]
    for p in (0.1, 0.5):
        mean = (1 - p) * variant.kept(p) + p * variant.dropped(p)
        np.testing.assert_allclose(mean, variant.expected(p), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("p", [0.1, 0.5])
def test_rate_of_every_variant(p):
    counts, n = np.array([count(variant, p, 101) for variant in VARIANTS.values()]).T
    believe(f"family {p}", counts, n, p, deviations(n, np.float64(p), ERROR))


def test_a_biased_sampler_is_found():
    """8 bits for p = 0.1 drop 26 of 256: 1.6 % too many. Found wherever each element decides."""
    rate = 26 / 256
    for name, variant in VARIANTS.items():
        if math.prod(variant.decisions) < math.prod(SIZES):
            continue
        right, n = count(variant, 0.1, 102)
        biased = np.random.default_rng(103).binomial(n, rate)
        comparisons = len(VARIANTS)
        assert surprises(biased, n, 0.1, comparisons), name
        assert not surprises(right, n, 0.1, comparisons), name
