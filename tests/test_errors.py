"""Bad arrays, masks, shapes and generators: what has to be, what came, no effect.

By `dropout`, which stands for every variant (test_refusals.py), and the functions of masks.
"""

from typing import Any

import numpy as np
import pytest
import support
from bad_input import (
    APART,
    DTYPES,
    NATIVE,
    OVERLAPS,
    OWN_PLACES,
    PROBABILITY,
    READ_ONLY,
    RNG,
    SWAPPED,
    Bad,
    Scene,
    check,
    parametrize,
    values,
)
from support import general

import fastdrop
from fastdrop import dropout, dropout_, dropout_mask

T, V = TypeError, ValueError
F32 = np.float32
MASK = np.ones((3, 4), np.bool_)
apply_mask: Any = fastdrop.apply_mask


def swapped(x: np.ndarray) -> np.ndarray:
    return x.astype(x.dtype.newbyteorder("S"))


def arrays(*dtypes: Any) -> list[np.ndarray]:
    return [np.zeros((3, 4), dtype) for dtype in dtypes]


def refused(*found: np.ndarray) -> list[tuple[np.ndarray, type[Exception], str]]:
    return [(x, T, f"x {DTYPES}{x.dtype}") for x in found]


SWAPPED_FLOATS = [(x, T, f"x {NATIVE} {x.dtype}") for x in map(swapped, arrays(*support.DTYPES))]
ARRAYS = [
    *values(
        "dtype",
        lambda s, v: dropout(v, rng=s.rng),
        *refused(*arrays("i4", "u1", "?", "c8", "O", "g", "U3", "V2", "S2", "M8[s]")),
        *refused(swapped(MASK.astype("i4"))),
        *SWAPPED_FLOATS,
        ([1, 2], T, f"x {DTYPES}int64"),
        ("abc", T, f"x {DTYPES}<U3"),
    ),
    *values(
        "in-place",
        lambda s, v: dropout_(v, rng=s.rng),
        *refused(*arrays("i8", "c8")),
        *SWAPPED_FLOATS,
        ([1.0], T, "x has to be a NumPy array to be changed in place, but got list"),
        (F32(1), T, "x has to be a NumPy array to be changed in place, but got numpy.float32"),
        (Scene.read_only, V, f"x {READ_ONLY}"),
        (Scene.repeated, V, f"x {OWN_PLACES}"),
        (Scene.sliding, V, f"x {OWN_PLACES}"),
    ),
    *values(
        "apply", lambda s, v: apply_mask(v, MASK, 0.5, out=s.out), *refused(*arrays("i8", "O"))
    ),
    *values("evaluation", lambda s, v: dropout(v, 0.5, False, rng=s.rng), *refused(*arrays("i8"))),
    Bad("evaluation-in-place", lambda s: dropout_(s.read_only(), 0.5, False), V, f"x {READ_ONLY}"),
]
REPEATED = f"out {OWN_PLACES} overlaps itself (shape (3, 4), strides (0, 4))"
SLIDING = f"out {OWN_PLACES} overlaps itself (shape (3, 4), strides (4, 4))"
OVERLAPPING: tuple[Any, ...] = (
    lambda s: (s.buffer[:32], s.buffer[1:33]),
    lambda s: (s.buffer[:8], s.buffer.view("u1")[2:34].view(F32)),
    lambda s: (s.buffer, s.buffer[::-1]),
    lambda s: (s.part(0, (8, 8)), s.part(0, (8, 8)).T),
    lambda s: (np.broadcast_to(s.buffer[:4], (3, 4)), s.part(0)),
)
OUT = [
    *values(
        "out",
        lambda s, v: dropout(s.x, rng=s.rng, out=v),
        (np.ones((3, 4), SWAPPED), T, f"out has to have x's dtype float32, but got {SWAPPED}"),
        (np.ones((4, 3), F32), V, "out has to have x's shape (3, 4), but got (4, 3)"),
        (Scene.repeated, V, REPEATED),
        (Scene.sliding, V, SLIDING),
    ),
    *values(
        "out-for-x",
        lambda s, v: dropout(v[0], rng=s.rng, out=v[1]),
        (lambda s: (s.full("f2"), s.full("u2")), T, "out has to have x's dtype float16, but got u"),
        (lambda s: (s.read_only(),) * 2, V, f"out {READ_ONLY}"),
        *((pair, V, f"out has to be x {OVERLAPS}") for pair in OVERLAPPING),
    ),
    *values(
        "out-apply",
        lambda _, v: apply_mask(*v[:2], 0.5, out=v[2]),
        (lambda s: (s.x, MASK, s.full(F32, (4, 3))), V, "out has to have x's shape (3, 4), but g"),
        (
            lambda s: (s.full(F32, (8,)), s.buffer.view(np.uint8)[:1], s.buffer[:8]),
            V,
            f"mask {APART}, but got one that overlaps it",
        ),
    ),
]
SHAPE = "mask has to have x's shape (3, 4), but got "
DTYPE = "mask has to have dtype bool, or uint8 for packed bits, but got "
BYTES = "mask has to have 2 bytes for the 12 packed bits of x, but got "
MASKS = values(
    "mask",
    lambda s, v: apply_mask(s.x, v, 0.5, out=s.out),
    (np.ones((4, 3), bool), V, f"{SHAPE}(4, 3)"),
    (np.ones((1, 4), bool), V, f"{SHAPE}(1, 4)"),
    (np.ones((3, 4), np.int64), T, f"{DTYPE}int64"),
    (np.ones((3, 4), F32), T, f"{DTYPE}float32"),
    (np.ones((1, 2), "u1"), V, "mask has to be 1-D where its bits are packed, but got shape (1, 2"),
    (np.ones(1, "u1"), V, f"{BYTES}1"),
    (np.ones(12, "u1"), V, f"{BYTES}12"),
    (
        np.array([255, 0b10101], "u1"),
        V,
        "in the last 4 bits of its last byte, which are padding, but got 0b00010101",
    ),
)
LENGTHS = "shape has to be an integer or a tuple of integers, but"
DRAWN = [
    *values(
        "shape",
        lambda s, v: dropout_mask(v, rng=s.rng),
        (3.0, T, LENGTHS),
        (None, T, LENGTHS),
        ("3", T, LENGTHS),
        (True, T, LENGTHS),
        ((3, 4.5), T, LENGTHS),
        ((3, -4), V, "shape has to have no negative lengths, but got (3"),
        (-1, V, "shape has to have no negative lengths, but got (-1,)"),
        ((1,) * 65, V, "shape has to have at most 64 axes, but got 65"),
        ((2**40, 2**40), V, "shape has to give at most"),
        (2**70, V, "shape has to give at most"),
        ((2**40, 0, 2**40), V, "shape has to give at most"),
        (2**62, MemoryError, "allocate"),
    ),
    *values(
        "packed",
        lambda s, v: dropout_mask(**({"shape": (3, 4), "packed": True, "rng": s.rng} | v)),
        ({"shape": 2**62}, MemoryError, "allocate"),
        ({"packed": "no"}, T, "packed has to be True or False, but got str"),
        ({"p": 1.5}, V, f"{PROBABILITY}1.5"),
        ({"p": np.nextafter(1.0, 2.0)}, V, f"{PROBABILITY}1.0"),
        ({"p": [0.5]}, T, "p has to be a real number, but got list"),
        ({"rng": "seed"}, T, RNG),
        ({"rng": -1}, V, "rng has to be between 0 and 2**64 - 1 as a seed, but got -1"),
        ({"rng": fastdrop.Key(1, 0, 2**64 - 11)}, OverflowError, "2**64"),
    ),
    *values(
        "rng",
        lambda _, v: dropout_mask((3, 4), rng=v),
        ("seed", T, RNG),
        (True, T, RNG),
        ((1, 0, 0), T, RNG),
        (-1, V, "rng has to be between 0 and 2**64 - 1 as a seed, but got -1"),
        (2**64, V, "rng has to be between 0 and 2**64 - 1 as a seed, but got 18446"),
        (fastdrop.Key(1, 0, 2**64 - 11), OverflowError, "2**64"),
    ),
]


@parametrize(ARRAYS + OUT + MASKS + DRAWN)
def test_is_refused_without_effect(case: Bad) -> None:
    check(case)


def test_an_exhausted_generator_stays_where_it_is() -> None:
    generator, key = fastdrop.Generator(1, 0, 2**64 - 8), fastdrop.Key(1, 0, 2**64 - 8)
    x, before = np.ones(12, F32), generator.state
    for call in (
        lambda: dropout_(x, rng=generator),
        lambda: general(dropout_)(x, rng=generator),
        lambda: dropout(x, rng=generator, out=x),
        lambda: dropout(np.ones((9, 2)), rng=generator, noise_shape=(9, 1)),
        lambda: dropout_(np.ones((9, 2)), rng=key, noise_shape=(9, 1)),
        lambda: dropout_mask(9, rng=generator),
        lambda: dropout_mask(9, rng=generator, packed=True),
    ):
        with pytest.raises(OverflowError, match=r"2\*\*64"):
            call()
        assert generator.state == before
        assert x.tolist() == [1.0] * 12
    dropout_mask(8, rng=generator)  # exactly to the end
    with pytest.raises(OverflowError, match=r"2\*\*64"):
        dropout_mask(1, rng=generator)


@pytest.mark.parametrize("front", [lambda function: function, general], ids=["compiled", "python"])
def test_too_many_or_unknown_arguments(front: Any) -> None:
    x = np.ones(4, F32)
    new, in_place = front(dropout), front(dropout_)
    for call in (
        lambda: new(),
        lambda: in_place(),
        lambda: new(x, 0.5, True, 1),
        lambda: in_place(x, 0.5, True, 1),
        lambda: new(x, seed=1),
        lambda: in_place(x, out=x),
        lambda: new(x, p=0.5, x=x),
        lambda: dropout_mask(4, 0.5, 1),
        lambda: apply_mask(x, MASK[0]),
    ):
        with pytest.raises(TypeError):
            call()
    assert x.tolist() == [1.0] * 4


def test_numpy_generators_are_not_drawn_from_when_a_check_fails() -> None:
    rng = np.random.default_rng(1)
    before = rng.bit_generator.state
    x = np.ones((3, 4), F32)
    for kwargs in ({"p": 2.0}, {"noise_shape": (2, 4)}, {"mode": "x"}, {"out": x.T}):
        with pytest.raises(ValueError, match="has to"):
            dropout(x, rng=rng, **kwargs)
    dropout(x, 0.5, False, rng=rng)
    dropout(x[:0], 0.5, rng=rng)
    assert rng.bit_generator.state == before
