"""Bad input of `dropout_samples` and `mc_dropout`: what has to be, what came, no effect."""

from typing import Any

import numpy as np
import pytest
from bad_input import DTYPES, READ_ONLY, UNKNOWN, Bad, check, parametrize, values

import fastdrop
from fastdrop.functions import montecarlo

T, V = TypeError, ValueError
END = fastdrop.Key(1, 0, 2**64 - 1)
samples_of: Any = fastdrop.dropout_samples
mc_dropout: Any = fastdrop.mc_dropout

CASES = [
    *(
        bad
        for name, call in (
            ("array", lambda s, v: samples_of(s.x, 0.5, v, rng=s.rng)),
            ("function", lambda s, v: mc_dropout(np.exp, s.x, v, rng=s.rng)),
        )
        for bad in values(
            f"samples-of-{name}",
            call,
            (0, V, "samples has to be at least 1, but got 0"),
            (-2, V, "samples has to be at least 1, but got -2"),
            (2.0, T, "samples has to be an integer, but got float"),
            (True, T, "samples has to be an integer, but got bool"),
            ("2", T, "samples has to be an integer, but got str"),
        )
    ),
    Bad("dtype", lambda s: samples_of(s.full(int), 0.5, 2, rng=s.rng), T, f"x {DTYPES}int64"),
    Bad("end", lambda s: samples_of(s.x, 0.5, 2, rng=END), OverflowError, "2**64"),
    Bad("memory", lambda s: samples_of(s.x, 0.5, 2**50, rng=s.rng), MemoryError, "allocate"),
    *values(
        "out",
        lambda s, v: samples_of(s.x, 0.5, 2, rng=s.rng, out=v),
        ([], T, "out has to be a NumPy array, but got list"),
        (np.ones((2, 3, 4)), T, "out has to have x's dtype float32, but got float64"),
        (
            np.ones((3, 4), np.float32),
            V,
            "out has to have the shape (samples, *x.shape), (2, 3, 4), but got (3, 4)",
        ),
        (np.broadcast_to(np.float32(1), (2, 3, 4)), V, f"out {READ_ONLY}"),
    ),
    Bad(
        "out-is-x",
        lambda s: samples_of(s.x, 0.5, 1, rng=s.rng, out=s.x[None]),
        V,
        "out has to share no memory with x, but got an array that overlaps it",
    ),
    Bad(
        "fn",
        lambda s: mc_dropout(s.x, s.x, rng=s.rng),
        T,
        "fn has to be callable, but got ndarray",
    ),
    Bad(
        "probabilities",
        lambda s: mc_dropout(np.exp, s.x, rng=s.rng, probabilities="yes"),
        T,
        "probabilities has to be True or False, but got str",
    ),
    Bad("mc-end", lambda s: mc_dropout(np.exp, s.x, rng=END), OverflowError, "2**64"),
]


@parametrize(CASES)
def test_is_refused_without_effect(case: Bad) -> None:
    check(case)


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
