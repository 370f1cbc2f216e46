"""Shared decisions, and dropout on weights: against the papers' formulas, written out.

Each reference below draws its small mask with `dropout_mask` under the same key, one decision for
each (sample, channel), (sample, feature), (sample) or (row), and applies it in plain loops.
"""

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import fastdrop
from fastdrop import Generator, Key

KEY = Key(11, 22, 3 * 4096 + 5)


class Variant(NamedTuple):
    """A call, what it is given, how many decisions that takes, and which one an element obeys."""

    name: str
    call: Callable[..., np.ndarray]
    shape: tuple[int, ...]
    decisions: tuple[int, ...]
    of: Callable[..., tuple[int, ...]]


LAST: dict[str, Any] = {"data_format": "channels_last"}


def with_options(function: Callable[..., np.ndarray], **options: Any) -> Callable[..., np.ndarray]:
    return lambda *args, **kwargs: function(*args, **options, **kwargs)


VARIANTS = [
    Variant("1d", fastdrop.dropout1d, (3, 5, 7), (3, 5), lambda n, c, *_: (n, c)),
    Variant("2d", fastdrop.dropout2d, (3, 5, 4, 2), (3, 5), lambda n, c, *_: (n, c)),
    Variant("3d", fastdrop.dropout3d, (3, 5, 2, 3, 4), (3, 5), lambda n, c, *_: (n, c)),
    Variant("1d-one", fastdrop.dropout1d, (9, 7), (9,), lambda c, _: (c,)),
    Variant("2d-one", fastdrop.dropout2d, (9, 4, 3), (9,), lambda c, *_: (c,)),
    Variant("3d-one", fastdrop.dropout3d, (9, 2, 3, 4), (9,), lambda c, *_: (c,)),
    *(
        Variant(name, with_options(function, **LAST), shape, decisions, of)
        for name, function, shape, decisions, of in (
            ("1d-last", fastdrop.dropout1d, (3, 7, 5), (3, 5), lambda n, _, c: (n, c)),
            ("2d-last", fastdrop.dropout2d, (3, 4, 2, 5), (3, 5), lambda n, _h, _w, c: (n, c)),
            ("3d-last", fastdrop.dropout3d, (3, 2, 3, 4, 5), (3, 5), lambda *i: (i[0], i[4])),
            ("1d-last-one", fastdrop.dropout1d, (7, 9), (9,), lambda _, c: (c,)),
            ("2d-last-one", fastdrop.dropout2d, (4, 3, 9), (9,), lambda *i: (i[2],)),
            ("3d-last-one", fastdrop.dropout3d, (2, 3, 4, 9), (9,), lambda *i: (i[3],)),
        )
    ),
    Variant("variational", fastdrop.variational_dropout, (3, 6, 5), (3, 5), lambda n, _, c: (n, c)),
    *(
        Variant(name, with_options(fastdrop.variational_dropout, time_axis=axis), shape, few, of)
        for name, axis, shape, few, of in (
            ("variational-time-first", 0, (6, 3, 5), (3, 5), lambda _, n, c: (n, c)),
            ("variational-from-the-end", -2, (3, 6, 5), (3, 5), lambda n, _, c: (n, c)),
            ("variational-one", 0, (6, 11), (11,), lambda _, c: (c,)),
        )
    ),
    Variant("path", fastdrop.drop_path, (13, 2, 3), (13,), lambda n, *_: (n,)),
    Variant("path-flat", fastdrop.drop_path, (13,), (13,), lambda n: (n,)),
    Variant(
        "path-batch",
        with_options(fastdrop.drop_path, mode="batch"),
        (4, 2, 3),
        (),
        lambda *_: (),
    ),
    Variant("path-batch-0d", with_options(fastdrop.drop_path, mode="batch"), (), (), lambda *_: ()),
    Variant("connect", fastdrop.drop_connect, (5, 7), (5, 7), lambda *i: i),
    Variant("embedding", fastdrop.embedding_dropout, (17, 4), (17,), lambda row, _: (row,)),
    Variant("attention", fastdrop.attention_dropout, (2, 2, 3, 3), (2, 2, 3, 3), lambda *i: i),
]
ALL = pytest.mark.parametrize("variant", VARIANTS, ids=[variant.name for variant in VARIANTS])


def dtype_of(dtype: str) -> np.dtype[Any]:
    if dtype == "bfloat16":
        return np.dtype(pytest.importorskip("ml_dtypes").bfloat16)
    return np.dtype(dtype)


def values(shape: tuple[int, ...], dtype: Any = np.float64) -> np.ndarray:
    return np.random.default_rng(1).uniform(0.5, 2, shape).astype(dtype)


def reference(variant: Variant, x: np.ndarray, p: float, key: Key) -> np.ndarray:
    """y = m x / (1 - p), the scale and the product rounded as the dtype's rules say."""
    keep = fastdrop.dropout_mask(variant.decisions, p, rng=key)
    compute = np.float64 if x.dtype == np.float64 else np.float32
    y = np.zeros_like(x)
    for index in itertools.product(*map(range, x.shape)):
        if keep[variant.of(*index)]:
            y[index] = (x[index].astype(compute) * compute(1 / (1 - p))).astype(x.dtype)
    return y


@pytest.mark.usefixtures("impl")
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
@ALL
def test_the_formula(variant: Variant, dtype: str) -> None:
    x = values(variant.shape, dtype_of(dtype))
    before = x.copy()
    for p in (0.3, 0.75):
        y = variant.call(x, p, rng=KEY)
        want = reference(variant, x, p, KEY)
        assert y.dtype == x.dtype
        assert y.shape == x.shape
        assert np.array_equal(y, want)
    assert np.array_equal(x, before)


@pytest.mark.usefixtures("impl")
@ALL
def test_where_the_result_goes(variant: Variant) -> None:
    x = values(variant.shape)
    want = variant.call(x, 0.4, rng=KEY)
    out = np.full_like(x, 7)
    assert variant.call(x, 0.4, rng=KEY, out=out) is out
    assert np.array_equal(out, want)
    every_other = np.full((*x.shape, 2), 7.0)[..., 0]
    variant.call(x.copy(order="F"), 0.4, rng=KEY, out=every_other)
    assert np.array_equal(every_other, want)
    reverse = tuple(slice(None, None, -1) for _ in x.shape)
    backwards = x[reverse].copy(order="C")[reverse]
    assert np.array_equal(variant.call(backwards, 0.4, rng=KEY), want)
    assert np.array_equal(variant.call(x.tolist(), 0.4, rng=KEY), want)
    assert variant.call(x, 0.4, rng=KEY, out=x) is x
    assert np.array_equal(x, want)


@ALL
def test_evaluation_draws_nothing(variant: Variant) -> None:
    x, generator = values(variant.shape), Generator(1)
    assert variant.call(x, 0.4, False, rng=generator) is x
    out = np.zeros_like(x)
    assert variant.call(x, 0.4, training=False, rng=generator, out=out) is out
    assert np.array_equal(out, x)
    assert generator.offset == 0


@ALL
def test_the_ends_of_p(variant: Variant) -> None:
    x, generator = values(variant.shape), Generator(1)
    x.reshape(-1)[:1] = np.inf
    assert np.array_equal(variant.call(x, 0, rng=generator), x)
    dropped = variant.call(-x, 1, rng=generator)
    assert not dropped.any()
    assert not np.signbit(dropped).any()
    assert generator.offset == 2 * 4096  # whatever p is


@pytest.mark.parametrize(
    ("function", "shape", "options"),
    [
        (fastdrop.dropout1d, (17, 241, 2), {}),
        (fastdrop.dropout1d, (4097, 2), {}),
        (fastdrop.dropout2d, (17, 2, 1, 241), LAST),
        (fastdrop.dropout3d, (17, 241, 1, 2, 1), {}),
        (fastdrop.variational_dropout, (17, 2, 241), {}),
        (fastdrop.variational_dropout, (2, 17, 241), {"time_axis": 0}),
        (fastdrop.drop_path, (4097, 2), {}),
        (fastdrop.embedding_dropout, (4097, 2), {}),
        (fastdrop.drop_connect, (17, 241), {}),
        (fastdrop.attention_dropout, (17, 241), {}),
    ],
)
def test_a_generator_moves_by_the_decisions(
    function: Any, shape: tuple[int, ...], options: Any
) -> None:
    """17 * 241 = 4097 decisions: one more than a block of the stream."""
    generator = Generator(1)
    function(np.ones(shape, np.float32), 0.5, rng=generator, **options)
    assert generator.offset == 2 * 4096
    one_less = [{4097: 4096, 17: 16}.get(n, n) for n in shape]
    function(np.ones(one_less, np.float32), 0.5, rng=generator, **options)
    assert generator.offset == 3 * 4096


@ALL
def test_the_gradient_by_finite_differences(variant: Variant) -> None:
    """d/dx of sum(c * y) is the same call on c, to within what float64 can tell."""
    x, c, step = values(variant.shape), values(variant.shape)[...] - 1, 1e-6
    gradient = variant.call(c, 0.4, rng=KEY)
    for index in itertools.product(*map(range, x.shape)):
        ends = []
        for sign in (1, -1):
            moved = x.copy()
            moved[index] += sign * step
            ends.append((c * variant.call(moved, 0.4, rng=KEY)).sum())
        assert (ends[0] - ends[1]) / (2 * step) == pytest.approx(gradient[index], abs=1e-7)


LARGE = [
    (fastdrop.dropout1d, (64, 512, 2), {}, (slice(None), slice(None), 0)),
    (fastdrop.dropout2d, (64, 2, 2, 512), LAST, (slice(None), 0, 0)),
    (fastdrop.dropout3d, (64, 512, 1, 2, 1), {}, (slice(None), slice(None), 0, 0, 0)),
    (fastdrop.variational_dropout, (64, 3, 512), {}, (slice(None), 0)),
    (fastdrop.drop_path, (1 << 15, 2), {}, (slice(None), 0)),
    (fastdrop.embedding_dropout, (1 << 15, 2), {}, (slice(None), 0)),
    (fastdrop.drop_connect, (64, 512), {}, (slice(None),)),
    (fastdrop.attention_dropout, (64, 512), {}, (slice(None),)),
]


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
@pytest.mark.parametrize(
    ("function", "shape", "options", "one"), LARGE, ids=[row[0].__name__ for row in LARGE]
)
def test_rate_and_expectation(
    function: Any, shape: tuple[int, ...], options: Any, one: Any, p: float
) -> None:
    """32768 decisions: their mean is within 6.2 standard deviations of what it should be.

    Right code would fail for fewer than one seed in 1e9. A rate that is off by 0.03 at p = 0.5,
    which is 10.8 deviations, would pass for fewer than one in 1e5. The seed is fixed.
    """
    y = function(np.ones(shape), p, rng=2024, **options)[one]
    n = y.size
    assert n == 1 << 15
    dropped = np.count_nonzero(y == 0)
    assert abs(dropped - n * p) < 6.2 * np.sqrt(n * p * (1 - p))
    assert abs(y.mean() - 1) < 6.2 * np.sqrt(p / (1 - p) / n)


def test_a_batch_is_dropped_at_the_rate_as_well() -> None:
    """2000 batches, within 6.2 standard deviations: fails for fewer than one seed in 1e9."""
    generator = Generator(5)
    x = np.ones((3, 2))
    kept = [fastdrop.drop_path(x, 0.3, rng=generator, mode="batch") for _ in range(2000)]
    assert all(np.all(y == y[0, 0]) for y in kept)
    dropped = sum(not y.any() for y in kept)
    assert abs(dropped - 600) < 6.2 * np.sqrt(2000 * 0.3 * 0.7)


def test_an_empty_input_moves_nothing() -> None:
    generator = Generator(1)
    for function, shape in (
        (fastdrop.dropout1d, (2, 3, 0)),
        (fastdrop.dropout2d, (0, 3, 4, 4)),
        (fastdrop.dropout3d, (0, 1, 1, 1)),
        (fastdrop.variational_dropout, (2, 0, 3)),
        (fastdrop.drop_path, (0,)),
        (fastdrop.embedding_dropout, (4, 0)),
        (fastdrop.drop_connect, (0, 4)),
        (fastdrop.attention_dropout, (0,)),
    ):
        x = np.ones(shape, np.float32)
        assert function(x, rng=generator) is x
    assert generator.offset == 0


def test_many_axes() -> None:
    """More than the 32 that NumPy's flat iterator takes."""
    x = values((3, *(1,) * 50, 4))
    y = fastdrop.drop_path(x, 0.5, rng=KEY)
    assert np.array_equal(y.reshape(3, 4), fastdrop.drop_path(x.reshape(3, 4), 0.5, rng=KEY))


def test_the_default_generator_is_drawn_from() -> None:
    fastdrop.manual_seed(4)
    y = fastdrop.dropout2d(np.ones((8, 8, 2, 2)))
    assert np.array_equal(y, fastdrop.dropout2d(np.ones((8, 8, 2, 2)), rng=4))
    assert fastdrop.default_generator().offset == 4096
