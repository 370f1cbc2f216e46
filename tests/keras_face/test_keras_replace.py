"""`replace`: a clone with our layers, and everything else as in the model."""

from __future__ import annotations

import warnings
from functools import partial
from typing import Any

import numpy as np
import pytest
from on_keras import EACH, Case, fk, keras, needs_gradients, numbers, numpy

import fastdrop
from fastdrop import Key


@pytest.mark.parametrize("case", EACH)
def test_every_layer(case: Case) -> None:
    inputs, kind = keras.Input(case.shape[1:], case.shape[0]), getattr(keras.layers, case.name)
    x, make = numbers(*case.shape), partial(kind, **case.options, seed=7, name="drops")
    for model in (keras.Sequential([inputs, make()]), keras.Model(inputs, make()(inputs))):
        clone = fk.replace(model)
        layer = clone.get_layer("drops")
        assert type(layer) is case.layer
        assert layer.get_config() == model.get_layer("drops").get_config()
        assert np.array_equal(numpy(clone(x, training=True)), case.forward(x, rng=Key(7)))
        assert type(model.get_layer("drops")) is kind


def network() -> Any:
    inputs = keras.Input((6,))
    layers = [keras.layers.Dense(5), keras.layers.Dropout(0.5, seed=2)]
    x = keras.Sequential(layers, name="inner")(inputs)
    x = keras.layers.Reshape((5, 1))(x)
    x = keras.layers.TimeDistributed(keras.layers.Dropout(0.5, seed=3), name="timed")(x)
    x = keras.layers.Flatten()(x)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.AlphaDropout(0.1)(x)
    return keras.Model(inputs, keras.layers.Dense(2)(x), name="network")


def test_models_in_models_and_layers_in_layers() -> None:
    """With the values of now."""
    model, x = network(), numbers(4, 6)
    for variable in model.variables:
        if "float" in variable.dtype:
            variable.assign(variable + 0.25)
    model(x, training=True)
    clone = fk.replace(model)
    assert type(clone) is type(model)
    assert clone.name == "network"
    dropout = clone.get_layer("inner").layers[1]
    assert type(dropout) is type(clone.get_layer("timed").layer) is fk.Dropout
    # Keras gives inputs new names.
    assert [layer.name for layer in clone.layers[1:]] == [layer.name for layer in model.layers[1:]]
    for new, old in zip(clone.variables, model.variables, strict=True):
        assert np.array_equal(numpy(new), numpy(old)), old.path
        assert new is not old
    assert numpy(dropout.seed_generator.state).tolist() == [2, 1]
    assert np.array_equal(numpy(clone(x)), numpy(model(x)))
    assert not np.array_equal(numpy(clone(x, training=True)), numpy(clone(x, training=True)))


def test_a_shared_layer_stays_shared() -> None:
    inputs = keras.Input((100,))
    drop = keras.layers.Dropout(0.5, seed=7)
    clone = fk.replace(keras.Model(inputs, [drop(inputs), drop(inputs)]))
    x = numbers(3, 100)
    found = {numpy(y).tobytes() for y in clone(x, training=True)}
    assert found == {fastdrop.dropout(x, rng=Key(7, call)).tobytes() for call in (0, 1)}


class Other(keras.layers.Dropout):
    """Somebody's own: it may do anything."""


def test_what_is_left_is_said() -> None:
    model = keras.Sequential(
        [
            keras.Input((5, 8)),
            keras.layers.Bidirectional(keras.layers.LSTM(3, dropout=0.5), name="both"),
            keras.layers.Dropout(0.5),
            Other(0.5, name="other"),
        ]
    )
    with pytest.warns(UserWarning, match=r"is still Keras': both; fastdrop.keras.enable\(\)"):
        clone = fk.replace(model)
    packages = [type(layer).__module__.partition(".")[0] for layer in clone.layers]
    assert packages == ["keras", "fastdrop", __name__]
    with fk.enable(), warnings.catch_warnings():
        warnings.simplefilter("error")
        fk.replace(model)
    fk.replace(keras.Sequential([keras.Input((5, 8)), keras.layers.LSTM(3)]))


def test_what_cannot_be_cloned() -> None:
    class Own(keras.Model):
        def call(self, x: Any) -> Any:
            return x

    for thing, kind in ((Own(), "Own"), (keras.layers.Dropout(0.5), "Dropout"), (None, "NoneType")):
        with pytest.raises(TypeError, match=f"functional keras.Model, but got {kind}: "):
            fk.replace(thing)


@needs_gradients
def test_compiled_as_the_model_is() -> None:
    model = network()
    model.compile(optimizer=keras.optimizers.SGD(0.125), loss="mse", metrics=["mae"])
    x, y = numbers(8, 6), numbers(8, 2)
    model.fit(x, y, verbose=0)
    clone = fk.replace(model)
    assert clone.compiled
    assert float(clone.optimizer.learning_rate) == 0.125
    history = clone.fit(x, y, verbose=0).history
    assert set(history) == {"loss", "mae"}
