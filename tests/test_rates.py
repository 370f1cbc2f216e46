"""From p to threshold, fraction and scale."""

import math
import random
import sys
from fractions import Fraction

import numpy as np
import pytest
from bad_input import BAD_P
from support import COMPUTE, double, number, records

from fastdrop._rates import Plan, check_p, evaluation_scale, make_plan


def scale_bits(value: float, kind: str) -> int:
    """The bits of a scale, which has to be a number of the compute type already."""
    scale = COMPUTE[kind](value)
    assert float(scale) == value
    return int.from_bytes(scale.tobytes(), sys.byteorder)


def test_known_thresholds():
    lines = list(records("plan"))
    assert len(lines) >= 18
    for p, threshold, fraction in lines:
        plan = make_plan(double(p), "float32")
        assert (plan.threshold, plan.fraction) == (number(threshold), number(fraction)), double(p)


def test_known_scales():
    lines = list(records("scale"))
    assert {line[0] for line in lines} == set(COMPUTE)
    for kind, p_bits, inverted, standard in lines:
        p = double(p_bits)
        assert scale_bits(make_plan(p, kind, "inverted").scale, kind) == number(inverted), (kind, p)
        assert scale_bits(evaluation_scale(p, kind), kind) == number(standard), (kind, p)
        assert make_plan(p, kind, "standard").scale == 1.0


def test_the_rate_is_exact():
    source = random.Random(1)
    values = [source.random() for _ in range(1000)]
    values += [2.0**-i for i in range(1, 81)] + [1 - 2.0**-i for i in range(1, 54)]
    for p in values:
        plan = make_plan(p, "float32")
        assert 0 <= plan.threshold <= 65535
        assert 0 <= plan.fraction < 2**64
        rate = (plan.threshold + Fraction(plan.fraction, 2**64)) / 65536
        assert 0 <= Fraction(p) - rate < Fraction(1, 2**80), p


def test_the_ends_are_exact():
    assert make_plan(-0.0, "float32") == Plan(0, 0, 1.0)
    assert make_plan(1.0, "float32", "standard")[:2] == (65536, 0)
    assert evaluation_scale(1.0, "float32") == 0.0
    # Below 2**-80 p is as good as 0.
    assert make_plan(math.nextafter(2.0**-80, 0), "float32")[:2] == (0, 0)


def test_real_numbers_are_taken():
    numbers = 0.25, 0, 1, np.float16(0.25), np.float32(0.1), np.float64(0.1), np.int64(1)
    for given in (*numbers, Fraction(1, 10)):
        p = float(given)
        assert check_p(given) == p
        assert type(check_p(given)) is float
        assert make_plan(given, "float32") == make_plan(p, "float32")


@pytest.mark.parametrize(("p", "error", "words"), BAD_P)
def test_what_is_no_probability_is_refused(p, error, words):
    for call in (check_p, lambda p: make_plan(p, "float32"), lambda p: evaluation_scale(p, "f")):
        with pytest.raises(error) as caught:
            call(p)
        assert str(caught.value) == words
