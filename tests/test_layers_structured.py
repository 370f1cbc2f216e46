"""Every layer beside `Dropout`: it is its function, and backward is that on the gradient."""

import copy
import gc
import itertools
import json
import pickle
import re
import tracemalloc
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import fastdrop
from fastdrop import Generator, Key, layers
from fastdrop.layers.masked import MaskedLayer


class Case(NamedTuple):
    """A layer's class and options, the function it is, and two shapes: one it takes, one not."""

    cls: Callable[..., Any]
    options: dict[str, Any]
    function: Callable[..., np.ndarray]
    shape: tuple[int, ...]
    refused: tuple[int, ...] | None
    backward: Callable[..., np.ndarray] | None = None  # the function itself

    def make(self, p: float = 0.4, rng: Any = 1) -> Any:
        return self.cls(p, **self.options, rng=rng)


LAST = {"data_format": "channels_last"}
CASES = [
    Case(layers.SpatialDropout1D, {}, fastdrop.dropout1d, (4, 6, 3), (3,)),
    Case(layers.SpatialDropout1D, LAST, fastdrop.dropout1d, (4, 3, 6), (3,)),
    Case(layers.SpatialDropout2D, {}, fastdrop.dropout2d, (4, 6, 2, 3), (4, 3)),
    Case(layers.SpatialDropout2D, LAST, fastdrop.dropout2d, (2, 3, 24), (4, 3)),
    Case(layers.SpatialDropout3D, {}, fastdrop.dropout3d, (4, 6, 1, 2, 3), (4, 3, 2)),
    Case(layers.SpatialDropout3D, LAST, fastdrop.dropout3d, (4, 1, 2, 3, 6), (4, 3, 2)),
    Case(layers.DropBlock1D, {}, fastdrop.drop_block1d, (6, 4, 9), (3,)),
    Case(layers.DropBlock1D, {"block_size": 2}, fastdrop.drop_block1d, (6, 9), (3,)),
    Case(layers.DropBlock2D, {"block_size": 3}, fastdrop.drop_block2d, (4, 3, 5, 6), (4, 3)),
    Case(layers.DropBlock3D, {"block_size": 2}, fastdrop.drop_block3d, (4, 2, 3, 2, 4), (4, 3, 2)),
    Case(layers.VariationalDropout, {}, fastdrop.variational_dropout, (4, 3, 6), (4,)),
    Case(layers.VariationalDropout, {"time_axis": 0}, fastdrop.variational_dropout, (3, 4, 6), ()),
    Case(layers.DropPath, {}, fastdrop.drop_path, (24, 3), ()),
    Case(layers.DropPath, {"mode": "batch"}, fastdrop.drop_path, (4, 3), None),
    Case(layers.DropConnect, {}, fastdrop.drop_connect, (6, 4), None),
    Case(layers.EmbeddingDropout, {}, fastdrop.embedding_dropout, (24, 3), (24,)),
    Case(layers.AttentionDropout, {}, fastdrop.attention_dropout, (2, 2, 3, 3), None),
    Case(
        layers.AlphaDropout,
        {},
        fastdrop.alpha_dropout,
        (6, 4),
        None,
        fastdrop.alpha_dropout_backward,
    ),
    Case(
        layers.FeatureAlphaDropout,
        {},
        fastdrop.feature_alpha_dropout,
        (4, 6, 3),
        (4,),
        fastdrop.feature_alpha_dropout_backward,
    ),
    Case(layers.GaussianDropout, {}, fastdrop.gaussian_dropout, (6, 4), None),
]
ALL = pytest.mark.parametrize("case", CASES, ids=[repr(case.make()) for case in CASES])


def values(case: Case) -> np.ndarray:
    return np.random.default_rng(1).uniform(0.5, 2, case.shape)


def test_every_layer_with_a_mask_is_here() -> None:
    public = {getattr(layers, name) for name in layers.__all__}
    masked = {cls for cls in public if issubclass(cls, MaskedLayer)}
    assert {case.cls for case in CASES} == masked - {layers.Dropout}


@pytest.mark.usefixtures("impl")
@ALL
def test_forward_and_backward_are_the_function(case: Case) -> None:
    generator = Generator(1, 2, 8192)
    layer = case.make(rng=generator)
    x, dy = values(case).astype(np.float32), values(case)[::-1]
    for key in (Key(1, 2, 8192), Key(1, 2, 8192 + 4096)):
        y = layer(x)
        assert np.array_equal(y, case.function(x, 0.4, rng=key, **case.options))
        for _ in range(2):  # asking again changes nothing
            dx = layer.backward(dy)
            assert dx.dtype == np.float64
            backward = case.backward or case.function
            assert np.array_equal(dx, backward(dy, 0.4, rng=key, **case.options))
    assert layer.generator is generator
    assert generator.offset == 8192 + 2 * 4096


@ALL
def test_the_gradient_by_finite_differences(case: Case) -> None:
    """d/dx of sum(c * layer(x)), every difference with the mask that backward answers."""
    layer = case.make()
    x, c, step = values(case), values(case) - 1, 1e-6
    start = layer.state_dict()
    layer(x)
    gradient = layer.backward(c)
    for index in itertools.product(*map(range, case.shape)):
        ends = []
        for sign in (1, -1):
            moved = x.copy()
            moved[index] += sign * step
            layer.load_state_dict(start)
            ends.append((c * layer(moved)).sum())
        assert (ends[0] - ends[1]) / (2 * step) == pytest.approx(gradient[index], abs=1e-7)


@ALL
def test_evaluation(case: Case) -> None:
    layer, x = case.make(), values(case)
    before = layer.generator.state
    assert layer.eval() is layer
    assert layer(x) is x
    assert layer.backward(x) is x
    assert layer.generator.state == before
    assert layer.train().training


@ALL
def test_backward_remembers_how_its_forward_ran(case: Case) -> None:
    layer, x = case.make(), values(case)
    layer(x)
    dx = layer.backward(x)
    layer.p = 0.9
    layer.eval()
    assert np.array_equal(layer.backward(x), dx)


@ALL
def test_a_changed_p_never_shifts_later_masks(case: Case) -> None:
    one, other, x = case.make(), case.make(), values(case)
    other.p = 0
    for layer in (one, other):
        layer(x)
        layer.p = 0.5
    assert np.array_equal(one(x), other(x))


@ALL
def test_an_empty_input_moves_nothing(case: Case) -> None:
    layer, x = case.make(), np.ones([0] * len(case.shape), np.float32)
    assert layer(x) is x
    assert layer.backward(x) is x
    assert layer.generator.offset == 0


def test_no_mask_is_kept() -> None:
    # All have their forward pass from the base class; this one makes the largest mask.
    assert not any("forward" in vars(case.cls) or "__call__" in vars(case.cls) for case in CASES)
    layer = layers.DropBlock2D(0.4, block_size=3, rng=1)
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


@ALL
def test_state_is_plain_data_and_goes_back(case: Case) -> None:
    layer, x = case.make(0.3), values(case)
    layer(x)
    layer.generator.spawn(2)
    state = json.loads(json.dumps(layer.state_dict()))
    assert state.keys() == {"type", "version", "p", *layer._options, "generator"}
    following = layer(x)
    other = case.cls(rng=9)
    other(x)
    other.load_state_dict(state)
    assert other.state_dict() == state
    assert repr(other) == repr(layer)
    with pytest.raises(RuntimeError, match="there was no forward"):
        other.backward(x)
    assert np.array_equal(other(x), following)


@ALL
def test_loading_checks_everything_before_it_changes_anything(case: Case) -> None:
    layer, x = case.make(0.3), values(case)
    layer(x)
    dx = layer.backward(x)
    good = layer.state_dict()
    changes: list[tuple[dict[str, Any], type[Exception], str]] = [
        ({"p": 2.0}, ValueError, "between 0 and 1"),
        ({"type": "Dropout"}, ValueError, "state has to have type"),
        ({"version": 2}, ValueError, "state has to have version 1, but got 2"),
        ({"extra": 1}, ValueError, "state has to have the entries type, version, p, "),
        ({"generator": {**good["generator"], "seed": -1}}, ValueError, "seed has to be between"),
        *(
            ({name: 0.5}, (ValueError, TypeError), f"{name} has to be")  # type: ignore[misc]
            for name in layer._options.keys() - {"p"}
        ),
    ]
    for change, error, words in changes:
        with pytest.raises(error, match=words):
            layer.load_state_dict({**good, "p": 0.9, **change})
        assert layer.state_dict() == good
    assert np.array_equal(layer.backward(x), dx)


@ALL
@pytest.mark.parametrize("twin", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_go_on_alone(case: Case, twin: Any) -> None:
    layer, x = case.make(), values(case)
    layer(x)
    other = twin(layer)
    assert np.array_equal(other.backward(x), layer.backward(x))
    assert np.array_equal(other(x), layer(x))


@ALL
def test_layers_get_children_of_the_default_generator(case: Case) -> None:
    fastdrop.manual_seed(5)
    made = [case.cls(0.5, **case.options) for _ in range(2)]
    children = Generator(5).spawn(2)
    assert [layer.generator.state for layer in made] == [child.state for child in children]


@ALL
def test_bad_arguments(case: Case) -> None:
    changes: list[tuple[dict[str, Any], Any, str]] = [
        ({"p": 1.5}, ValueError, "has to be between 0 and 1, but got 1.5"),
        ({"p": True}, TypeError, "p has to be a real number, but got bool"),
        ({"rng": "x"}, TypeError, "rng has to be None, an integer seed, a fastdrop Key or Gen"),
        *(
            ({name: 0.5}, (ValueError, TypeError), f"{name} has to be")
            for name in case.make()._options.keys() - {"p"}
        ),
    ]
    for change, error, words in changes:
        before = fastdrop.default_generator().state
        with pytest.raises(error, match=words):
            case.cls(**change)
        assert fastdrop.default_generator().state == before
    layer = case.make()
    with pytest.raises(ValueError, match="between 0 and 1"):
        layer.p = -0.1
    assert layer.p == 0.4


@ALL
def test_bad_input_changes_nothing(case: Case) -> None:
    layer, x = case.make(), values(case)
    with pytest.raises(RuntimeError, match="backward has to come after forward"):
        layer.backward(x)
    layer(x)
    dx = layer.backward(x)
    before = layer.generator.state
    with pytest.raises(TypeError, match=f"{layer._variant.operands[0]} has to have dtype"):
        layer(x.astype(int))
    if case.refused is not None:
        with pytest.raises(ValueError, match=r"has to .*, but got"):
            layer(np.ones(case.refused))
    with pytest.raises(TypeError, match="dy has to have dtype"):
        layer.backward(x > 0)
    shape = re.escape(str(case.shape))
    with pytest.raises(ValueError, match=rf"dy has to .* {shape}, but got \(7,\)"):
        layer.backward(np.ones(7))
    assert layer.generator.state == before
    assert np.array_equal(layer.backward(x), dx)


def test_options_are_read_only_properties() -> None:
    for layer, name, value in (
        (layers.SpatialDropout2D(data_format="channels_last", rng=1), "data_format", LAST),
        (layers.VariationalDropout(time_axis=-2, rng=1), "time_axis", -2),
        (layers.DropPath(mode="batch", rng=1), "mode", "batch"),
        (layers.DropBlock2D(0.1, 5, rng=1), "block_size", 5),
    ):
        assert getattr(layer, name) == (value["data_format"] if value is LAST else value)
        with pytest.raises(AttributeError):
            setattr(layer, name, value)


def test_repr() -> None:
    assert repr(layers.SpatialDropout1D(0)) == "SpatialDropout1D(p=0.0)"
    assert repr(layers.DropBlock1D(0.1, 7)) == "DropBlock1D(p=0.1)"
    assert repr(layers.DropPath(0.1, mode="batch")) == "DropPath(p=0.1, mode='batch')"
    assert repr(layers.VariationalDropout(time_axis=0)) == "VariationalDropout(p=0.5, time_axis=0)"


# one time step at a time


@pytest.mark.usefixtures("impl")
def test_steps_are_the_whole_sequence() -> None:
    x = np.random.default_rng(1).uniform(0.5, 2, (5, 7, 11))
    whole, steps = (layers.VariationalDropout(0.5, rng=Generator(1, 2)) for _ in range(2))
    y = whole(x)
    for t in range(7):
        assert np.array_equal(steps.step(x[:, t]), y[:, t])
        assert np.array_equal(steps.backward(x[:, t]), y[:, t])
    assert steps.generator.offset == whole.generator.offset == 4096
    steps.reset()
    assert np.array_equal(steps.step(x[:, 0]), whole(x)[:, 0])


def test_the_mask_is_held_whatever_happens_in_between() -> None:
    layer = layers.VariationalDropout(0.5, rng=1)
    x = np.ones((4, 16))
    first = layer.step(x)
    layer.p = 0.9
    layer.forward(np.ones((2, 3, 5)))
    assert layer.eval().step(x) is x
    assert layer.backward(x) is x
    assert np.array_equal(layer.train().step(x), first)
    assert np.array_equal(layer.backward(x), first)
    layer.reset()
    assert not np.array_equal(layer.step(x), first)
    twin = copy.deepcopy(layer)
    assert np.array_equal(twin.step(x), layer.step(x))


def test_a_step_of_another_shape_is_refused() -> None:
    layer = layers.VariationalDropout(0.5, rng=1)
    first = layer.step(np.ones((4, 16)))
    state = layer.state_dict()
    words = r"x has to have the shape \(4, 16\) of the mask that is held until reset\(\), but got"
    with pytest.raises(ValueError, match=words):
        layer.step(np.ones((3, 16)))
    with pytest.raises(TypeError, match="x has to have dtype"):
        layer.step(np.ones((4, 16), int))
    assert layer.state_dict() == state
    assert np.array_equal(layer.backward(np.ones((4, 16))), first)
    layer.reset()
    assert layer.step(np.ones((3, 16))).shape == (3, 16)


def test_loading_lets_go_of_the_mask() -> None:
    layer = layers.VariationalDropout(0.5, rng=1)
    state = layer.state_dict()
    first = layer.step(np.ones((4, 16)))
    layer.load_state_dict(state)
    assert layer.step(np.ones((3, 16))).shape == (3, 16)
    layer.load_state_dict(state)
    assert np.array_equal(layer.step(np.ones((4, 16))), first)
