"""`enable`: whatever drops in Keras draws here, and Keras' own function is back afterwards."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from on_keras import BACKEND, fk, keras, numbers, numpy
from support import alike
from switching import check_handles

import fastdrop
from fastdrop import Key
from fastdrop.keras import _enable, _private


def plain() -> np.ndarray:
    return numpy(keras.layers.Dropout(0.5, seed=1)(np.ones(1000, "float32"), training=True))


OURS = fastdrop.dropout(np.ones(1000, "float32"), 0.5, rng=Key(1))
X = numbers(2, 5, 8)
DROPS, BOTH = {"dropout": 0.5, "seed": 1}, {"dropout": 0.5, "recurrent_dropout": 0.3, "seed": 1}
REACHED: list[tuple[str, tuple[Any, ...], dict[str, Any], tuple[Any, ...]]] = [
    ("Dropout", (0.5,), {}, (X,)),
    ("SpatialDropout1D", (0.5,), {}, (X,)),
    ("SpatialDropout2D", (0.5,), {}, (numbers(2, 5, 8, 3),)),
    ("Attention", (), DROPS, ([X, X],)),
    ("AdditiveAttention", (), DROPS, ([X, X],)),
    ("MultiHeadAttention", (2, 4), DROPS, (X, X)),
    ("GroupQueryAttention", (4, 4, 2), DROPS, (X, X)),
    # Cells draw a mask for the inputs and one for the state, in a first version of LSTM and GRU one
    # for each gate.
    ("SimpleRNN", (3,), BOTH, (X,)),
    ("LSTM", (3,), BOTH, (X,)),
    ("GRU", (3,), BOTH, (X,)),
    ("ConvLSTM1D", (3, 3), BOTH, (numbers(2, 4, 6, 3),)),
]


@pytest.mark.parametrize(("name", "arguments", "options", "inputs"), REACHED)
def test_all_is_drawn_here(
    name: str, arguments: Any, options: Any, inputs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def function() -> Any:
        return getattr(keras.layers, name)(*arguments, **options)(*inputs, training=True)

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
    assert len(calls) >= (2 if options is BOTH else 1)
    assert not left
    assert np.isfinite(numpy(y)).all()
    calls.clear()
    function()
    assert not calls


def test_attention_drops_what_the_key_says() -> None:
    layer = keras.layers.Attention(dropout=0.5, seed=1)
    _, weights = layer([X, X], return_attention_scores=True)
    with fk.enable():
        _, dropped = layer([X, X], return_attention_scores=True, training=True)
    assert alike(numpy(dropped), fastdrop.dropout(numpy(weights), 0.5, rng=Key(1)))


def test_handles() -> None:
    check_handles(fk, plain)


@pytest.mark.parametrize("rate", [0, 0.0, 1, 1.0])
def test_rates_at_the_ends_are_keras(rate: float) -> None:
    x = keras.ops.convert_to_tensor(numbers(50))
    generator = keras.random.SeedGenerator(3)
    with fk.enable():
        y = keras.random.dropout(x, rate, seed=generator)
    assert np.array_equal(numpy(y), numpy(x) * (1 - rate))
    assert numpy(generator.state).tolist() == [3, 0]


@pytest.mark.parametrize("kind", ["tensor", "variable", "array"])
def test_the_bits_of_the_seed(kind: str) -> None:
    """`keras.random.dropout` converts neither arrays nor variables, as dropped weights are."""
    if kind == "array" and BACKEND == "torch":
        pytest.skip("Keras takes tensors of PyTorch alone there")
    convert = {"tensor": keras.ops.convert_to_tensor, "variable": keras.Variable}
    x = numbers(10, 10)
    for seed in (4, 2**32 - 1):
        with fk.enable():
            y = keras.random.dropout(convert.get(kind, np.array)(x), 0.3, seed=seed)
        assert alike(numpy(y), fastdrop.dropout(x, 0.3, rng=Key(seed)))


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


def test_what_is_not_public_is_used_from_one_file() -> None:
    for path in Path(fk.__file__).parent.glob("*.py"):
        imports = [n for n in ast.walk(ast.parse(path.read_text("utf-8"))) if hasattr(n, "module")]
        private = [n.module for n in imports if str(n.module).startswith("keras.src")]
        assert bool(private) == (path.name == "_private.py"), private


@pytest.mark.parametrize("takes", ["'inputs', 'probability'", ""])
def test_another_signature_is_refused(takes: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(_private._random, "dropout")
    if takes:
        theirs = lambda inputs, probability: inputs * probability  # noqa: E731
        monkeypatch.setattr(_private._random, "dropout", theirs, raising=False)
    before = vars(_private._random).get("dropout")
    words = rf"takes \({takes}\) and not .* cannot be used with this version"
    with pytest.raises(RuntimeError, match=words):
        fk.enable()
    assert vars(_private._random).get("dropout") is before
    assert not _enable.enabled()


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
