"""Parts of larger arrays: a part of an array is computed as that part of the whole is."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from cases import PLAIN
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import same_bits, to_storage

import fastdrop
from fastdrop import Generator, Key
from fastdrop.variants import VARIANTS

Shape = tuple[int, ...]
KEY = Key(3, 4, 4096 - 7)


class Case(NamedTuple):
    """A function, its options, how many of its operands are arrays, and shapes that it takes."""

    function: str
    options: dict[str, Any] = {}  # noqa: RUF012 - read only
    operands: int = 1
    axes: int | None = None

    def __call__(self, arrays: list[Any], **keywords: Any) -> tuple[Any, ...]:
        """Always a tuple of results."""
        arguments = {**self.options, **keywords}
        if "bias" in arguments and arguments["bias"] is not None:
            first = keywords["window"][1][-1] if keywords.get("window") else 0
            length = arrays[0].shape[-1]
            arguments["bias"] = arguments["bias"](arrays[0].dtype)[first : first + length]
        result = getattr(fastdrop, self.function)(*arrays[: self.operands], **arguments)
        return result if isinstance(result, tuple) else (result,)


def bias(dtype: Any) -> np.ndarray:
    return np.linspace(-1, 1, 10_000).astype(dtype)


CASES = [
    Case("dropout"),
    Case("dropout", {"mode": "standard"}),
    Case("dropout", {"noise_shape": (None, 1, None)}, axes=3),
    Case("dropout", {"noise_shape": (1, None, 1)}, axes=3),
    Case("dropout", {"noise_shape": (1,)}),
    Case("dropout1d", axes=3),
    Case("dropout1d", {"data_format": "channels_last"}, axes=2),
    Case("dropout2d", axes=4),
    Case("dropout2d", {"data_format": "channels_last"}, axes=4),
    Case("dropout3d", axes=4),
    Case("variational_dropout", axes=3),
    Case("variational_dropout", {"time_axis": 0}),
    Case("drop_path"),
    Case("drop_path", {"mode": "batch"}),
    *(Case(variant.function) for variant in PLAIN),
    *(Case(variant.gradient) for variant in PLAIN if variant.gradient != "same"),
    Case("embedding_dropout", axes=2),
    Case("feature_alpha_dropout", axes=3),
    Case("feature_alpha_dropout_backward", axes=3),
    Case("gaussian_noise", {"std": 0.5}),
    Case("dropout_add", operands=2),
    Case("zoneout", operands=2),
    Case("zoneout_backward"),
    Case("bias_act_dropout", {"act": "gelu", "bias": bias}),
    Case("bias_act_dropout", {"act": "none", "bias": None}),
    Case("bias_act_dropout_backward", {"act": "silu", "bias": None}, operands=2),
    Case("bias_act_dropout_backward", {"act": "relu", "bias": bias}, operands=2),
]
IDS = [f"{i}-{case.function}" for i, case in enumerate(CASES)]
EVERY = pytest.mark.parametrize("case", CASES, ids=IDS)

# Wholes by their number of axes, with the slices that are parts of them: on both sides of the
# borders of blocks, first axes alone, last axes alone, single elements, all of it.
WHOLES: dict[int, tuple[Shape, list[tuple[tuple[int, int], ...]]]] = {
    1: ((9001,), [((0, 9001),), ((1, 4103),), ((4095, 8192),), ((9000, 9001),)]),
    2: (
        (37, 251),
        [
            ((5, 29), (0, 251)),
            ((0, 37), (100, 251)),
            ((3, 36), (17, 18)),
            ((16, 17), (7, 250)),
            ((2, 35), (64, 192)),
        ],
    ),
    3: (
        (5, 7, 61),
        [((1, 4), (0, 7), (0, 61)), ((0, 5), (2, 6), (3, 60)), ((2, 3), (6, 7), (60, 61))],
    ),
    4: (
        (3, 5, 4, 33),
        [
            ((1, 3), (2, 4), (0, 4), (0, 33)),
            ((0, 3), (1, 5), (1, 3), (5, 32)),
            ((2, 3), (0, 1), (3, 4), (1, 2)),
        ],
    ),
}


def values(shape: Shape, kind: str = "float32", seed: int = 1) -> np.ndarray:
    drawn = np.random.default_rng(seed).standard_normal(shape)
    if kind == "bfloat16":
        dtype = pytest.importorskip("ml_dtypes").bfloat16
        return to_storage(drawn, kind).view(dtype)
    return to_storage(drawn, kind).view(kind)


def raw(x: np.ndarray, kind: str) -> np.ndarray:
    return x.view(np.uint16) if kind.endswith("16") else x


def check(case: Case, shape: Shape, bounds: Any, kind: str = "float32") -> None:
    arrays = [values(shape, kind, seed) for seed in range(case.operands)]
    cut = tuple(slice(*pair) for pair in bounds)
    window = (shape, tuple(start for start, _ in bounds))
    whole = case(arrays, rng=KEY)
    parts = case([array[cut] for array in arrays], rng=KEY, window=window)
    sums = case.function == "bias_act_dropout_backward"  # its second result is a sum of rows
    for part, all_of_it in zip(parts[: 1 if sums else 2], whole, strict=False):
        assert same_bits(raw(part, kind), raw(all_of_it[cut], kind), kind), (case, shape, bounds)


@pytest.mark.usefixtures("impl")
@EVERY
def test_a_part_is_that_part_of_the_whole(case: Case) -> None:
    for axes, (shape, cuts) in WHOLES.items():
        if case.axes in (None, axes) and not (case.axes is None and axes == 4):
            for bounds in cuts:
                check(case, shape, bounds)


@pytest.mark.usefixtures("impl")
@pytest.mark.parametrize("kind", ["float64", "float16", "bfloat16"])
@EVERY
def test_other_dtypes(case: Case, kind: str) -> None:
    shape, cuts = WHOLES[case.axes or 2]
    check(case, shape, cuts[1], kind)


@pytest.mark.usefixtures("impl")
@EVERY
def test_any_layout(case: Case) -> None:
    shape, cuts = WHOLES[case.axes or 3]
    bounds = cuts[1]
    window = (shape, tuple(start for start, _ in bounds))
    lengths = tuple(stop - start for start, stop in bounds)
    parts = [values(lengths, seed=seed) for seed in range(case.operands)]
    wanted = case(parts, rng=KEY, window=window)
    for change in (
        lambda x: x.copy(order="F"),
        lambda x: np.repeat(x, 2, -1)[..., ::2],
        lambda x: x[::-1].copy()[::-1],
        lambda x: x.swapaxes(0, -1).copy().swapaxes(0, -1),
    ):
        got = case([change(part) for part in parts], rng=KEY, window=window)
        for a, b in zip(got, wanted, strict=True):
            assert b is None or a.tobytes() == b.tobytes()
    if "out" not in inspect.signature(getattr(fastdrop, case.function)).parameters:
        return
    for out in (np.empty_like(parts[0]), np.empty((*lengths, 2), np.float32)[..., 1], parts[0]):
        assert case(parts, rng=KEY, window=window, out=out)[0] is out
        assert np.array_equal(out, wanted[0])


@pytest.mark.usefixtures("impl")
@pytest.mark.parametrize("packed", [False, True])
def test_masks(packed: bool) -> None:
    for shape, cuts in WHOLES.values():
        whole = fastdrop.dropout_mask(shape, 0.3, rng=KEY)
        for bounds in cuts:
            cut = tuple(slice(*pair) for pair in bounds)
            window = (shape, tuple(start for start, _ in bounds))
            lengths = whole[cut].shape
            mask = fastdrop.dropout_mask(lengths, 0.3, rng=KEY, packed=packed, window=window)
            wanted = np.packbits(whole[cut], bitorder="little") if packed else whole[cut]
            assert mask.dtype == wanted.dtype
            assert np.array_equal(mask, wanted)
            for p in (0, 1):
                ends = fastdrop.dropout_mask(lengths, p, rng=KEY, window=window)
                assert ends.all() if p == 0 else not ends.any()


@pytest.mark.usefixtures("impl")
def test_in_place_and_noise_shape() -> None:
    shape = (6, 40, 50)
    a = values(shape)
    for noise_shape in (None, (6, 1, 50), (None, 40, 1)):
        wanted = fastdrop.dropout(a, 0.4, rng=KEY, noise_shape=noise_shape)
        x = a.copy()
        part = x[2:5, :, 7:]
        y = fastdrop.dropout_(
            part, 0.4, rng=KEY, noise_shape=noise_shape, window=(shape, [2, 0, np.int64(7)])
        )
        assert y is part
        assert np.array_equal(part, wanted[2:5, :, 7:])
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


@EVERY
def test_a_generator_reserves_for_the_whole(case: Case) -> None:
    shape, cuts = WHOLES[case.axes or 2]
    if case.function.endswith("_backward"):
        return
    arrays = [values(shape, seed=seed) for seed in range(case.operands)]
    cut = tuple(slice(*pair) for pair in cuts[1])
    window = (shape, tuple(start for start, _ in cuts[1]))
    ours, theirs = Generator(1, 2, 4096), Generator(1, 2, 4096)
    wanted = case(arrays, rng=theirs)[0][cut]
    got = case([array[cut] for array in arrays], rng=ours, window=window)[0]
    assert np.array_equal(got, wanted)
    assert ours.state == theirs.state
    # Whoever has an empty part keeps step with those who have the rest.
    empty = [array[:0] for array in arrays]
    y = case(empty, rng=ours, window=(shape, (1,) * len(shape[:1]) + (0,) * (len(shape) - 1)))[0]
    assert y.shape == empty[0].shape
    case(arrays, rng=theirs)
    assert ours.state == theirs.state
    case([array[cut] for array in arrays], rng=ours, window=window, training=False)
    assert ours.state == theirs.state


def test_an_empty_part_of_a_mask() -> None:
    generator = Generator(1)
    mask = fastdrop.dropout_mask((2, 0), rng=generator, window=((3, 5), (1, 5)))
    assert mask.shape == (2, 0)
    assert generator.offset == 4096
    assert fastdrop.dropout_mask((0,), rng=Key(1, 0, 2**64 - 1), window=((1,), (1,))).size == 0


@EVERY
def test_evaluation_of_a_part(case: Case) -> None:
    shape, cuts = WHOLES[case.axes or 2]
    window = (shape, tuple(start for start, _ in cuts[1]))
    cut = tuple(slice(*pair) for pair in cuts[1])
    arrays = [values(shape, seed=seed) for seed in range(case.operands)]
    wanted = case(arrays, rng=1, training=False)[0][cut]
    got = case([array[cut] for array in arrays], rng=1, training=False, window=window)[0]
    assert np.array_equal(got, wanted)


FUNCTIONS = sorted({case.function for case in CASES} | {"dropout_", "dropout_mask"})


def test_every_variant_but_dropblock_takes_a_window() -> None:
    declared = {v.function for v in VARIANTS if not v.block_axes}
    assert declared | {"dropout_", "dropout_mask"} == set(FUNCTIONS)
    taking = {
        name
        for name in fastdrop.__all__
        if inspect.isfunction(getattr(fastdrop, name)) or callable(getattr(fastdrop, name))
        if not inspect.isclass(getattr(fastdrop, name))
        if "window" in inspect.signature(getattr(fastdrop, name)).parameters
    }
    assert taking == set(FUNCTIONS)


BAD: list[tuple[Any, type[Exception], str]] = [
    (3, ValueError, "window has to be a pair"),
    ("ab", ValueError, "window has to be a pair"),
    (((4, 5),), ValueError, "window has to be a pair"),
    (((4, 5), (0, 0), (0, 0)), ValueError, "window has to be a pair"),
    (((4,), (0, 0)), ValueError, "for each of the 2 axes"),
    (((4, 5), (0,)), ValueError, "for each of the 2 axes"),
    (((4, 5, 6), (0, 0, 0)), ValueError, "for each of the 2 axes"),
    (((-4, 5), (0, 0)), ValueError, "no negative numbers"),
    (((4, 5), (0, -1)), ValueError, "no negative numbers"),
    (((4, 5), (3, 0)), ValueError, "has to hold"),
    (((4, 5), (0, 4)), ValueError, "has to hold"),
    (((1, 5), (0, 0)), ValueError, "has to hold"),
    (((2**40, 2**40), (0, 0)), ValueError, "at most"),
    (((4, 5.0), (0, 0)), TypeError, "tuples of integers, but got float"),
    (((4, True), (0, 0)), TypeError, "tuples of integers, but got bool"),
    ((None, (0, 0)), TypeError, "tuples of integers, but got NoneType"),
]


@pytest.mark.parametrize(("window", "error", "words"), BAD, ids=[str(row[0]) for row in BAD])
@pytest.mark.parametrize("name", [n for n in FUNCTIONS if n not in ("dropout2d", "dropout3d")])
def test_bad_windows(name: str, window: Any, error: type[Exception], words: str) -> None:
    """Of every function, before anything is written or reserved."""
    function, generator = getattr(fastdrop, name), Generator(1)
    for x in (np.ones((2, 3), np.float32), np.ones((2, 3), np.float32).T.copy().T):
        operands: dict[str, Any] = {"x": x}
        for variant in VARIANTS:
            if variant.function == name:
                operands = dict.fromkeys(variant.operands, x)
        if name == "dropout_mask":
            operands = {"shape": (2, 3)}
        if name == "gaussian_noise":
            operands["std"] = 1.0
        rng = 1 if name.endswith("_backward") else generator
        with pytest.raises(error, match=words):
            function(**operands, rng=rng, window=window)
        if "out" in inspect.signature(function).parameters:
            out = np.full((2, 3), 7, np.float32)
            with pytest.raises(error, match=words):
                function(**operands, rng=rng, window=window, out=out)
            assert (out == 7).all()
        assert (x == 1).all()
    assert generator.offset == 0


def test_a_noise_shape_is_that_of_the_whole() -> None:
    x = np.ones((2, 3), np.float32)
    with pytest.raises(ValueError, match=r"broadcastable to x's shape \(4, 5\)"):
        fastdrop.dropout(x, noise_shape=(2, 1), window=((4, 5), (1, 1)))
    with pytest.raises(OverflowError):
        fastdrop.dropout(x, rng=Key(1, 0, 2**64 - 19), window=((4, 5), (1, 1)))


def test_the_end_of_the_stream() -> None:
    a, key = np.ones((4, 5), np.float32), Key(1, 0, 2**64 - 20)
    wanted = fastdrop.dropout(a, rng=key)
    assert np.array_equal(
        fastdrop.dropout(a[3:, 4:], rng=key, window=((4, 5), (3, 4))), wanted[3:, 4:]
    )


AXIS = st.integers(1, 9)


@st.composite
def cuts(draw: Callable[..., Any]) -> tuple[Shape, tuple[tuple[int, int], ...], Shape]:
    shape = tuple(draw(st.lists(AXIS, min_size=1, max_size=5)))
    bounds = []
    for n in shape:
        start = draw(st.integers(0, n - 1))
        bounds.append((start, draw(st.integers(start + 1, n))))
    noise = tuple(draw(st.sampled_from((1, n))) for n in shape)
    return shape, tuple(bounds), noise


@pytest.mark.usefixtures("impl")
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(cuts(), st.integers(0, 2**20))
def test_any_part_of_any_shape(cut: Any, offset: int) -> None:
    shape, bounds, noise = cut
    key = Key(5, 6, offset)
    a = np.arange(1, np.prod(shape) + 1, dtype=np.float32).reshape(shape)
    slices = tuple(slice(*pair) for pair in bounds)
    window = (shape, tuple(start for start, _ in bounds))
    for options in ({}, {"noise_shape": noise}):
        wanted = fastdrop.dropout(a, 0.5, rng=key, **options)[slices]
        assert np.array_equal(
            fastdrop.dropout(a[slices], 0.5, rng=key, window=window, **options), wanted
        )
    for function in (fastdrop.gaussian_dropout, fastdrop.alpha_dropout):
        assert np.array_equal(
            function(a[slices], 0.5, rng=key, window=window), function(a, 0.5, rng=key)[slices]
        )


def test_parts_make_the_whole() -> None:
    """Cut along all axes at once, each part by itself."""
    a = values((13, 17, 19))
    y = np.empty_like(a)
    edges = [(0, 4, 13), (0, 5, 6, 17), (0, 19)]
    for lows in itertools.product(*(range(len(edge) - 1) for edge in edges)):
        cut = tuple(slice(edge[i], edge[i + 1]) for edge, i in zip(edges, lows, strict=True))
        start = tuple(one.start for one in cut)
        y[cut] = fastdrop.dropout(a[cut], 0.2, rng=KEY, window=(a.shape, start))
    assert np.array_equal(y, fastdrop.dropout(a, 0.2, rng=KEY))
