"""Sums of many decisions: popcounts of words, rows and columns of 2-D masks.

A sum of independent decisions is binomial, so that each value of it (or a few neighbouring ones,
where they are rare) has a known chance, and the number of words or rows with it is binomial too.
Correlations that are too weak to show in any single pair add up here.
"""

import numpy as np
import pytest
from binomial import believe, cells, deviations, pmf, surprises
from masks import WORD, bools, column_sums, words

import fastdrop
from fastdrop import Key

# Errors in standard deviations of the counts. With the sizes below that is 4 % of the chance of a
# common popcount, a third of the chance of a common sum of a row.
ERROR = 13

pytestmark = pytest.mark.usefixtures("on_fastest")


def by_cell(sums: np.ndarray, size: int, p: float, expected: float):
    """How many sums (of ``size`` decisions each) are in each cell, of how many; their chances."""
    cell, chances = cells(pmf(size, p), sums.size, expected)
    return np.bincount(cell[sums], minlength=chances.size), sums.size, chances


@pytest.mark.parametrize("p", [0.1, 0.3, 0.5])
def test_popcounts_of_words(p):
    sums = np.bitwise_count(words(2**26, Key(51), p))
    counts, n, chances = by_cell(sums, WORD, p, 2000)
    believe(f"popcounts {p}", counts, n, chances, deviations(n, chances, ERROR))


def test_popcounts_find_a_lane_used_twice():
    """In one word of 50: its second half is its first."""
    drops = words(2**26, Key(52), 0.5)
    half = drops[::50] & np.uint64(0xFFFFFFFF)
    drops[::50] = half | (half << np.uint64(32))
    assert surprises(*by_cell(np.bitwise_count(drops), WORD, 0.5, 2000))


ROWS = 2**15


@pytest.mark.parametrize("width", [64, 768, 1000, 1024])
@pytest.mark.parametrize("p", [0.1, 0.5])
def test_rows_and_columns(p, width):
    drops = ~fastdrop.dropout_mask((ROWS, width), p, rng=Key(53))
    counts, n, chances = by_cell(np.count_nonzero(drops, axis=1), width, p, 1000)
    believe(f"rows of {width} {p}", counts, n, chances, deviations(n, chances, ERROR))
    error = 0.034 if p == 0.5 else 0.021
    believe(f"columns of {width} {p}", column_sums(drops), ROWS, p, error)


def test_rows_find_a_weak_common_cause():
    """In each row, one element in a hundred is a copy of the row's first: a correlation of 1e-4."""
    drops = bools(ROWS * 1000, Key(54), 0.5).reshape(ROWS, 1000)
    some = bools(ROWS * 1000, Key(55), 1 / 100).reshape(ROWS, 1000)
    drops = np.where(some, drops[:, :1], drops)
    assert surprises(*by_cell(np.count_nonzero(drops, axis=1), 1000, 0.5, 1000))


def test_columns_find_one_with_another_rate():
    drops = bools(ROWS * 1000, Key(56), 0.5).reshape(ROWS, 1000)
    drops[:, 321] |= bools(ROWS, Key(57), 0.068)
    assert surprises(column_sums(drops), ROWS, 0.5)
