"""Softmax with dropout: against its definition, in all layouts, and its layer."""

import functools
import itertools

import numpy as np
import pytest
from computing import check_slopes
from support import by_threads, peak_of

import fastdrop
from fastdrop import layers

FLOATS = (np.float16, np.float32, np.float64)
KEY = fastdrop.Key(5, 6, 777)


def scores_of(shape, dtype=np.float64, seed=1):
    return (np.random.default_rng(seed).standard_normal(shape) * 3).astype(dtype)


def formula(scores, p, *, axis=-1, mask=None, scale=1.0):
    """Dropout of the softmax, in float64, from the definition alone."""
    z = np.asarray(scores, np.float64) * scale
    if mask is not None:
        z = np.where(mask, z, -np.inf) if mask.dtype == bool else z + mask.astype(np.float64)
    largest = z.max(axis=axis, keepdims=True)
    e = np.exp(z - np.where(np.isneginf(largest), 0, largest))
    total = e.sum(axis=axis, keepdims=True)
    weights = e / np.where(total == 0, 1, total)
    keep = fastdrop.dropout_mask(scores.shape, p, rng=KEY)
    return weights * keep / (1 - p) if p < 1 else weights * 0


def gradient_by_formula(dy, scores, p, *, axis=-1, mask=None, scale=1.0):
    weights = formula(scores, 0, axis=axis, mask=mask, scale=scale)
    keep = fastdrop.dropout_mask(scores.shape, p, rng=KEY)
    g = dy * keep / (1 - p)
    return scale * weights * (g - (weights * g).sum(axis=axis, keepdims=True))


def some_masks(shape):
    source = np.random.default_rng(7)
    full = source.random(shape) < 0.6
    full[0, 0] = False
    yield None
    yield full
    yield full[:1, :1]
    yield full[0, 1, 0]
    yield full[..., :1]
    yield np.tril(np.ones(shape[-2:], bool))
    yield np.where(full, source.standard_normal(shape), -np.inf)
    yield np.where(full, 0, -np.inf)[1, 1]


@pytest.mark.usefixtures("impl")
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("axis", [-1, 0, 2])
def test_is_what_its_name_says(dtype, axis):
    shape = (2, 3, 37, 37)
    scores, dy = scores_of(shape, dtype), scores_of(shape, dtype, 2)
    error = {np.float16: 2e-3, np.float32: 3e-6, np.float64: 1e-14}[dtype]
    for mask, p in itertools.product(some_masks(shape), (0.0, 0.3, 1.0)):
        if mask is not None and mask.dtype != bool:
            mask = mask.astype(dtype)
        options = {"axis": axis, "mask": mask, "scale": 0.125}
        got = fastdrop.softmax_dropout(scores, p, rng=KEY, **options)
        assert got.dtype == dtype
        want = formula(scores, p, **options)
        np.testing.assert_allclose(got, want, rtol=error, atol=error / 30)
        assert np.array_equal(got == 0, (want == 0) | (want < 1e-7 * (dtype == np.float16)))
        if p < 1:
            dx = fastdrop.softmax_dropout_backward(dy, scores, p, rng=KEY, **options)
            want = gradient_by_formula(dy.astype(np.float64), scores, p, **options)
            np.testing.assert_allclose(dx, want, rtol=4 * error, atol=2 * error)


@pytest.mark.usefixtures("impl")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [1, 2, 17, 64, 1000, 4096, 4097, 100_000])
def test_the_error_is_within_the_bound(dtype, n):
    scores = scores_of((max(1, 20_000 // n), n), dtype)
    got = fastdrop.softmax_dropout(scores, training=False)
    exact = np.longdouble if dtype == np.float64 else np.float64
    below = scores.astype(exact) - scores.max(axis=1, keepdims=True)
    e = np.exp(below)
    want = e / e.sum(axis=1, keepdims=True)
    units = np.abs(got - want) / np.spacing(want.astype(dtype))
    assert np.all(units <= 10 - below + min(n, 4096) / 64)


@pytest.mark.usefixtures("impl")
def test_another_axis_is_softmax_and_dropout():
    scores = scores_of((4, 50, 3), np.float32)
    mask = np.random.default_rng(3).random((50, 3)) < 0.7
    turned = np.ascontiguousarray(scores.swapaxes(1, 2))
    weights = fastdrop.softmax_dropout(turned, training=False, mask=mask.T).swapaxes(1, 2)
    want = fastdrop.dropout(np.ascontiguousarray(weights), 0.3, rng=KEY)
    assert np.array_equal(fastdrop.softmax_dropout(scores, 0.3, axis=1, mask=mask, rng=KEY), want)


@pytest.mark.usefixtures("impl")
def test_rows_that_are_special():
    inf, nan = np.inf, np.nan
    rows = np.array(
        [[0, 1, 2, 3], [-inf, -inf, -inf, -inf], [0, nan, 2, 3], [0, inf, 2, 3], [-inf, 0, 0, 0]],
        np.float32,
    )
    got = fastdrop.softmax_dropout(rows, training=False)
    assert not got[1].view(np.uint32).any()  # nor -0.0
    assert np.isnan(got[2:4]).all()
    np.testing.assert_allclose(got[4], [0, 1 / 3, 1 / 3, 1 / 3], rtol=1e-6)
    dropped = fastdrop.softmax_dropout(rows, 0.5, rng=KEY)
    keep = fastdrop.dropout_mask(rows.shape, 0.5, rng=KEY)
    assert np.array_equal(np.isnan(dropped), keep & np.isnan(got))
    assert not dropped[~keep].any()
    assert not fastdrop.softmax_dropout(rows, 1, rng=KEY).any()
    dx = fastdrop.softmax_dropout_backward(np.ones_like(rows), rows, 0.0, rng=KEY)
    assert not dx[1].any()
    assert np.isnan(dx[2]).all()
    nothing = np.zeros(4, bool)
    assert not fastdrop.softmax_dropout(rows[:1], 0.5, mask=nothing, rng=KEY).any()
    dy = np.full((1, 4), inf, np.float32)
    assert not fastdrop.softmax_dropout_backward(dy, rows[:1], 0.5, mask=nothing, rng=KEY).any()


def test_gradient_by_finite_differences():
    scores, dy = scores_of((3, 9)), scores_of((3, 9), seed=2)
    mask = np.random.default_rng(3).random((3, 9)) < 0.7
    for options in ({}, {"mask": mask}, {"scale": -0.7, "mask": np.where(mask, 0.5, -1.0)}):
        for axis in (0, 1):
            more = {"p": 0.3, "axis": axis, "rng": KEY, **options}
            dx = fastdrop.softmax_dropout_backward(dy, scores, **more)
            call = functools.partial(fastdrop.softmax_dropout, **more)
            check_slopes(call, [scores], [dx], dy)


@pytest.mark.usefixtures("impl")
def test_evaluation_and_what_is_empty_draw_nothing():
    scores = scores_of((4, 6), np.float32)
    rng = fastdrop.Generator(1)
    weights = fastdrop.softmax_dropout(scores, 0.5, False, rng=rng)
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-6)
    assert np.array_equal(weights, fastdrop.softmax_dropout(scores, 0, rng=1))
    for shape in ((0, 3), (3, 0)):
        empty = np.ones(shape, np.float32)
        assert fastdrop.softmax_dropout(empty, rng=rng).shape == shape
        assert fastdrop.softmax_dropout(empty, axis=0, rng=rng, mask=True).shape == shape
        assert fastdrop.softmax_dropout_backward(empty, empty, rng=1).shape == shape
    assert rng.offset == 0
    fastdrop.softmax_dropout(scores, 0, rng=rng)
    assert rng.offset == 4096
    dx = fastdrop.softmax_dropout_backward(scores, scores, 0.5, False, rng=None)
    np.testing.assert_allclose(dx, gradient_by_formula(scores, scores, 0), atol=1e-6)


@pytest.mark.usefixtures("impl")
def test_many_axes():
    scores = np.ones((1,) * 60 + (2, 3), np.float32)
    got = fastdrop.softmax_dropout(scores, 0, mask=scores > 0, rng=1)
    np.testing.assert_allclose(got, 1 / 3, rtol=1e-6)


@pytest.mark.parametrize("n", [7, 256, 70_001, 1_400_001])
def test_threads_give_the_same_bits(n):
    scores = scores_of((1_500_000 // n, n), np.float32)
    mask = np.random.default_rng(1).random(scores.shape) < 0.8

    def results():
        y = fastdrop.softmax_dropout(scores, 0.3, mask=mask, rng=KEY)
        return y, fastdrop.softmax_dropout_backward(y, scores, 0.3, mask=mask, rng=KEY)

    first, *others = by_threads(results)
    assert all(np.array_equal(other, first) for other in others)


def test_a_mask_is_not_expanded():
    """A mask for one row serves a million of them."""
    scores = np.zeros((40_000, 25), np.float32)
    out = np.empty_like(scores)
    mask = np.arange(25) % 2 == 0
    with fastdrop.backend("c"):
        call = functools.partial(fastdrop.softmax_dropout, scores, 0.1, mask=mask, rng=1, out=out)
        assert peak_of(call) < 20_000
    np.testing.assert_allclose(out.sum(axis=1).mean(), 1, atol=0.01)
    assert not out[:, 1::2].any()


# --- The layer --------------------------------------------------------------------------------


@pytest.mark.usefixtures("impl")
def test_the_layer_is_the_function():
    layer = layers.SoftmaxDropout(0.3, axis=1, scale=0.5, rng=fastdrop.Generator(1, 2, 8192))
    scores, dy = (scores_of((4, 5, 6), np.float32, seed) for seed in (1, 2))
    some = np.random.default_rng(1).random((5, 6)) < 0.8
    for training, mask in ((True, some), (False, None)):
        options = {"axis": 1, "scale": 0.5, "mask": mask, "rng": fastdrop.Key(1, 2, 8192)}
        how = 0.3, training
        y = layer.train(training)(scores, mask)
        assert np.array_equal(y, fastdrop.softmax_dropout(scores, *how, **options))
        layer.p = 0.9
        layer.train(not training)
        want = fastdrop.softmax_dropout_backward(dy, scores, *how, **options)
        for _ in range(2):
            assert np.array_equal(layer.backward(dy), want)
        layer.p = 0.3
        assert layer.generator.offset == 8192 + 4096


def test_the_layer_refuses():
    layer = layers.SoftmaxDropout(0.5, axis=2, rng=1)
    with pytest.raises(ValueError, match="axis has to be an axis of scores, which has shape"):
        layer(np.ones((2, 3)))
    with pytest.raises(TypeError, match="mask has to have dtype bool, or scores' dtype float64"):
        layer(np.ones((2, 3, 4)), np.ones(4, int))
    assert layer.generator.offset == 0
    layer(np.ones((2, 3, 4)))
    with pytest.raises(ValueError, match="dy has to have the shape of forward's output"):
        layer.backward(np.ones((3, 4)))
    with pytest.raises(TypeError, match="dy has to have scores' dtype float64, but got float32"):
        layer.backward(np.ones((2, 3, 4), np.float32))
    with pytest.raises(ValueError, match="scale has to be a finite number, but got inf"):
        layers.SoftmaxDropout(scale=np.inf)
    with pytest.raises(TypeError, match="axis has to be an integer, but got float"):
        layers.SoftmaxDropout(axis=1.0)
