"""Bad input of the functions that are made of `dropout`: what has to be, what came, no effect."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from bad_input import UNKNOWN, Bad, check, refusals

import fastdrop
from fastdrop import montecarlo


def with_blocks(function: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    """`function` with the size of its blocks where the others have nothing."""

    def call(x: Any, p: Any = 0.5, training: Any = True, **options: Any) -> np.ndarray:
        return function(x, p, 2, training, **options)

    return call


# Each function, what it calls its input, and a shape that it takes.
FUNCTIONS: dict[str, tuple[Any, str, tuple[int, ...]]] = {
    "dropout1d": (fastdrop.dropout1d, "x", (2, 3, 4)),
    "dropout2d": (fastdrop.dropout2d, "x", (2, 3, 2, 2)),
    "dropout3d": (fastdrop.dropout3d, "x", (2, 3, 2, 2, 1)),
    "drop_block1d": (with_blocks(fastdrop.drop_block1d), "x", (2, 3, 4)),
    "drop_block2d": (with_blocks(fastdrop.drop_block2d), "x", (2, 3, 2, 4)),
    "drop_block3d": (with_blocks(fastdrop.drop_block3d), "x", (3, 2, 3, 2)),
    "variational_dropout": (fastdrop.variational_dropout, "x", (2, 3, 4)),
    "drop_path": (fastdrop.drop_path, "x", (3, 4)),
    "drop_connect": (fastdrop.drop_connect, "w", (3, 4)),
    "embedding_dropout": (fastdrop.embedding_dropout, "table", (3, 4)),
    "attention_dropout": (fastdrop.attention_dropout, "weights", (3, 4)),
    "alpha_dropout": (fastdrop.alpha_dropout, "x", (3, 4)),
    "feature_alpha_dropout": (fastdrop.feature_alpha_dropout, "x", (3, 4)),
    "alpha_dropout_backward": (fastdrop.alpha_dropout_backward, "dy", (3, 4)),
    "feature_alpha_dropout_backward": (fastdrop.feature_alpha_dropout_backward, "dy", (3, 4)),
}


CASES = [
    *(case for name, row in FUNCTIONS.items() for case in refusals(name, *row)),
    *(
        Bad(
            f"{name}-{len(shape)}-axes",
            lambda _, s, f=function, d=shape: f(s.full(np.float32, d), rng=s.rng),
            ValueError,
            f"{words}, but got shape {shape}",
        )
        for name, function, words, shapes in (
            ("1d", fastdrop.dropout1d, "x has to have 2 or 3 axes", [(), (3,), (1, 2, 3, 4)]),
            ("2d", fastdrop.dropout2d, "x has to have 3 or 4 axes", [(3, 4), (1, 1, 1, 1, 1)]),
            ("3d", fastdrop.dropout3d, "x has to have 4 or 5 axes", [(1, 2, 3), (1,) * 6]),
            ("blocks-1d", fastdrop.drop_block1d, "x has to have 2 or 3 axes", [(3,), (1, 1, 1, 1)]),
            ("blocks-2d", fastdrop.drop_block2d, "x has to have 3 or 4 axes", [(), (3, 4)]),
            (
                "blocks-3d",
                fastdrop.drop_block3d,
                "x has to have 4 or 5 axes",
                [(1, 2, 3), (1,) * 6],
            ),
            ("path", fastdrop.drop_path, "x has to have at least 1 axis", [()]),
            ("alpha", fastdrop.feature_alpha_dropout, "x has to have at least 2 axes", [(), (3,)]),
            ("rows", fastdrop.embedding_dropout, "table has to have 2 axes", [(3,), (1, 2, 3)]),
        )
        for shape in shapes
    ),
    *(
        Bad(
            f"data-format-{name}",
            lambda _, s, v=value: fastdrop.dropout1d(s.x, rng=s.rng, out=s.out, data_format=v),
            ValueError,
            f'data_format has to be "channels_first" or "channels_last", but got {value!r}',
        )
        for name, value in (("name", "NCHW"), ("none", None), ("array", np.ones(2)))
    ),
    *(
        Bad(
            f"block-size-{value!r}-{training}",
            lambda _, s, v=value, t=training: fastdrop.drop_block1d(
                s.x, 0.5, v, t, rng=s.rng, out=s.out
            ),
            error,
            words,
        )
        for training in (True, False)
        for value, error, words in (
            (0, ValueError, "block_size has to be at least 1, but got 0"),
            (
                -(2**70),
                ValueError,
                "block_size has to be at least 1, but got -1180591620717411303424",
            ),
            (3.0, TypeError, "block_size has to be an integer, but got float"),
            (True, TypeError, "block_size has to be an integer, but got bool"),
            (None, TypeError, "block_size has to be an integer, but got NoneType"),
            ((3, 3), TypeError, "block_size has to be an integer, but got tuple"),
        )
    ),
    Bad(
        "data-format-in-evaluation",
        lambda _, s: fastdrop.dropout1d(s.x, 0.5, False, data_format="x"),  # type: ignore[arg-type]
        ValueError,
        "data_format has to be",
    ),
    Bad(
        "path-mode",
        lambda _, s: fastdrop.drop_path(s.x, rng=s.rng, out=s.out, mode="rows"),  # type: ignore[arg-type]
        ValueError,
        'mode has to be "row" or "batch", but got \'rows\'',
    ),
    *(
        Bad(
            f"time-axis-{name}",
            lambda _, s, v=value: fastdrop.variational_dropout(s.x, rng=s.rng, time_axis=v),
            error,
            words,
        )
        for name, value, error, words in (
            ("high", 2, ValueError, "has to be an axis of x, which has shape (3, 4), but got 2"),
            ("low", -3, ValueError, "has to be an axis of x, which has shape (3, 4), but got -3"),
            ("bool", True, TypeError, "time_axis has to be an integer, but got bool"),
            ("float", 1.0, TypeError, "time_axis has to be an integer, but got float"),
            ("none", None, TypeError, "time_axis has to be an integer, but got NoneType"),
        )
    ),
    # samples
    *(
        Bad(f"samples-{name}-{value!r}", lambda _, s, f=f, v=value: f(s, v), error, words)
        for value, error, words in (
            (0, ValueError, "samples has to be at least 1, but got 0"),
            (-2, ValueError, "samples has to be at least 1, but got -2"),
            (2.0, TypeError, "samples has to be an integer, but got float"),
            (True, TypeError, "samples has to be an integer, but got bool"),
            ("2", TypeError, "samples has to be an integer, but got str"),
        )
        for name, f in (
            ("of-an-array", lambda s, v: fastdrop.dropout_samples(s.x, 0.5, v, rng=s.rng)),
            ("of-a-function", lambda s, v: fastdrop.mc_dropout(np.exp, s.x, v, rng=s.rng)),
        )
    ),
    *(
        Bad(f"dropout-samples-{name}", lambda _, s, f=call: f(s), error, words)
        for name, call, error, words in (
            (
                "dtype",
                lambda s: fastdrop.dropout_samples(s.full(int), 0.5, 2, rng=s.rng),
                TypeError,
                "x has to have dtype float16, bfloat16, float32 or float64, but got int64",
            ),
            (
                "p",
                lambda s: fastdrop.dropout_samples(s.x, -1, 2, rng=s.rng),
                ValueError,
                "dropout probability has to be between 0 and 1, but got -1",
            ),
            (
                "rng",
                lambda s: fastdrop.dropout_samples(s.x, 0.5, 2, rng=1.5),  # type: ignore[arg-type]
                TypeError,
                "rng has to be None, an integer seed, a fastdrop Key or Generator",
            ),
            (
                "end",
                lambda s: fastdrop.dropout_samples(s.x, 0.5, 2, rng=fastdrop.Key(1, 0, 2**64 - 1)),
                OverflowError,
                "2**64",
            ),
            (
                "memory",
                lambda s: fastdrop.dropout_samples(s.x, 0.5, 2**50, rng=s.rng),
                MemoryError,
                "allocate",
            ),
            (
                "out-type",
                lambda s: fastdrop.dropout_samples(s.x, 0.5, 2, rng=s.rng, out=[]),  # type: ignore[arg-type]
                TypeError,
                "out has to be a NumPy array, but got list",
            ),
            (
                "out-dtype",
                lambda s: fastdrop.dropout_samples(
                    s.x, 0.5, 2, rng=s.rng, out=s.full(float, (2, 3, 4))
                ),
                TypeError,
                "out has to have x's dtype float32, but got float64",
            ),
            (
                "out-shape",
                lambda s: fastdrop.dropout_samples(s.x, 0.5, 2, rng=s.rng, out=s.out),
                ValueError,
                "out has to have the shape (samples, *x.shape), (2, 3, 4), but got (3, 4)",
            ),
            (
                "out-read-only",
                lambda s: fastdrop.dropout_samples(
                    s.x, 0.5, 2, rng=s.rng, out=np.broadcast_to(np.float32(1), (2, 3, 4))
                ),
                ValueError,
                "out has to be writeable, but got a read-only array",
            ),
            (
                "out-is-x",
                lambda s: fastdrop.dropout_samples(s.x, 0.5, 1, rng=s.rng, out=s.x[None]),
                ValueError,
                "out has to share no memory with x, but got an array that overlaps it",
            ),
        )
    ),
    *(
        Bad(f"mc-dropout-{name}", lambda _, s, f=call: f(s), error, words)
        for name, call, error, words in (
            (
                "fn",
                lambda s: fastdrop.mc_dropout(s.x, s.x, rng=s.rng),  # type: ignore[arg-type]
                TypeError,
                "fn has to be callable, but got ndarray",
            ),
            (
                "rng",
                lambda s: fastdrop.mc_dropout(np.exp, s.x, rng="x"),  # type: ignore[arg-type]
                TypeError,
                "rng has to be None, an integer seed, a fastdrop Key or Generator",
            ),
            (
                "probabilities",
                lambda s: fastdrop.mc_dropout(np.exp, s.x, rng=s.rng, probabilities="yes"),  # type: ignore[arg-type]
                TypeError,
                "probabilities has to be True or False, but got str",
            ),
            (
                "end",
                lambda s: fastdrop.mc_dropout(np.exp, s.x, rng=fastdrop.Key(1, 0, 2**64 - 1)),
                OverflowError,
                "2**64",
            ),
        )
    ),
]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_bad_input(case: Bad) -> None:
    check(case, "exported")


# What `fn` returns is known only after the generator has moved.
@pytest.mark.parametrize(
    ("result", "probabilities", "error", "words"),
    [
        ("abc", False, TypeError, "fn's result has to have dtype .*, but got <U3"),
        (1j, False, TypeError, "fn's result has to have dtype .*, but got complex128"),
        (None, False, TypeError, f"fn's result {UNKNOWN}NoneType"),
        ([[1.0], [1.0, 2.0]], False, ValueError, "fn's result has to be an array or something"),
        ([0.5, 0.6], True, ValueError, "fn's result has to be probabilities, .* other numbers"),
        ([1.5, -0.5], True, ValueError, "fn's result has to be probabilities, .* other numbers"),
        ([np.nan, 1], True, ValueError, "fn's result has to be probabilities, .* other numbers"),
        (1.0, True, ValueError, "fn's result has to be probabilities, .* a single number"),
    ],
)
def test_bad_results(result: Any, probabilities: bool, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        fastdrop.mc_dropout(lambda _: result, 0, 3, rng=1, probabilities=probabilities)


def test_results_of_two_shapes() -> None:
    shapes = iter([(2, 3), (2, 3), (3,)])
    with pytest.raises(ValueError, match=r"the same shape .*, but got \(3,\) after \(2, 3\)"):
        fastdrop.mc_dropout(lambda _: np.ones(next(shapes)), 0, 3, rng=1)


def test_a_generator_without_room_for_the_samples_stays() -> None:
    generator = fastdrop.Generator(1, 0, 2**64 - montecarlo._RESERVED + 4096)
    before = generator.state
    with pytest.raises(OverflowError):
        fastdrop.mc_dropout(np.exp, 0.0, rng=generator)
    assert generator.state == before
