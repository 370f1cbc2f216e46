"""Bias, activation and dropout in one pass: each activation, its slope, and the bias's gradient."""

import math

import numpy as np
import pytest

import fastdrop
from fastdrop._bias import ACTIVATIONS

FLOATS = (np.float16, np.float32, np.float64)
EXACT = {
    "none": lambda v: v,
    "relu": lambda v: max(v, 0.0),
    "gelu": lambda v: v * math.erfc(-v / math.sqrt(2)) / 2,
    "gelu_tanh": lambda v: v / (1 + math.exp(-math.sqrt(8 / math.pi) * (v + 0.044715 * v**3))),
    "silu": lambda v: v / (1 + math.exp(-v)),
}


@pytest.mark.usefixtures("impl")
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("act", ACTIVATIONS)
def test_it_is_what_its_name_says(dtype, act):
    source = np.random.default_rng(1)
    x, bias = source.uniform(-5, 5, (40, 33)).astype(dtype), source.uniform(-1, 1, 33).astype(dtype)
    keep = fastdrop.dropout_mask(x.shape, 0.3, rng=5)
    tolerance = {np.float16: 4e-3, np.float32: 2e-6, np.float64: 1e-14}[dtype]
    for added in (bias, None):
        total = np.vectorize(EXACT[act])((x if added is None else x + added).astype(np.float64))
        for training, wanted in ((True, np.where(keep, total / 0.7, 0)), (False, total)):
            y = fastdrop.bias_act_dropout(x, added, act, 0.3, training, rng=5)
            assert y.dtype == dtype
            np.testing.assert_allclose(y, wanted, rtol=tolerance, atol=tolerance)
            assert not y[wanted == 0].any()
        kept = fastdrop.bias_act_dropout(x, added, act, 0.0, rng=5)
        np.testing.assert_array_equal(kept, y)  # evaluation's


@pytest.mark.parametrize("act", ACTIVATIONS)
def test_infinities_and_nan(act):
    x, one = np.float32([np.inf, -np.inf, np.nan, -0.0]), act == "none"
    y = fastdrop.bias_act_dropout(x, act=act, training=False)
    np.testing.assert_array_equal(y, [np.inf, -np.inf if one else 0, np.nan, 0])
    dx, _ = fastdrop.bias_act_dropout_backward(np.ones(4, "f4"), x, act=act, training=False)
    np.testing.assert_array_equal(dx[:3], [1, one, 1 if one else np.nan])


@pytest.mark.parametrize("dtype", FLOATS)
def test_the_bias_s_gradient_is_summed_as_exactly_as_it_says(dtype):
    dy = np.random.default_rng(3).standard_normal((50, 40, 3)).astype(dtype)
    x = np.ones_like(dy)
    dx, dbias = fastdrop.bias_act_dropout_backward(dy, x, np.zeros(3, dtype), "none", 0.0, rng=1)
    wanted = dx.astype(np.float64).sum(axis=(0, 1))
    unit = 2.0**-53 if dtype == np.float64 else 2.0**-24
    bound = 128 * unit * np.abs(dx.astype(np.float64)).sum(axis=(0, 1))
    bound += np.spacing(np.abs(wanted).astype(dtype)).astype(np.float64)
    assert dbias.dtype == dtype
    assert np.all(np.abs(dbias - wanted) <= bound)


def test_empty_gradients():
    x = np.ones((0, 3))
    dx, dbias = fastdrop.bias_act_dropout_backward(x, x, x.sum(axis=0), "gelu", rng=1)
    assert dx.shape == (0, 3)
    assert dbias.tolist() == [0, 0, 0]
