"""Bias, activation and dropout in one pass: the reference's bits, the definition, the gradients."""

import functools
import itertools
import json
import math

import numpy as np
import pytest
from computing import KINDS, check_operation, layouts, numbers
from support import same_bits, to_storage

import fastdrop
from fastdrop import layers
from fastdrop._bias import ACTIVATIONS
from fastdrop._plan import make_plan
from fastdrop.backends.call import Bias

FLOATS = (np.float16, np.float32, np.float64)
WIDTHS = (1, 3, 64, 1000, 5000)


@functools.cache
def lengthened(kind, width):

    values = np.resize(numbers(kind, 3)[5 : 5 + width], width + 4096)
    values.flags.writeable = False
    return values


# 16-bit floats are computed as float32 is: what differs is how they are read and rounded.
PAIRS = [(kind, act) for kind in ("float32", "float64") for act in ACTIVATIONS]
PAIRS += [("float16", "gelu"), ("bfloat16", "silu")]


@pytest.mark.parametrize(("kind", "act"), PAIRS)
def test_all_backends_have_the_reference_s_bits(impl, kind, act):
    plan = make_plan(0.3, kind)
    width = WIDTHS[(ACTIVATIONS.index(act) + KINDS.index(kind)) % len(WIDTHS)]
    bias = Bias(lengthened(kind, width), width, width // 2)

    def forward(backend, read, written, key):
        backend.bias_act(*read, *written, kind, act, bias, key, plan)

    def backward(backend, read, written, key):
        backend.bias_act_slope(*read, *written, kind, act, bias, key, plan)

    check_operation(impl, kind, forward, reads=1, label=act)
    check_operation(impl, kind, backward, reads=2, in_place=(0, 1), label=f"{act}'s slope")


@pytest.mark.parametrize("kind", KINDS)
def test_evaluation_and_no_bias_have_the_reference_s_bits(impl, kind):
    negative_zero = Bias(to_storage(np.full(4097, -0.0), kind), 1, 0)

    def evaluation(backend, read, written, _):
        plan = make_plan(0.0, kind)
        backend.bias_act(*read, *written, kind, "gelu", negative_zero, None, plan)

    check_operation(impl, kind, evaluation, reads=1)
    x = to_storage([0.0, -0.0], kind)
    y = np.empty_like(x)
    impl.bias_act(x, y, kind, "none", negative_zero, None, make_plan(0.0, kind))
    assert same_bits(y, x, kind)


# --- the definition ---------------------------------------------------------------------------


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


# --- gradients --------------------------------------------------------------------------------


@pytest.mark.usefixtures("impl")
@pytest.mark.parametrize("act", ACTIVATIONS)
@pytest.mark.parametrize("training", [True, False])
def test_gradients(act, training):
    source = np.random.default_rng(2)
    x, dy = source.uniform(-4, 4, (2, 7, 5))
    x[abs(x) < 0.01] = 0.5  # relu has no derivative at 0
    bias = source.uniform(-1, 1, 5)
    bias[bias + x.min() == 0] += 0.1
    key, step = fastdrop.Key(8), 1e-5

    def value(x, bias):
        return np.vdot(dy, fastdrop.bias_act_dropout(x, bias, act, 0.4, training, rng=key))

    dx, dbias = fastdrop.bias_act_dropout_backward(dy, x, bias, act, 0.4, training, rng=key)
    for i, j in np.ndindex(x.shape):
        e = np.zeros_like(x)
        e[i, j] = step
        slope = (value(x + e, bias) - value(x - e, bias)) / (2 * step)
        np.testing.assert_allclose(slope, dx[i, j], rtol=1e-5, atol=1e-7)
    for j in range(5):
        e = np.zeros_like(bias)
        e[j] = step
        slope = (value(x, bias + e) - value(x, bias - e)) / (2 * step)
        np.testing.assert_allclose(slope, dbias[j], rtol=1e-5, atol=1e-7)
    _, none = fastdrop.bias_act_dropout_backward(dy, x, None, act, 0.4, training, rng=key)
    assert none is None


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


# --- layouts, positions -----------------------------------------------------------------------


@pytest.mark.usefixtures("impl")
def test_any_layout():
    x = np.random.default_rng(4).standard_normal((37, 11, 13)).astype(np.float32)
    dy, bias = x[::-1] * 2, np.linspace(-1, 1, 13, dtype=np.float32)
    wanted = fastdrop.bias_act_dropout(x, bias, "silu", 0.4, rng=5)
    slopes, sums = fastdrop.bias_act_dropout_backward(dy, x, bias, "silu", 0.4, rng=5)
    strided = np.repeat(bias, 2)[::2]
    for (name, a), (_, b) in itertools.product(layouts(x).items(), layouts(dy).items()):
        np.testing.assert_array_equal(
            fastdrop.bias_act_dropout(a, strided, "silu", 0.4, rng=5), wanted, err_msg=name
        )
        dx, dbias = fastdrop.bias_act_dropout_backward(b, a, strided, "silu", 0.4, rng=5, out=b)
        assert dx is b
        np.testing.assert_array_equal(dx, slopes, err_msg=name)
        np.testing.assert_array_equal(dbias, sums, err_msg=name)
        b[...] = dy
    for name, a in layouts(x).items():
        assert fastdrop.bias_act_dropout(a, bias, "silu", 0.4, rng=5, out=a) is a
        np.testing.assert_array_equal(a, wanted, err_msg=name)


def test_what_is_reserved():
    rng = fastdrop.Generator(1)
    x = np.ones((2, 3))
    fastdrop.bias_act_dropout(x, training=False, rng=rng)
    fastdrop.bias_act_dropout(np.ones((0, 3)), np.ones(3), rng=rng)
    fastdrop.bias_act_dropout(np.ones((3, 0)), np.ones(0), rng=rng)
    assert rng.offset == 0
    fastdrop.bias_act_dropout(x, p=0.0, rng=rng)
    assert rng.offset == 4096
    assert fastdrop.bias_act_dropout(np.float64(3), act="relu", training=False).shape == ()


def test_empty_gradients():
    dx, dbias = fastdrop.bias_act_dropout_backward(
        np.ones((0, 3)), np.ones((0, 3)), np.ones(3), "gelu", rng=1
    )
    assert dx.shape == (0, 3)
    assert dbias.tolist() == [0, 0, 0]


def test_threads_give_the_same_bits():
    x = np.random.default_rng(3).standard_normal((3001, 1001)).astype(np.float32)
    bias = x[0].copy()
    before = fastdrop.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 7):
            fastdrop.set_num_threads(threads)
            y = fastdrop.bias_act_dropout(x, bias, "gelu", 0.3, rng=fastdrop.Key(1, 2, 33))
            both = fastdrop.bias_act_dropout_backward(y, x, bias, "gelu", rng=fastdrop.Key(1))
            results.append((y, *both))
    finally:
        fastdrop.set_num_threads(before)
    for other in results[1:]:
        for got, want in zip(other, results[0], strict=True):
            assert np.array_equal(got, want)


# --- the layer --------------------------------------------------------------------------------


def test_the_layer_is_its_functions():
    source = np.random.default_rng(7)
    x, dy = source.standard_normal((2, 20, 30)).astype(np.float32)
    bias = source.standard_normal(30).astype(np.float32)
    layer = layers.BiasActDropout("gelu", 0.3, rng=fastdrop.Generator(1, 2))
    for offset in (0, 4096):
        key = fastdrop.Key(1, 2, offset)
        wanted = fastdrop.bias_act_dropout(x, bias, "gelu", 0.3, rng=key)
        np.testing.assert_array_equal(layer(x, bias), wanted)
        layer.p, layer.act = 0.8, "relu"  # for the next forward
        wanted = fastdrop.bias_act_dropout_backward(dy, x, bias, "gelu", 0.3, rng=key)
        for got, want in zip(layer.backward(dy), wanted, strict=True):
            np.testing.assert_array_equal(got, want)
        layer.p, layer.act = 0.3, "gelu"
    state = json.loads(json.dumps(layer.state_dict()))
    other = layers.BiasActDropout()
    other.load_state_dict(state)
    np.testing.assert_array_equal(other(x), layer(x))
    assert layer.backward(dy)[1] is None
    assert repr(other) == "BiasActDropout(p=0.3, act='gelu')"
    assert repr(layers.BiasActDropout()) == "BiasActDropout(p=0.5)"
    layer.eval()
    wanted = fastdrop.bias_act_dropout(x, bias, "gelu", training=False)
    np.testing.assert_array_equal(layer(x, bias), wanted)
    wanted = fastdrop.bias_act_dropout_backward(dy, x, bias, "gelu", training=False)
    for got, want in zip(layer.backward(dy), wanted, strict=True):
        np.testing.assert_array_equal(got, want)
    assert layer.generator.offset == 3 * 4096
