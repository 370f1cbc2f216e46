"""Max-norm: against its definition, along all axes, in all layouts; the bits of the reference."""

import itertools
from typing import Any

import numpy as np
import pytest
from bad_input import DTYPES, NATIVE, OWN_PLACES, READ_ONLY, SWAPPED, check, parametrize, values
from computing import KINDS, layouts
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
        within = np.broadcast_to(norm <= c, w.shape)
        assert np.array_equal(w[within], before[within])


@pytest.mark.usefixtures("impl")
@pytest.mark.parametrize("axis", [0, 1, 2, (0, 1), (0, 2), (1, 2), None], ids=str)
def test_every_layout_gives_the_same_bits(axis):
    w = weights((6, 150, 5), np.float32)
    c = float(np.median(norms(w, axis)))
    want = max_norm_(w.copy(), c, axis)
    turned = w.transpose(2, 0, 1).copy().transpose(1, 2, 0)
    around = np.zeros((8, 152, 7), np.float32)
    inside = around[1:-1, 1:-1, 1:-1]
    inside[...] = w
    for name, array in (layouts(w) | {"turned": turned, "inside": inside}).items():
        max_norm_(array, c, axis)
        np.testing.assert_array_equal(array, want, err_msg=name)
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
            w = np.array([[3, -4, 0], [0.3, 0.4, 0], [0, 0, 0], [1e-30, 4, 3e-9]])
            w = (w / 4 * size).astype(dtype)
            w = np.ascontiguousarray(w.T) if axis == 0 else w
            want = projected(w, size / 4, axis)
            error = 2e-2 if size < 1e-7 and dtype == np.float16 else ERROR[dtype]
            smallest = float(np.finfo(dtype).smallest_subnormal)
            got = max_norm_(w, size / 4, axis).astype(np.longdouble)
            np.testing.assert_allclose(got, want, rtol=error, atol=smallest)


@pytest.mark.usefixtures("impl")
@pytest.mark.parametrize("axis", [0, 1], ids=["columns", "rows"])
@pytest.mark.parametrize("dtype", FLOATS)
def test_groups_of_zeros_or_with_an_inf_or_a_nan_stay(dtype, axis):
    rows = np.ones((6, 100), dtype)
    rows[1] = -0.0
    rows[2, 50], rows[3, 3], rows[4, 99] = np.inf, np.nan, -np.inf
    got = max_norm_(rows.T.copy(), 0.5, 0).T if axis == 0 else max_norm_(rows.copy(), 0.5, 1)
    np.testing.assert_array_equal(got[1:5], rows[1:5])
    assert np.signbit(got[1]).all()
    np.testing.assert_allclose(got[[0, 5]], 0.05, rtol=1e-3)
    signs = np.array([[1.0, -1.0, 0.0, -0.0]], dtype)
    max_norm_(signs, -0.0)
    assert np.array_equal(signs, np.zeros((1, 4)))
    assert np.array_equal(np.signbit(signs[0]), [False, True, False, True])
    large = np.full((2, 3), 1e4, dtype)
    assert np.array_equal(max_norm_(large.copy(), np.inf), large)
    assert np.array_equal(max_norm_(large.copy(), 10**400), large)
    assert np.array_equal(max_norm_(large.copy(), np.float16(np.inf)), large)
    assert np.array_equal(max_norm_(large.copy(), np.float32(1e30)), large)


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


LARGE_ROWS = [(3000, 700), (9, 300_000), (1, 2_200_000)]
LARGE_COLUMNS = [(2100, 1000), (300, 5000), (2_200_000, 1), (700_000, 3)]


def test_threads_give_the_same_bits():
    for axis, shapes in ((1, LARGE_ROWS), (0, LARGE_COLUMNS)):
        for w in (weights(shape, np.float32) for shape in shapes):
            first, *others = by_threads(lambda w=w, axis=axis: max_norm_(w.copy(), 20, axis))
            assert all(np.array_equal(other, first) for other in others), w.shape


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


MISALIGNED = ((3, 5, 1), (3, 130, 1), (2, 20, 21), (2, 300, 1), (2, 1031, 1), (3, 2, 300))
APART = (
    ((4, 70, 1), np.s_[:, 2:60]),
    ((2, 30, 40), np.s_[::-1, 3:, 1:36]),
    ((3, 200, 3), np.s_[:, ::-2, :]),
    ((3, 200, 3), np.s_[:, ::3, :1]),
)


@pytest.mark.parametrize("kind", KINDS)
def test_all_have_the_reference_s_bits(impl, kind):
    """Of all lengths and widths, misaligned, and of rows that lie apart."""
    cases = [(shape, limit, 0, ...) for shape, limit in itertools.product(SHAPES, (0.75, 1e-20))]
    cases += [(*case, ...) for case in itertools.product(MISALIGNED, [0.5], (1, 3, 4, 13, 16, 62))]
    cases += [(shape, 0.5, 0, part) for shape, part in APART]
    for shape, limit, at, part in cases:
        want = numbers(kind, shape)
        got = guarded(want, at)
        backends.load("numpy").max_norm(want[part], kind, limit)
        impl.max_norm(got.array[part], kind, limit)
        assert same_bits(got.array, want, kind), (shape, limit, at, difference(got.array, want))
        assert got.intact()


AXIS = "axis has to be an axis of w, which has shape "
KINDS_OF_AXES = "axis has to be an integer, a tuple of integers or None, but got "
CASES = [
    *values(
        "arguments",
        lambda s, v: max_norm_(**{"w": s.x, "c": 0.1, **v}),
        ({"w": [[1.0]]}, TypeError, "w has to be a NumPy array to be"),
        ({"w": np.ones((3, 4), int)}, TypeError, f"w {DTYPES}int64"),
        ({"w": np.ones((3, 4), SWAPPED)}, TypeError, f"w {NATIVE}"),
        ({"w": np.ones(4, np.float32)}, ValueError, f"{AXIS}(4,), but got 1"),
        ({"w": np.ones(())}, ValueError, f"{AXIS}(), but got 1"),
        ({"c": "1"}, TypeError, "c has to be a real number, but got str"),
        ({"c": True}, TypeError, "c has to be a real number, but got bool"),
        ({"c": -1}, ValueError, "c has to be at least 0, but got -1"),
        ({"c": np.nan}, ValueError, "c has to be at least 0, but got nan"),
        ({"axis": 2}, ValueError, f"{AXIS}(3, 4), but got 2"),
        ({"axis": 1.0}, TypeError, f"{KINDS_OF_AXES}float"),
        ({"axis": (0, True)}, TypeError, f"{KINDS_OF_AXES}bool"),
        ({"axis": (1, -1)}, ValueError, "axis has to name each axis of w once, but got (1, -1)"),
        ({"axis": ()}, ValueError, "axis has to name at least one axis of w, but got ()"),
    ),
    *values(
        "memory",
        lambda s, of: max_norm_(getattr(s, of)(), 0.1),
        ("read_only", ValueError, f"w {READ_ONLY}"),
        ("sliding", ValueError, f"w {OWN_PLACES}"),
    ),
]


@parametrize(CASES)
def test_is_refused_without_effect(case):
    check(case)
