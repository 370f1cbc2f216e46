"""Alpha dropout: its constants, and what it is for."""

import math

import numpy as np
import pytest
from formulas import SATURATION, alpha_constants

import fastdrop
from fastdrop._rates import make_affine

ALPHA, SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946


@pytest.mark.parametrize("p", [2.0**-60, 1e-9, 0.05, 0.1, 0.25, 0.3, 0.5, 0.9, 1 - 2.0**-53])
def test_the_constants_are_the_formula_in_binary64(p):
    assert pytest.approx(-ALPHA * SCALE, rel=1e-15) == SATURATION
    assert make_affine(p, "float64") == alpha_constants(p)
    a, b, dropped = alpha_constants(p)
    assert make_affine(p, "float32") == tuple(map(np.float32, (a, b, dropped)))
    assert make_affine(p, "float16") == (np.float32(a), np.float32(b), np.float16(dropped))


def selu(x: np.ndarray) -> np.ndarray:
    return SCALE * np.where(x > 0, x, ALPHA * np.expm1(np.minimum(x, 0)))


@pytest.mark.heavy
@pytest.mark.parametrize("p", [0.05, 0.1, 0.2])
def test_networks_of_selus_stay_normalised(p):
    """10 layers 512 wide: the mean stays 0 and the variance 1, where dropout lets both run away."""
    source = np.random.default_rng(4)
    x = dropped = source.standard_normal((2000, 512))
    generator = fastdrop.Generator(5)
    for _ in range(10):
        w = source.standard_normal((512, 512)) / math.sqrt(512)
        x = fastdrop.alpha_dropout(selu(x @ w), p, rng=generator)
        dropped = fastdrop.dropout(selu(dropped @ w), p, rng=generator)
        assert abs(x.mean()) < 0.06
        assert abs(x.var() - 1) < 0.1
    assert abs(dropped.var() - 1) > 0.1
