"""Parts of larger arrays: a part of an array is computed as that part of the whole is."""

from __future__ import annotations

import inspect
import itertools
from functools import partial
from typing import Any

import numpy as np
import pytest
from cases import CASES as TABLE
from cases import Arrays, Case, equal, parametrize, results
from computing import layouts
from forms import Cut, cuts, inner, part, reshaped, wholes, window_of, windowed
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import DTYPES, alike

import fastdrop
from fastdrop import Generator, Key
from fastdrop.variants import BY_FUNCTION

Shape = tuple[int, ...]
KEY = Key(3, 4, 4096 - 7)
CASES = windowed(TABLE)
EVERY = parametrize(CASES)
SHAPES: list[Shape] = [(9001,), (37, 251), (5, 7, 61), (3, 5, 4, 33)]


def values(shape: Shape, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def check(case: Case, operands: Arrays, cut: Cut, **options: Any) -> None:
    """What is computed of the part is that part of what is computed of the whole."""
    found = results(case(part(operands, cut), window=window_of(case.shape, cut), **options))
    for got, wanted in zip(found, results(case(operands, **options)), strict=True):
        if wanted is not None and wanted.shape == case.shape:  # a bias' gradient is a sum
            assert alike(got, wanted[cut]), cut


@pytest.mark.usefixtures("impl")
@EVERY
def test_a_part_is_that_part_of_the_whole(case: Case) -> None:
    for whole in wholes(case):
        for cut in cuts(whole.shape):
            check(whole, whole.operands(), cut, rng=KEY)
    for dtype, training in itertools.product(DTYPES, (True, False)):
        check(case, case.operands(dtype), inner(case.shape), training=training, rng=KEY)


@pytest.mark.usefixtures("impl")
@EVERY
def test_any_layout(case: Case) -> None:
    cut = inner(case.shape)
    window = window_of(case.shape, cut)
    parts = part(case.operands(), cut)
    wanted = results(case(parts, rng=KEY, window=window))
    memory = {name: layouts(x) for name, x in parts.items()}
    for how in layouts(np.ones(1)):
        changed = {name: made[how] for name, made in memory.items()}
        assert equal(case(changed, rng=KEY, window=window), wanted), how
    if case.takes("out"):
        first = next(iter(parts))
        given = {**parts, first: parts[first].copy()}
        for out in (*layouts(np.zeros_like(given[first])).values(), given[first]):
            assert results(case(given, rng=KEY, window=window, out=out))[0] is out
            assert np.array_equal(out, wanted[0])


@pytest.mark.usefixtures("impl")
@pytest.mark.parametrize("packed", [False, True])
def test_masks(packed: bool) -> None:
    for shape in SHAPES:
        whole = fastdrop.dropout_mask(shape, 0.3, rng=KEY)
        for cut in cuts(shape):
            window = window_of(shape, cut)
            lengths = whole[cut].shape
            mask = fastdrop.dropout_mask(lengths, 0.3, rng=KEY, packed=packed, window=window)
            wanted = np.packbits(whole[cut], bitorder="little") if packed else whole[cut]
            assert mask.dtype == wanted.dtype
            assert np.array_equal(mask, wanted)
            assert fastdrop.dropout_mask(lengths, 0, rng=KEY, window=window).all()
            assert not fastdrop.dropout_mask(lengths, 1, rng=KEY, window=window).any()


@pytest.mark.usefixtures("impl")
def test_in_place_and_noise_shape() -> None:
    shape = (6, 40, 50)
    a = values(shape)
    for noise_shape in (None, (6, 1, 50), (None, 40, 1)):
        wanted = fastdrop.dropout(a, 0.4, rng=KEY, noise_shape=noise_shape)
        x, options = a.copy(), {"noise_shape": noise_shape, "window": (shape, [2, 0, np.int64(7)])}
        inside = x[2:5, :, 7:]
        assert fastdrop.dropout_(inside, 0.4, rng=KEY, **options) is inside
        assert np.array_equal(inside, wanted[2:5, :, 7:])
        assert np.array_equal(x[:2], a[:2])


@pytest.mark.usefixtures("impl")
def test_more_axes_than_numpy_iterates_over() -> None:
    shape = (1,) * 20 + (3, 2) + (1,) * 20 + (4, 5)
    a = values(shape)
    cut = (*(slice(None),) * 20, slice(2, 3), slice(None), *(slice(None),) * 20, slice(1, 3))
    start = (0,) * 20 + (2, 0) + (0,) * 20 + (1, 0)
    for noise_shape in (None, (1,)):
        wanted = fastdrop.dropout(a, 0.5, rng=KEY, noise_shape=noise_shape)[cut]
        got = fastdrop.dropout(a[cut], 0.5, rng=KEY, noise_shape=noise_shape, window=(shape, start))
        assert np.array_equal(got, wanted)


@parametrize([case for case in CASES if not case.repeats])
def test_a_generator_reserves_for_the_whole(case: Case) -> None:
    operands, cut = case.operands(), inner(case.shape)
    window = window_of(case.shape, cut)
    ours, theirs = Generator(1, 2, 4096), Generator(1, 2, 4096)
    wanted = case(operands, rng=theirs)[cut]
    assert np.array_equal(case(part(operands, cut), rng=ours, window=window), wanted)
    assert ours.state == theirs.state
    # Whoever has an empty part keeps step with those who have the rest.
    empty = reshaped(case, (0, *case.shape[1:]))
    at = (case.shape, (1, *(0,) * (len(case.shape) - 1)))
    assert empty(empty.operands(), rng=ours, window=at).shape == empty.shape
    case(operands, rng=theirs)
    assert ours.state == theirs.state
    case(part(operands, cut), rng=ours, window=window, training=False)
    assert ours.state == theirs.state


def test_an_empty_part_of_a_mask() -> None:
    generator = Generator(1)
    mask = fastdrop.dropout_mask((2, 0), rng=generator, window=((3, 5), (1, 5)))
    assert mask.shape == (2, 0)
    assert generator.offset == 4096
    assert fastdrop.dropout_mask((0,), rng=Key(1, 0, 2**64 - 1), window=((1,), (1,))).size == 0


FUNCTIONS = {case.name for case in CASES} - {"dropout2d", "dropout3d"}  # which need more axes
BAD: dict[str, list[Any]] = {
    "window has to be a pair": [3, "ab", ((4, 5),), ((4, 5), (0, 0), (0, 0))],
    "for each of the 2 axes": [((4,), (0, 0)), ((4, 5), (0,)), ((4, 5, 6), (0, 0, 0))],
    "no negative numbers": [((-4, 5), (0, 0)), ((4, 5), (0, -1))],
    "has to hold": [((4, 5), (3, 0)), ((4, 5), (0, 4)), ((1, 5), (0, 0))],
    "at most": [((2**40, 2**40), (0, 0))],
    "tuples of integers, but got float": [((4, 5.0), (0, 0))],
    "tuples of integers, but got bool": [((4, True), (0, 0))],
    "tuples of integers, but got NoneType": [(None, (0, 0))],
}


@pytest.mark.parametrize("name", sorted(FUNCTIONS | {"dropout_", "dropout_mask"}))
def test_bad_windows(name: str) -> None:
    """Of every function, before anything is written or reserved."""
    function, generator = getattr(fastdrop, name), Generator(1)
    rng = 1 if name.endswith("_backward") else generator
    more: dict[str, Any] = {"std": 1.0} if name == "gaussian_noise" else {}
    for (words, windows), order in itertools.product(BAD.items(), "CF"):
        x, out = np.ones((2, 3), np.float32, order), np.full((2, 3), 7, np.float32)
        operands = dict.fromkeys(BY_FUNCTION[name].operands if name in BY_FUNCTION else ["x"], x)
        if name == "dropout_mask":
            operands = {"shape": (2, 3)}
        takes_out = "out" in inspect.signature(function).parameters
        for window, target in itertools.product(
            windows, ({}, {"out": out}) if takes_out else ({},)
        ):
            error = TypeError if "tuples" in words else ValueError
            with pytest.raises(error, match=words):
                function(**operands, **more, **target, rng=rng, window=window)
        assert (x == 1).all()
        assert (out == 7).all()
    assert generator.offset == 0


def test_noise_shape_and_end_of_the_stream_are_those_of_the_whole() -> None:
    x, key = np.ones((4, 5), np.float32), Key(1, 0, 2**64 - 20)
    with pytest.raises(ValueError, match=r"broadcastable to x's shape \(4, 5\)"):
        fastdrop.dropout(x[1:3, 1:4], noise_shape=(2, 1), window=((4, 5), (1, 1)))
    with pytest.raises(OverflowError):
        fastdrop.dropout(x[1:3], rng=Key(1, 0, 2**64 - 19), window=((4, 5), (1, 0)))
    last = fastdrop.dropout(x[3:, 4:], rng=key, window=((4, 5), (3, 4)))
    assert last == fastdrop.dropout(x, rng=key)[3, 4]


@st.composite
def any_cut(draw: st.DrawFn) -> tuple[Shape, Cut, Shape]:
    shape = tuple(draw(st.lists(st.integers(1, 9), min_size=1, max_size=5)))
    starts = [draw(st.integers(0, n - 1)) for n in shape]
    cut = [slice(i, draw(st.integers(i + 1, n))) for i, n in zip(starts, shape, strict=True)]
    return shape, tuple(cut), tuple(draw(st.sampled_from((1, n))) for n in shape)


@pytest.mark.usefixtures("impl")
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(any_cut(), st.integers(0, 2**20))
def test_any_part_of_any_shape(cut: Any, offset: int) -> None:
    shape, slices, noise = cut
    key, window = Key(5, 6, offset), window_of(shape, slices)
    a = np.arange(1, np.prod(shape) + 1, dtype=np.float32).reshape(shape)
    for function in (
        fastdrop.dropout,
        partial(fastdrop.dropout, noise_shape=noise),
        fastdrop.gaussian_dropout,
        fastdrop.alpha_dropout,
    ):
        wanted = function(a, 0.5, rng=key)[slices]
        assert np.array_equal(function(a[slices], 0.5, rng=key, window=window), wanted)
