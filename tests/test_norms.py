"""Max-norm: against its definition, along all axes, in all layouts; the bits of the reference."""

import itertools
from typing import Any

import numpy as np
import pytest
from bad_input import (
    DTYPES,
    NATIVE,
    OWN_PLACES,
    READ_ONLY,
    SWAPPED,
    Bad,
    check,
    parametrize,
    values,
)
from computing import KINDS, layouts
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from support import by_threads, difference, guarded, same_bits, to_storage

import fastdrop
from fastdrop import backends

FLOATS = (np.float16, np.float32, np.float64)
ERROR = {np.float16: 2.0**-10, np.float32: 2.0**-21, np.float64: 2.0**-49}
max_norm_: Any = fastdrop.max_norm_


def weights(shape, dtype=np.float64, seed=1):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def norms(w, axis):
    return np.sqrt(np.sum(np.square(w.astype(np.longdouble)), axis=axis, keepdims=True))


def projected(w, c, axis):
    """The definition, in more than float64."""
    norm = norms(w, axis)
    return np.where(norm > c, w * (c / np.where(norm > c, norm, 1)), w)


AXES = [0, 1, 2, -1, -3, (0, 1), (1, 2), (0, 2), (2, 0), (-1, -2), [0], (0, 1, 2), None]


@pytest.mark.usefixtures("impl")
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("axis", AXES, ids=str)
def test_is_what_its_name_says(dtype, axis):
    before = weights((7, 30, 9), dtype)
    numpy_axis = tuple(axis) if isinstance(axis, list) else axis
    norm = norms(before, numpy_axis)
    for c in (0.0, float(np.median(norm)), 0.7, 1e6):
        w = before.copy()
        assert max_norm_(w, c, axis) is w
        smallest = float(np.finfo(dtype).smallest_subnormal)
        want = projected(before, c, numpy_axis)
        np.testing.assert_allclose(w, want, rtol=ERROR[dtype], atol=smallest)
        assert np.all(norms(w, numpy_axis) <= c * (1 + ERROR[dtype]))
        within = np.broadcast_to(norm <= c, w.shape)
        assert np.array_equal(w[within], before[within])


@pytest.mark.usefixtures("impl")
def test_the_default_axis_is_that_of_incoming_weights():
    w = weights((3, 5), np.float32)
    want = projected(w, 0.5, 1)
    np.testing.assert_allclose(fastdrop.max_norm_(w, 0.5), want, rtol=1e-6)


@pytest.mark.usefixtures("impl")
@pytest.mark.parametrize("axis", [0, 1, 2, (0, 1), (0, 2), (1, 2), None], ids=str)
def test_every_layout_gives_the_same_bits(axis):
    w = weights((6, 150, 5), np.float32)
    c = float(np.median(norms(w, axis)))
    want = max_norm_(w.copy(), c, axis)
    for name, array in layouts(w).items():
        max_norm_(array, c, axis)
        np.testing.assert_array_equal(array, want, err_msg=name)
    turned = w.copy().transpose(2, 0, 1).copy().transpose(1, 2, 0)
    np.testing.assert_array_equal(max_norm_(turned, c, axis), want)
    around = np.zeros((8, 152, 7), np.float32)
    inside = around[1:-1, 1:-1, 1:-1]
    inside[...] = w
    np.testing.assert_array_equal(max_norm_(inside, c, axis), want)
    inside[...] = 0
    assert not around.any()


@pytest.mark.usefixtures("impl")
@pytest.mark.parametrize("axis", [0, 1], ids=["columns", "rows"])
def test_squares_neither_overflow_nor_underflow(axis):
    for dtype, sizes in (
        (np.float16, (65504, 6e-8)),
        (np.float32, (3e38, 1e19, 1e-19, 1e-30, 1e-37)),
        (np.float64, (1.7e308, 1e200, 1e-200, 1e-300)),
    ):
        for size in sizes:
            w = np.array([[3, -4, 0], [0.3, 0.4, 0], [0, 0, 0]], np.float64)
            w = (w / 4 * size).astype(dtype)
            w = np.ascontiguousarray(w.T) if axis == 0 else w
            before, c = w.copy(), size / 4
            max_norm_(w, c, axis)
            np.testing.assert_allclose(
                w.astype(np.longdouble),
                projected(before, c, axis),
                rtol=2e-2 if size < 1e-7 and dtype == np.float16 else ERROR[dtype],
                atol=float(np.finfo(dtype).smallest_subnormal),
            )


@pytest.mark.usefixtures("impl")
@pytest.mark.parametrize("axis", [0, 1], ids=["columns", "rows"])
@pytest.mark.parametrize("dtype", FLOATS)
def test_groups_of_zeros_or_with_an_inf_or_a_nan_stay(dtype, axis):
    rows = np.ones((6, 100), dtype)
    rows[1] = -0.0
    rows[2, 50] = np.inf
    rows[3, 3] = np.nan
    rows[4, 99] = -np.inf
    w = np.ascontiguousarray(rows.T) if axis == 0 else rows.copy()
    max_norm_(w, 0.5, axis)
    got = w.T if axis == 0 else w
    np.testing.assert_array_equal(got[1:5], rows[1:5])
    assert np.signbit(got[1]).all()
    np.testing.assert_allclose(got[[0, 5]], 0.05, rtol=1e-3)
    signs = np.array([[1.0, -1.0, 0.0, -0.0]], dtype)
    max_norm_(signs, 0)
    assert np.array_equal(signs, np.zeros((1, 4)))
    assert np.array_equal(np.signbit(signs[0]), [False, True, False, True])
    large = np.full((2, 3), 1e4, dtype)
    assert np.array_equal(max_norm_(large.copy(), np.inf), large)
    assert np.array_equal(max_norm_(large.copy(), 10**400), large)


@pytest.mark.usefixtures("impl")
def test_bfloat16():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    before = weights((5, 300), np.float32).astype(ml_dtypes.bfloat16)
    w = before.copy()
    assert max_norm_(w, 2) is w
    # Computed in float32 and rounded once.
    want = max_norm_(before.astype(np.float32), 2).astype(ml_dtypes.bfloat16)
    assert np.array_equal(w, want)
    turned = np.asfortranarray(before)
    assert np.array_equal(max_norm_(turned, 2), want)


@pytest.mark.usefixtures("impl")
def test_empty_arrays_and_single_numbers():
    for shape in ((0, 3), (3, 0)):
        for axis in (0, 1, None):
            assert max_norm_(np.ones(shape), 1, axis).shape == shape
    number = np.array(-3.0)
    max_norm_(number, 2, None)
    assert number == -2
    one = np.array([3.0, -0.5])
    assert np.array_equal(max_norm_(one[:, None], 2, 1), [[2], [-0.5]])
    many = np.full((1,) * 60 + (2, 3), 2.0)
    np.testing.assert_allclose(max_norm_(many, 1, -1), 3**-0.5)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    w=arrays.arrays(
        np.float32,
        arrays.array_shapes(min_dims=2, max_dims=2, max_side=40),
        elements=st.floats(-1e3, 1e3, width=32),
    ),
    c=st.floats(2.0**-10, 1e3),
    axis=st.sampled_from([0, 1, None]),
)
def test_a_projection_does_not_go_further_than_the_ball(w, c, axis):
    """Its distance is that of the nearest point of the ball: what shrinks more is further away."""
    got = max_norm_(w.copy(), c, axis)
    bound = c * (1 + ERROR[np.float32]) + 2.0**-149 * w.size
    assert np.all(norms(got, axis) <= bound)
    nearest = np.maximum(norms(w, axis) - c, 0)
    distance = norms(got.astype(np.float64) - w, axis)
    np.testing.assert_allclose(distance, nearest, rtol=1e-5, atol=1e-5 * c)


@pytest.mark.parametrize(
    ("shape", "axis"),
    [
        ((3000, 700), 1),
        ((2100, 1000), 0),
        ((300, 5000), 0),
        ((9, 300_000), 1),
        ((1, 2_200_000), 1),
        ((2_200_000, 1), 0),
        ((700_000, 3), 0),
    ],
)
def test_threads_give_the_same_bits(shape, axis):
    w = weights(shape, np.float32)
    first, *others = by_threads(lambda: max_norm_(w.copy(), 20, axis))
    assert all(np.array_equal(other, first) for other in others)


# --- The bits of the reference ----------------------------------------------------------------

LENGTHS = (
    1, 2, 7, 8, 15, 16, 17, 31, 33, 48, 49, 63, 64, 65, 127, 130, 255, 256, 257, 513, 4096, 4097,
    8300,
)  # fmt: skip
WIDTHS = (2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 127, 128, 129, 300)
SHAPES = [(3, n, 1) for n in LENGTHS] + [(2, 70, inner) for inner in WIDTHS]
SHAPES += [(2, n, 5) for n in LENGTHS] + [(0, 3, 1), (2, 0, 4), (2, 3, 0), (700, 130, 1)]
SHAPES += [(1, 70, inner) for inner in (1023, 1024, 1025, 2100)] + [(3, 17, 1500)]


def numbers(kind: str, shape: tuple[int, int, int]) -> np.ndarray:
    """Groups of all sizes, some of whose squares overflow or underflow, and special numbers."""
    source = np.random.default_rng(sum(shape))
    values = source.standard_normal(shape)
    groups = values.transpose(0, 2, 1).reshape(shape[0] * shape[2], shape[1])
    for i, exponent in enumerate((0, 90, -110, 600, -600, 0, -1000, 8)[: len(groups)]):
        groups[i] *= 2.0**exponent
    if groups.size:
        for i, number in enumerate((np.nan, np.inf, -0.0)):
            groups[-1 - 7 * i :: 11, (5 * i) % shape[1]] = number
    values = groups.reshape(shape[0], shape[2], shape[1]).transpose(0, 2, 1)
    return np.ascontiguousarray(to_storage(values, kind))


def compare(impl, kind: str, shape: tuple[int, int, int], limit: float, at: int = 0) -> None:
    values = numbers(kind, shape)
    want, memory = values.copy(), guarded(values, at)
    backends.load("numpy").max_norm(want, kind, limit)
    got = memory.array
    impl.max_norm(got, kind, limit)
    assert same_bits(got, want, kind), (kind, shape, limit, at, difference(got, want))
    assert memory.intact()


@pytest.mark.parametrize("kind", KINDS)
def test_lengths_and_widths(impl, kind):
    for shape, limit in itertools.product(SHAPES, (0.75, 1e-20)):
        compare(impl, kind, shape, limit)


@pytest.mark.parametrize("kind", KINDS)
def test_misaligned(impl, kind):
    for shape, at in itertools.product(
        ((3, 5, 1), (3, 130, 1), (2, 20, 21), (2, 300, 1), (2, 1031, 1), (3, 2, 300)),
        (1, 3, 4, 13, 16, 62),
    ):
        compare(impl, kind, shape, 0.5, at)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_that_lie_apart(impl, kind):
    for shape, part in (
        ((4, 70, 1), np.s_[:, 2:60]),
        ((2, 30, 40), np.s_[::-1, 3:, 1:36]),
        ((3, 200, 3), np.s_[:, ::-2, :]),
        ((3, 200, 3), np.s_[:, ::3, :1]),
    ):
        values = numbers(kind, shape)
        want, got = values.copy(), values.copy()
        backends.load("numpy").max_norm(want[part], kind, 0.5)
        impl.max_norm(got[part], kind, 0.5)
        assert same_bits(got, want, kind), (kind, shape, difference(got, want))


# --- Bad input --------------------------------------------------------------------------------

AXIS = "axis has to be an axis of w, which has shape "
KINDS_OF_AXES = "axis has to be an integer, a tuple of integers or None, but got "
CASES = [
    *values(
        "w",
        lambda _, v: max_norm_(v, 0.1),
        ([[1.0]], TypeError, "w has to be a NumPy array to be"),
        (np.ones((3, 4), int), TypeError, f"w {DTYPES}int64"),
        (np.ones((3, 4), SWAPPED), TypeError, f"w {NATIVE}"),
        (np.ones(4, np.float32), ValueError, f"{AXIS}(4,), but got 1"),
    ),
    Bad("read-only", lambda s: max_norm_(s.read_only(), 0.1), ValueError, f"w {READ_ONLY}"),
    Bad("overlaps-itself", lambda s: max_norm_(s.sliding(), 0.1), ValueError, f"w {OWN_PLACES}"),
    *values(
        "c",
        lambda s, v: max_norm_(s.x, v),
        ("1", TypeError, "c has to be a real number, but got str"),
        (True, TypeError, "c has to be a real number, but got bool"),
        (-1, ValueError, "c has to be at least 0, but got -1"),
        (np.nan, ValueError, "c has to be at least 0, but got nan"),
    ),
    *values(
        "axis",
        lambda s, v: max_norm_(s.x, 0.1, v),
        (2, ValueError, f"{AXIS}(3, 4), but got 2"),
        (1.0, TypeError, f"{KINDS_OF_AXES}float"),
        ((0, True), TypeError, f"{KINDS_OF_AXES}bool"),
        ((1, -1), ValueError, "axis has to name each axis of w once, but got (1, -1)"),
        ((), ValueError, "axis has to name at least one axis of w, but got ()"),
    ),
    *values(
        "axis-of-none",
        lambda s, v: max_norm_(s.full(np.float32, ()), 0.1, v),
        (0, ValueError, f"{AXIS}(), but got 0"),
    ),
]


@parametrize(CASES)
def test_is_refused_without_effect(case: Bad) -> None:
    check(case)
