"""`enable`: whatever drops in Keras draws here, and Keras' own function is back afterwards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from on_keras import BACKEND, fk, keras, numbers, numpy
from switching import check_handles

import fastdrop
from fastdrop import Key
from fastdrop.keras import _enable, _private


def plain() -> np.ndarray:
    return numpy(keras.layers.Dropout(0.5, seed=1)(np.ones(1000, "float32"), training=True))


OURS = fastdrop.dropout(np.ones(1000, "float32"), 0.5, rng=Key(1))


X = numbers(2, 5, 8)


def called(name: str, *arguments: Any, inputs: Any = (X,), **options: Any) -> Any:
    layer = getattr(keras.layers, name)(*arguments, dropout=0.5, seed=1, **options)
    return layer(*inputs, training=True)


def spatial(name: str, x: np.ndarray) -> Any:
    return getattr(keras.layers, name)(0.5)(x, training=True)


REACHED: dict[str, tuple[Callable[[], Any], int]] = {
    "keras.random.dropout": (
        lambda: keras.random.dropout(keras.ops.convert_to_tensor(X), 0.5, seed=1),
        1,
    ),
    "Dropout": (lambda: spatial("Dropout", X), 1),
    "SpatialDropout1D": (lambda: spatial("SpatialDropout1D", X), 1),
    "SpatialDropout2D": (lambda: spatial("SpatialDropout2D", numbers(2, 5, 8, 3)), 1),
    "Attention": (lambda: called("Attention", inputs=([X, X],)), 1),
    "AdditiveAttention": (lambda: called("AdditiveAttention", inputs=([X, X],)), 1),
    "MultiHeadAttention": (lambda: called("MultiHeadAttention", 2, 4, inputs=(X, X)), 1),
    "GroupQueryAttention": (lambda: called("GroupQueryAttention", 4, 4, 2, inputs=(X, X)), 1),
    # Cells draw a mask for the inputs and one for the state, in a first version of LSTM and GRU one
    # for each gate.
    "SimpleRNN": (lambda: called("SimpleRNN", 3, recurrent_dropout=0.3), 2),
    "LSTM": (lambda: called("LSTM", 3, recurrent_dropout=0.3), 2),
    "GRU": (lambda: called("GRU", 3, recurrent_dropout=0.3), 2),
    "ConvLSTM1D": (
        lambda: called("ConvLSTM1D", 3, 3, inputs=(numbers(2, 4, 6, 3),), recurrent_dropout=0.3),
        2,
    ),
}


@pytest.mark.parametrize("who", REACHED)
def test_all_is_drawn_here(who: str, monkeypatch: pytest.MonkeyPatch) -> None:
    function, least = REACHED[who]
    calls, left = [], []
    drawn = _enable.drawn

    def counting(variant: Any, inputs: Any, *arguments: Any) -> Any:
        y = drawn(variant, inputs, *arguments)
        # By `meta` PyTorch finds the shapes of what a layer gives.
        if y is not None:
            calls.append(inputs.shape)
        elif str(getattr(inputs, "device", "")) != "meta":
            left.append(inputs)
        return y

    monkeypatch.setattr(_enable, "drawn", counting)
    with fk.enable():
        y = function()
    assert len(calls) >= least
    assert not left
    assert np.isfinite(numpy(y)).all()
    calls.clear()
    function()
    assert not calls


def test_attention_drops_what_the_key_says() -> None:
    x = numbers(2, 5, 8)
    layer = keras.layers.Attention(dropout=0.5, seed=1)
    _, weights = layer([x, x], return_attention_scores=True)
    with fk.enable():
        _, dropped = layer([x, x], return_attention_scores=True, training=True)
    weights = numpy(weights)
    assert np.array_equal(numpy(dropped), fastdrop.dropout(weights, 0.5, rng=Key(1)))


def test_handles() -> None:
    check_handles(fk, plain)
    with fk.enable():
        assert np.array_equal(plain(), OURS)


@pytest.mark.parametrize("rate", [0, 0.0, 1, 1.0])
def test_rates_at_the_ends_are_keras(rate: float) -> None:
    x = keras.ops.convert_to_tensor(numbers(50))
    generator = keras.random.SeedGenerator(3)
    with fk.enable():
        y = keras.random.dropout(x, rate, seed=generator)
    assert np.array_equal(numpy(y), numpy(x) * (1 - rate))
    assert numpy(generator.state).tolist() == [3, 0]


@pytest.mark.skipif(BACKEND == "torch", reason="Keras takes tensors of PyTorch alone there")
def test_an_array_of_numpy_is_drawn_here() -> None:
    """`keras.random.dropout` does not convert it."""
    x = numbers(50)
    with fk.enable():
        y = numpy(keras.random.dropout(x, 0.3, seed=7))
    assert np.array_equal(y, fastdrop.dropout(x, 0.3, rng=7))


def test_without_a_seed_the_global_generator_draws() -> None:
    x = keras.ops.convert_to_tensor(numbers(1000))
    found = []
    with fk.enable():
        for _ in range(2):
            keras.utils.set_random_seed(5)
            keras.backend.clear_session()
            found.append([numpy(keras.random.dropout(x, 0.5)) for _ in range(2)])
    assert np.array_equal(found[0], found[1])
    assert not np.array_equal(*found[0])


# --- what Keras might be in another version -----------------------------------------------------


def test_another_signature_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def dropout(inputs: Any, probability: float) -> Any:
        return inputs * probability

    monkeypatch.setattr(_private._random, "dropout", dropout)
    with pytest.raises(RuntimeError, match=r"takes .* and not .* cannot be used with this version"):
        fk.enable()
    assert _private._random.dropout is dropout
    assert not _enable.enabled()


def test_a_missing_function_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(_private._random, "dropout")
    with pytest.raises(RuntimeError, match=r"takes \(\) and not"):
        fk.enable()


@pytest.mark.parametrize("who", ["keras.random.dropout", "keras.layers.Dropout"])
@pytest.mark.parametrize("raises", [False, True])
def test_a_caller_that_does_not_arrive_is_refused(
    who: str, raises: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def elsewhere() -> Any:
        if raises:
            raise AttributeError("shape")
        return 0

    before = _private._random.dropout
    monkeypatch.setitem(_private._CALLERS, who, elsewhere)
    with pytest.raises(RuntimeError, match=f"is not what {who} calls"):
        fk.enable()
    assert _private._random.dropout is before
    assert not _enable.enabled()
    monkeypatch.undo()
    with fk.enable():
        assert np.array_equal(plain(), OURS)


def test_somebody_elses_function_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    handle = fk.enable()
    ours = _private._random.dropout

    def theirs(*arguments: Any, **keywords: Any) -> Any:
        return ours(*arguments, **keywords)

    monkeypatch.setattr(_private._random, "dropout", theirs)
    handle.disable()
    assert _private._random.dropout is theirs
    assert not np.array_equal(plain(), OURS), "what has been ended hands over to Keras"


@pytest.mark.skipif(BACKEND != "torch", reason="about PyTorch")
def test_other_devices_are_keras() -> None:
    import torch

    with fk.enable(), keras.device("meta"):
        y = keras.random.dropout(torch.ones(5, device="meta"), 0.5, seed=keras.random.SeedGenerator)
    assert y.device.type == "meta"
