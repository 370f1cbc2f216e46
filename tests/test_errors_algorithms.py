"""Bad input of what no variant declares: what has to be, what came, no effect.

Linear layers with dropped connections, samples and Monte Carlo dropout, softmax with dropout.
"""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from bad_input import (
    APART,
    DTYPES,
    OVERLAPS,
    OWN_PLACES,
    READ_ONLY,
    UNKNOWN,
    Bad,
    Scene,
    check,
    parametrize,
    refusals,
    values,
)

import fastdrop
from fastdrop import layers
from fastdrop.functions import montecarlo

T, V = TypeError, ValueError
F32 = np.float32
END = fastdrop.Key(1, 0, 2**64 - 1)
SHARES = "out has to share no memory with {}, but got an array that overlaps it"

# --- linear ---------------------------------------------------------------------------------------

W = np.ones((2, 4), F32)  # for a Scene's x of (3, 4)
linear: Any = fastdrop.dropconnect_linear
linear_backward: Any = fastdrop.dropconnect_linear_backward
WEIGHTS = "w has to have the shape (outputs, 4) for x's shape (3, 4), but got "


def y(s: Scene) -> np.ndarray:
    return s.full(F32, (3, 2))


def both(name: str, call: Any) -> list[Bad]:
    """What both functions refuse; `call` has the operands x and w, and options."""
    return [
        *values(
            f"{name}-x",
            lambda s, v: call(s, v, W, rng=s.rng),
            (np.ones((3, 4), int), T, f"x {DTYPES}int64"),
            (np.ones((), F32), V, "x has to have at least 1 axis, but got shape ()"),
        ),
        *values(
            f"{name}-w",
            lambda s, v: call(s, s.x, v, rng=s.rng),
            (W.astype(float), T, "w has to have x's dtype float32, but got float64"),
            (W[:, :3], V, f"{WEIGHTS}(2, 3)"),
            (W[0], V, f"{WEIGHTS}(4,)"),
        ),
        *values(
            f"{name}-option",
            lambda s, v: call(s, s.x, W, **{"rng": s.rng, **v}),
            ({"per_sample": 2}, T, "per_sample has to be True or False, but got 2"),
            ({"rng": END}, OverflowError, "24 positions from offset"),
        ),
    ]


LINEAR = [
    *both("forward", lambda s, x, w, **options: linear(x, w, out=y(s), **options)),
    *both("backward", lambda s, x, w, **options: linear_backward(y(s), x, w, **options)),
    *values(
        "bias",
        lambda s, v: linear(s.x, W, v, rng=s.rng, out=y(s)),
        (np.ones(2), T, "bias has to have x's dtype float32, but got float64"),
        (np.ones(4, F32), V, "bias has to have the shape (2,), but got (4,)"),
    ),
    *values(
        "out",
        lambda s, v: linear(s.x, W, rng=s.rng, out=v),
        (np.ones((3, 2)), T, "out has to have x's dtype float32, but got float64"),
        (np.ones((3, 4), F32), V, "out has to have the shape (3, 2), but got (3, 4)"),
        (np.broadcast_to(F32(1), (3, 2)), V, f"out {READ_ONLY}"),
        (lambda s: s.sliding()[:, :2], V, f"out {OWN_PLACES}"),
    ),
    *values(
        "overlap",
        lambda s, v: linear(*v, rng=s.rng, out=s.part(0, (3, 2))),
        (lambda s: (s.part(4), W), V, SHARES.format("x")),
        (lambda s: (s.x, s.part(0, (2, 4))), V, SHARES.format("w")),
        (lambda s: (s.x, W, s.buffer[:2]), V, SHARES.format("bias")),
    ),
    *values(
        "dy",
        lambda s, v: linear_backward(v, s.x, W, rng=s.rng),
        (np.ones((3, 2)), T, "dy has to have x's dtype float32, but got float64"),
        (np.ones((3, 4), F32), V, "dy has to have the shape (3, 2), but got (3, 4)"),
    ),
]


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"w": np.ones((2, 4), int)}, T, "w has to have dtype"),
        ({"w": W[0]}, V, r"w has to have 2 axes, but got shape \(4,\)"),
        ({"w": W, "bias": np.ones(2)}, T, "bias has to have w's dtype float32"),
        ({"w": W, "bias": W[0]}, V, r"bias has to have the shape \(2,\)"),
        ({"w": W, "per_sample": None}, T, "per_sample has to be True or False"),
    ],
)
def test_the_linear_layer_is_not_made(arguments: Any, error: type[Exception], words: str) -> None:
    before = fastdrop.default_generator().state
    with pytest.raises(error, match=words):
        layers.DropConnectLinear(**arguments)
    assert fastdrop.default_generator().state == before


def test_the_linear_layer_stays_as_it_is() -> None:
    layer, x = layers.DropConnectLinear(W, rng=1), np.ones((3, 4), F32)
    with pytest.raises(RuntimeError, match="backward has to come after forward"):
        layer.backward(x)
    with pytest.raises(ValueError, match=r"w has to have the shape \(outputs, 3\)"):
        layer(x[:, :3])
    with pytest.raises(TypeError, match="w has to have x's dtype float64"):
        layer(x.astype(float))
    layer.bias = np.ones(3, F32)
    with pytest.raises(ValueError, match=r"bias has to have the shape \(2,\)"):
        layer(x)
    assert layer.generator.offset == 0
    layer.bias = None
    layer(x)
    with pytest.raises(ValueError, match=r"dy has to have the shape of forward's output \(3, 2\)"):
        layer.backward(x)
    with pytest.raises(TypeError, match="dy has to have x's dtype float32, but got float64"):
        layer.backward(np.ones((3, 2)))
    assert layer.dw is None


# --- samples --------------------------------------------------------------------------------------

samples_of: Any = fastdrop.dropout_samples
mc_dropout: Any = fastdrop.mc_dropout
SAMPLES: list[tuple[Any, type[Exception], str]] = [
    (0, V, "samples has to be at least 1, but got 0"),
    (-2, V, "samples has to be at least 1, but got -2"),
    (2.0, T, "samples has to be an integer, but got float"),
    (True, T, "samples has to be an integer, but got bool"),
    ("2", T, "samples has to be an integer, but got str"),
]
SAMPLES_SHAPE = "out has to have the shape (samples, *x.shape), (2, 3, 4)"
OF_SAMPLES = [
    *values("samples-of", lambda s, v: samples_of(s.x, 0.5, v, rng=s.rng), *SAMPLES),
    *values("samples-mc", lambda s, v: mc_dropout(np.exp, s.x, v, rng=s.rng), *SAMPLES),
    Bad("dtype", lambda s: samples_of(s.full(int), 0.5, 2, rng=s.rng), T, f"x {DTYPES}int64"),
    Bad("end", lambda s: samples_of(s.x, 0.5, 2, rng=END), OverflowError, "2**64"),
    Bad("memory", lambda s: samples_of(s.x, 0.5, 2**50, rng=s.rng), MemoryError, "allocate"),
    *values(
        "samples-out",
        lambda s, v: samples_of(s.x, 0.5, 2, rng=s.rng, out=v),
        (np.ones((2, 3, 4)), T, "out has to have x's dtype float32, but got float64"),
        (np.ones(4, F32), V, f"{SAMPLES_SHAPE}, but got (4,)"),
        (np.broadcast_to(F32(1), (2, 3, 4)), V, f"out {READ_ONLY}"),
    ),
    Bad(
        "out-is-x",
        lambda s: samples_of(s.x, 0.5, 1, rng=s.rng, out=s.x[None]),
        V,
        SHARES.format("x"),
    ),
    *values(
        "mc",
        lambda s, v: mc_dropout(**{"fn": np.exp, "x": s.x, "rng": s.rng, **v}),
        ({"fn": W}, T, "fn has to be callable, but got ndarray"),
        ({"probabilities": "yes"}, T, "probabilities has to be True or False, but got str"),
        ({"rng": END}, OverflowError, "2**64"),
    ),
]
NO_PROBABILITIES = "fn's result has to be probabilities, .* "


# What `fn` returns is known only after the generator has moved.
@pytest.mark.parametrize(
    ("result", "probabilities", "error", "words"),
    [
        ("abc", False, T, "fn's result has to have dtype .*, but got <U3"),
        (1j, False, T, "fn's result has to have dtype .*, but got complex128"),
        (None, False, T, f"fn's result {UNKNOWN}NoneType"),
        ([[1.0], [1.0, 2.0]], False, V, "fn's result has to be an array or something"),
        ([0.5, 0.6], True, V, f"{NO_PROBABILITIES}other numbers"),
        ([1.5, -0.5], True, V, f"{NO_PROBABILITIES}other numbers"),
        ([np.nan, 1], True, V, f"{NO_PROBABILITIES}other numbers"),
        (1.0, True, V, f"{NO_PROBABILITIES}a single number"),
    ],
)
def test_bad_results(result: Any, probabilities: bool, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        mc_dropout(lambda _: result, 0, 3, rng=1, probabilities=probabilities)


def test_results_of_two_shapes() -> None:
    shapes = iter([(2, 3), (2, 3), (3,)])
    with pytest.raises(ValueError, match=r"the same shape .*, but got \(3,\) after \(2, 3\)"):
        mc_dropout(lambda _: np.ones(next(shapes)), 0, 3, rng=1)


def test_a_generator_without_room_for_the_samples_stays() -> None:
    generator = fastdrop.Generator(1, 0, 2**64 - montecarlo._RESERVED + 4096)
    before = generator.state
    with pytest.raises(OverflowError):
        mc_dropout(np.exp, 0.0, rng=generator)
    assert generator.state == before


# --- softmax --------------------------------------------------------------------------------------

softmax: Any = fastdrop.softmax_dropout
softmax_backward: Any = fastdrop.softmax_dropout_backward
AXIS = "axis has to be an axis of scores, which has shape"
MASK_DTYPE = "mask has to have dtype bool, or scores' dtype float32 where it is added, but got "
MASK_SHAPE = "mask has to be broadcastable to scores' shape (3, 4), but got "
FINITE = "scale has to be a finite number, but got "
OPTIONS: list[tuple[Any, type[Exception], str]] = [
    ({"axis": 2}, V, f"{AXIS} (3, 4)"),
    ({"axis": -3}, V, AXIS),
    ({"axis": 0.0}, T, "axis has to be an integer, but got float"),
    ({"axis": True}, T, "axis has to be an integer, but got bool"),
    ({"mask": np.ones(4)}, T, f"{MASK_DTYPE}float64"),
    ({"mask": np.ones(4, np.uint8)}, T, f"{MASK_DTYPE}uint8"),
    ({"mask": np.ones(3, bool)}, V, f"{MASK_SHAPE}(3,)"),
    ({"mask": np.ones((1, 3, 4), bool)}, V, f"{MASK_SHAPE}(1, 3, 4)"),
    ({"scale": "2"}, T, "scale has to be a real number, but got str"),
    ({"scale": True}, T, "scale has to be a real number, but got bool"),
    ({"scale": np.nan}, V, f"{FINITE}nan"),
    ({"scale": -np.inf}, V, f"{FINITE}-inf"),
    ({"scale": 1e39}, V, f"{FINITE}1e+39"),
    ({"scale": -(10**400)}, V, f"{FINITE}-1000"),
    ({"scale": Fraction(10**400, 3)}, V, f"{FINITE}1000"),
]
SOFTMAX = [
    *refusals("softmax", softmax, "scores", (3, 4)),
    *values("softmax-option", lambda s, v: softmax(s.x, rng=s.rng, out=s.out, **v), *OPTIONS),
    *values(
        "slope-option", lambda s, v: softmax_backward(s.x, s.x, rng=1, out=s.out, **v), *OPTIONS
    ),
    Bad("scalar", lambda s: softmax(s.full(F32, ()), rng=s.rng), V, f"{AXIS} (), but got -1"),
    Bad(
        "out-over-mask",
        lambda s: softmax(s.x, mask=s.part(0), rng=s.rng, out=s.part(0)),
        V,
        f"mask {APART}",
    ),
    *values(
        "slope-of",
        lambda s, v: softmax_backward(*v[:2], rng=1, out=v[2] if v[2:] else s.part(1)),
        (lambda s: (s.full(float), s.x), T, "dy has to have scores' dtype float32, but got float6"),
        (lambda s: (s.full(F32, (4,)), s.x), V, "dy has to have scores' shape (3, 4), but got (4,"),
        (lambda s: (s.x, s.part(0)), V, f"out has to be scores {OVERLAPS}"),
        (lambda s: (s.part(0), s.x), V, f"out has to be dy {OVERLAPS}"),
        (lambda s: (s.part(0), s.part(4), s.part(2)), V, f"out has to be dy {OVERLAPS}"),
        (lambda s: (out := s.part(0), s.part(4), out), V, f"out has to be scores {OVERLAPS}"),
        (lambda s: (s.part(4), out := s.part(0), out), V, f"out has to be dy {OVERLAPS}"),
    ),
]


@parametrize(LINEAR + OF_SAMPLES + SOFTMAX)
def test_is_refused_without_effect(case: Bad) -> None:
    check(case)


@pytest.mark.parametrize(
    ("make", "name", "value", "words"),
    [
        (lambda: layers.DropConnectLinear(np.ones((3, 6))), "per_sample", 3, "True or False"),
        (layers.SoftmaxDropout, "axis", 1.0, "axis has to be an integer"),
        (layers.SoftmaxDropout, "scale", np.inf, "scale has to be a finite number"),
    ],
)
def test_bad_states_of_layers(make, name, value, words) -> None:
    layer = make()
    state = layer.state_dict()
    with pytest.raises((TypeError, ValueError), match=words):
        layer.load_state_dict({**state, "p": 0.9, name: value})
    assert layer.state_dict() == state
    with pytest.raises(AttributeError):
        setattr(layer, name, state[name])
