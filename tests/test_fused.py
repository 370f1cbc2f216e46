"""Operations in one pass with dropout: against the reference, against their definition."""

import itertools
import json

import numpy as np
import pytest
from computing import KINDS, check_operation, layouts

import fastdrop
from fastdrop import layers
from fastdrop._plan import dropped_scale, evaluation_scale, make_plan

PROBABILITIES = (0.0, 0.1, 0.5, 1 - 2.0**-17, 1.0)
"""The last but one drops all of every other block, and nearly all of the others."""

FLOATS = (np.float16, np.float32, np.float64)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("p", PROBABILITIES)
def test_dropout_add_has_the_reference_s_bits(impl, kind, p):
    plan = make_plan(p, kind)

    def call(backend, read, written, key):
        backend.dropout_add(*read, *written, kind, key, plan)

    check_operation(impl, kind, call, reads=2, in_place=(0, 1), label=f"dropout_add {p}")


@pytest.mark.usefixtures("impl")
@pytest.mark.parametrize("dtype", FLOATS)
def test_dropout_add_is_what_its_name_says(dtype):
    x = np.linspace(-4, 4, 12345, dtype=dtype)
    residual = np.linspace(3, -2, 12345, dtype=dtype)
    compute = np.float64 if dtype == np.float64 else np.float32
    for p in (0.0, 0.3, 1.0):
        keep = fastdrop.dropout_mask(x.shape, p, rng=9)
        scale = compute(1 / (1 - p)) if p < 1 else compute(1)
        wanted = np.where(keep, x.astype(compute) * scale, compute(0)) + residual.astype(compute)
        np.testing.assert_array_equal(
            fastdrop.dropout_add(x, residual, p, rng=9), wanted.astype(dtype), strict=True
        )


@pytest.mark.usefixtures("impl")
def test_dropout_add_on_any_layout():
    x = np.random.default_rng(1).standard_normal((37, 11, 13)).astype(np.float32)
    residual = x[::-1] * 2
    wanted = fastdrop.dropout_add(x, residual.copy(), 0.4, rng=5)
    names = layouts(x).keys()
    for a, b, c in itertools.product(names, names, names):
        out = layouts(np.zeros_like(x))[c]
        got = fastdrop.dropout_add(layouts(x)[a], layouts(residual)[b], 0.4, rng=5, out=out)
        assert got is out
        np.testing.assert_array_equal(out, wanted, err_msg=f"{a}, {b} to {c}")
    for name, both in layouts(x).items():
        fastdrop.dropout_add(both, residual, 0.4, rng=5, out=both)
        np.testing.assert_array_equal(both, wanted, err_msg=f"in place, {name}")


@pytest.mark.usefixtures("impl")
def test_dropout_add_in_evaluation_adds():
    x, residual = np.float32([1, 2]), np.float32([10, 20])
    rng = fastdrop.Generator(1)
    assert fastdrop.dropout_add(x, residual, 0.5, False, rng=rng).tolist() == [11, 22]
    assert rng.offset == 0
    assert fastdrop.dropout_add(x[:0], residual[:0], rng=rng).shape == (0,)
    assert rng.offset == 0


def test_dropout_add_s_gradients():
    x, residual, dy = np.random.default_rng(2).standard_normal((3, 50))
    key = fastdrop.Key(8)
    dx = fastdrop.dropout(dy, 0.3, rng=key)
    step = 1e-6
    for i in range(50):
        e = np.zeros(50)
        e[i] = step
        slopes = [
            (
                fastdrop.dropout_add(x + a, residual + b, 0.3, rng=key)
                - fastdrop.dropout_add(x - a, residual - b, 0.3, rng=key)
            )
            @ dy
            / (2 * step)
            for a, b in ((e, 0), (0, e))
        ]
        np.testing.assert_allclose(slopes, [dx[i], dy[i]], rtol=1e-6, atol=1e-8)


def test_threads_give_the_same_bits():
    x = np.random.default_rng(3).standard_normal(3_000_001).astype(np.float32)
    before = fastdrop.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 7):
            fastdrop.set_num_threads(threads)
            results.append(fastdrop.dropout_add(x, x, 0.3, rng=fastdrop.Key(1, 2, 33)))
    finally:
        fastdrop.set_num_threads(before)
    assert np.array_equal(results[0], results[1])
    assert np.array_equal(results[0], results[2])


# --- zoneout ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("p", PROBABILITIES)
def test_zoneout_has_the_reference_s_bits(impl, kind, p):
    plan = make_plan(p, kind)

    def call(backend, read, written, key):
        backend.zoneout(*read, *written, kind, key, plan)

    check_operation(impl, kind, call, reads=2, in_place=(0, 1), label=f"zoneout {p}")

    def split(backend, read, written, key):
        backend.zoneout_split(*read, *written, kind, key, plan)

    check_operation(impl, kind, split, reads=1, writes=2, label=f"zoneout_split {p}")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("p", [0.1, 0.5])
def test_evaluation_has_the_reference_s_bits(impl, kind, p):
    keep, drop = evaluation_scale(p, kind), dropped_scale(p, kind)

    def mix(backend, read, written, _):
        backend.mix(*read, *written, kind, keep, drop)

    check_operation(impl, kind, mix, reads=2, in_place=(0, 1), label=f"mix {p}")

    def unmix(backend, read, written, _):
        backend.unmix(*read, *written, kind, keep, drop)

    check_operation(impl, kind, unmix, reads=1, writes=2, in_place=(), label=f"unmix {p}")

    def add(backend, read, written, _):
        backend.dropout_add(*read, *written, kind, None, make_plan(0.0, kind))

    check_operation(impl, kind, add, reads=2, in_place=(0, 1), label=f"add {p}")


@pytest.mark.usefixtures("impl")
@pytest.mark.parametrize("dtype", FLOATS)
def test_zoneout_is_what_the_paper_says(dtype):
    source = np.random.default_rng(4)
    new, old, dy = source.standard_normal((3, 9, 1000)).astype(dtype)
    new[0, :3] = np.inf, np.nan, -0.0
    for p in (0.0, 0.3, 1.0):
        keep = fastdrop.dropout_mask(new.shape, p, rng=9)
        wanted = np.where(keep, new, old)
        np.testing.assert_array_equal(fastdrop.zoneout(new, old, p, rng=9), wanted, strict=True)
        d_new, d_old = fastdrop.zoneout_backward(dy, p, rng=9)
        np.testing.assert_array_equal(d_new, np.where(keep, dy, dtype(0)), strict=True)
        np.testing.assert_array_equal(d_old, np.where(keep, dtype(0), dy), strict=True)
        compute = np.float64 if dtype == np.float64 else np.float32
        with np.errstate(invalid="ignore"):
            mixed = new.astype(compute) * compute(1 - p) + old.astype(compute) * compute(p)
            np.testing.assert_array_equal(
                fastdrop.zoneout(new, old, p, False), mixed.astype(dtype), strict=True
            )
        d_new, d_old = fastdrop.zoneout_backward(dy, p, False)
        np.testing.assert_array_equal(d_new, (dy * compute(1 - p)).astype(dtype), strict=True)
        np.testing.assert_array_equal(d_old, (dy * compute(p)).astype(dtype), strict=True)


@pytest.mark.usefixtures("impl")
def test_zoneout_on_any_layout():
    new = np.random.default_rng(5).standard_normal((37, 11, 13)).astype(np.float32)
    old = -new
    for training in (True, False):
        wanted = fastdrop.zoneout(new, old, 0.4, training, rng=5)
        for (name, a), b in zip(layouts(new).items(), layouts(old).values(), strict=True):
            for out in (None, b, a):
                got = fastdrop.zoneout(a, b, 0.4, training, rng=5, out=out)
                np.testing.assert_array_equal(got, wanted, err_msg=name)
                a[...], b[...] = new, old
    wanted = fastdrop.zoneout_backward(new, 0.4, rng=5)
    for name, dy in layouts(new).items():
        np.testing.assert_array_equal(
            fastdrop.zoneout_backward(dy, 0.4, rng=5), wanted, err_msg=name
        )


def test_zoneout_draws_only_in_training():
    rng = fastdrop.Generator(1)
    x = np.ones(10)
    fastdrop.zoneout(x, x, 0.5, False, rng=rng)
    fastdrop.zoneout(x[:0], x[:0], 0.5, rng=rng)
    assert rng.offset == 0
    for p in (0.0, 1.0):  # whatever p is
        fastdrop.zoneout(x, x, p, rng=rng)
    assert rng.offset == 2 * 4096


def test_zoneout_s_gradients():
    new, old, dy = np.random.default_rng(6).standard_normal((3, 50))
    key, step = fastdrop.Key(8), 1e-6
    for training in (True, False):
        gradients = fastdrop.zoneout_backward(dy, 0.3, training, rng=key)
        for i in range(50):
            e = np.zeros(50)
            e[i] = step
            for gradient, a, b in ((gradients[0], e, 0), (gradients[1], 0, e)):
                upper = fastdrop.zoneout(new + a, old + b, 0.3, training, rng=key)
                lower = fastdrop.zoneout(new - a, old - b, 0.3, training, rng=key)
                slope = (upper - lower) @ dy / (2 * step)
                np.testing.assert_allclose(slope, gradient[i], rtol=1e-6, atol=1e-8)


# --- layers -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "forward", "backward"),
    [
        (
            layers.DropoutAdd,
            fastdrop.dropout_add,
            lambda dy, p, training, rng: (fastdrop.dropout(dy, p, training, rng=rng), dy),
        ),
        (layers.Zoneout, fastdrop.zoneout, fastdrop.zoneout_backward),
    ],
)
def test_layers_are_their_functions(layer, forward, backward):
    a, b, dy = np.random.default_rng(7).standard_normal((3, 20, 30)).astype(np.float32)
    drop = layer(0.3, rng=fastdrop.Generator(1, 2))
    for offset in (0, 4096):
        key = fastdrop.Key(1, 2, offset)
        np.testing.assert_array_equal(drop(a, b), forward(a, b, 0.3, rng=key))
        drop.p = 0.8  # for the next forward
        for got, want in zip(drop.backward(dy), backward(dy, 0.3, True, rng=key), strict=True):
            np.testing.assert_array_equal(got, want)
        drop.p = 0.3
    state = json.loads(json.dumps(drop.state_dict()))
    other = layer()
    other.load_state_dict(state)
    np.testing.assert_array_equal(other(a, b), drop(a, b))
    assert repr(other) == f"{layer.__name__}(p=0.3)"
    drop.eval()
    np.testing.assert_array_equal(drop(a, b), forward(a, b, 0.3, False))
    for got, want in zip(drop.backward(dy), backward(dy, 0.3, False, rng=None), strict=True):
        np.testing.assert_array_equal(got, want)
