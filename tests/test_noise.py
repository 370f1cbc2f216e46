"""Gaussian dropout and noise: against the reference, against their definition, their gradients."""

import functools
import itertools
import json
import math

import numpy as np
import operations
import pytest
from computing import KINDS, check_operation, layouts, numbers
from support import COMPUTE, number, records, same_bits

import fastdrop
from fastdrop import layers
from fastdrop._plan import check_deviation, dropout_deviation
from fastdrop.backends.call import steps_of
from fastdrop.backends.numpy import functions

FLOATS = (np.float16, np.float32, np.float64)
BLOCK = 4096


@functools.cache
def fields(seed: int, stream: int, block: int) -> np.ndarray:
    """The 16-bit fields of a block, one after the other as Python's integers."""
    g, word = 0x9E3779B97F4A7C15, 2**64
    mix = fastdrop.stream.mix
    a = mix((mix(mix((seed + g) % word) ^ stream) + block * g) % word)
    b = mix((mix((mix((seed + 2 * g) % word) + stream) % word) + block * g) % word)
    found = []
    states = [(mix((a + j * g) % word), mix((b + j * g) % word) | 1) for j in range(1, 17)]
    for _ in range(64):
        for j, (s0, s1) in enumerate(states):
            r = (s0 + s1) % word
            found += [r >> 16 * q & 0xFFFF for q in range(4)]
            x = (s0 ^ s0 << 23) % word
            states[j] = s1, x ^ s1 ^ x >> 18 ^ s1 >> 5
    return np.array(found, np.uint32)


def variates(n: int, key: fastdrop.Key) -> np.ndarray:
    """What stream.md says: element i has the fields at offset + 2 i and the next position."""
    end = key.offset + 2 * n
    blocks = range(key.offset // BLOCK, -(-end // BLOCK))
    whole = np.concatenate([fields(key.seed, key.stream, b % 2**52) for b in blocks])
    first = key.offset % BLOCK
    mine = whole[first : first + 2 * n]
    return functions.normal(mine[::2] | mine[1::2] << np.uint32(16))


# --- Bits -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("p", [0.0, 0.1, 0.9])
def test_gaussian_dropout_has_the_reference_s_bits(impl, kind, p):
    deviation = dropout_deviation(p, kind)

    def call(backend, read, written, key):
        backend.gaussian_dropout(*read, *written, kind, key, deviation)

    check_operation(impl, kind, call, reads=1, label=f"gaussian_dropout {p}")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("std", [0.0, 0.1, 3e38])
def test_gaussian_noise_has_the_reference_s_bits(impl, kind, std):
    deviation = check_deviation(std, "std", kind)

    def call(backend, read, written, key):
        backend.gaussian_noise(*read, *written, kind, key, deviation)

    check_operation(impl, kind, call, reads=1, label=f"gaussian_noise {std}")


@pytest.mark.usefixtures("impl")
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("offset", [0, 1, 4095, 2**64 - 2 * 5000])
def test_they_are_what_the_definition_says(dtype, offset):
    x = np.linspace(-4, 4, 5000, dtype=dtype)
    compute = COMPUTE[np.dtype(dtype).name]
    key = fastdrop.Key(3, 4, offset)
    z = variates(x.size, key).astype(compute)
    for p in (0.0, 0.3, 0.99):
        sigma = compute(math.sqrt(p / (1 - p)))
        wanted = x.astype(compute) * (compute(1) + sigma * z)
        y = fastdrop.gaussian_dropout(x, p, rng=key)
        np.testing.assert_array_equal(y, wanted.astype(dtype), strict=True)
    for std in (0, 0.3, np.float32(2)):
        wanted = x.astype(compute) + compute(std) * z
        y = fastdrop.gaussian_noise(x, std, rng=key)
        np.testing.assert_array_equal(y, wanted.astype(dtype), strict=True)


def test_bfloat16_arrays():
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    x = np.linspace(-4, 4, 1000).astype(bfloat16)
    for f, argument in ((fastdrop.gaussian_dropout, 0.3), (fastdrop.gaussian_noise, 0.7)):
        y = f(x, argument, rng=1)
        assert y.dtype == bfloat16
        wanted = f(x.astype(np.float32), argument, rng=1).astype(bfloat16)
        np.testing.assert_array_equal(y.view(np.uint16), wanted.view(np.uint16))


def test_numba_s_variates_are_the_reference_s_in_every_octave():
    """Also where few words lead to, so that the stream would hardly show it."""
    numba = pytest.importorskip("numba")
    from fastdrop.backends.numba.noise import normal

    words = np.concatenate([2 ** np.arange(32), 2 ** np.arange(32) - 1, [2**31 + 1]])
    words = np.concatenate([words, ~words & 0xFFFFFFFF, np.arange(0, 2**32, 9999991)])
    words = (words & 0xFFFFFFFF).astype(np.uint32)
    compiled = numba.njit(normal)
    halves = words.view("<i2").reshape(-1, 2)
    got = np.array([compiled(low, high) for low, high in halves], np.float32)
    np.testing.assert_array_equal(got, functions.normal(words))


def test_known_answers_of_single_words():
    words, expected = np.array([list(map(number, r)) for r in records("normal")], np.uint32).T
    assert words.size > 150
    np.testing.assert_array_equal(functions.normal(words).view(np.uint32), expected)


@pytest.mark.usefixtures("impl")
def test_known_answers_of_variates():
    lines = list(records("variates"))
    assert len(lines) > 5
    backend = operations.Operations(fastdrop.backends.active())
    for seed, stream, offset, n, *expected in lines:
        z = np.full(number(n), -0.0, np.float32)  # added to it, +0.0 and -0.0 stay
        key = fastdrop.Key(number(seed), number(stream), number(offset))
        backend.gaussian_noise(z, z, "float32", key, 1.0)
        assert z.view(np.uint32).tolist() == list(map(number, expected))


@pytest.mark.parametrize("kind", KINDS)
def test_shared_variates_have_the_reference_s_bits(impl, reference, kind):
    x = numbers(kind, 1)[: 7 * 5 * 40].reshape(7, 5, 40)
    key = fastdrop.Key(3, 4, 4090)
    for shape in ((7, 1, 40), (1, 5, 1), (7, 5, 1), (1, 1, 1), (7, 5, 40)):
        for name in ("gaussian_dropout", "gaussian_noise"):
            for given in layouts(x).values():
                got, wanted = np.empty_like(x), np.empty_like(x)
                getattr(impl, name)(given, got, kind, key, 0.4, steps_of(shape))
                getattr(reference, name)(x, wanted, kind, key, 0.4, steps_of(shape))
                assert same_bits(got, wanted, kind), (name, shape)
        if shape == x.shape:
            reference.gaussian_noise(x, got, kind, key, 0.4)
            assert same_bits(got, wanted, kind)


# --- Layouts, threads, evaluation -------------------------------------------------------------


@pytest.mark.usefixtures("impl")
@pytest.mark.parametrize("f", [fastdrop.gaussian_dropout, fastdrop.gaussian_noise])
def test_on_any_layout(f):
    x = np.random.default_rng(1).standard_normal((37, 11, 13)).astype(np.float32)
    wanted = f(x, 0.4, rng=5)
    for a, b in itertools.product(layouts(x), repeat=2):
        out = layouts(np.zeros_like(x))[b]
        assert f(layouts(x)[a], 0.4, rng=5, out=out) is out
        np.testing.assert_array_equal(out, wanted, err_msg=f"{a} to {b}")
    for name, both in layouts(x).items():
        new = f(both, 0.4, rng=5)
        np.testing.assert_array_equal(new, wanted, err_msg=f"new, {name}")
        assert new.strides == np.empty_like(both).strides
        f(both, 0.4, rng=5, out=both)
        np.testing.assert_array_equal(both, wanted, err_msg=f"in place, {name}")


@pytest.mark.parametrize("f", [fastdrop.gaussian_dropout, fastdrop.gaussian_noise])
@pytest.mark.parametrize("offset", [0, 33, 4096 + 2])
def test_threads_give_the_same_bits(f, offset):
    x = np.random.default_rng(3).standard_normal(3_000_001).astype(np.float32)
    before = fastdrop.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 7):
            fastdrop.set_num_threads(threads)
            results.append(f(x, 0.3, rng=fastdrop.Key(1, 2, offset)))
    finally:
        fastdrop.set_num_threads(before)
    assert np.array_equal(results[0], results[1])
    assert np.array_equal(results[0], results[2])


@pytest.mark.usefixtures("impl")
@pytest.mark.parametrize("f", [fastdrop.gaussian_dropout, fastdrop.gaussian_noise])
def test_evaluation_returns_x_and_draws_nothing(f):
    rng = fastdrop.Generator(1)
    x, out = np.float32([1, -0.0, np.nan]), np.ones(3, np.float32)
    assert f(x, 0.5, False, rng=rng) is x
    assert f(x, 0.5, training=False, rng=rng, out=out) is out
    assert out.tobytes() == x.tobytes()
    assert f(x[:0], 0.5, rng=rng).shape == (0,)
    assert rng.offset == 0


@pytest.mark.parametrize("f", [fastdrop.gaussian_dropout, fastdrop.gaussian_noise])
def test_two_positions_an_element_are_reserved_whatever_the_argument(f):
    rng = fastdrop.Generator(1)
    x = np.ones(BLOCK // 2 + 1)
    for i, argument in enumerate((0.0, 0.5)):
        f(x, argument, rng=rng)
        assert rng.offset == 2 * (i + 1) * BLOCK
    f(np.ones((5, 6)), 0.5, rng=rng)
    assert rng.offset == 5 * BLOCK


@pytest.mark.usefixtures("impl")
def test_no_noise_changes_nothing():
    x = np.float32([1, -2, 0.0, -0.0, np.inf, -np.inf, np.nan, 1e-45])
    y = fastdrop.gaussian_dropout(x, 0.0, rng=1)
    np.testing.assert_array_equal(y.view(np.uint32)[:6], x.view(np.uint32)[:6])
    np.testing.assert_array_equal(fastdrop.gaussian_noise(x, 0.0, rng=1), x)


def test_any_run_can_be_computed_alone():
    x = np.ones(10_000, np.float32)
    for f in (fastdrop.gaussian_dropout, fastdrop.gaussian_noise):
        whole = f(x, 0.3, rng=fastdrop.Key(1, 2, 7))
        for start in (1, 2048, 4095):
            part = f(x[start:], 0.3, rng=fastdrop.Key(1, 2, 7 + 2 * start))
            np.testing.assert_array_equal(part, whole[start:])


# --- Gradients --------------------------------------------------------------------------------


def test_gaussian_dropout_s_gradient_is_the_same_call():
    x, dy = np.random.default_rng(2).standard_normal((2, 50))
    key, step = fastdrop.Key(8), 1e-6
    dx = fastdrop.gaussian_dropout(dy, 0.3, rng=key)
    for i in range(50):
        e = np.zeros(50)
        e[i] = step
        upper = fastdrop.gaussian_dropout(x + e, 0.3, rng=key)
        lower = fastdrop.gaussian_dropout(x - e, 0.3, rng=key)
        slope = (upper - lower) @ dy / (2 * step)
        np.testing.assert_allclose(slope, dx[i], rtol=1e-6, atol=1e-8)


def test_gaussian_noise_s_gradient_is_that_of_its_result():
    x, dy = np.random.default_rng(2).standard_normal((2, 50))
    key, step = fastdrop.Key(8), 1e-6
    for i in range(50):
        e = np.zeros(50)
        e[i] = step
        upper = fastdrop.gaussian_noise(x + e, 0.3, rng=key)
        lower = fastdrop.gaussian_noise(x - e, 0.3, rng=key)
        np.testing.assert_allclose((upper - lower) @ dy / (2 * step), dy[i], rtol=1e-6, atol=1e-8)


# --- Layers -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "name", "f", "backward"),
    [
        (layers.GaussianDropout, "p", fastdrop.gaussian_dropout, fastdrop.gaussian_dropout),
        (layers.GaussianNoise, "std", fastdrop.gaussian_noise, lambda dy, *_, **__: dy),
    ],
)
def test_layers_are_their_functions(layer, name, f, backward):
    x, dy = np.random.default_rng(7).standard_normal((2, 20, 30)).astype(np.float32)
    drop = layer(0.3, rng=fastdrop.Generator(1, 2))
    for offset in (0, 4096):
        key = fastdrop.Key(1, 2, offset)
        np.testing.assert_array_equal(drop(x), f(x, 0.3, rng=key))
        setattr(drop, name, 0.8)  # for the next forward
        np.testing.assert_array_equal(drop.backward(dy), backward(dy, 0.3, rng=key))
        setattr(drop, name, 0.3)
    state = json.loads(json.dumps(drop.state_dict()))
    other = layer(0.5)
    other.load_state_dict(state)
    np.testing.assert_array_equal(other(x), drop(x))
    assert repr(other) == f"{layer.__name__}({name}=0.3)"
    drop.eval()
    assert drop(x) is x
    assert drop.backward(dy) is dy
    assert drop.generator.offset == 3 * 4096
    drop.train()
    assert drop(x[:0]).shape == (0, 30)
    assert drop.generator.offset == 3 * 4096


def test_monte_carlo_dropout_makes_layers_of_noise_draw():
    layer = layers.GaussianNoise(1.0, rng=1).eval()
    found = fastdrop.mc_dropout(layer, np.zeros(1000), samples=20, rng=3)
    assert 0.9 < found.std.mean() < 1.0
    assert layer.generator.offset == 0
