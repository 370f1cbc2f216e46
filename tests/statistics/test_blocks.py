"""How often DropBlock drops an element: as often as one of the blocks that hold it has a seed.

Whether an element is dropped depends on the seeds at the corners of those blocks alone. Between
planes these are independent, so that over planes the number of drops of one element is binomial,
with probability 1 - (1 - gamma)**blocks.
"""

import math

import numpy as np
import pytest
from binomial import believe, deviations, surprises

import fastdrop
from fastdrop import Generator, backends
from fastdrop._rates import make_block_plan

PLANES, CALLS = 2**13, 2**5
ERROR = 13  # in standard deviations: 2 to 32 % of an element's rate, least at the centre

pytestmark = pytest.mark.usefixtures("on_fastest")


def chances(p: float, lengths: tuple[int, ...], block: int) -> np.ndarray:
    """The probability that an element is dropped, for each of a plane."""
    gamma, blocks = p, np.ones((), np.int64)
    for n in lengths:
        gamma *= n / (block * (n - block + 1))
        # A block that holds element i begins at i - block + 1 to i, and at 0 to n - block.
        i = np.arange(n)
        here = np.minimum(i, n - block) - np.maximum(i - block + 1, 0) + 1
        blocks = np.multiply.outer(blocks, here)
    return -np.expm1(blocks * math.log1p(-gamma))


def dropped(p: float, lengths: tuple[int, ...], block: int, seed: int) -> np.ndarray:
    """How often each element of a plane was dropped, in so many planes."""
    function = getattr(fastdrop, f"drop_block{len(lengths)}d")
    generator, x = Generator(seed), np.ones((PLANES, *lengths), np.float32)
    y = np.empty_like(x)
    total = np.zeros(lengths, np.int64)
    for _ in range(CALLS):
        total += np.count_nonzero(function(x, p, block, rng=generator, out=y) == 0, axis=0)
    return total


@pytest.mark.parametrize(
    ("p", "lengths", "block"),
    [(0.1, (14, 14), 7), (0.5, (9, 12), 4), (0.3, (70,), 5), (0.2, (4, 5, 6), 3)],
)
def test_rate_of_every_element(p, lengths, block):
    n, chance = PLANES * CALLS, chances(p, lengths, block)
    counts = dropped(p, lengths, block, 91)
    believe(f"blocks {p} {lengths} {block}", counts, n, chance, deviations(n, chance, ERROR))


@pytest.mark.parametrize(
    ("p", "block"),
    [
        # Seeds at the rate p / block**k: too few, as there are fewer places than elements.
        pytest.param(0.5 * math.prod((n - 3) / n for n in (9, 12)), 4, id="without borders"),
        pytest.param(0.5, 5, id="a block too long"),
        pytest.param(0.94 * 0.5, 4, id="a rate too low"),
    ],
)
def test_rate_finds_a_mistake(p, block):
    counts = dropped(p, (9, 12), block, 92)
    assert surprises(counts, PLANES * CALLS, chances(0.5, (9, 12), 4))


@pytest.mark.parametrize("p", [0.1, 0.5])
def test_the_mean_over_a_call_is_kept(p):
    """Exactly, up to the rounding of one scale, unlike with 1 / (1 - p)."""
    x = np.ones((64, 32, 14, 14), np.float64)
    for seed in range(20):
        assert fastdrop.drop_block2d(x, p, 7, rng=seed).mean() == pytest.approx(1, rel=1e-14)


def test_the_share_that_is_dropped():
    """Close to p where few blocks meet, and less where many do: never more than p."""
    for p, least in ((0.01, 0.98), (0.1, 0.9), (0.5, 0.7)):
        share = chances(p, (28, 28), 7).mean()
        assert least * p < share < p
        plan = make_block_plan(p, (28, 28), 7)
        bits = np.empty(PLANES * 28 * 28 // 8, np.uint8)
        key = fastdrop.Key(93)
        kept = backends.active().drop_block_packed(bits, (PLANES, 28, 28), 7, key, plan)
        assert 1 - kept / (8 * bits.size) == pytest.approx(share, rel=0.02)
