"""Bad arguments beside the arrays, and masks: what has to be, what came, and no effect."""

from typing import Any

import numpy as np
import pytest
from bad_input import FRONTS, UNKNOWN, Bad, Functions, check
from support import general

import fastdrop

CASES = [
    # noise_shape
    *(
        Bad(
            f"noise-{name}",
            lambda f, s, n=noise: f.dropout(s.x, rng=s.rng, out=s.out, noise_shape=n),
            error,
            words,
        )
        for name, noise, error, words in (
            (
                "too-long",
                (1, 3, 4),
                ValueError,
                "noise_shape has to have at most the 2 axes of x, but got (1, 3, 4)",
            ),
            (
                "not-broadcastable",
                (3, 2),
                ValueError,
                "noise_shape has to be broadcastable to x's shape (3, 4), but got (3, 2)",
            ),
            (
                "zero",
                (0, 4),
                ValueError,
                "noise_shape has to be broadcastable to x's shape (3, 4), but got (0, 4)",
            ),
            ("negative", (-1, 4), ValueError, "noise_shape has to have no negative lengths, but"),
            ("int", 4, TypeError, "noise_shape has to be a tuple of integers or None, but got int"),
            ("string", "34", TypeError, "noise_shape has to be a tuple of integers or None, but"),
            (
                "float-axis",
                (1.0, 4),
                TypeError,
                "noise_shape has to be a tuple of integers or None in each axis, but got float",
            ),
            (
                "bool-axis",
                (True, 4),
                TypeError,
                "noise_shape has to be a tuple of integers or None in each axis, but got bool",
            ),
        )
    ),
    Bad(
        "noise-inplace",
        lambda f, s: f.dropout_(s.x, rng=s.rng, noise_shape=(3, 2)),
        ValueError,
        "noise_shape has to be broadcastable to x's shape (3, 4), but got (3, 2)",
    ),
    # mask
    *(
        Bad(
            f"mask-{name}",
            lambda f, s, m=mask: f.apply_mask(s.x, m, 0.5, out=s.out),
            error,
            words,
        )
        for name, mask, error, words in (
            (
                "shape",
                np.ones((4, 3), bool),
                ValueError,
                "mask has to have x's shape (3, 4), but got (4, 3)",
            ),
            (
                "not-broadcast",
                np.ones((1, 4), bool),
                ValueError,
                "mask has to have x's shape (3, 4), but got (1, 4)",
            ),
            (
                "dtype",
                np.ones((3, 4), np.int64),
                TypeError,
                "mask has to have dtype bool, or uint8 for packed bits, but got int64",
            ),
            (
                "float",
                np.ones((3, 4), np.float32),
                TypeError,
                "mask has to have dtype bool, or uint8 for packed bits, but got float32",
            ),
            ("none", None, TypeError, f"mask {UNKNOWN}NoneType"),
            ("ragged", [[True], [True, False]], ValueError, "mask has to be an array or something"),
            (
                "packed-2d",
                np.ones((1, 2), np.uint8),
                ValueError,
                "mask has to be 1-D where its bits are packed, but got shape (1, 2)",
            ),
            (
                "packed-short",
                np.ones(1, np.uint8),
                ValueError,
                "mask has to have 2 bytes for the 12 packed bits of x, but got 1",
            ),
            (
                "packed-long",
                np.ones(12, np.uint8),
                ValueError,
                "mask has to have 2 bytes for the 12 packed bits of x, but got 12",
            ),
            (
                "padding",
                np.array([255, 0b10101], np.uint8),
                ValueError,
                "in the last 4 bits of its last byte, which are padding, but got 0b00010101",
            ),
        )
    ),
    # p, mode, training
    *(
        Bad(f"p-{name}", call, error, words)
        for value, name, error, words in (
            (1.5, "high", ValueError, "has to be between 0 and 1, but got 1.5"),
            (-0.1, "low", ValueError, "has to be between 0 and 1, but got -0.1"),
            (float("nan"), "nan", ValueError, "has to be between 0 and 1, but got nan"),
            (float("inf"), "inf", ValueError, "has to be between 0 and 1, but got inf"),
            (2, "int", ValueError, "has to be between 0 and 1, but got 2"),
            (np.nextafter(1.0, 2.0), "above", ValueError, "has to be between 0 and 1, but got 1.0"),
            ("0.5", "str", TypeError, "p has to be a real number, but got str"),
            (None, "none", TypeError, "p has to be a real number, but got NoneType"),
            (True, "bool", TypeError, "p has to be a real number, but got bool"),
            (0.5 + 0j, "complex", TypeError, "p has to be a real number, but got complex"),
            ([0.5], "list", TypeError, "p has to be a real number, but got list"),
        )
        for call in (
            lambda f, s, v=value: f.dropout(s.x, v, rng=s.rng, out=s.out),
            lambda f, s, v=value: f.dropout_(s.x, v, rng=s.rng),
            lambda f, s, v=value: f.dropout_mask((3, 4), v, rng=s.rng),
            lambda f, s, v=value: f.apply_mask(s.x, np.ones((3, 4), bool), v, out=s.out),
        )
    ),
    Bad(
        "mode",
        lambda f, s: f.dropout(s.x, rng=s.rng, mode="upside"),
        ValueError,
        'mode has to be "inverted" or "standard", but got \'upside\'',
    ),
    Bad(
        "mode-inplace",
        lambda f, s: f.dropout_(s.x, rng=s.rng, mode=None),
        ValueError,
        'mode has to be "inverted" or "standard", but got None',
    ),
    *(
        Bad(
            f"training-{came}", call, TypeError, f"training has to be True or False, but got {came}"
        )
        for value, came in (
            ("yes", "str"),
            (None, "NoneType"),
            (2, "2"),
            (-1, "-1"),
            (1.0, "float"),
            (np.int8(3), "3"),
            (np.ones(1, bool), "ndarray"),
        )
        for call in (
            lambda f, s, v=value: f.dropout(s.x, 0.5, v, rng=s.rng),
            lambda f, s, v=value: f.dropout_(s.x, 0.5, v, rng=s.rng),
        )
    ),
    # shape and packed
    *(
        Bad(f"shape-{name}", lambda f, s, v=shape: f.dropout_mask(v, rng=s.rng), error, words)
        for name, shape, error, words in (
            ("float", 3.0, TypeError, "shape has to be an integer or a tuple of integers, but got"),
            ("none", None, TypeError, "shape has to be an integer or a tuple of integers, but got"),
            ("str", "3", TypeError, "shape has to be an integer or a tuple of integers, but got"),
            ("bool", True, TypeError, "shape has to be an integer or a tuple of integers, but got"),
            ("axis", (3, 4.5), TypeError, "shape has to be an integer or a tuple of integers, but"),
            ("negative", (3, -4), ValueError, "shape has to have no negative lengths, but got (3"),
            (
                "negative-int",
                -1,
                ValueError,
                "shape has to have no negative lengths, but got (-1,)",
            ),
            ("axes", (1,) * 65, ValueError, "shape has to have at most 64 axes, but got 65"),
            ("product", (2**40, 2**40), ValueError, "shape has to give at most"),
            ("length", 2**70, ValueError, "shape has to give at most"),
            ("empty-huge", (2**40, 0, 2**40), ValueError, "shape has to give at most"),
            ("memory", 2**62, MemoryError, "allocate"),
        )
    ),
    Bad(
        "packed-memory",
        lambda f, s: f.dropout_mask(2**62, rng=s.rng, packed=True),
        MemoryError,
        "allocate",
    ),
    Bad(
        "packed",
        lambda f, s: f.dropout_mask((3, 4), rng=s.rng, packed="no"),
        TypeError,
        "packed has to be True or False, but got str",
    ),
    # rng
    *(
        Bad(f"rng-{name}", call, error, words)
        for value, name, error, words in (
            ("seed", "str", TypeError, "rng has to be None, an integer seed, a fastdrop Key or"),
            (1.0, "float", TypeError, "rng has to be None, an integer seed, a fastdrop Key or"),
            (True, "bool", TypeError, "rng has to be None, an integer seed, a fastdrop Key or"),
            ((1, 0, 0), "tuple", TypeError, "rng has to be None, an integer seed, a fastdrop Key"),
            (np.random.RandomState(1), "RandomState", TypeError, "got numpy.random.mtrand.Random"),
            (
                -1,
                "negative",
                ValueError,
                "rng has to be between 0 and 2**64 - 1 as a seed, but got -1",
            ),
            (
                2**64,
                "huge",
                ValueError,
                "rng has to be between 0 and 2**64 - 1 as a seed, but got 18446",
            ),
            (fastdrop.Key(1, 0, 2**64 - 11), "key-end", OverflowError, "2**64"),
        )
        for call in (
            lambda f, s, v=value: f.dropout(s.x, rng=v, out=s.out),
            lambda f, s, v=value: f.dropout_(s.x, rng=v),
            lambda f, _, v=value: f.dropout_mask((3, 4), rng=v),
            lambda f, _, v=value: f.dropout_mask((3, 4), rng=v, packed=True),
        )
    ),
    Bad(
        "rng-noise-end",
        lambda f, s: f.dropout(
            s.x, rng=fastdrop.Key(1, 0, 2**64 - 3), out=s.out, noise_shape=(1, None)
        ),
        OverflowError,
        "2**64",
    ),
]


@pytest.mark.parametrize("front", FRONTS)
@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_bad_arguments(case: Bad, front: str) -> None:
    check(case, front)


def test_an_exhausted_generator_stays_where_it_is() -> None:
    generator = fastdrop.Generator(1, 0, 2**64 - 8)
    x = np.ones(12, np.float32)
    before = generator.state
    for call in (
        lambda: fastdrop.dropout_(x, rng=generator),
        lambda: general(fastdrop.dropout_)(x, rng=generator),
        lambda: fastdrop.dropout(x, rng=generator, out=x),
        lambda: fastdrop.dropout(np.ones((9, 2)), rng=generator, noise_shape=(9, 1)),
        lambda: fastdrop.dropout_(
            np.ones((9, 2)), rng=fastdrop.Key(1, 0, 2**64 - 8), noise_shape=(9, 1)
        ),
        lambda: fastdrop.dropout_mask(9, rng=generator),
    ):
        with pytest.raises(OverflowError, match=r"2\*\*64"):
            call()
        assert generator.state == before
        assert x.tolist() == [1.0] * 12
    fastdrop.dropout_mask(8, rng=generator)  # exactly to the end
    with pytest.raises(OverflowError, match=r"2\*\*64"):
        fastdrop.dropout_mask(1, rng=generator)


@pytest.mark.parametrize("front", FRONTS)
def test_too_many_or_unknown_arguments(front: str) -> None:
    x = np.ones(4, np.float32)
    f: Any = Functions(front)
    for call in (
        lambda: f.dropout(),
        lambda: f.dropout_(),
        lambda: f.dropout(x, 0.5, True, 1),
        lambda: f.dropout_(x, 0.5, True, 1),
        lambda: f.dropout(x, seed=1),
        lambda: f.dropout_(x, out=x),
        lambda: f.dropout(x, p=0.5, x=x),
        lambda: f.dropout_mask(4, 0.5, 1),
        lambda: f.apply_mask(x, np.ones(4, bool)),
    ):
        with pytest.raises(TypeError):
            call()
    assert x.tolist() == [1.0] * 4


def test_numpy_generators_are_not_drawn_from_when_a_check_fails() -> None:
    rng = np.random.default_rng(1)
    before = rng.bit_generator.state
    x = np.ones((3, 4), np.float32)
    for kwargs in ({"p": 2.0}, {"noise_shape": (2, 4)}, {"mode": "x"}, {"out": x.T}):
        with pytest.raises(ValueError, match="has to"):
            fastdrop.dropout(x, rng=rng, **kwargs)
    fastdrop.dropout(x, 0.5, False, rng=rng)
    fastdrop.dropout(x[:0], 0.5, rng=rng)
    assert rng.bit_generator.state == before
