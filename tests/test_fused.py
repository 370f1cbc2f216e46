"""Operations in one pass with dropout: against the reference, against their definition."""

import itertools

import numpy as np
import pytest
from computing import KINDS, check_operation, layouts

import fastdrop
from fastdrop._plan import make_plan

FLOATS = (np.float16, np.float32, np.float64)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 1.0])
def test_dropout_add_has_the_reference_s_bits(impl, kind, p):
    plan = make_plan(p, kind)

    def call(backend, read, written, key):
        backend.dropout_add(*read, *written, kind, key, plan)

    check_operation(impl, kind, call, reads=2, in_place=(0, 1))


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
