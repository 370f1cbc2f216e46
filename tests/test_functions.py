"""The mathematical functions: how far they are from the exact values, and what has to hold exactly.

The bounds are those that ``fastdrop.backends.numpy.functions`` states. Binary32 is judged by
binary64 arithmetic, at every argument with ``-m slow``; binary64 by mpmath, at some thousands.
"""

from concurrent.futures import ThreadPoolExecutor

import exact
import numpy as np
import pytest

from fastdrop.backends.numpy import functions

# In units in the last place of the exact value.
ULPS = {"exp": 1.0, "sigmoid": 2.5, "normal_cdf": 5.75, "gelu": 6.5, "silu": 3.5, "gelu_tanh": 3.0}
# Those that cross 0, where no relative error is small: in units in the last place of 1/2 to 1.
SLOPES = {"gelu_slope": 3.5, "silu_slope": 2.0, "gelu_tanh_slope": 2.5}
BOUNDS = ULPS | SLOPES
NORMAL_ERROR = 3.6e-6

both = pytest.mark.parametrize("dtype", [np.float32, np.float64])
EVERY = pytest.param(1, marks=pytest.mark.slow)


def errors(name: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The errors of ``y`` for f(x), in the units of the bounds above."""
    digits, smallest = (24, 2.0**-149) if x.dtype == np.float32 else (53, 2.0**-1074)
    a = exact.argument(x)
    value = getattr(exact, name)(a)
    error = np.abs(y.astype(a.dtype) - value)
    if name in SLOPES:
        return (error * 2.0**digits).astype(np.float64)
    # The power of 2 below the value, from the bits of its exponent; 0 below the smallest.
    power = (value.astype(np.float64).view(np.int64) & 0x7FF0000000000000).view(np.float64)
    unit = np.maximum(power * 2.0 ** (1 - digits), smallest)
    if name in ("gelu", "silu", "gelu_tanh"):
        # x times a subnormal number, whose last place counts x times.
        unit = np.maximum(unit, np.abs(x) * smallest)
    if name == "gelu_tanh":
        # A rounding error of 2u is one of exp(2u), 2|u| times as large.
        unit *= 1 + np.maximum(0, -exact.twice_u(x.astype(np.float64)))
    return (error / unit).astype(np.float64)


# --- binary32 ---------------------------------------------------------------------------------

FINITE = 0x7F800000  # the bits of the finite numbers from 0 on are 0, 1, 2 ... up to here
PIECE = 1 << 12  # of each sign: what is computed from them stays in the cache


def worst(name: str, step: int) -> float:
    """The largest error over every ``step``-th finite number of either sign."""
    function = getattr(functions, name)

    def of_piece(first: int) -> float:
        bits = np.arange(first, min(first + PIECE * step, FINITE), step, dtype=np.uint32)
        x = np.concatenate([bits, bits | np.uint32(1 << 31)]).view(np.float32)
        x = x[x <= 0] if name == "exp" else x
        with np.errstate(all="ignore"):
            return float(errors(name, x, function(x)).max())

    with ThreadPoolExecutor() as threads:
        return max(threads.map(of_piece, range(0, FINITE, PIECE * step)))


@pytest.mark.parametrize("step", [1009, EVERY])
@pytest.mark.parametrize("name", BOUNDS)
def test_error_in_binary32(name, step):
    assert 0.7 * BOUNDS[name] < worst(name, step) <= BOUNDS[name]  # nor is the bound a loose one


# --- binary64 ---------------------------------------------------------------------------------


def some_binary64(name: str) -> np.ndarray:
    """Numbers of every size, most of them where the functions are neither 0 nor linear."""
    rng = np.random.default_rng(61)
    lowest = -750.0 if name in ("exp", "sigmoid", "silu") else -39.0
    parts = [
        rng.uniform(lowest, 0, 1000),
        rng.uniform(-4, 4, 1000),
        -np.exp(rng.uniform(-40, 2, 300)),
        np.exp(rng.uniform(-40, 6, 300)),
        np.array([0.0, -0.0, 5e-324, -5e-324, 1e-300, -1e-300, 1e4, -1e4]),
    ]
    x = np.concatenate(parts)
    return x[x <= 0] if name == "exp" else x


@pytest.mark.parametrize("name", BOUNDS)
def test_error_in_binary64(name):
    x = some_binary64(name)
    y = getattr(functions, name)(x)
    with exact.mpmath.workdps(40), np.errstate(all="ignore"):
        found = errors(name, x, y).max()
    assert BOUNDS[name] / 2 < found <= BOUNDS[name]


# --- Both -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "polynomial"),
    [("exp", "exp_q"), ("sigmoid", "exp_q"), ("normal_cdf", "tail_r"), ("gelu", "tail_r")],
)
def test_a_slightly_wrong_coefficient_is_found(name, polynomial, monkeypatch):
    wrong = list(getattr(functions.F32, polynomial))
    wrong[1] *= np.float32(1 + 2**-16)
    monkeypatch.setattr(functions, "F32", functions.F32._replace(**{polynomial: tuple(wrong)}))
    assert worst(name, 10007) > BOUNDS[name]


@both
@pytest.mark.parametrize(
    ("name", "at_zero", "at_inf"),
    [
        *((name, 0, np.inf) for name in ("relu", "gelu", "silu", "gelu_tanh")),
        *((name, 0.5, 1) for name in ("sigmoid", "normal_cdf", *SLOPES)),
        ("relu_slope", 0, 1),
    ],
)
def test_limits(name, at_zero, at_inf, dtype):
    limits = np.finfo(dtype)
    x = [-np.inf, limits.min, -0.0, 0.0, limits.smallest_subnormal, limits.max, np.inf, np.nan]
    y = getattr(functions, name)(np.array(x, dtype))
    assert y.dtype == dtype
    assert y[:2].tolist() == [0, 0]
    near_zero = 1 if name == "relu_slope" else at_zero
    assert y[2:5] == pytest.approx([at_zero, at_zero, near_zero], abs=2 * float(limits.eps))
    assert y[5] == (limits.max if at_inf == np.inf else at_inf)
    assert y[6] == at_inf
    assert np.isnan(y[7])


@both
def test_exp_at_its_ends(dtype):
    lowest = np.log(2.0) * (-150 if dtype == np.float32 else -1075)
    x = np.array([-np.inf, np.finfo(dtype).min, lowest * 1.0001, lowest * 0.9999, -0.0, np.nan])
    y = functions.exp(x.astype(dtype))
    smallest = np.finfo(dtype).smallest_subnormal
    assert y.dtype == dtype
    assert y[:5].tolist() == [0, 0, 0, smallest, 1]
    assert np.isnan(y[5])


@both
def test_relu(dtype):
    x = np.array([-2, -1e-30, 1e-30, 3], dtype)
    assert functions.relu(x).tolist() == [0, 0, x[2], 3]
    assert functions.relu_slope(x).tolist() == [0, 0, 1, 1]
    assert not np.signbit(functions.relu(np.array([-0.0, -1], dtype))).any()


# --- Normal variates --------------------------------------------------------------------------


def words(s: np.ndarray) -> np.ndarray:
    return s.astype(np.int64).astype(np.int32).view(np.uint32)


def of_octave(octave: int, step: int = 1) -> np.ndarray:
    """Every ``step``-th word whose s gives another |t| in the octave, in order, and the last."""
    first, apart = 2**octave, max(2, 2 ** (octave - 23))
    s = np.arange(first | 1, 2 * first, apart * step)
    return words(np.append(s, 2 * first - 1))


def normal_error(step: int) -> float:
    each = (of_octave(octave, step) for octave in range(31))
    return max(float(np.abs(functions.normal(w) - exact.normal(w)).max()) for w in each)


@pytest.mark.parametrize("step", [101, EVERY])
def test_error_of_normal_variates(step):
    assert 0.9 * NORMAL_ERROR < normal_error(step) <= NORMAL_ERROR


@pytest.mark.slow
def test_normal_variates_fall():
    last = np.float32(np.inf)
    for octave in range(31):
        z = functions.normal(of_octave(octave)[:-1])
        assert np.all(np.diff(z, prepend=last) <= 0), octave
        last = z[-1]


def test_normal_variates_find_a_wrong_coefficient(monkeypatch):
    wrong = functions._NORMAL.copy()
    wrong[2, 20] += np.float32(3e-5)
    monkeypatch.setattr(functions, "_NORMAL", wrong)
    assert normal_error(1001) > NORMAL_ERROR


def test_normal_variates_at_the_ends():
    w = words(np.array([1, -1, 2**31 - 1, -(2**31) + 1, 0, 2, -(2**31)]))
    z = functions.normal(w)
    assert z.dtype == np.float32
    assert z[0] == pytest.approx(6.2302590, abs=NORMAL_ERROR)
    assert z[:4].tolist() == [z[0], -z[0], 0, 0]
    assert z[4:].tolist() == [z[0], functions.normal(words(np.array([3])))[0], 0]


def test_normal_variates_are_symmetric_and_take_the_lowest_bit_as_set():
    s = np.random.default_rng(62).integers(-(2**30), 2**30, 10000) * 2 + 1
    z = functions.normal(words(s))
    np.testing.assert_array_equal(functions.normal(words(-s)), -z)
    np.testing.assert_array_equal(functions.normal(words(s - 1)), z)
