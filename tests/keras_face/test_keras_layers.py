"""The layers: fastdrop's bits for the seed generator's state, and otherwise Keras' layers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from on_keras import (
    BACKEND,
    CASES,
    EACH,
    Case,
    fk,
    gradient,
    keras,
    needs_gradients,
    numbers,
    numpy,
)
from support import alike

import fastdrop
from fastdrop import Key
from fastdrop.keras._draw import DROPOUT, drawn

DTYPES = ["float32", "float16", "bfloat16", *(["float64"] if BACKEND != "jax" else [])]


def check(y: Any, wanted: np.ndarray) -> None:
    """The same bits, dtype and shape."""
    assert alike(numpy(y), wanted)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", EACH)
def test_the_bits_of_the_key(case: Case, dtype: str) -> None:
    """Seed and number of calls are seed and stream."""
    x = numpy(keras.ops.cast(numbers(*case.shape), dtype))
    for seed in (7, 2**31 - 1):
        layer = case.make(seed=seed, dtype=dtype)
        for call in range(3):
            check(layer(x, training=True), case.forward(x, rng=Key(seed, call)))


@needs_gradients
@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("case", EACH)
def test_the_gradient_draws_again(case: Case, dtype: str) -> None:
    layer, x = case.make(seed=7, dtype=dtype), numbers(*case.shape, dtype=dtype)
    dy = np.ascontiguousarray(x[::-1])
    found = gradient(lambda x: layer(x, training=True), x, dy)
    check(found, case.gradient(dy, Key(7)))


@pytest.mark.parametrize("case", EACH)
@pytest.mark.parametrize("training", [False, None])
def test_evaluation_neither_drops_nor_draws(case: Case, training: bool | None) -> None:
    layer, x = case.make(seed=7), numbers(*case.shape)
    check(layer(x, training=training), x)
    check(layer(x), x)
    assert numpy(layer.seed_generator.state).tolist() == [7, 0]


@pytest.mark.parametrize("case", EACH)
def test_rate_0_changes_nothing(case: Case) -> None:
    layer, x = case.make(**{next(iter(case.options)): 0}), numbers(*case.shape)
    check(layer(x, training=True), x)
    assert not hasattr(layer, "seed_generator")


@pytest.mark.parametrize("case", EACH[:-1])
@pytest.mark.parametrize("rate", [1, 1.0])
def test_rate_1_gives_zeros(case: Case, rate: float) -> None:
    """Keras divides by zero in two of its layers."""
    y = case.make(rate=rate)(numbers(*case.shape), training=True)
    check(y, np.zeros(case.shape, np.float32))


def test_noise_of_deviation_1() -> None:
    x, layer = numbers(100), fk.GaussianNoise(1.0, seed=2)
    check(layer(x, training=True), fastdrop.gaussian_noise(x, 1.0, rng=Key(2)))


@pytest.mark.parametrize("case", EACH)
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(case: Case, policy: str) -> None:
    """Computed in the type that Keras computes in."""
    layer, x = case.make(seed=7, dtype=policy), numbers(*case.shape)
    half = numpy(keras.ops.cast(x, layer.compute_dtype))
    y = layer(x, training=True)
    assert keras.backend.standardize_dtype(y.dtype) == policy.removeprefix("mixed_")
    check(y, case.forward(half, rng=Key(7)))


def test_without_a_seed() -> None:
    """Keras draws one, which `set_random_seed` decides."""
    x = numbers(1000)
    found = []
    for _ in range(2):
        keras.utils.set_random_seed(3)
        layer = fk.Dropout(0.5)
        seed, calls = numpy(layer.seed_generator.state).tolist()
        assert calls == 0
        found.append(numpy(layer(x, training=True)))
        check(found[-1], fastdrop.dropout(x, rng=Key(seed)))
        assert numpy(layer.seed_generator.state).tolist() == [seed, 1]
    assert np.array_equal(*found)


@pytest.mark.parametrize("case", EACH)
def test_configuration_is_that_of_keras(case: Case, tmp_path: Path) -> None:
    theirs_type = getattr(keras.layers, case.layer.__name__)
    layer = case.make(seed=7, name="drops")
    theirs = theirs_type(**case.options, seed=7, name="drops")
    assert isinstance(layer, theirs_type)
    assert json.dumps(layer.get_config()) == json.dumps(theirs.get_config())
    assert layer.built == theirs.built
    assert layer.supports_masking == theirs.supports_masking
    assert layer.input_spec == theirs.input_spec or layer.input_spec.ndim == theirs.input_spec.ndim
    restored = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert type(restored) is case.layer
    assert set(dir(restored)) == set(dir(layer))
    assert restored.get_config() == layer.get_config()

    x = numbers(*case.shape)
    model = keras.Sequential([keras.Input(case.shape[1:], case.shape[0]), layer])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded.layers[0]) is case.layer
    check(loaded(x, training=True), case.forward(x, rng=Key(7)))
    assert model.layers[0] is layer


@pytest.mark.parametrize("case", EACH)
def test_symbolic_shapes(case: Case) -> None:
    """A model is built without a value, and without a draw."""

    class Inside(keras.layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.inner = case.make(seed=7)

        def call(self, inputs: Any, training: bool = False) -> Any:
            return self.inner(inputs, training=training) * 1.0

    if 7 in (case.options.get("noise_shape") or ()):
        pytest.skip("Keras, too, wants the axes of the inputs for unknown lengths")
    layer = Inside()
    inputs = keras.Input((None, *case.shape[2:]))
    model = keras.Model(inputs, layer(inputs, training=True))
    assert model.output_shape == inputs.shape
    assert numpy(layer.inner.seed_generator.state).tolist() == [7, 0]
    x = numbers(*case.shape)
    assert np.array_equal(numpy(model(x)), case.forward(x, rng=Key(7)))


@pytest.mark.parametrize("shape", [(0, 3), ()])
def test_empty_and_scalar_inputs(shape: tuple[int, ...]) -> None:
    x = np.full(shape, 2, "float32")
    check(fk.Dropout(0.5, seed=3)(x, training=True), fastdrop.dropout(x, rng=Key(3)))


def test_integers_are_left_to_keras() -> None:
    x = keras.ops.convert_to_tensor(np.arange(2000, dtype="int32"))
    assert drawn(DROPOUT, x, 0.5) is None
    if BACKEND == "numpy":
        with fk.enable():
            y = keras.random.dropout(x, 0.5, seed=4)
        check(y, numpy(keras.random.dropout(x, 0.5, seed=4)))


def test_bad_noise_shape() -> None:
    layer = fk.Dropout(0.5, noise_shape=(3, 2), seed=1)
    with pytest.raises(ValueError, match=r"broadcastable to x's shape \(3, 5\), but got \(3, 2\)"):
        layer(numbers(3, 5), training=True)
    assert numpy(layer.seed_generator.state).tolist() == [1, 0]
    with pytest.raises(ValueError, match="Expected a float value between 0 and 1"):
        fk.GaussianDropout(1.5)


def test_every_layer_is_tested() -> None:
    classes = {name for name in fk.__all__ if isinstance(getattr(fk, name), type)}
    assert {case.name for case in CASES} == classes
    assert dir(fk) == sorted(fk.__all__)
