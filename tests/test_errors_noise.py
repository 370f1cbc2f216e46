"""Bad input of Gaussian dropout and noise: what has to be, what came, no effect."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from bad_input import Bad, Scene, check, refusals

import fastdrop
from fastdrop import layers

SHAPE = (3, 4)


def noise_refusals() -> list[Bad]:
    f, g = fastdrop.gaussian_dropout, fastdrop.gaussian_noise
    at_1 = "p has to be less than 1, where the noise is infinite, but got 1"
    rows: list[tuple[str, Callable[[Scene], object], type[Exception], str]] = [
        ("p-1", lambda s: f(s.x, 1, rng=s.rng, out=s.out), ValueError, at_1),
        ("p-1-in-evaluation", lambda s: f(s.x, 1.0, False, rng=s.rng), ValueError, at_1),
        (
            "positions",  # two for each element
            lambda s: f(s.x, rng=fastdrop.Key(1, 0, 2**64 - 13), out=s.out),
            OverflowError,
            "24 positions from offset",
        ),
        (
            "std-nan",
            lambda s: g(s.x, float("nan"), rng=s.rng, out=s.out),
            ValueError,
            "std has to be a finite number, but got nan",
        ),
        (
            "std-inf",
            lambda s: g(s.x, np.inf, rng=s.rng, out=s.out),
            ValueError,
            "std has to be a finite number, but got inf",
        ),
        (
            "std-too-large-for-float32",
            lambda s: g(s.x, 1e39, rng=s.rng, out=s.out),
            ValueError,
            "std has to be a finite number, but got 1e+39",
        ),
        (
            "std-negative",
            lambda s: g(s.x, -0.1, rng=s.rng, out=s.out),
            ValueError,
            "std has to be at least 0, but got -0.1",
        ),
        (
            "std-in-evaluation",
            lambda s: g(s.x, -1, False, rng=s.rng, out=s.out),
            ValueError,
            "std has to be at least 0, but got -1",
        ),
        (
            "std-type",
            lambda s: g(s.x, "1", rng=s.rng, out=s.out),  # type: ignore[arg-type]
            TypeError,
            "std has to be a real number, but got str",
        ),
        (
            "std-array",
            lambda s: g(s.x, np.ones(2), rng=s.rng, out=s.out),  # type: ignore[arg-type]
            TypeError,
            "std has to be a real number, but got ndarray",
        ),
        (
            "std-bool",
            lambda s: g(s.x, True, rng=s.rng, out=s.out),
            TypeError,
            "std has to be a real number, but got bool",
        ),
    ]
    return [
        Bad(f"noise-{what}", lambda _, s, call=call: call(s), error, words)
        for what, call, error, words in rows
    ]


def added(x: Any, _p: float = 0.5, training: Any = True, **options: Any) -> object:
    return fastdrop.gaussian_noise(x, 1, training, **options)


WITHOUT_P = {f"gaussian_noise-{name}" for name in ("p", "p-in-evaluation", "p-type")}
CASES = [
    *refusals("gaussian_dropout", fastdrop.gaussian_dropout, "x", SHAPE),
    *(case for case in refusals("gaussian_noise", added, "x", SHAPE) if case.name not in WITHOUT_P),
    *noise_refusals(),
]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_is_refused_without_effect(case: Bad) -> None:
    check(case, "exported")


@pytest.mark.parametrize(
    ("make", "name", "good", "bad", "words"),
    [
        (layers.GaussianDropout, "p", 0.5, 1.0, "p has to be less than 1"),
        (layers.GaussianDropout, "p", 0.5, 1.5, "between 0 and 1, but got 1.5"),
        (layers.GaussianNoise, "std", 0.5, -1.0, "std has to be at least 0, but got -1.0"),
        (layers.GaussianNoise, "std", 0.5, np.nan, "std has to be a finite number, but got nan"),
    ],
)
def test_layers_refuse_and_stay_as_they_are(
    make: Any, name: str, good: float, bad: float, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        make(bad)
    layer = make(good, rng=1)
    state = layer.state_dict()
    with pytest.raises(ValueError, match=words):
        setattr(layer, name, bad)
    with pytest.raises(ValueError, match=words):
        layer.load_state_dict({**state, name: bad})
    with pytest.raises(RuntimeError, match="backward has to come after forward"):
        layer.backward(np.ones(3))
    with pytest.raises(TypeError, match="has to have dtype float16"):
        layer(np.ones(3, int))
    assert layer.state_dict() == state
    layer(np.ones((2, 3)))
    with pytest.raises(ValueError, match="dy has to have the shape of forward's output"):
        layer.backward(np.ones(3))


def test_the_layer_s_deviation_may_be_too_large_for_an_input() -> None:
    layer = layers.GaussianNoise(1e300, rng=1)
    with pytest.raises(ValueError, match="std has to be a finite number"):
        layer(np.ones(3, np.float32))
    assert layer.generator.offset == 0
    layer(np.ones(3))
    assert layer.generator.offset == 4096
