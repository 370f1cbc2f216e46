"""Bad input of linear layers with dropped connections: what has to be, what came, no effect."""

from typing import Any

import numpy as np
import pytest
from bad_input import (
    DTYPES,
    OWN_PLACES,
    READ_ONLY,
    UNKNOWN,
    Bad,
    Scene,
    check,
    parametrize,
    values,
)

import fastdrop
from fastdrop import layers

T, V = TypeError, ValueError
F32 = np.float32
W = np.ones((2, 4), F32)  # for a Scene's x of (3, 4)
END = fastdrop.Key(1, 0, 2**64 - 1)
f: Any = fastdrop.dropconnect_linear
g: Any = fastdrop.dropconnect_linear_backward
SHAPE = "w has to have the shape (outputs, 4) for x's shape (3, 4), but got "


def y(s: Scene) -> np.ndarray:
    return s.full(F32, (3, 2))


def both(name: str, call: Any) -> list[Bad]:
    """What both functions refuse; `call` has the operands x and w, and options."""
    return [
        *values(
            f"{name}-x",
            lambda s, v: call(s, v, W, rng=s.rng),
            (np.ones((3, 4), int), T, f"x {DTYPES}int64"),
            ([[1.0], [1.0, 2.0]], V, f"x {UNKNOWN}list"),
            (np.ones((), F32), V, "x has to have at least 1 axis, but got shape ()"),
        ),
        *values(
            f"{name}-w",
            lambda s, v: call(s, s.x, v, rng=s.rng),
            (W.astype(float), T, "w has to have x's dtype float32, but got float64"),
            (W[:, :3], V, f"{SHAPE}(2, 3)"),
            (W[0], V, f"{SHAPE}(4,)"),
        ),
        *values(
            f"{name}-option",
            lambda s, v: call(s, s.x, W, **{"rng": s.rng, **v}),
            ({"per_sample": 2}, T, "per_sample has to be True or False, but got 2"),
            ({"rng": END}, OverflowError, "24 positions from offset"),
        ),
    ]


CASES = [
    *both("forward", lambda s, x, w, **options: f(x, w, out=y(s), **options)),
    *both("backward", lambda s, x, w, **options: g(y(s), x, w, **options)),
    *values(
        "bias",
        lambda s, v: f(s.x, W, v, rng=s.rng, out=y(s)),
        (np.ones(2), T, "bias has to have x's dtype float32, but got float64"),
        (np.ones(4, F32), V, "bias has to have the shape (2,), but got (4,)"),
    ),
    *values(
        "out",
        lambda s, v: f(s.x, W, rng=s.rng, out=v),
        (np.ones((3, 2)), T, "out has to have x's dtype float32, but got float64"),
        (np.ones((3, 4), F32), V, "out has to have the shape (3, 2), but got (3, 4)"),
        (np.broadcast_to(F32(1), (3, 2)), V, f"out {READ_ONLY}"),
    ),
    Bad(
        "out-overlaps-itself",
        lambda s: f(s.x, W, rng=s.rng, out=s.sliding()[:, :2]),
        V,
        f"out {OWN_PLACES}",
    ),
    *(
        Bad(
            f"out-overlaps-{name}",
            lambda s, call=call: call(s),
            V,
            f"out has to share no memory with {name}, but got an array that overlaps it",
        )
        for name, call in (
            ("x", lambda s: f(s.part(0), W, rng=s.rng, out=s.part(10, (3, 2)))),
            ("w", lambda s: f(s.x, s.part(0, (2, 4)), rng=s.rng, out=s.part(0, (3, 2)))),
            ("bias", lambda s: f(s.x, W, s.buffer[:2], rng=s.rng, out=s.part(0, (3, 2)))),
        )
    ),
    *values(
        "dy",
        lambda s, v: g(v, s.x, W, rng=s.rng),
        (np.ones((3, 2)), T, "dy has to have x's dtype float32, but got float64"),
        (np.ones((3, 4), F32), V, "dy has to have the shape (3, 2), but got (3, 4)"),
    ),
]


@parametrize(CASES)
def test_is_refused_without_effect(case: Bad) -> None:
    check(case)


def test_the_key_of_a_gradient_has_to_be_named() -> None:
    with pytest.raises(TypeError, match="rng"):
        g(np.ones((3, 2), F32), np.ones((3, 4), F32), W)


def test_the_layer_refuses_and_stays_as_it_is() -> None:
    cls = layers.DropConnectLinear
    before = fastdrop.default_generator().state
    for error, words, args, options in (
        (TypeError, "w has to have dtype", (np.ones((2, 4), int),), {}),
        (ValueError, r"w has to have 2 axes, but got shape \(4,\)", (W[0],), {}),
        (TypeError, "bias has to have w's dtype float32", (W, np.ones(2)), {}),
        (ValueError, r"bias has to have the shape \(2,\)", (W, W[0]), {}),
        (TypeError, "per_sample has to be True or False", (W,), {"per_sample": None}),
    ):
        with pytest.raises(error, match=words):
            cls(*args, **options)
    assert fastdrop.default_generator().state == before
    layer = cls(W, rng=1)
    x = np.ones((3, 4), F32)
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
