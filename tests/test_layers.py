"""Every layer is its function, and backward that function's gradient; streams, saving, loading.

Copies are in test_copies.py. Layers that no declaration names have files of their own: softmax, the
linear layer.
"""

from __future__ import annotations

import gc
import json
import re
import tracemalloc
from typing import Any

import numpy as np
import pytest
from bad_input import RANKS
from cases import FIRST, Case, equal, parametrize, results
from forms import LAYERS, layer_class
from forms import layer as make
from formulas import BLOCK
from surface import ALL_LAYERS, LayerCase

import fastdrop
from fastdrop import Generator, Key, layers
from fastdrop.layers import Dropout

ONE = [case for case in FIRST if case in LAYERS]
ALL = parametrize(LAYERS)
EACH = parametrize(ONE)
X = np.linspace(1, 2, 600, dtype=np.float32).reshape(20, 30)


# --- Forward, backward ----------------------------------------------------------------------------


@pytest.mark.usefixtures("impl")
@ALL
def test_forward_and_backward_are_the_function(case: Case) -> None:
    """Also where the rate and the switch have changed in between."""
    layer, x = make(case, rng=Generator(1, 2, 8192)), case.operands()
    # Where no operand is needed again, the gradient may have another dtype.
    dy = case.operands(np.float64 if len(x) == 1 else np.float32).popitem()[1]
    dy = np.resize(dy[::-1], case.shape)
    step = BLOCK * -(-case.positions // BLOCK)
    for key in (Key(1, 2, 8192), Key(1, 2, 8192 + step)):
        assert np.array_equal(layer(*x.values()), case(x, rng=key))
        setattr(layer, case.rate, 0.8)
        layer.eval()
        wanted = case.gradients(x, dy, 0.4, rng=key)
        for _ in range(2):  # asking again changes nothing
            dx = layer.backward(dy)
            assert equal(dx, wanted)
            assert results(dx)[0].dtype == dy.dtype
        setattr(layer, case.rate, 0.4)
        layer.train()
    assert layer.generator.offset == 8192 + 2 * step


@ALL
def test_evaluation(case: Case) -> None:
    layer, x = make(case), case.operands()
    before, first = layer.generator.state, next(iter(x.values()))
    assert layer.eval() is layer
    assert not layer.training
    y = layer(*x.values())
    dx = layer.backward(first)
    assert np.array_equal(y, case(x, training=False))
    assert equal(dx, case.gradients(x, first, 0.4, training=False, rng=1))
    if case.evaluated is None:
        assert y is first
        assert dx is first
    assert layer.generator.state == before
    assert layer.train() is layer
    assert layer.training
    assert layer.train(False).training is False
    assert layer.train(np.True_).training is True
    with pytest.raises(TypeError, match="mode has to be True or False, but got str"):
        layer.train("no")
    assert layer.training


@EACH
def test_a_changed_rate_never_shifts_later_masks(case: Case) -> None:
    one, other, x = make(case), make(case, 0), case.operands().values()
    for layer in (one, other):
        layer(*x)
        setattr(layer, case.rate, 0.5)
    assert np.array_equal(one(*x), other(*x))


@ALL
def test_an_empty_input_moves_nothing(case: Case) -> None:
    layer = make(case)
    length = case.shape[1:]
    if "bias" in case.shapes or "noise_shape" in case.options:
        shape: tuple[int, ...] = (0, *length)
    else:
        shape = (0,) * len(case.shape)
    x = np.ones(shape, np.float32)
    others = [np.ones(length[-1:], np.float32)] if "bias" in case.shapes else []
    others += [x] * (len(case.variant.operands) - 1)
    assert layer(x, *others).shape == shape
    assert results(layer.backward(x))[0].shape == shape
    assert layer.generator.offset == 0


@EACH
def test_what_is_not_an_array_is_converted(case: Case) -> None:
    layer, other, x = make(case), make(case), case.operands(np.float64)
    dy = next(iter(x.values()))
    assert np.array_equal(layer(*(v.tolist() for v in x.values())), other(*x.values()))
    assert equal(layer.backward(dy.tolist()), results(other.backward(dy)))


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (Dropout(0.5, rng=1), (1_000_000,)),
        # The largest mask that a layer makes.
        (layers.DropBlock2D(0.4, block_size=3, rng=1), (20, 20, 32, 32)),
    ],
)
def test_no_mask_is_kept(layer: Any, shape: tuple[int, ...]) -> None:
    x = np.ones(shape, np.float32)
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


# --- Streams --------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", ALL_LAYERS)
def test_layers_get_children_of_the_default_generator(case: LayerCase) -> None:
    fastdrop.manual_seed(5)
    made = [case.make(rng=None) for _ in range(2)]
    children = Generator(5).spawn(2)
    assert [layer.generator.state for layer in made] == [child.state for child in children]


# --- Bad input ------------------------------------------------------------------------------------

# For each argument a value that is none, the error's type and words; of the rate below.
BAD_OPTIONS: dict[str, list[tuple[Any, type[Exception], str]]] = {
    "mode": [("x", ValueError, "mode has to be")],
    "noise_shape": [
        ((-1,), ValueError, "noise_shape has to have no negative lengths, but"),
        (3, TypeError, "noise_shape has to be a tuple of integers or None, but"),
    ],
    "data_format": [(0.5, ValueError, "data_format has to be")],
    "time_axis": [(0.5, TypeError, "time_axis has to be")],
    "block_size": [(0.5, TypeError, "block_size has to be"), (0, ValueError, "block_size has to")],
    "act": [("swish", ValueError, "act has to be")],
    "p": [],  # test_scalars_everywhere.py
    "std": [
        (-1.0, ValueError, "std has to be at least 0, but got -1.0"),
        (np.nan, ValueError, "std has to be a finite number, but got nan"),
    ],
}


def bad_arguments(case: Case) -> list[tuple[str, Any, type[Exception], str]]:
    names = [*case.options, case.rate]
    found = [(name, *row) for name in names for row in BAD_OPTIONS[name]]
    if case.name == "gaussian_dropout":
        found.append(("p", 1.0, ValueError, "p has to be less than 1"))
    return found


@ALL
def test_bad_arguments(case: Case) -> None:
    good = {case.rate: 0.4, **case.options}
    before = fastdrop.default_generator().state
    for name, value, error, words in bad_arguments(case):
        with pytest.raises(error, match=words):
            layer_class(case)(**{**good, name: value})
    assert fastdrop.default_generator().state == before


@ALL
def test_what_is_assigned_is_checked(case: Case) -> None:
    layer = make(case)
    state = layer.state_dict()
    for name, value, error, words in bad_arguments(case):
        if name in ("act", case.rate):
            with pytest.raises(error, match=words):
                setattr(layer, name, value)
        else:  # other options are read-only
            assert getattr(layer, name) == case.options[name]
            with pytest.raises(AttributeError):
                setattr(layer, name, case.options[name])
    assert layer.state_dict() == state


@ALL
def test_bad_input_changes_nothing(case: Case) -> None:
    layer, x = make(case), case.operands(np.float64)
    dy = next(iter(x.values()))
    with pytest.raises(RuntimeError, match="backward has to come after forward"):
        layer.backward(dy)
    layer(*x.values())
    dx = results(layer.backward(dy))
    before = layer.generator.state
    for i, name in enumerate(case.shapes):
        given = list(x.values())
        given[i] = given[i].astype(int)
        with pytest.raises(TypeError, match=f"{name} has to have .*dtype"):
            layer(*given)
        if i:
            given[i] = x[name][1:]
            with pytest.raises(ValueError, match=f"{name} has to have .*shape"):
                layer(*given)
    with pytest.raises(TypeError, match="dy has to have dtype"):
        layer.backward(dy > 0)
    shape = re.escape(str(case.shape))
    with pytest.raises(ValueError, match=rf"dy has to .* {shape}, but got \(7,\)"):
        layer.backward(np.ones(7))
    if len(case.shapes) > len(case.variant.operands):  # x is needed again
        with pytest.raises(TypeError, match="dy has to have x's dtype float64, but got float32"):
            layer.backward(dy.astype(np.float32))
    assert layer.generator.state == before
    assert equal(layer.backward(dy), dx)


@pytest.mark.parametrize("case", [case for case in ONE if case.name in RANKS], ids=str)
def test_other_ranks_are_refused(case: Case) -> None:
    drop, (words, shapes) = make(case), RANKS[case.name]
    for shape in shapes:
        with pytest.raises(ValueError, match=words):
            drop(np.ones(shape))
    assert drop.generator.offset == 0


def test_a_deviation_may_be_too_large_for_an_input() -> None:
    layer = layers.GaussianNoise(1e300, rng=1)
    with pytest.raises(ValueError, match="std has to be a finite number"):
        layer(np.ones(3, np.float32))
    assert layer.generator.offset == 0
    layer(np.ones(3))
    assert layer.generator.offset == 4096


def test_the_base_class_is_abstract() -> None:
    with pytest.raises(TypeError, match="abstract"):
        layers.Layer()  # type: ignore[abstract]


# --- Saving ---------------------------------------------------------------------------------------


@ALL
def test_state_is_plain_data_and_goes_back(case: Case) -> None:
    layer, x = make(case, 0.3), case.operands().values()
    layer(*x)
    layer.generator.spawn(2)
    state = json.loads(json.dumps(layer.state_dict()))
    assert state["version"] == 1
    assert state["type"] == case.variant.layer
    assert state.keys() >= {"type", "version", case.rate, *case.options, "generator"}
    following = layer(*x)
    other = make(case._replace(options={}), 0.9, rng=9)
    other(*x)
    other.load_state_dict(state)
    assert other.state_dict() == state
    assert getattr(other, case.rate) == 0.3
    assert repr(other) == repr(layer)
    for name, value in case.options.items():
        assert getattr(other, name) == value
    with pytest.raises(RuntimeError, match="there was no forward"):
        other.backward(next(iter(x)))
    assert np.array_equal(other(*x), following)


@ALL
def test_loading_checks_everything_before_it_changes_anything(case: Case) -> None:
    layer, x = make(case, 0.3), case.operands()
    dy = next(iter(x.values()))
    layer(*x.values())
    dx, good = results(layer.backward(dy)), layer.state_dict()
    generator = good["generator"]
    changes: list[tuple[dict[str, Any], type[Exception], str]] = [
        ({"type": "Other"}, ValueError, "state has to have type '.*', but got 'Other'"),
        ({"version": 2}, ValueError, "state has to have version 1, but got 2"),
        ({"extra": 1}, ValueError, "state has to have the entries type, version, .*, but got"),
        ({"generator": None}, TypeError, "state has to be a dict"),
        ({"generator": {**generator, "version": 2}}, ValueError, "version 2"),
        ({"generator": {**generator, "seed": -1}}, ValueError, "seed has to be between"),
        ({"generator": {**generator, "spawned": "x"}}, TypeError, "spawned has to be"),
        *(({name: value}, *more) for name, value, *more in bad_arguments(case)),  # type: ignore[misc]
    ]
    for change, error, words in changes:
        with pytest.raises(error, match=words):
            layer.load_state_dict({**good, case.rate: 0.9, **change})
        assert layer.state_dict() == good
    with pytest.raises(TypeError, match="state has to be a dict, but got list"):
        layer.load_state_dict([])
    with pytest.raises(ValueError, match=r"state has to have the entries .*, but got none"):
        layer.load_state_dict({})
    assert equal(layer.backward(dy), dx)


@EACH
def test_repr_says_what_makes_another(case: Case) -> None:
    drop = make(case, 0.3)
    again = eval(f"layers.{drop!r}")
    assert {**again.state_dict(), "generator": drop.generator.state} == drop.state_dict()
    assert repr(again) == repr(drop)


def test_repr() -> None:
    for layer, text in (
        (Dropout(0.5), "Dropout(p=0.5)"),
        (Dropout(0, mode="standard"), "Dropout(p=0.0, mode='standard')"),
        (Dropout(0.1, noise_shape=[None, 1]), "Dropout(p=0.1, noise_shape=(None, 1))"),
        (layers.SpatialDropout1D(0), "SpatialDropout1D(p=0.0)"),
        (layers.DropBlock1D(0.1, 7), "DropBlock1D(p=0.1)"),
        (layers.DropPath(0.1, mode="batch"), "DropPath(p=0.1, mode='batch')"),
        (layers.VariationalDropout(time_axis=0), "VariationalDropout(p=0.5, time_axis=0)"),
        (layers.GaussianNoise(0.3), "GaussianNoise(std=0.3)"),
        (layers.BiasActDropout("gelu", 0.3), "BiasActDropout(p=0.3, act='gelu')"),
        (layers.BiasActDropout(), "BiasActDropout(p=0.5)"),
    ):
        assert repr(layer) == text


@EACH
def test_every_layer_allocates_before_it_draws(case: Case) -> None:
    drop, operands = make(case), case.operands().values()
    wanted = make(case)(*operands)
    shape = (2**45, *(1,) * (len(case.shape) - 1))
    huge = [np.broadcast_to(np.float32(1), shape if x.ndim > 1 else 1) for x in operands]
    with pytest.raises(MemoryError):
        drop(*huge)
    assert drop.generator.offset == 0
    assert np.array_equal(drop(*operands), wanted)
