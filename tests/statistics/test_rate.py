"""The rate of drops, to the last 65536th of p."""

import numpy as np
import pytest
from binomial import believe, check_power, surprises
from masks import BLOCK, chunks, count_dropped, fastest, plan_of

from fastdrop import Key, backends
from fastdrop._rates import Plan

SAMPLE = 2**28
FINE_P = 2.5 / 65536  # between two thresholds: a whole number of 65536ths is 20 % off
KEY = Key(11)


@pytest.mark.parametrize(
    ("p", "error"),
    [(1e-3, 2.2e-5), (0.1, 2.1e-4), (0.15, 2.4e-4), (0.3, 3.1e-4), (0.5, 3.4e-4), (0.9, 2.1e-4)],
)
def test_rate(p, error):
    believe(f"rate {p}", count_dropped(SAMPLE, KEY, plan_of(p)), SAMPLE, p, error)


def test_rate_between_two_thresholds():
    # Half a share (comparisons=2): thresholds shared by blocks widen this one by 0.6 % of its
    # variance, which makes false failures more frequent by a tenth.
    dropped = count_dropped(SAMPLE, KEY, plan_of(FINE_P))
    believe("rate between thresholds", dropped, SAMPLE, FINE_P, 4.3e-6, comparisons=2)


@pytest.mark.parametrize(
    ("p", "plan"),
    [
        pytest.param(0.1, plan_of(26 / 256), id="8-bit threshold of 0.1"),
        pytest.param(0.15, plan_of(38 / 256), id="8-bit threshold of 0.15"),
        pytest.param(0.3, plan_of(77 / 256), id="8-bit threshold of 0.3"),
        pytest.param(FINE_P, Plan(3, 0, 1.0), id="16-bit threshold"),
        pytest.param(FINE_P, plan_of(FINE_P + 1 / 65536), id="<= instead of <"),
    ],
)
def test_rate_finds_a_wrong_threshold(p, plan):
    assert surprises(count_dropped(SAMPLE, KEY, plan), SAMPLE, p)


def test_rate_below_one_in_65536_by_block():
    """There, a block drops at the rate 2**-16 or not at all, as its threshold word says."""
    blocks, fraction = 2**17, 0.5
    p = fraction * (1 - (1 - 2.0**-16) ** BLOCK)
    drawn = chunks(blocks * BLOCK, Key(12), plan_of(fraction / 65536))
    touched = sum(
        np.count_nonzero(~packed.view(np.uint64).reshape(-1, BLOCK // 64).min(axis=1))
        for packed in drawn
    )
    believe("blocks below one in 65536", touched, blocks, p, 6e-3)


# What rounding p to 16 bits changes. 2**38 elements, 2.7e11, are what it takes to find this in all
# but one case in a million; in 1e11 it would be missed in every fourth.
ROUNDING = 6554 / 65536 - 0.1
LARGE_SAMPLE = 2**38


def count_in_large_sample(plan: Plan) -> int:
    if fastest() is not backends.load("c"):
        pytest.skip("takes too long without the compiled backend")
    return count_dropped(LARGE_SAMPLE, Key(13), plan)


@pytest.mark.slow
def test_rate_to_less_than_a_65536th():
    dropped = count_in_large_sample(plan_of(0.1))
    believe("rate to less than a 65536th", dropped, LARGE_SAMPLE, 0.1, ROUNDING)


@pytest.mark.slow
def test_rate_finds_a_rounded_16_bit_threshold():
    check_power(LARGE_SAMPLE, 0.1, ROUNDING)
    assert surprises(count_in_large_sample(Plan(6554, 0, 1.0)), LARGE_SAMPLE, 0.1)
