"""Sparsity and its histogram: against counting by hand."""

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest
from bad_input import DTYPES, Bad, check, parametrize, values

import fastdrop

sparsity: Any = fastdrop.sparsity


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize(
    "tol", [0, 0.25, np.float16(0.25), np.float32(0.25), 1e300, 10**400, np.inf]
)
def test_counts_what_is_near_zero(dtype, tol):
    a = np.random.default_rng(1).standard_normal((30, 40)).astype(dtype)
    a[::3] = 0
    a[1, :5] = [0.25, -0.25, -0.0, 0.5, -3]
    for array in (a, a.T, a[::-1, ::2], np.asfortranarray(a)):
        found = sparsity(array, tol)
        assert type(found.fraction) is float
        assert found.fraction == sum(abs(float(v)) <= tol for v in array.flat) / array.size
        assert found.counts.sum() == array.size
        assert (len(found.counts), len(found.edges)) == (50, 51)
        assert (found.edges[0], found.edges[-1]) == (array.min(), array.max())


def test_the_histogram_is_that_of_the_elements():
    some = [0.0, 0.1, 0.6, 1.0, 2.5, -7.0]
    found = sparsity(some, bins=[0, 0.5, 1, 2])
    assert found.counts.tolist() == [2, 1, 1]
    assert found.edges.tolist() == [0, 0.5, 1, 2]
    assert sparsity(some, bins=2, range=(0, 1)).counts.tolist() == [2, 2]
    a = np.random.default_rng(1).standard_normal(1000)
    assert np.array_equal(sparsity(a, bins="sturges").edges, np.histogram(a, "sturges")[1])


def test_half_floats_have_bins_of_float32():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    for dtype in (np.float16, ml_dtypes.bfloat16):
        found = sparsity(np.array([0, 0, 1, 2], dtype), bins=3)
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
    for dtype, tol in itertools.product((np.float16, np.float32, np.float64), (1e300, np.inf)):
        assert sparsity(np.array([1, np.inf, -np.inf, np.nan], dtype), tol).fraction == 0.25


def test_the_result_cannot_be_changed():
    found = sparsity([1.0])
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.fraction = 2


EMPTY = np.ones((0, 3), np.float32)
CASES = values(
    "sparsity",
    lambda s, v: sparsity(**{"a": s.x, **v}),
    ({"a": np.ones(3, int)}, TypeError, f"a {DTYPES}int64"),
    ({"a": EMPTY}, ValueError, "a has to have at least one element, but got shape (0, 3)"),
    ({"tol": -1}, ValueError, "tol has to be at least 0, but got -1"),
    ({"tol": np.nan}, ValueError, "tol has to be at least 0, but"),
    ({"tol": "0"}, TypeError, "tol has to be a real number, but g"),
    ({"bins": 0}, ValueError, "`bins` must be positive"),
    ({"range": (2, 1)}, ValueError, "max must be larger than min"),
)


@parametrize(CASES)
def test_is_refused_without_effect(case: Bad) -> None:
    check(case)
