"""Sparsity and its histogram: against counting by hand."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from bad_input import Bad, check, parametrize

import fastdrop

sparsity: Any = fastdrop.sparsity


def by_hand(a, tol):
    return sum(abs(float(v)) <= tol for v in a.flat) / a.size


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("tol", [0, 0.25, np.inf])
def test_counts_what_is_near_zero(dtype, tol):
    a = np.random.default_rng(1).standard_normal((30, 40)).astype(dtype)
    a[::3] = 0
    a[1, :5] = [0.25, -0.25, -0.0, 0.5, -3]
    for array in (a, a.T, a[::-1, ::2], np.asfortranarray(a)):
        found = sparsity(array, tol)
        assert type(found.fraction) is float
        assert found.fraction == by_hand(array, tol)
        assert found.counts.sum() == array.size
        assert len(found.counts) == 50
        assert len(found.edges) == 51
        assert found.edges[0] == array.min()
        assert found.edges[-1] == array.max()


def test_the_histogram_is_that_of_the_elements():
    found = sparsity([0.0, 0.1, 0.6, 1.0, 2.5, -7.0], bins=[0, 0.5, 1, 2])
    assert found.counts.tolist() == [2, 1, 1]
    assert found.edges.tolist() == [0, 0.5, 1, 2]
    found = sparsity([0.0, 0.1, 0.6, 1.0, 2.5, -7.0], bins=2, range=(0, 1))
    assert found.counts.tolist() == [2, 2]
    a = np.random.default_rng(1).standard_normal(1000)
    assert np.array_equal(sparsity(a, bins="sturges").edges, np.histogram(a, "sturges")[1])


def test_half_floats_have_bins_of_float32():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    for dtype in (np.float16, ml_dtypes.bfloat16):
        a = np.array([0, 0, 1, 2], dtype)
        found = sparsity(a, bins=3)
        assert found.fraction == 0.5
        assert found.edges.dtype == np.float32
        np.testing.assert_allclose(found.edges, [0, 2 / 3, 4 / 3, 2], rtol=1e-6)


def test_nan_and_inf_are_elements_in_no_bin():
    a = np.array([0, 1, np.nan, np.inf, -np.inf, 2, 0, 0], np.float32)
    for options in ({"bins": 2}, {"bins": 2, "range": (0, 2)}):
        found = sparsity(a, **options)
        assert found.fraction == 3 / 8
        assert found.counts.tolist() == [3, 2]
    assert sparsity([np.nan]).counts.sum() == 0


def test_dropout_makes_sparse():
    """n decisions at p = 0.3: further than 6 standard deviations off once in 5e8 seeds."""
    n = 100_000
    a = fastdrop.dropout(np.ones(n, np.float32), 0.3, rng=5)
    assert sparsity(np.ones(n)).fraction == 0
    assert abs(sparsity(a).fraction - 0.3) < 6 * (0.3 * 0.7 / n) ** 0.5


def test_the_result_cannot_be_changed():
    found = sparsity([1.0])
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.fraction = 2


CASES = [
    Bad(name, lambda s, call=call: call(s), error, words)
    for name, call, error, words in (
        (
            "dtype",
            lambda s: sparsity(s.full(int)),
            TypeError,
            "a has to have dtype float16, bfloat16, float32 or float64, but got int64",
        ),
        (
            "empty",
            lambda s: sparsity(s.full(np.float32, (0, 3))),
            ValueError,
            "a has to have at least one element, but got shape (0, 3)",
        ),
        ("tol", lambda s: sparsity(s.x, -1), ValueError, "tol has to be at least 0, but got -1"),
        ("tol-nan", lambda s: sparsity(s.x, np.nan), ValueError, "tol has to be at least 0, but"),
        ("tol-type", lambda s: sparsity(s.x, "0"), TypeError, "tol has to be a real number, but g"),
        ("bins", lambda s: sparsity(s.x, bins=0), ValueError, "`bins` must be positive"),
        ("range", lambda s: sparsity(s.x, range=(2, 1)), ValueError, "max must be larger than min"),
    )
]


@parametrize(CASES)
def test_is_refused_without_effect(case: Bad) -> None:
    check(case)
