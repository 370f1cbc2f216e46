"""Bad input of the functions of two arrays: what has to be, what came, no effect."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from bad_input import UNKNOWN, Bad, Scene, check, refusals

import fastdrop
from fastdrop import layers

SHAPE = (3, 4)
ACCEPTED = "has to have dtype float16, bfloat16, float32 or float64, but got "

# Each function, and what it calls its inputs.
FUNCTIONS: dict[str, tuple[Any, str, str]] = {
    "dropout_add": (fastdrop.dropout_add, "x", "residual"),
    "zoneout": (fastdrop.zoneout, "h_new", "h_old"),
}


def with_second(f: Any) -> Any:
    """The function of its first array alone, with a second one that fits it."""

    def call(first: Any, *args: Any, **options: Any) -> object:
        second = first if np.asarray(first, object).dtype == object else np.zeros_like(first)
        return f(first, second, *args, **options)

    return call


def second_refusals(name: str, f: Any, first: str, second: str) -> list[Bad]:
    rows: list[tuple[str, Callable[[Scene], object], type[Exception], str]] = [
        (
            "dtype",
            lambda s: f(s.x, s.full(np.float64), rng=s.rng, out=s.out),
            TypeError,
            f"{second} has to have {first}'s dtype float32, but got float64",
        ),
        (
            "list",
            lambda s: f(s.x, [1.0], rng=s.rng, out=s.out),
            TypeError,
            f"{second} has to have {first}'s dtype float32, but got float64",
        ),
        (
            "none",
            lambda s: f(s.x, None, rng=s.rng, out=s.out),
            TypeError,
            f"{second} {UNKNOWN}NoneType",
        ),
        (
            "shape",
            lambda s: f(s.x, s.full(np.float32, (4,)), rng=s.rng, out=s.out),
            ValueError,
            f"{second} has to have {first}'s shape (3, 4), but got (4,)",
        ),
        (
            "shape-of-the-first",
            lambda s: f(s.full(np.float32, (1, 4)), s.x, rng=s.rng, out=s.out),
            ValueError,
            f"{second} has to have {first}'s shape (1, 4), but got (3, 4)",
        ),
        (
            "overlap",
            lambda s: f(
                s.x, s.buffer[:12].reshape(SHAPE), rng=s.rng, out=s.buffer[1:13].reshape(SHAPE)
            ),
            ValueError,
            f"out has to be {second} itself or share no memory with it, but got an array that",
        ),
        (
            "shape-in-evaluation",
            lambda s: f(s.x, s.full(np.float32, (2, 4)), 0.5, False, out=s.out),
            ValueError,
            f"{second} has to have {first}'s shape (3, 4), but got (2, 4)",
        ),
    ]
    return [
        Bad(f"{name}-second-{what}", lambda _, s, call=call: call(s), error, words)
        for what, call, error, words in rows
    ]


def act_refusals() -> list[Bad]:
    f, g = fastdrop.bias_act_dropout, fastdrop.bias_act_dropout_backward
    names = 'act has to be "none", "relu", "gelu", "gelu_tanh" or "silu", but got '
    rows: list[tuple[str, Callable[[Scene], object], type[Exception], str]] = [
        (
            "act",
            lambda s: f(s.x, None, "tanh", rng=s.rng, out=s.out),  # type: ignore[arg-type]
            ValueError,
            f"{names}'tanh'",
        ),
        ("act-none", lambda s: f(s.x, act=None, rng=s.rng, out=s.out), ValueError, f"{names}None"),  # type: ignore[arg-type]
        (
            "act-array",
            lambda s: g(s.x, s.x, act=np.ones(2), rng=s.rng, out=s.out),  # type: ignore[arg-type]
            ValueError,
            names,
        ),
        (
            "bias-dtype",
            lambda s: f(s.x, s.full(float, (4,)), rng=s.rng, out=s.out),
            TypeError,
            "bias has to have x's dtype float32, but got float64",
        ),
        (
            "bias-shape",
            lambda s: f(s.x, s.full(np.float32, (3,)), rng=s.rng, out=s.out),
            ValueError,
            "bias has to have the shape (4,) of x's last axis, but got (3,)",
        ),
        (
            "bias-axes",
            lambda s: g(s.x, s.x, s.full(np.float32, (1, 4)), rng=s.rng, out=s.out),
            ValueError,
            "bias has to have the shape (4,) of x's last axis, but got (1, 4)",
        ),
        (
            "bias-and-no-axis",
            lambda s: f(np.float32(1), s.full(np.float32, ()), rng=s.rng),
            ValueError,
            "x has to have at least 1 axis where there is a bias, but got shape ()",
        ),
        (
            "bias-overlaps",
            lambda s: f(s.x, s.out[0], rng=s.rng, out=s.out),
            ValueError,
            "bias has to share no memory with the array that is written, but got one that overlaps",
        ),
        (
            "dy-dtype",
            lambda s: g(s.full(float), s.x, rng=s.rng, out=s.out),
            TypeError,
            "dy has to have x's dtype float32, but got float64",
        ),
        (
            "dy-shape",
            lambda s: g(s.full(np.float32, (4,)), s.x, rng=s.rng, out=s.out),
            ValueError,
            "dy has to have x's shape (3, 4), but got (4,)",
        ),
        (
            "dy-overlaps",
            lambda s: g(
                s.buffer[:12].reshape(SHAPE), s.x, rng=s.rng, out=s.buffer[1:13].reshape(SHAPE)
            ),
            ValueError,
            "out has to be dy itself or share no memory with it, but got an array that",
        ),
    ]
    return [
        Bad(f"bias-act-{what}", lambda _, s, call=call: call(s), error, words)
        for what, call, error, words in rows
    ]


def act_alone(x: Any, p: float = 0.5, training: Any = True, **options: Any) -> object:
    return fastdrop.bias_act_dropout(x, None, "gelu", p, training, **options)


CASES = [
    *refusals("bias_act_dropout", act_alone, "x", SHAPE),
    *act_refusals(),
] + [
    case
    for name, (f, first, second) in FUNCTIONS.items()
    for case in refusals(name, with_second(f), first, SHAPE)
    + second_refusals(name, f, first, second)
]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_is_refused_without_effect(case: Bad) -> None:
    check(case, "exported")


@pytest.mark.parametrize(
    ("dy", "options", "error", "words"),
    [
        (np.ones(3, int), {}, TypeError, f"dy {ACCEPTED}int64"),
        (np.ones(3), {"p": 2}, ValueError, "probability has to be between 0 and 1, but got 2"),
        (np.ones(3), {"training": "x"}, TypeError, "training has to be True or False, but got str"),
        (np.ones(3), {"rng": "x"}, TypeError, "rng has to be None, an integer seed"),
        (np.ones(3), {"rng": fastdrop.Key(1, 0, 2**64 - 1)}, OverflowError, "2**64"),
    ],
)
def test_zoneout_backward_refuses(dy: Any, options: Any, error: Any, words: str) -> None:
    with pytest.raises(error, match=words.replace("*", r"\*")):
        fastdrop.zoneout_backward(dy, **options)


@pytest.mark.parametrize("layer", [layers.DropoutAdd, layers.Zoneout])
def test_layers_refuse_and_stay_as_they_are(layer: Any) -> None:
    drop = layer(0.5, rng=1)
    x = np.ones((2, 3))
    with pytest.raises(RuntimeError, match="backward has to come after forward"):
        drop.backward(x)
    with pytest.raises(ValueError, match=r"has to have .*'s shape \(2, 3\), but got \(3,\)"):
        drop(x, np.ones(3))
    with pytest.raises(TypeError, match=r"has to have .*'s dtype float64, but got float32"):
        drop(x, x.astype(np.float32))
    with pytest.raises(ValueError, match="between 0 and 1, but got -1"):
        layer(-1)
    assert drop.generator.offset == 0
    drop(x, x)
    with pytest.raises(ValueError, match=r"dy has to have the shape of forward's output \(2, 3\)"):
        drop.backward(np.ones(2))


def test_the_activation_s_layer_refuses_and_stays_as_it_is() -> None:
    layer = layers.BiasActDropout("relu", rng=1)
    x = np.ones((2, 3))
    with pytest.raises(ValueError, match="act has to be"):
        layer.act = "swish"  # type: ignore[assignment]
    with pytest.raises(ValueError, match="act has to be"):
        layers.BiasActDropout("swish")  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match="backward has to come after forward"):
        layer.backward(x)
    with pytest.raises(ValueError, match="bias has to have the shape"):
        layer(x, np.ones(2))
    assert layer.act == "relu"
    assert layer.generator.offset == 0
    layer(x)
    with pytest.raises(ValueError, match="dy has to have the shape of forward's output"):
        layer.backward(np.ones(3))
    with pytest.raises(TypeError, match="dy has to have x's dtype float64, but got float32"):
        layer.backward(x.astype(np.float32))
