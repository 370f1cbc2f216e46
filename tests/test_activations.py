"""Bias, activation and dropout in one pass: each activation, its slope, and the bias's gradient."""

import math

import numpy as np
import pytest

import fastdrop
from fastdrop._bias import ACTIVATIONS

FLOATS = (np.float16, np.float32, np.float64)


def exact(act, x):
    """The activation in float64, by Python's own functions, one number at a time."""
    return np.array(
        [
            {
                "none": lambda v: v,
                "relu": lambda v: max(v, 0.0),
                "gelu": lambda v: v * math.erfc(-v / math.sqrt(2)) / 2,
                "gelu_tanh": lambda v: (
                    v / (1 + math.exp(-2 * math.sqrt(2 / math.pi) * (v + 0.044715 * v**3)))
                ),
                "silu": lambda v: v / (1 + math.exp(-v)),
            }[act](float(v))
            for v in x.ravel()
        ]
    ).reshape(x.shape)


@pytest.mark.usefixtures("impl")
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("act", ACTIVATIONS)
def test_it_is_what_its_name_says(dtype, act):
    source = np.random.default_rng(1)
    x, bias = source.uniform(-5, 5, (40, 33)).astype(dtype), source.uniform(-1, 1, 33).astype(dtype)
    keep = fastdrop.dropout_mask(x.shape, 0.3, rng=5)
    total = exact(act, (x + bias).astype(np.float64))
    tolerance = {np.float16: 4e-3, np.float32: 2e-6, np.float64: 1e-14}[dtype]
    for training, wanted in ((True, np.where(keep, total / 0.7, 0)), (False, total)):
        y = fastdrop.bias_act_dropout(x, bias, act, 0.3, training, rng=5)
        assert y.dtype == dtype
        np.testing.assert_allclose(y, wanted, rtol=tolerance, atol=tolerance)
        assert not y[wanted == 0].any()
    # without a bias
    y = fastdrop.bias_act_dropout(x, act=act, p=0.3, rng=5)
    wanted = np.where(keep, exact(act, x.astype(np.float64)) / 0.7, 0)
    np.testing.assert_allclose(y, wanted, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("act", ACTIVATIONS)
def test_p_of_1_drops_all_and_0_none(act):
    x = np.linspace(-5, 5, 1000, dtype=np.float32)
    dropped = fastdrop.bias_act_dropout(x, act=act, p=1.0, rng=1)
    assert not dropped.view(np.uint32).any()
    kept = fastdrop.bias_act_dropout(x, act=act, p=0.0, rng=1)
    assert np.array_equal(kept, fastdrop.bias_act_dropout(x, act=act, training=False))


def test_infinities_and_nan():
    x = np.float32([np.inf, -np.inf, np.nan, -0.0])
    for act in ACTIVATIONS:
        y = fastdrop.bias_act_dropout(x, act=act, training=False)
        assert y[0] == np.inf
        assert y[1] == (-np.inf if act == "none" else 0)
        assert np.isnan(y[2])
        assert y[3] == 0
        dx, _ = fastdrop.bias_act_dropout_backward(np.ones(4, "f4"), x, act=act, training=False)
        if act != "none":
            assert dx[:2].tolist() == [1, 0], act
            assert np.isnan(dx[2])


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
    dx, dbias = fastdrop.bias_act_dropout_backward(
        np.ones((0, 3)), np.ones((0, 3)), np.ones(3), "gelu", rng=1
    )
    assert dx.shape == (0, 3)
    assert dbias.tolist() == [0, 0, 0]
