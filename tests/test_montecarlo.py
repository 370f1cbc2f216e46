"""Monte Carlo dropout: every sample by its key, the moments, and layers that are left alone.

And `dropout_samples`: each is dropout on a stream of its own.
"""

import contextvars
import copy
import functools
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from cases import equal
from support import DTYPES, sample_key
from surface import ALL_LAYERS, LayerCase

import fastdrop
from fastdrop import Generator, Key, layers
from fastdrop._rng import as_generator

KEY = Key(7, 2**64 - 2, 4096 + 9)  # a stream whose samples pass 2**64
key_of = functools.partial(sample_key, KEY)


LAYER = layers.Dropout(0.4, rng=1)

WAYS = {
    "default-generator": lambda x: fastdrop.dropout(x, 0.4),
    "keyword": lambda x, *, rng=None: fastdrop.dropout(x, 0.4, rng=rng),
    "positional": lambda x, rng: fastdrop.dropout(x, 0.4, rng=rng),
    "layer": lambda x: LAYER(x),
    "layer-itself": LAYER,
    "partial": functools.partial(fastdrop.dropout, p=0.4),
}


@pytest.mark.usefixtures("impl")
@pytest.mark.parametrize("way", WAYS)
def test_every_sample_has_its_key(way: str) -> None:
    x = np.linspace(1, 2, 5000)
    samples = np.stack([fastdrop.dropout(x, 0.4, rng=key_of(k)) for k in range(6)])
    result = fastdrop.mc_dropout(WAYS[way], x, 6, rng=KEY)
    assert result.samples == 6
    assert result.entropy is None
    assert result.mutual_information is None
    np.testing.assert_allclose(result.mean, samples.mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(result.std, samples.std(axis=0), rtol=1e-12, atol=1e-14)


def test_a_name_is_what_makes_a_parameter_rng() -> None:
    class Call:
        def __call__(self, x: float, /, rng: Any, **_: Any) -> float:
            return x + isinstance(rng, Generator)

    for fn, want in (
        (Call(), 2.0),
        (lambda x, **keywords: x + len(keywords), 1.0),
        (lambda x, rng=None, /: x + (rng is not None), 1.0),
    ):
        assert fastdrop.mc_dropout(fn, 1.0, 2, rng=1).mean == want
    assert fastdrop.mc_dropout(max, (1.0, 3.0), 2, rng=1).mean == 3.0  # has no signature


def test_calls_inside_a_sample_draw_one_after_another() -> None:
    result = fastdrop.mc_dropout(lambda x: fastdrop.dropout(LAYER(x), 0.2), np.ones(50), 1, rng=KEY)
    generator = as_generator(key_of(0))
    first = fastdrop.dropout(np.ones(50), 0.4, rng=generator)
    assert np.array_equal(result.mean, fastdrop.dropout(first, 0.2, rng=generator))


def test_a_generator_moves_past_all_samples() -> None:
    generator = Generator(9, 1, 4096)
    keys = Key(9, 1, 4096), generator, generator
    want, first, second = (fastdrop.mc_dropout(LAYER, np.ones(50), 3, rng=rng) for rng in keys)
    assert np.array_equal(first.mean, want.mean)
    assert not np.array_equal(first.mean, second.mean)
    assert generator.state == {**Generator(9, 1).state, "offset": 4096 + 2 * 2**36}


def test_the_default_generator_is_given_back() -> None:
    default = fastdrop.manual_seed(6)
    inside: list[Generator] = []
    fastdrop.mc_dropout(lambda _: inside.append(fastdrop.default_generator()) or 0.0, None, 2)
    assert [(g.seed, g.stream) for g in inside] == [(6, 0), (6, 1)]
    assert fastdrop.default_generator() is default
    assert default.offset == 2**36


def of_results(values: Any, **options: Any) -> fastdrop.MonteCarloResult:
    source = iter(values)
    return fastdrop.mc_dropout(lambda _: next(source), 0, len(values), rng=1, **options)


def test_mean_and_deviation() -> None:
    values = np.random.default_rng(1).normal(1e6, 1, (40, 3, 2))  # a one-pass sum of squares fails
    result = of_results(values)
    np.testing.assert_allclose(result.mean, values.mean(axis=0), rtol=1e-15)
    np.testing.assert_allclose(result.std, values.std(axis=0), rtol=1e-8)
    assert result.mean.dtype == result.std.dtype == np.float64
    buffer = np.zeros(3)  # a result in the same memory each time
    result = fastdrop.mc_dropout(lambda _: np.add(buffer, 1, out=buffer), 0, 3, rng=1)
    assert result.mean.tolist() == [2.0] * 3


@pytest.mark.parametrize("value", [2, True, np.float16(2), [1.0, 2.0], np.ones((2, 0))])
def test_results_of_other_kinds(value: Any) -> None:
    result = of_results([value] * 3)
    assert np.array_equal(result.mean, np.asarray(value, float))
    assert np.array_equal(result.std, np.zeros(np.shape(value)))
    assert isinstance(result.mean, np.ndarray)
    assert isinstance(result.std, np.ndarray)


def test_infinite_results_warn_of_nothing() -> None:
    result = of_results([[np.inf, np.nan, 1.0]] * 3)
    assert np.isnan(result.mean[1])
    assert result.mean[2] == 1
    assert result.std[2] == 0


def test_entropy_and_mutual_information() -> None:
    values = np.random.default_rng(1).dirichlet([0.3, 0.3, 0.3], (20, 4))
    result = of_results(values, probabilities=True)
    mean = values.mean(axis=0)
    entropy = -(mean * np.log(mean)).sum(axis=-1)
    each = -(values * np.log(values)).sum(axis=-1).mean(axis=0)
    np.testing.assert_allclose(result.entropy, entropy, rtol=1e-12)
    np.testing.assert_allclose(result.mutual_information, entropy - each, rtol=1e-11)


def test_what_the_two_uncertainties_mean() -> None:
    for rows, entropy, information in (
        ([[1, 0], [1, 0]], 0.0, 0.0),  # sure, and right to be
        ([[0.5, 0.5], [0.5, 0.5]], np.log(2), 0.0),  # the data are ambiguous
        ([[1, 0], [0, 1]], np.log(2), np.log(2)),  # the samples disagree
    ):
        result = of_results(rows, probabilities=True)
        assert float(result.entropy) == pytest.approx(entropy, abs=1e-15)
        assert float(result.mutual_information) == pytest.approx(information, abs=1e-15)


def test_no_sample_is_kept() -> None:
    alive: list[Any] = []

    class Tracked(np.ndarray):
        def __del__(self) -> None:
            alive.pop()

    def fn(_: Any) -> np.ndarray:
        assert len(alive) <= 1
        alive.append(1)
        return np.ones(3).view(Tracked)

    fastdrop.mc_dropout(fn, 0, 5, rng=1)


@pytest.mark.parametrize("case", ALL_LAYERS)
@pytest.mark.parametrize("mode", [True, False])
def test_layers_train_and_are_left_as_they_were(case: LayerCase, mode: bool) -> None:
    layer, (x, *others), dy = case.make(), case.operands().values(), case.gradient()
    layer(x, *others)
    before = copy.deepcopy(layer.backward(dy))
    layer.train(mode)
    state, inside, default = layer.state_dict(), [], fastdrop.default_generator()

    def fn(x: np.ndarray) -> np.ndarray:
        inside.append((layer.training, layer.generator.stream))
        y = layer(x, *others)
        layer.backward(dy)
        if len(inside) > 20:
            raise KeyError
        return y

    assert fastdrop.mc_dropout(fn, x, 20, rng=Key(1, 5)).std.any()
    with pytest.raises(KeyError):
        fastdrop.mc_dropout(fn, x, rng=Key(1, 25))
    assert inside == [(True, 5 + k) for k in range(21)]
    assert layer.training is mode
    assert layer.state_dict() == state
    assert equal(layer.backward(dy), before)
    assert fastdrop.default_generator() is default


def test_nested() -> None:
    layer, x = layers.Dropout(0.5, rng=3).eval(), np.ones(200)

    def mean(keys: Any) -> np.ndarray:
        return sum(fastdrop.dropout(x, 0.5, rng=key) for key in keys) / 2

    def outer(x: np.ndarray) -> np.ndarray:
        y = layer(x)
        inner = fastdrop.mc_dropout(layer, x, 2, rng=Key(8))
        assert np.array_equal(inner.mean, mean((Key(8), Key(8, 1))))
        assert np.array_equal(layer.backward(x), y)
        return y

    result = fastdrop.mc_dropout(outer, x, 2, rng=KEY)
    assert np.array_equal(result.mean, mean(map(key_of, range(2))))
    assert layer(x) is x


def test_a_layer_made_inside_is_a_child_of_the_sample() -> None:
    made = []

    def fn(x: np.ndarray) -> np.ndarray:
        made.append(layers.Dropout(0.5))
        return made[-1](x)

    result = fastdrop.mc_dropout(fn, np.ones(100), 1, rng=KEY)
    assert np.array_equal(result.mean, fastdrop.dropout(np.ones(100), 0.5, rng=KEY))
    assert made[0].generator.stream == as_generator(KEY).spawn(1)[0].stream


def test_a_mask_held_over_time_steps_is_drawn_anew_for_each_sample() -> None:
    layer = layers.VariationalDropout(0.5, rng=3)
    held = layer.step(np.ones(64))

    def fn(x: np.ndarray) -> np.ndarray:
        first = layer.step(x)
        assert np.array_equal(layer.step(x), first)
        return first

    result = fastdrop.mc_dropout(fn, np.ones(64), 5, rng=KEY)
    assert result.std.any()
    assert np.array_equal(layer.step(np.ones(64)), held)


def test_only_this_thread_samples() -> None:
    layer, x = layers.Dropout(0.5, rng=3).eval(), np.ones(50)
    default = fastdrop.default_generator()

    def fn(_: Any) -> float:
        # Some builds of Python hand the context on to new threads: this one has none.
        empty = contextvars.Context()
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(empty.run, layer, x).result() is x
            assert pool.submit(empty.run, fastdrop.default_generator).result() is default
        return 0.0

    fastdrop.mc_dropout(fn, x, 1, rng=1)


# dropout_samples


@pytest.mark.usefixtures("impl")
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(), (7,), (3, 5), (2, 3, 4097)])
def test_samples_are_dropout_on_consecutive_streams(shape: tuple[int, ...], dtype: Any) -> None:
    x = np.random.default_rng(1).uniform(0.5, 2, shape).astype(dtype)
    want = np.stack([fastdrop.dropout(x, 0.3, rng=key_of(k)) for k in range(5)])
    for samples in (5, 2):
        y = fastdrop.dropout_samples(x, 0.3, samples, rng=KEY)
        assert y.dtype == x.dtype
        assert np.array_equal(y, want[:samples])


@pytest.mark.usefixtures("impl")
@pytest.mark.parametrize("samples", [1, 2])
@pytest.mark.parametrize("axes", [31, 32, 33, 40])
def test_samples_of_many_axes(axes: int, samples: int) -> None:
    x = np.linspace(1, 2, 6).reshape((2, *(1,) * (axes - 2), 3))
    y = fastdrop.dropout_samples(x, 0.3, samples, rng=KEY)
    want = fastdrop.dropout_samples(x.reshape(-1), 0.3, samples, rng=KEY)
    assert np.array_equal(y, want.reshape(samples, *x.shape))


@pytest.mark.usefixtures("impl")
def test_where_samples_go() -> None:
    x = np.linspace(1, 2, 12).reshape(3, 4)
    want = fastdrop.dropout_samples(x, 0.5, 3, rng=KEY)
    out = np.zeros((3, 3, 4))
    assert fastdrop.dropout_samples(x, 0.5, 3, rng=KEY, out=out) is out
    assert np.array_equal(out, want)
    strided = np.zeros((6, 4, 6))[::-2, :, ::2].transpose(0, 2, 1)
    fastdrop.dropout_samples(x.copy(order="F"), 0.5, 3, rng=KEY, out=strided)
    assert np.array_equal(strided, want)
    assert np.array_equal(fastdrop.dropout_samples(x.tolist(), 0.5, 3, rng=KEY), want)


def test_samples_move_a_generator_once() -> None:
    generator = fastdrop.manual_seed(3)
    y = fastdrop.dropout_samples(np.ones(4097), 0.5, 3)
    assert np.array_equal(y, fastdrop.dropout_samples(np.ones(4097), 0.5, 3, rng=3))
    assert generator.state == {**Generator(3).state, "offset": 2 * 4096}
    assert fastdrop.dropout_samples(np.ones((2, 0)), 0.5, 3, rng=generator).shape == (3, 2, 0)
    assert generator.offset == 2 * 4096
