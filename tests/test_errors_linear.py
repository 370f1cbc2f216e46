"""Bad input of linear layers with dropped connections: what has to be, what came, no effect."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from bad_input import UNKNOWN, Bad, Scene, check

import fastdrop
from fastdrop import layers

ACCEPTED = "x has to have dtype float16, bfloat16, float32 or float64, but got "
F32 = np.float32
W = np.ones((2, 4), F32)  # for a Scene's x of (3, 4)
f, g = fastdrop.dropconnect_linear, fastdrop.dropconnect_linear_backward
END = fastdrop.Key(1, 0, 2**64 - 1)


def y(s: Scene) -> np.ndarray:
    return s.full(F32, (3, 2))


Row = tuple[str, Callable[[Scene], object], type[Exception], str]
# What both functions refuse; `call` is given the operands x and w, and options.
BOTH: list[tuple[str, Callable[[Any, Scene], object], type[Exception], str]] = [
    ("dtype", lambda call, s: call(s.full(int), W, rng=s.rng), TypeError, f"{ACCEPTED}int64"),
    ("none", lambda call, s: call(None, W, rng=s.rng), TypeError, f"x {UNKNOWN}NoneType"),
    (
        "ragged",
        lambda call, s: call([[1.0], [1.0, 2.0]], W, rng=s.rng),
        ValueError,
        "x has to be an array or something that numpy.asarray makes one of, but got list",
    ),
    (
        "no-axis",
        lambda call, s: call(s.full(F32, ()), W, rng=s.rng),
        ValueError,
        "x has to have at least 1 axis, but got shape ()",
    ),
    (
        "w-dtype",
        lambda call, s: call(s.x, W.astype(float), rng=s.rng),
        TypeError,
        "w has to have x's dtype float32, but got float64",
    ),
    (
        "w-inputs",
        lambda call, s: call(s.x, W[:, :3], rng=s.rng),
        ValueError,
        "w has to have the shape (outputs, 4) for x's shape (3, 4), but got (2, 3)",
    ),
    (
        "w-axes",
        lambda call, s: call(s.x, W[0], rng=s.rng),
        ValueError,
        "w has to have the shape (outputs, 4) for x's shape (3, 4), but got (4,)",
    ),
    (
        "p",
        lambda call, s: call(s.x, W, p=1.5, rng=s.rng),
        ValueError,
        "dropout probability has to be between 0 and 1, but got 1.5",
    ),
    (
        "p-in-evaluation",
        lambda call, s: call(s.x, W, p=-1, training=False, rng=s.rng),
        ValueError,
        "dropout probability has to be between 0 and 1, but got -1",
    ),
    (
        "p-type",
        lambda call, s: call(s.x, W, p="0.5", rng=s.rng),
        TypeError,
        "p has to be a real number, but got str",
    ),
    (
        "training",
        lambda call, s: call(s.x, W, training="no", rng=s.rng),
        TypeError,
        "training has to be True or False, but got str",
    ),
    (
        "per-sample",
        lambda call, s: call(s.x, W, per_sample=2, rng=s.rng),
        TypeError,
        "per_sample has to be True or False, but got 2",
    ),
    (
        "rng",
        lambda call, s: call(s.x, W, rng="x"),
        TypeError,
        "rng has to be None, an integer seed, a fastdrop Key or Generator",
    ),
    (
        "rng-in-evaluation",
        lambda call, s: call(s.x, W, training=False, rng="x"),
        TypeError,
        "rng has to be None, an integer seed, a fastdrop Key or Generator",
    ),
    ("end", lambda call, s: call(s.x, W, rng=END), OverflowError, "24 positions from offset"),
]
FORWARD: list[Row] = [
    (
        "bias-dtype",
        lambda s: f(s.x, W, np.ones(2), rng=s.rng, out=y(s)),
        TypeError,
        "bias has to have x's dtype float32, but got float64",
    ),
    (
        "bias-shape",
        lambda s: f(s.x, W, np.ones(4, F32), rng=s.rng, out=y(s)),
        ValueError,
        "bias has to have the shape (2,), but got (4,)",
    ),
    (
        "out-type",
        lambda s: f(s.x, W, rng=s.rng, out=[0.0]),  # type: ignore[arg-type]
        TypeError,
        "out has to be a NumPy array, but got list",
    ),
    (
        "out-dtype",
        lambda s: f(s.x, W, rng=s.rng, out=s.full(float, (3, 2))),
        TypeError,
        "out has to have x's dtype float32, but got float64",
    ),
    (
        "out-shape",
        lambda s: f(s.x, W, rng=s.rng, out=s.out),
        ValueError,
        "out has to have the shape (3, 2), but got (3, 4)",
    ),
    (
        "out-read-only",
        lambda s: f(s.x, W, rng=s.rng, out=np.broadcast_to(F32(1), (3, 2))),
        ValueError,
        "out has to be writeable, but got a read-only array",
    ),
    (
        "out-overlaps-itself",
        lambda s: f(s.x, W, rng=s.rng, out=s.sliding()[:, :2]),
        ValueError,
        "out has to have each element at a place of its own in memory",
    ),
    *(
        (
            f"out-overlaps-{name}",
            call,
            ValueError,
            f"out has to share no memory with {name}, but got an array that overlaps it",
        )
        for name, call in (
            (
                "x",
                lambda s: f(
                    s.buffer[:12].reshape(3, 4), W, rng=s.rng, out=s.buffer[10:16].reshape(3, 2)
                ),
            ),
            (
                "w",
                lambda s: f(
                    s.x, s.buffer[:8].reshape(2, 4), rng=s.rng, out=s.buffer[:6].reshape(3, 2)
                ),
            ),
            (
                "bias",
                lambda s: f(s.x, W, s.buffer[:2], rng=s.rng, out=s.buffer[:6].reshape(3, 2)),
            ),
        )
    ),
]
BACKWARD: list[Row] = [
    (
        "dy-dtype",
        lambda s: g(np.ones((3, 2)), s.x, W, rng=s.rng),
        TypeError,
        "dy has to have x's dtype float32, but got float64",
    ),
    (
        "dy-shape",
        lambda s: g(s.x, s.x, W, rng=s.rng),
        ValueError,
        "dy has to have the shape (3, 2), but got (3, 4)",
    ),
]


def forward(s: Scene) -> Any:
    return lambda x, w, **options: f(x, w, out=y(s), **options)


def backward(s: Scene) -> Any:
    return lambda x, w, **options: g(y(s), x, w, **options)


CASES = [
    Bad(f"{name}-{what}", lambda _, s, of=of, call=call: call(of(s), s), error, words)
    for name, of in (("forward", forward), ("backward", backward))
    for what, call, error, words in BOTH
] + [
    Bad(what, lambda _, s, call=call: call(s), error, words)
    for what, call, error, words in FORWARD + BACKWARD
]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_is_refused_without_effect(case: Bad) -> None:
    check(case, "exported")


def test_the_key_of_a_gradient_has_to_be_named() -> None:
    with pytest.raises(TypeError, match="rng"):
        g(np.ones((3, 2), F32), np.ones((3, 4), F32), W)  # type: ignore[call-arg]


def test_the_layer_refuses_and_stays_as_it_is() -> None:
    cls = layers.DropConnectLinear
    before = fastdrop.default_generator().state
    for error, words, args, options in (
        (TypeError, "w has to have dtype", (np.ones((2, 4), int),), {}),
        (ValueError, r"w has to have 2 axes, but got shape \(4,\)", (W[0],), {}),
        (TypeError, "bias has to have w's dtype float32", (W, np.ones(2)), {}),
        (ValueError, r"bias has to have the shape \(2,\)", (W, W[0]), {}),
        (ValueError, "between 0 and 1, but got 2", (W, None, 2), {}),
        (TypeError, "per_sample has to be True or False", (W,), {"per_sample": None}),
        (TypeError, "rng has to be None", (W,), {"rng": "x"}),
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
