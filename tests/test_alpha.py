"""Alpha dropout: against the reference, against its formula, and what it is for."""

import itertools
import math

import numpy as np
import pytest
from computing import KINDS, check_operation, layouts
from support import bits, core_or_skip

import fastdrop
from fastdrop._plan import make_affine, make_plan

FLOATS = (np.float16, np.float32, np.float64)
PROBABILITIES = (0.0, 0.1, 0.5, 1.0)

ALPHA, SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946
SATURATION = -1.7580993408473766


def constants(p: float) -> tuple[float, float, float]:
    """a, b, and what a dropped element becomes."""
    a = 1 / math.sqrt((1 - p) * (1 + p * SATURATION**2))
    b = -a * SATURATION * p
    return a, b, a * SATURATION + b


def formula(x: np.ndarray, keep: np.ndarray, p: float) -> np.ndarray:
    """The definition, in NumPy's arithmetic."""
    if p == 1:
        return np.zeros_like(x)
    a, b, dropped = constants(p)
    compute = np.float64 if x.dtype == np.float64 else np.float32
    kept = x.astype(compute) * compute(a) + compute(b)
    return np.where(keep, kept.astype(x.dtype), x.dtype.type(dropped))


def test_the_saturation_is_that_of_selu():
    assert pytest.approx(-ALPHA * SCALE, rel=1e-15) == SATURATION


@pytest.mark.parametrize("p", [2.0**-60, 1e-9, 0.05, 0.1, 0.25, 0.3, 0.5, 0.9, 1 - 2.0**-53])
def test_the_constants_are_the_formula_in_binary64(p):
    assert make_affine(p, "float64") == constants(p)
    a, b, dropped = constants(p)
    assert make_affine(p, "float32") == tuple(map(np.float32, (a, b, dropped)))
    assert make_affine(p, "float16") == (np.float32(a), np.float32(b), np.float16(dropped))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("p", PROBABILITIES)
def test_the_operation_has_the_reference_s_bits(impl, kind, p):
    plan, affine = make_plan(p, kind), make_affine(p, kind)

    def call(backend, read, written, key):
        backend.dropout_affine(*read, *written, kind, key, plan, affine)

    check_operation(impl, kind, call, reads=1)


@pytest.mark.parametrize("kind", KINDS)
def test_shared_decisions_have_the_reference_s_bits(impl, reference, kind):
    affine = make_affine(0.3, kind)
    source = np.random.default_rng(1)
    size = 2 if kind in ("float16", "bfloat16") else np.dtype(kind).itemsize
    for shape, mask_shape in (
        ((3, 5, 7), (3, 5, 1)),
        ((3, 5, 7), (3, 5, 7)),
        ((40, 129, 3), (40, 129, 1)),
        ((2, 3, 2000), (2, 3, 1)),
        ((65, 100), (65, 100)),
    ):
        x = source.integers(0, 2 ** (8 * size - 1), shape, f"u{size}")
        x = x if size == 2 else x.view(kind)
        n = math.prod(mask_shape)
        packed = np.packbits(source.random(n) < 0.6, bitorder="little")
        got, wanted = np.empty_like(x), np.empty_like(x)
        impl.apply_affine(x, got, kind, packed, mask_shape, affine)
        reference.apply_affine(x, wanted, kind, packed, mask_shape, affine)
        nans = np.isnan(x) if size > 2 else (x & 0x7FFF) > (0x7C00 if kind == "float16" else 0x7F80)
        assert np.array_equal(bits(got)[~nans.reshape(-1)], bits(wanted)[~nans.reshape(-1)])


@pytest.mark.usefixtures("impl")
@pytest.mark.parametrize("dtype", FLOATS)
def test_alpha_dropout_is_its_formula(dtype):
    x = np.linspace(-4, 4, 12345, dtype=dtype)
    for p in (*PROBABILITIES, 0.999):
        y = fastdrop.alpha_dropout(x, p, rng=9)
        keep = fastdrop.dropout_mask(x.shape, p, rng=9)
        np.testing.assert_array_equal(y, formula(x, keep, p), strict=True)
        a = 0 if p == 1 else constants(p)[0]
        compute = np.float64 if dtype == np.float64 else np.float32
        slope = (x.astype(compute) * compute(a)).astype(dtype)
        np.testing.assert_array_equal(
            fastdrop.alpha_dropout_backward(x, p, rng=9), np.where(keep, slope, dtype(0))
        )


@pytest.mark.usefixtures("impl")
@pytest.mark.parametrize("shape", [(6, 9), (6, 9, 5), (3, 4, 5, 6), (2, 3, 1, 70, 3), (4, 0, 3)])
def test_feature_alpha_dropout_shares_a_channel_s_decision(shape):
    x = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    small = shape[:2] + (1,) * (len(shape) - 2)
    keep = np.broadcast_to(fastdrop.dropout_mask(small, 0.4, rng=9), shape)
    y = fastdrop.feature_alpha_dropout(x, 0.4, rng=9)
    np.testing.assert_array_equal(y, formula(x, keep, 0.4), strict=True)
    dx = fastdrop.feature_alpha_dropout_backward(x, 0.4, rng=9)
    a = np.float32(constants(0.4)[0])
    np.testing.assert_array_equal(dx, np.where(keep, x * a, np.float32(0)))


@pytest.mark.usefixtures("impl")
def test_special_numbers():
    x = np.float32([np.inf, -np.inf, np.nan, -0.0, 0.0])
    kept = fastdrop.alpha_dropout(x, 0.0, rng=1)
    assert np.array_equal(kept, x, equal_nan=True)
    assert not np.signbit(kept[3:]).any()  # 1 * -0.0 + 0.0
    dropped = fastdrop.alpha_dropout(x, 1.0, rng=1)
    assert not bits(dropped).any()
    assert not bits(fastdrop.alpha_dropout_backward(x, 1.0, rng=1)).any()


@pytest.mark.usefixtures("impl")
@pytest.mark.parametrize("name", ["alpha_dropout", "feature_alpha_dropout"])
def test_any_layout(name):
    function, backward = getattr(fastdrop, name), getattr(fastdrop, f"{name}_backward")
    x = np.random.default_rng(1).standard_normal((37, 11, 13)).astype(np.float32)
    wanted, slope = function(x, 0.4, rng=5), backward(x, 0.4, rng=5)
    names = layouts(x).keys()
    for a, b in itertools.product(names, names):
        out = layouts(np.zeros_like(x))[b]
        assert function(layouts(x)[a], 0.4, rng=5, out=out) is out
        np.testing.assert_array_equal(out, wanted, err_msg=f"{a} to {b}")
        backward(layouts(x)[a], 0.4, rng=5, out=out)
        np.testing.assert_array_equal(out, slope, err_msg=f"{a} to {b}, backward")
    for how, both in layouts(x).items():
        function(both, 0.4, rng=5, out=both)
        np.testing.assert_array_equal(both, wanted, err_msg=f"in place, {how}")


@pytest.mark.usefixtures("impl")
def test_more_axes_than_the_backends_take():
    x = np.ones((3, 4) + (1,) * 40, np.float32)
    flat = np.ones((3, 4), np.float32)
    for name in ("alpha_dropout", "feature_alpha_dropout", "feature_alpha_dropout_backward"):
        y = getattr(fastdrop, name)(x, 0.4, rng=2)
        np.testing.assert_array_equal(
            y.reshape(3, 4), getattr(fastdrop, name)(flat, 0.4, rng=2), err_msg=name
        )


@pytest.mark.parametrize("name", ["alpha_dropout", "feature_alpha_dropout"])
def test_evaluation_and_empty_arrays_draw_nothing(name):
    function, backward = getattr(fastdrop, name), getattr(fastdrop, f"{name}_backward")
    x, rng = np.ones((2, 3)), fastdrop.Generator(1)
    out = np.zeros_like(x)
    assert function(x, 0.5, False, rng=rng) is x
    assert function(x, 0.5, False, rng=rng, out=out) is out
    assert np.array_equal(out, x)
    assert function(x[:0], 0.5, rng=rng).shape == (0, 3)
    assert backward(x, 0.5, False, rng=1) is x
    assert rng.offset == 0


@pytest.mark.parametrize("name", ["alpha_dropout", "feature_alpha_dropout"])
def test_gradients(name):
    function, backward = getattr(fastdrop, name), getattr(fastdrop, f"{name}_backward")
    x, dy = np.random.default_rng(2).standard_normal((2, 5, 6, 2))
    key, step = fastdrop.Key(8), 1e-6
    dx = backward(dy, 0.3, rng=key)
    for index in np.ndindex(x.shape):
        e = np.zeros_like(x)
        e[index] = step
        change = function(x + e, 0.3, rng=key) - function(x - e, 0.3, rng=key)
        assert (change * dy).sum() / (2 * step) == pytest.approx(dx[index], rel=1e-6, abs=1e-8)


def test_threads_give_the_same_bits():
    core_or_skip()
    x = np.random.default_rng(3).standard_normal((3001, 1000)).astype(np.float32)
    before = fastdrop.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 7):
            fastdrop.set_num_threads(threads)
            key = fastdrop.Key(1, 2, 33)
            results.append(
                [
                    fastdrop.alpha_dropout(x, 0.3, rng=key),
                    fastdrop.alpha_dropout(x.T, 0.3, rng=key),
                    fastdrop.feature_alpha_dropout(x.reshape(3001, 10, 100), 0.3, rng=key),
                ]
            )
    finally:
        fastdrop.set_num_threads(before)
    for other in results[1:]:
        assert all(itertools.starmap(np.array_equal, zip(results[0], other, strict=True)))


def selu(x: np.ndarray) -> np.ndarray:
    return SCALE * np.where(x > 0, x, ALPHA * np.expm1(np.minimum(x, 0)))


@pytest.mark.parametrize("p", [0.05, 0.1, 0.2])
def test_networks_of_selus_stay_normalised(p):
    """10 layers 512 wide: the mean stays 0 and the variance 1, where dropout lets both run away."""
    source = np.random.default_rng(4)
    x = dropped = source.standard_normal((2000, 512))
    generator = fastdrop.Generator(5)
    for _ in range(10):
        w = source.standard_normal((512, 512)) / math.sqrt(512)
        x = fastdrop.alpha_dropout(selu(x @ w), p, rng=generator)
        dropped = fastdrop.dropout(selu(dropped @ w), p, rng=generator)
        assert abs(x.mean()) < 0.06
        assert abs(x.var() - 1) < 0.1
    assert abs(dropped.var() - 1) > 0.1


def test_mean_and_variance_are_kept():
    """Of a million: the standard errors are 0.001 and, by the fourth moment, below 0.002."""
    x = np.random.default_rng(6).standard_normal(1_000_000)
    for p in (0.1, 0.5, 0.9):
        y = fastdrop.alpha_dropout(x, p, rng=7)
        assert abs(y.mean()) < 0.006
        assert abs(y.var() - 1) < 0.012


@pytest.mark.parametrize("rng", [None, fastdrop.Generator(1), np.random.default_rng(1)])
@pytest.mark.parametrize("name", ["alpha_dropout_backward", "feature_alpha_dropout_backward"])
def test_a_gradient_needs_the_mask_of_its_forward(name, rng):
    before = fastdrop.default_generator().state
    with pytest.raises(TypeError, match="rng has to be what gave the forward pass its mask"):
        getattr(fastdrop, name)(np.ones((2, 3)), 0.5, rng=rng)
    assert fastdrop.default_generator().state == before


def test_a_gradient_takes_every_repeatable_rng():
    for rng in (3, fastdrop.Key(3), np.random.SeedSequence(3)):
        kept = fastdrop.alpha_dropout_backward(np.ones(50), 0.5, rng=rng) != 0
        assert np.array_equal(kept, fastdrop.dropout_mask(50, 0.5, rng=rng))
