"""Each of the 4096 positions of a block has the rate p: over blocks, seeds, streams and calls.

Beside single positions, what they have in common is counted: the field of a word, the lane and
the step, each over a larger sample.
"""

from collections.abc import Callable

import numpy as np
import pytest
from binomial import believe, deviations, surprises
from masks import BLOCK, bools, column_sums, fastest, plan_of

import fastdrop
from fastdrop import Key

ROWS = 2**14
# In standard deviations; for one position that is 0.031 at p = 0.1, for one field 1e-3.
ERROR = 13

pytestmark = pytest.mark.usefixtures("on_fastest")


def by_place(drops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many are dropped, and of how many: 4096 positions, 4 fields, 16 lanes, 64 steps."""
    rows = len(drops)
    places = column_sums(drops)
    grid = places.reshape(64, 16, 4)
    groups = [places, grid.sum(axis=(0, 1)), grid.sum(axis=(0, 2)), grid.sum(axis=(1, 2))]
    sizes = [np.full(g.size, rows * BLOCK // g.size) for g in groups]
    return np.concatenate(groups), np.concatenate(sizes)


def over_keys(make: Callable[[int], Key]) -> Callable[[float], np.ndarray]:
    def draw(p: float) -> np.ndarray:
        keep = np.empty((ROWS, BLOCK), np.bool_)
        for i, row in enumerate(keep):
            fastest().mask_bool(row, make(i), plan_of(p))
        return ~keep

    return draw


def over_calls(p: float) -> np.ndarray:
    # One element more than a block, so that the next call begins after a block that is not full.
    generator = fastdrop.Generator(24)
    keep = [fastdrop.dropout_mask(BLOCK + 1, p, rng=generator)[:BLOCK] for _ in range(ROWS)]
    return ~np.stack(keep)


DRAWS = {
    "blocks": lambda p: bools(ROWS * BLOCK, Key(21), p).reshape(-1, BLOCK),
    "seeds": over_keys(Key),
    "streams": over_keys(lambda i: Key(23, i)),
    "calls": over_calls,
}


@pytest.mark.parametrize("p", [0.1, 0.5])
@pytest.mark.parametrize("over", DRAWS)
def test_every_place_in_a_block_has_the_same_rate(over, p):
    counts, n = by_place(DRAWS[over](p))
    believe(f"places over {over} {p}", counts, n, p, deviations(n, p, ERROR))


@pytest.mark.parametrize(
    ("where", "n"),
    [
        pytest.param(np.s_[:, 77], ROWS, id="position"),
        pytest.param(np.s_[:, 3::4], ROWS * 1024, id="field"),
        pytest.param(np.s_[:, 1024:1088], ROWS * 64, id="step"),
    ],
)
def test_places_find_one_with_another_rate(where, n):
    p = 0.1
    drops = DRAWS["blocks"](p)
    more = bools(ROWS * BLOCK, Key(22), ERROR * np.sqrt(p / (1 - p) / n)).reshape(-1, BLOCK)
    drops[where] |= more[where]
    assert surprises(*by_place(drops), p)


def test_places_find_one_mask_for_every_seed():
    """As of a generator that ignores its seed, or that knows only a few."""
    few = bools(16 * BLOCK, Key(25), 0.5).reshape(16, BLOCK)
    assert surprises(*by_place(np.tile(few, (ROWS // 16, 1))), 0.5)
