"""Every layer is its function, and backward that function's gradient; streams, saving, loading.

Copies are in test_copies.py. Layers that no declaration names are tested beside their functions.
"""

from __future__ import annotations

import copy
import gc
import itertools
import json
import re
import tracemalloc
from typing import Any

import numpy as np
import pytest
from bad_input import RANKS
from cases import FIRST, Case, equal, parametrize, results
from forms import LAYERS, inner, layer_class, part, reshaped, window_of, windowed
from forms import layer as make
from formulas import BLOCK
from surface import ALL_LAYERS, ROWS, LayerCase

import fastdrop
from fastdrop import Generator, Key, layers
from fastdrop.layers import Dropout, VariationalDropout

ONE = [case for case in FIRST if case in LAYERS]
ALL = parametrize(LAYERS)
EACH = parametrize(ONE)


FORMS = windowed(LAYERS) + [case for case in LAYERS if not case.takes("window")]


@pytest.mark.usefixtures("impl")
@parametrize(FORMS)
def test_forward_and_backward_are_the_function(case: Case) -> None:
    """Of a part, too; and where the rate and the switch have changed in between."""
    layer, x = make(case, rng=Generator(1, 2, 8192)), case.operands()
    # Where no operand is needed again, the gradient may have another dtype.
    other = len(x) == 1 and "act" not in case.options
    dy = case.operands(np.float64 if other else np.float32).popitem()[1]
    dy = np.resize(dy[::-1], case.shape)
    step = BLOCK * -(-case.positions // BLOCK)
    forms: list[Any] = [(x, dy, {})]
    if case.takes("window"):
        cut = inner(case.shape)
        forms.append((part(x, cut), dy[cut], {"window": window_of(case.shape, cut)}))
    rates = (0.4, True), (0.0, True), (0.3, True), (0.4, False)  # none shifts later masks
    for i, ((p, training), (given, dy, window)) in enumerate(itertools.product(rates, forms)):
        how: Any = {"training": training, "rng": Key(1, 2, 8192 + i * step), **window}
        setattr(layer, case.rate, p)
        y = layer.train(training)(*given.values(), **window)
        assert np.array_equal(y, case(given, p, **how))
        setattr(layer, case.rate, 0.8)
        layer.train(not training)
        wanted = case.gradients(given, dy, p, **how)
        for _ in range(2):  # asking again changes nothing
            dx = layer.backward(dy)
            assert equal(dx, wanted)
            assert results(dx)[0].dtype == dy.dtype
        if not training and case.evaluated is None:
            assert y is next(iter(given.values()))
            assert dx is dy
    assert layer.generator.offset == 8192 + 3 * len(forms) * step


def test_the_switch() -> None:
    layer = Dropout(rng=1)
    assert layer.eval() is layer.train() is layer
    assert [layer.eval().training, layer.train().training] == [False, True]
    assert [layer.train(mode).training for mode in (False, np.True_)] == [False, True]
    with pytest.raises(TypeError, match="mode has to be True or False, but got str"):
        layer.train("no")
    assert layer.training


@ALL
def test_an_empty_input_moves_nothing(case: Case) -> None:
    whole = "bias" in case.shapes or "noise_shape" in case.options
    shape = (0, *(n if whole else 0 for n in case.shape[1:]))
    layer, (x, *others) = make(case), reshaped(case, shape).operands().values()
    assert layer(x, *others).shape == shape
    assert results(layer.backward(x))[0].shape == shape
    assert layer.generator.offset == 0


@EACH
def test_what_is_not_an_array_is_converted(case: Case) -> None:
    layer, other, x = make(case), make(case), case.operands(np.float64)
    dy = next(iter(x.values()))
    assert np.array_equal(layer(*(v.tolist() for v in x.values())), other(*x.values()))
    assert equal(layer.backward(dy.tolist()), results(other.backward(dy)))


@pytest.mark.parametrize("layer", [Dropout(0.5, rng=1), layers.DropBlock2D(0.4, 3, rng=1)])
def test_no_mask_is_kept(layer: Any) -> None:
    x = np.ones((20, 20, 32, 32), np.float32)
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


@pytest.mark.parametrize("case", ALL_LAYERS)
def test_layers_get_children_of_the_default_generator(case: LayerCase) -> None:
    fastdrop.manual_seed(5)
    states = [case.make(rng=None).generator.state for _ in range(2)]
    assert states == [child.state for child in Generator(5).spawn(2)]


# --- Bad input ------------------------------------------------------------------------------------

# For each argument a value that is none, the error's type and words. (Others: test_refusals.py, and
# of p test_scalars_everywhere.py.)
BAD_OPTIONS: dict[str, tuple[Any, type[Exception], str]] = {
    "mode": ("x", ValueError, "mode has to be"),
    "noise_shape": ((-1,), ValueError, "noise_shape has to have no negative lengths, but"),
    "data_format": (0.5, ValueError, "data_format has to be"),
    "time_axis": (0.5, TypeError, "time_axis has to be"),
    "block_size": (0, ValueError, "block_size has to"),
    "act": ("swish", ValueError, "act has to be"),
    "std": (-1.0, ValueError, "std has to be at least 0, but got -1.0"),
}


def bad_arguments(case: Case) -> list[tuple[str, Any, type[Exception], str]]:
    names = [*case.options, case.rate]
    found = [(name, *BAD_OPTIONS[name]) for name in names if name != "p"]
    if case.name == "gaussian_dropout":
        found.append(("p", 1.0, ValueError, "p has to be less than 1"))
    return found


@ALL
def test_bad_arguments_and_states_change_nothing(case: Case) -> None:
    good, layer, x = {case.rate: 0.4, **case.options}, make(case), case.operands()
    dy = next(iter(x.values()))
    layer(*x.values())
    dx, state, default = layer.backward(dy), layer.state_dict(), fastdrop.default_generator().state
    generator = state["generator"]
    for name, value, error, words in (
        *bad_arguments(case),
        ("type", "Other", ValueError, "state has to have type '.*', but got 'Other'"),
        ("version", 2, ValueError, "state has to have version 1, but got 2"),
        ("extra", 1, ValueError, "state has to have the entries type, version, .*, but got"),
        ("generator", None, TypeError, "state has to be a dict"),
        ("generator", {**generator, "version": 2}, ValueError, "version 2"),
        ("generator", {**generator, "spawned": "x"}, TypeError, "spawned has to be"),
    ):
        with pytest.raises(error, match=words):
            layer.load_state_dict({**state, case.rate: 0.9, name: value})
        if name in good:
            with pytest.raises(error, match=words):
                layer_class(case)(**{**good, name: value})
            assert getattr(layer, name) == good[name]
            if name in ("act", case.rate):
                with pytest.raises(error, match=words):
                    setattr(layer, name, value)
            else:  # other options are read-only
                with pytest.raises(AttributeError):
                    setattr(layer, name, good[name])
        assert layer.state_dict() == state
    with pytest.raises(TypeError, match="state has to be a dict, but got list"):
        layer.load_state_dict([])
    with pytest.raises(ValueError, match=r"state has to have the entries .*, but got none"):
        layer.load_state_dict({})
    assert equal(layer.backward(dy), results(dx))
    assert fastdrop.default_generator().state == default


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
    words, shapes = RANKS.get(case.name if case in ONE else "", ("", []))
    for shape in shapes:
        with pytest.raises(ValueError, match=words):
            layer(np.ones(shape))
    assert layer.generator.state == before
    assert equal(layer.backward(dy), dx)


def test_a_deviation_may_be_too_large_for_an_input() -> None:
    layer = layers.GaussianNoise(1e300, rng=1)
    with pytest.raises(ValueError, match="std has to be a finite number"):
        layer(np.ones(3, np.float32))
    assert layer.generator.offset == 0
    layer(np.ones(3))
    assert layer.generator.offset == 4096


def test_the_base_class_is_abstract() -> None:
    with pytest.raises(TypeError, match="abstract"):
        layers.Layer()


def test_a_layer_of_ones_own_is_saved_and_shown() -> None:
    class Own(layers.Layer):
        def forward(self, x: Any) -> Any:
            return fastdrop.dropout(x, 0.5, self.training, rng=self.generator)

        def backward(self, dy: Any) -> Any:
            return dy

    layer, x = Own(7), np.ones(100, np.float32)
    state = json.loads(json.dumps(layer.state_dict()))
    first = layer(x)
    layer.load_state_dict(state)
    assert np.array_equal(layer(x), first)
    assert repr(layer).startswith("Own(")


@parametrize(windowed(ONE))
def test_empty_parts_and_bad_windows(case: Case) -> None:
    whole, cut = case.operands(), inner(case.shape)
    drop, other = make(case), make(case)
    shape, start = window_of(case.shape, cut)
    empty = reshaped(case, (0, *case.shape[1:])).operands().values()
    assert drop(*empty, window=(shape, (0,) * len(shape))).size == 0
    other(*whole.values())
    for bad, words in (
        (7, "has to be a pair"),
        ((shape[1:], start[1:]), f"for each of the {len(shape)} axes"),
        ((shape, shape), "window has to hold"),
    ):
        with pytest.raises(ValueError, match=words):
            drop(*part(whole, cut).values(), window=bad)
    assert drop.generator.state == other.generator.state


SAVED = [
    *(LayerCase(layer_class(case), case.shapes, case.options) for case in LAYERS),
    LayerCase(
        layers.DropConnectLinear,
        ROWS,
        {"w": np.ones((3, 6), np.float32), "per_sample": False},
        (4, 3),
    ),
    LayerCase(layers.SoftmaxDropout, {"scores": (4, 6)}, {"axis": 0, "scale": 0.5}),
]


@pytest.mark.parametrize("case", SAVED, ids=[case.name for case in SAVED])
def test_state_is_plain_data_and_goes_back(case: LayerCase) -> None:
    rate, x = "std" if case.name == "GaussianNoise" else "p", case.operands().values()
    weights = {name: w for name, w in case.options.items() if isinstance(w, np.ndarray)}
    layer = case._replace(options={**case.options, rate: 0.3}).make()
    layer(*x)
    layer.generator.spawn(2)
    state = json.loads(json.dumps(layer.state_dict()))
    assert state["version"] == 1
    assert state["type"] == case.name
    options = {rate: 0.3, **{name: v for name, v in case.options.items() if name not in weights}}
    assert state.keys() >= {"type", "version", "generator", *options}
    assert not state.keys() & weights
    following = layer(*x)
    other = case._replace(options={**weights, rate: 0.9}).make(rng=9)
    other(*x)
    other.load_state_dict(state)
    assert other.state_dict() == state
    assert repr(other) == repr(layer)
    for name, value in options.items():
        assert getattr(other, name) == value
    with pytest.raises(RuntimeError, match="there was no forward"):
        other.backward(case.gradient())
    assert np.array_equal(other(*x), following)


@EACH
def test_repr_says_what_makes_another(case: Case) -> None:
    drop = make(case, 0.3)
    again = eval(f"layers.{drop!r}")
    assert {**again.state_dict(), "generator": drop.generator.state} == drop.state_dict()
    assert repr(again) == repr(drop)


def test_repr() -> None:
    linear, w = layers.DropConnectLinear, np.ones((4, 9))
    for layer, text in (
        (Dropout(0.5), "Dropout(p=0.5)"),
        (Dropout(0, mode="standard"), "Dropout(p=0.0, mode='standard')"),
        (Dropout(0.1, noise_shape=[None, 1]), "Dropout(p=0.1, noise_shape=(None, 1))"),
        (layers.DropBlock1D(0.1, 7), "DropBlock1D(p=0.1)"),
        (layers.GaussianNoise(0.3), "GaussianNoise(std=0.3)"),
        (layers.BiasActDropout("gelu", 0.3), "BiasActDropout(p=0.3, act='gelu')"),
        (layers.BiasActDropout(), "BiasActDropout(p=0.5)"),
        (layers.SoftmaxDropout(), "SoftmaxDropout(p=0.5)"),
        (layers.SoftmaxDropout(axis=1, scale=2), "SoftmaxDropout(p=0.5, axis=1, scale=2.0)"),
        (linear(w, p=0.4), "DropConnectLinear(<w of shape (4, 9)>, p=0.4)"),
        (
            linear(w, per_sample=False),
            "DropConnectLinear(<w of shape (4, 9)>, p=0.5, per_sample=False)",
        ),
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


# --- Variational dropout one time step at a time: a mask that is held for a sequence -------------


@pytest.mark.usefixtures("impl")
def test_steps_are_the_whole_sequence() -> None:
    x = np.random.default_rng(1).uniform(0.5, 2, (5, 7, 11))
    whole, steps = (VariationalDropout(0.5, rng=Generator(1, 2)) for _ in range(2))
    y = whole(x)
    for t in range(7):
        assert np.array_equal(steps.step(x[:, t]), y[:, t])
        assert np.array_equal(steps.backward(x[:, t]), y[:, t])
    assert steps.generator.offset == whole.generator.offset == 4096
    steps.reset()
    assert np.array_equal(steps.step(x[:, 0]), whole(x)[:, 0])


def test_the_mask_is_held_whatever_happens_in_between() -> None:
    layer, x = VariationalDropout(0.5, rng=1), np.ones((4, 16))
    first = layer.step(x)
    layer.p = 0.9
    layer.forward(np.ones((2, 3, 5)))
    assert layer.eval().step(x) is x
    assert layer.backward(x) is x
    assert np.array_equal(layer.train().step(x), first)
    assert np.array_equal(layer.backward(x), first)
    layer.reset()
    assert not np.array_equal(layer.step(x), first)
    assert np.array_equal(copy.deepcopy(layer).step(x), layer.step(x))


def test_a_step_of_another_shape_is_refused() -> None:
    layer, x = VariationalDropout(0.5, rng=1), np.ones((4, 16))
    first, state = layer.step(x), layer.state_dict()
    words = r"x has to have the shape \(4, 16\) of the mask that is held until reset\(\), but got"
    with pytest.raises(ValueError, match=words):
        layer.step(x[1:])
    with pytest.raises(TypeError, match="x has to have dtype"):
        layer.step(x.astype(int))
    assert layer.state_dict() == state
    assert np.array_equal(layer.backward(x), first)
    layer.reset()
    assert layer.step(x[1:]).shape == (3, 16)


def test_loading_lets_go_of_the_mask_and_what_does_not_fit_into_memory_holds_none() -> None:
    layer, x = VariationalDropout(0.5, rng=1), np.ones((4, 16))
    state = layer.state_dict()
    with pytest.raises(MemoryError):
        layer.step(np.broadcast_to(np.float32(1), (2**45,)))
    assert layer.state_dict() == state
    first = layer.step(x)
    layer.load_state_dict(state)
    assert layer.step(x[1:]).shape == (3, 16)
    layer.load_state_dict(state)
    assert np.array_equal(layer.step(x), first)


def test_time_steps_of_a_part() -> None:
    x = np.random.default_rng(1).standard_normal((6, 5, 8)).astype(np.float32)
    one, other = (VariationalDropout(0.5, rng=2) for _ in range(2))
    window = ((6, 8), (2, 4))
    for t in range(3):
        wanted = one.step(x[:, t])
        assert np.array_equal(other.step(x[2:5, t, 4:], window=window), wanted[2:5, 4:])
    for bad in (None, ((6, 8), (3, 4))):
        with pytest.raises(ValueError, match="window has to be that of the mask that is held"):
            other.step(x[2:5, 0, 4:], window=bad)
    dy = x[:, 4]
    assert np.array_equal(other.backward(dy[2:5, 4:]), one.backward(dy)[2:5, 4:])
    other.reset()
    other.step(x[:2, 0, :4])
