"""Layers: training and evaluation, regenerated gradients, streams of their own, saving, loading."""

import copy
import gc
import json
import pickle
import tracemalloc
from typing import Any

import numpy as np
import pytest

import fastdrop
from fastdrop import Generator, Key, layers
from fastdrop.layers import Dropout

X = np.linspace(1, 2, 600, dtype=np.float32).reshape(20, 30)


@pytest.mark.usefixtures("impl")
@pytest.mark.parametrize("mode", ["inverted", "standard"])
@pytest.mark.parametrize("noise_shape", [None, (None, 1), (1, 30)])
def test_backward_is_forward_on_the_gradient(mode: Any, noise_shape: Any) -> None:
    layer = Dropout(0.3, mode=mode, noise_shape=noise_shape, rng=Generator(1, 2, 8192))
    y = layer.forward(X)
    key = Key(1, 2, 8192)
    want = fastdrop.dropout(X, 0.3, rng=key, mode=mode, noise_shape=noise_shape)
    assert np.array_equal(y, want)
    dy = np.linspace(-1, 1, 600, dtype=np.float32).reshape(20, 30)
    for _ in range(2):  # asking again changes nothing
        dx = layer.backward(dy)
        want = fastdrop.dropout(dy, 0.3, rng=key, mode=mode, noise_shape=noise_shape)
        assert np.array_equal(dx, want)
    assert layer.generator.offset == 8192 + 4096


def test_each_forward_draws_anew() -> None:
    layer = Dropout(0.5, rng=1)
    first, second = layer(X), layer(X)
    assert not np.array_equal(first, second)
    assert layer.generator.offset == 2 * 4096
    dx = layer.backward(np.ones_like(X))
    assert np.array_equal(dx == 0, second == 0)


def test_the_gradient_may_have_another_dtype() -> None:
    layer = Dropout(0.5, rng=1)
    y = layer(X)
    dx = layer.backward(np.ones(X.shape))
    assert dx.dtype == np.float64
    assert np.array_equal(dx == 0, y == 0)


def test_evaluation() -> None:
    layer = Dropout(0.25, rng=1)
    before = layer.generator.state
    assert layer.eval() is layer
    assert not layer.training
    assert layer(X) is X
    dy = np.ones_like(X)
    assert layer.backward(dy) is dy
    standard = Dropout(0.25, mode="standard", rng=1).eval()
    assert np.array_equal(standard(X), X * np.float32(0.75))
    assert np.array_equal(standard.backward(dy), dy * np.float32(0.75))
    assert layer.generator.state == before
    assert layer.train() is layer
    assert layer.training
    assert layer.train(False).training is False
    assert layer.train(np.True_).training is True


def test_backward_remembers_how_its_forward_ran() -> None:
    layer = Dropout(0.5, rng=1)
    y = layer(X)
    layer.p = 0.9
    layer.eval()
    assert np.array_equal(layer.backward(X), y)
    assert layer(X) is X
    layer.train()
    assert layer.backward(X) is X


def test_a_changed_p_never_shifts_later_masks() -> None:
    layers_ = [Dropout(0.5, rng=1), Dropout(0.5, rng=1)]
    layers_[1].p = 0
    for layer in layers_:
        layer(X)
        layer.p = 0.5
    assert np.array_equal(layers_[0](X), layers_[1](X))


@pytest.mark.parametrize("p", [0, 1])
def test_p_at_its_ends(p: int) -> None:
    layer = Dropout(p, rng=1)
    assert np.array_equal(layer(X), X * (1 - p))
    assert np.array_equal(layer.backward(X), X * (1 - p))
    assert layer.generator.offset == 4096


def test_an_empty_input_moves_nothing() -> None:
    layer = Dropout(0.5, noise_shape=(1, None), rng=1)
    x = np.ones((0, 3), np.float32)
    assert layer(x) is x
    assert layer.backward(x) is x
    assert layer.generator.offset == 0


def test_what_is_not_an_array_is_converted() -> None:
    layer = Dropout(0.0, rng=1)
    assert layer([1.0, 2.0]).tolist() == [1.0, 2.0]
    assert layer.backward([3.0, 4.0]).tolist() == [3.0, 4.0]


def test_no_mask_is_kept() -> None:
    layer = Dropout(0.5, rng=1)
    x = np.ones(1_000_000, np.float32)
    layer(x)  # what is made once is made before counting
    gc.collect()
    tracemalloc.start()
    try:
        layer(x)
        gc.collect()
        current, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert current < 10_000


# streams


def test_layers_get_children_of_the_default_generator() -> None:
    fastdrop.manual_seed(5)
    first, second = Dropout(), Dropout()
    children = Generator(5).spawn(2)
    assert first.generator.state == children[0].state
    assert second.generator.state == children[1].state
    assert not np.array_equal(first(X), second(X))
    fastdrop.manual_seed(5)
    assert np.array_equal(Dropout()(X), Dropout(rng=children[0])(X))


def test_what_rng_may_be() -> None:
    generator = Generator(3)
    assert Dropout(rng=generator).generator is generator
    assert Dropout(rng=3).generator.state == generator.state
    assert Dropout(rng=Key(1, 2, 3)).generator.state == Generator(1, 2, 3).state
    sequence = np.random.SeedSequence(1)
    assert Dropout(rng=sequence).generator.state == Dropout(rng=sequence).generator.state
    rng = np.random.default_rng(1)
    assert Dropout(rng=rng).generator.state != Dropout(rng=rng).generator.state


# bad input


def test_bad_arguments() -> None:
    for kwargs, error, words in (
        ({"p": 1.5}, ValueError, "has to be between 0 and 1, but got 1.5"),
        ({"p": "x"}, TypeError, "p has to be a real number, but got str"),
        ({"p": True}, TypeError, "p has to be a real number, but got bool"),
        ({"mode": "x"}, ValueError, 'mode has to be "inverted" or "standard", but got'),
        ({"noise_shape": (-1,)}, ValueError, "noise_shape has to have no negative lengths, but"),
        ({"noise_shape": 3}, TypeError, "noise_shape has to be a tuple of integers or None, but"),
        ({"rng": "x"}, TypeError, "rng has to be None, an integer seed, a fastdrop Key or Gen"),
    ):
        before = fastdrop.default_generator().state
        with pytest.raises(error, match=words):
            Dropout(**kwargs)
        assert fastdrop.default_generator().state == before


def test_p_is_checked_when_it_is_assigned() -> None:
    layer = Dropout(0.5, rng=1)
    for p, error in ((-0.1, ValueError), (float("nan"), ValueError), ("0.5", TypeError)):
        with pytest.raises(error):
            layer.p = p
        assert layer.p == 0.5
    with pytest.raises(TypeError, match="mode has to be True or False, but got str"):
        layer.train("no")
    assert layer.training


def test_bad_input_changes_nothing() -> None:
    layer = Dropout(0.5, noise_shape=(None, 1), rng=1)
    y = layer(X)
    before = layer.generator.state
    for x, error, words in (
        (np.ones((20, 30), int), TypeError, "x has to have dtype"),
        (np.ones(3, np.float32), ValueError, "noise_shape has to have at most the 1 axes of x"),
    ):
        with pytest.raises(error, match=words):
            layer(x)
    for dy, error, words in (
        (np.ones((30, 20), np.float32), ValueError, r"dy has to .* \(20, 30\), but got \(30, 20\)"),
        (np.ones((20, 30), bool), TypeError, "dy has to have dtype"),
    ):
        with pytest.raises(error, match=words):
            layer.backward(dy)
    assert layer.generator.state == before
    assert np.array_equal(layer.backward(X), y)


def test_backward_needs_a_forward() -> None:
    with pytest.raises(RuntimeError, match="backward has to come after forward"):
        Dropout(0.5, rng=1).backward(X)


def test_the_base_class_is_abstract() -> None:
    with pytest.raises(TypeError, match="abstract"):
        layers.Layer()  # type: ignore[abstract]


# saving


def test_state_is_plain_data_and_goes_back() -> None:
    layer = Dropout(0.3, mode="standard", noise_shape=(None, 1), rng=Generator(1, 2))
    layer(X)
    layer.generator.spawn(2)
    state = json.loads(json.dumps(layer.state_dict()))
    assert state["version"] == 1
    assert state["type"] == "Dropout"
    following = layer(X)
    other = Dropout(rng=9)
    other(X)
    other.load_state_dict(state)
    assert other.state_dict() == state
    assert (other.p, other.mode, other.noise_shape) == (0.3, "standard", (None, 1))
    with pytest.raises(RuntimeError, match="there was no forward"):
        other.backward(X)
    assert np.array_equal(other(X), following)


def test_loading_checks_everything_before_it_changes_anything() -> None:
    layer = Dropout(0.3, rng=1)
    y = layer(X)
    good = layer.state_dict()
    generator = good["generator"]
    for change, error, words in (
        ({"p": 2.0}, ValueError, "between 0 and 1"),
        ({"p": "x"}, TypeError, "p has to be a real number"),
        ({"mode": "x"}, ValueError, "mode has to be"),
        ({"noise_shape": 4}, TypeError, "noise_shape has to be"),
        ({"type": "Other"}, ValueError, "state has to have type 'Dropout', but got 'Other'"),
        ({"version": 2}, ValueError, "state has to have version 1, but got 2"),
        ({"extra": 1}, ValueError, "state has to have the entries type, version, .*, but got"),
        ({"generator": None}, TypeError, "state has to be a dict"),
        ({"generator": {**generator, "version": 2}}, ValueError, "version 2"),
        ({"generator": {**generator, "seed": -1}}, ValueError, "seed has to be between"),
        ({"generator": {**generator, "spawned": "x"}}, TypeError, "spawned has to be"),
    ):
        state = {**good, "p": 0.9, "mode": "standard", "noise_shape": [1, 30], **change}
        with pytest.raises(error, match=words):
            layer.load_state_dict(state)
        assert layer.state_dict() == good
    for state, error, words in (
        ([], TypeError, "state has to be a dict, but got list"),
        ({}, ValueError, "state has to have the entries .*, but got none"),
    ):
        with pytest.raises(error, match=words):
            layer.load_state_dict(state)  # type: ignore[arg-type]
    assert np.array_equal(layer.backward(X), y)


@pytest.mark.parametrize("twin", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_go_on_alone(twin: Any) -> None:
    layer = Dropout(0.5, noise_shape=(None, 1), rng=1)
    y = layer(X)
    other = twin(layer)
    assert np.array_equal(other.backward(X), y)
    assert np.array_equal(other(X), layer(X))


def test_repr() -> None:
    assert repr(Dropout(0.5)) == "Dropout(p=0.5)"
    assert repr(Dropout(0, mode="standard")) == "Dropout(p=0.0, mode='standard')"
    assert repr(Dropout(0.1, noise_shape=[None, 1])) == "Dropout(p=0.1, noise_shape=(None, 1))"


@pytest.mark.parametrize("call", [Dropout.forward, layers.VariationalDropout.step])
def test_a_result_that_does_not_fit_into_memory_changes_nothing(call: Any) -> None:
    make: Any = Dropout if call is Dropout.forward else layers.VariationalDropout
    layer = make(0.5, rng=Generator(1))
    huge = np.broadcast_to(np.float32(1), (2**45,))
    with pytest.raises(MemoryError):
        call(layer, huge)
    assert layer.generator.offset == 0
    assert call(layer, X).shape == X.shape


@pytest.mark.parametrize(
    ("layer", "inputs"),
    [
        (layers.AlphaDropout(0.5, rng=1), 1),
        (layers.BiasActDropout("relu", 0.5, rng=1), 1),
        (layers.DropoutAdd(0.5, rng=1), 2),
        (layers.GaussianNoise(0.5, rng=1), 1),
        (layers.Zoneout(0.5, rng=1), 2),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_kind_of_layer_allocates_before_it_draws(layer: Any, inputs: int) -> None:
    huge = np.broadcast_to(np.float32(1), (2**45,))
    with pytest.raises(MemoryError):
        layer(*[huge] * inputs)
    assert layer.generator.offset == 0
    assert layer(*[X] * inputs).shape == X.shape
    assert layer.generator.offset == 4096
