"""Softmax with dropout: against its definition, its layer, and the bits of the reference.

Sums included: they have one order. Rows of every length around a boundary, groups of rows whose
positions lie apart, rows of which only a part is seen, masks of any strides. Layouts are in
test_layouts.py.
"""

import functools
import itertools
from typing import Any

import numpy as np
import pytest
from computing import KINDS
from support import by_threads, difference, guarded, peak_of, same_bits, to_storage

import fastdrop
from fastdrop import Key, backends, layers
from fastdrop._rates import make_plan
from fastdrop._score_rows import Rows

FLOATS = (np.float16, np.float32, np.float64)
KEY = Key(5, 6, 777)


def scores_of(shape, dtype=np.float64, seed=1):
    return (np.random.default_rng(seed).standard_normal(shape) * 3).astype(dtype)


def formula(scores, p, *, axis=-1, mask=None, scale=1.0):
    """Dropout of the softmax, in float64, from the definition alone."""
    z = np.asarray(scores, np.float64) * scale
    if mask is not None:
        z = np.where(mask, z, -np.inf) if mask.dtype == bool else z + mask.astype(np.float64)
    largest = z.max(axis=axis, keepdims=True)
    e = np.exp(z - np.where(np.isneginf(largest), 0, largest))
    total = e.sum(axis=axis, keepdims=True)
    weights = e / np.where(total == 0, 1, total)
    keep = fastdrop.dropout_mask(scores.shape, p, rng=KEY)
    return weights * keep / (1 - p) if p < 1 else weights * 0


def gradient_by_formula(dy, scores, p, *, axis=-1, mask=None, scale=1.0):
    weights = formula(scores, 0, axis=axis, mask=mask, scale=scale)
    keep = fastdrop.dropout_mask(scores.shape, p, rng=KEY)
    g = dy * keep / (1 - p)
    return scale * weights * (g - (weights * g).sum(axis=axis, keepdims=True))


def some_masks(shape):
    source = np.random.default_rng(7)
    full = source.random(shape) < 0.6
    full[0, 0] = False
    yield None
    yield full
    yield full[:1, :1]
    yield full[0, 1, 0]
    yield full[..., :1]
    yield np.tril(np.ones(shape[-2:], bool))
    yield np.where(full, source.standard_normal(shape), -np.inf)
    yield np.where(full, 0, -np.inf)[1, 1]


@pytest.mark.usefixtures("impl")
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("axis", [-1, 0, 2])
def test_is_what_its_name_says(dtype, axis):
    shape = (2, 3, 37, 37)
    scores, dy = scores_of(shape, dtype), scores_of(shape, dtype, 2)
    error = {np.float16: 2e-3, np.float32: 3e-6, np.float64: 1e-14}[dtype]
    for mask, p in itertools.product(some_masks(shape), (0.0, 0.3, 1.0)):
        if mask is not None and mask.dtype != bool:
            mask = mask.astype(dtype)
        options = {"axis": axis, "mask": mask, "scale": -0.125 if p == 0.3 else 0.125}
        got = fastdrop.softmax_dropout(scores, p, rng=KEY, **options)
        assert got.dtype == dtype
        want = formula(scores, p, **options)
        np.testing.assert_allclose(got, want, rtol=error, atol=error / 30)
        assert np.array_equal(got == 0, (want == 0) | (want < 1e-7 * (dtype == np.float16)))
        if p < 1:
            dx = fastdrop.softmax_dropout_backward(dy, scores, p, rng=KEY, **options)
            want = gradient_by_formula(dy.astype(np.float64), scores, p, **options)
            np.testing.assert_allclose(dx, want, rtol=4 * error, atol=2 * error)


@pytest.mark.usefixtures("impl")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [1, 2, 17, 64, 1000, 4096, 4097, 100_000])
def test_the_error_is_within_the_bound(dtype, n):
    scores = scores_of((max(1, 20_000 // n), n), dtype)
    got = fastdrop.softmax_dropout(scores, training=False)
    exact = np.longdouble if dtype == np.float64 else np.float64
    below = scores.astype(exact) - scores.max(axis=1, keepdims=True)
    e = np.exp(below)
    want = e / e.sum(axis=1, keepdims=True)
    units = np.abs(got - want) / np.spacing(want.astype(dtype))
    assert np.all(units <= 10 - below + min(n, 4096) / 64)


@pytest.mark.usefixtures("impl")
def test_another_axis_is_softmax_and_dropout():
    scores = scores_of((4, 50, 3), np.float32)
    mask = np.random.default_rng(3).random((50, 3)) < 0.7
    turned = np.ascontiguousarray(scores.swapaxes(1, 2))
    weights = fastdrop.softmax_dropout(turned, training=False, mask=mask.T).swapaxes(1, 2)
    want = fastdrop.dropout(np.ascontiguousarray(weights), 0.3, rng=KEY)
    assert np.array_equal(fastdrop.softmax_dropout(scores, 0.3, axis=1, mask=mask, rng=KEY), want)


@pytest.mark.usefixtures("impl")
def test_rows_that_are_special():
    inf, nan = np.inf, np.nan
    rows = np.array(
        [[0, 1, 2, 3], [-inf, -inf, -inf, -inf], [0, nan, 2, 3], [0, inf, 2, 3], [-inf, 0, 0, 0]],
        np.float32,
    )
    got = fastdrop.softmax_dropout(rows, training=False)
    assert not got[1].view(np.uint32).any()  # nor -0.0
    assert np.isnan(got[2:4]).all()
    np.testing.assert_allclose(got[4], [0, 1 / 3, 1 / 3, 1 / 3], rtol=1e-6)
    dropped = fastdrop.softmax_dropout(rows, 0.5, rng=KEY)
    keep = fastdrop.dropout_mask(rows.shape, 0.5, rng=KEY)
    assert np.array_equal(np.isnan(dropped), keep & np.isnan(got))
    assert not dropped[~keep].any()
    assert not fastdrop.softmax_dropout(rows, 1, rng=KEY).any()
    dx = fastdrop.softmax_dropout_backward(np.ones_like(rows), rows, 0.0, rng=KEY)
    assert not dx[1].any()
    assert np.isnan(dx[2]).all()
    nothing = np.zeros(4, bool)
    assert not fastdrop.softmax_dropout(rows[:1], 0.5, mask=nothing, rng=KEY).any()
    dy = np.full((1, 4), inf, np.float32)
    assert not fastdrop.softmax_dropout_backward(dy, rows[:1], 0.5, mask=nothing, rng=KEY).any()


@pytest.mark.usefixtures("impl")
def test_evaluation_and_what_is_empty_draw_nothing():
    scores = scores_of((4, 6), np.float32)
    rng = fastdrop.Generator(1)
    weights = fastdrop.softmax_dropout(scores, 0.5, False, rng=rng)
    assert np.array_equal(weights, fastdrop.softmax_dropout(scores, 0, rng=1))
    for shape in ((0, 3), (3, 0)):
        empty = np.ones(shape, np.float32)
        assert fastdrop.softmax_dropout(empty, rng=rng).shape == shape
        assert fastdrop.softmax_dropout(empty, axis=0, rng=rng, mask=True).shape == shape
        assert fastdrop.softmax_dropout_backward(empty, empty, rng=1).shape == shape
    assert rng.offset == 0
    fastdrop.softmax_dropout(scores, 0, rng=rng)
    assert rng.offset == 4096
    dx = fastdrop.softmax_dropout_backward(scores, scores, 0.5, False, rng=None)
    assert np.array_equal(dx, fastdrop.softmax_dropout_backward(scores, scores, 0, rng=1))


@pytest.mark.usefixtures("impl")
def test_many_axes():
    scores = np.ones((1,) * 60 + (2, 3), np.float32)
    got = fastdrop.softmax_dropout(scores, 0, mask=scores > 0, rng=1)
    np.testing.assert_allclose(got, 1 / 3, rtol=1e-6)


@pytest.mark.parametrize("n", [7, 256, 70_001, 1_400_001])
def test_threads_give_the_same_bits(n):
    scores = scores_of((1_500_000 // n, n), np.float32)
    mask = np.random.default_rng(1).random(scores.shape) < 0.8

    def results():
        y = fastdrop.softmax_dropout(scores, 0.3, mask=mask, rng=KEY)
        return y, fastdrop.softmax_dropout_backward(y, scores, 0.3, mask=mask, rng=KEY)

    first, *others = by_threads(results)
    assert all(np.array_equal(other, first) for other in others)


def test_a_mask_is_not_expanded():
    """A mask for one row serves a million of them."""
    scores = np.zeros((40_000, 25), np.float32)
    out = np.empty_like(scores)
    mask = np.arange(25) % 2 == 0
    with fastdrop.backend("c"):
        call = functools.partial(fastdrop.softmax_dropout, scores, 0.1, mask=mask, rng=1, out=out)
        assert peak_of(call) < 20_000


@pytest.mark.usefixtures("impl")
def test_the_layer_is_the_function():
    layer = layers.SoftmaxDropout(0.3, axis=1, scale=0.5, rng=fastdrop.Generator(1, 2, 8192))
    scores, dy = (scores_of((4, 5, 6), np.float32, seed) for seed in (1, 2))
    some = np.random.default_rng(1).random((5, 6)) < 0.8
    for training, mask in ((True, some), (False, None)):
        options = {"axis": 1, "scale": 0.5, "mask": mask, "rng": Key(1, 2, 8192)}
        how = 0.3, training
        y = layer.train(training)(scores, mask)
        assert np.array_equal(y, fastdrop.softmax_dropout(scores, *how, **options))
        layer.p = 0.9
        layer.train(not training)
        want = fastdrop.softmax_dropout_backward(dy, scores, *how, **options)
        for _ in range(2):
            assert np.array_equal(layer.backward(dy), want)
        layer.p = 0.3
        assert layer.generator.offset == 8192 + 4096


def test_the_layer_refuses():
    layer = layers.SoftmaxDropout(0.5, axis=2, rng=1)
    with pytest.raises(ValueError, match="axis has to be an axis of scores, which has shape"):
        layer(np.ones((2, 3)))
    with pytest.raises(TypeError, match="mask has to have dtype bool, or scores' dtype float64"):
        layer(np.ones((2, 3, 4)), np.ones(4, int))
    assert layer.generator.offset == 0
    layer(np.ones((2, 3, 4)))
    with pytest.raises(ValueError, match="dy has to have the shape of forward's output"):
        layer.backward(np.ones((2, 3)))
    with pytest.raises(TypeError, match="dy has to have scores' dtype float64, but got float32"):
        layer.backward(np.ones((2, 3, 4), np.float32))
    with pytest.raises(ValueError, match="scale has to be a finite number, but got inf"):
        layers.SoftmaxDropout(scale=np.inf)
    with pytest.raises(TypeError, match="axis has to be an integer, but got float"):
        layers.SoftmaxDropout(axis=1.0)


# --- The bits of the reference ----------------------------------------------------------------

LENGTHS = (
    1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 48, 49, 63, 64, 65, 79, 80, 81, 127, 128,
    129, 191, 192, 193, 255, 256, 257,
)  # fmt: skip
LONG = (4095, 4096, 4097, 8192 + 33)
REFERENCE = backends.load("numpy")


def pair(kind: str, count: int, n: int, seed: int | None = None, spread: float = 3) -> Any:
    """Scores and a gradient."""
    seed = n if seed is None else seed
    for i, size in enumerate((spread, 3)):
        values = np.random.default_rng(seed + i).standard_normal((count, n)) * size
        yield to_storage(values, kind)


def plain(count: int, n: int, scale: float = 0.25, mask: np.ndarray | None = None) -> Rows:
    return Rows(scale, mask, count, count * n, n, n)


_known: dict[object, list[np.ndarray]] = {}
"""What the reference said: it says so to every implementation."""


def reference(kind: str, x: np.ndarray, dy: np.ndarray, rows: Rows, key: Key, p: float) -> Any:
    mask = None if rows.mask is None else (rows.mask.dtype, rows.mask.tobytes())
    case = (x.tobytes(), dy.tobytes(), mask, x.shape, kind, rows._replace(mask=None), key, p)
    if case not in _known:
        plan = make_plan(p, kind)
        want = [np.empty_like(x) for _ in range(3)]
        REFERENCE.softmax_dropout(x, want[0], kind, rows, key, plan)
        REFERENCE.softmax_dropout_backward(x, dy, want[1], want[2], kind, rows, key, plan)
        assert same_bits(want[2], want[0], kind)
        _known[case] = want
    return _known[case]


def compare(impl, kind, x, dy, rows, key, p, at=(0, 0, 0)) -> None:
    """Forward and backward, apart and in place, against the reference."""
    case = (kind, x.shape, rows._replace(mask=None), key, p, at)
    plan = make_plan(p, kind)
    y, dx, weights = reference(kind, x, dy, rows, key, p)

    def check(memory, wanted, *what):
        for i, got in enumerate(memory):
            want = wanted[i] if i in wanted else (x, dy)[i]  # an operand is not written
            assert same_bits(got.array, want, kind), (*case, *what, i, difference(got.array, want))
            assert got.intact(), case

    for at_y in (0, 1):
        memory = [guarded(x, at[0]), guarded(dy, at[1])]
        impl.softmax_dropout(memory[0].array, memory[at_y].array, kind, rows, key, plan)
        check(memory, {at_y: y}, "forward", at_y)
    # dx and weights: apart, in the places of both operands, crossed, and without weights.
    for at_dx, at_weights in ((2, 3), (0, 1), (1, 0), (2, 0), (1, None)):
        used = range(1 + max(1, at_dx, at_weights or 0))
        memory = [guarded((x, dy, x, x)[i], (*at, at[2])[i]) for i in used]
        a, b, into = memory[0].array, memory[1].array, memory[at_dx].array
        more = None if at_weights is None else memory[at_weights].array
        impl.softmax_dropout_backward(a, b, into, more, kind, rows, key, plan)
        check(memory, {at_dx: dx, at_weights: weights}, "gradient", at_dx, at_weights)


@pytest.mark.parametrize("kind", KINDS)
def test_lengths(impl, kind):
    for n in LENGTHS + LONG:
        count = 5 if n <= 257 else 2
        compare(impl, kind, *pair(kind, count, n), plain(count, n), Key(3, 4, 77), 0.3)


@pytest.mark.parametrize("kind", KINDS)
def test_offsets_and_probabilities(impl, kind):
    for offset, p in itertools.product((0, 1, 4095, 2**64 - 2000), (0.0, 0.1, 1.0)):
        compare(impl, kind, *pair(kind, 7, 70, 1), plain(7, 70), Key(1, 0, offset), p)


@pytest.mark.parametrize("kind", KINDS)
def test_misaligned(impl, kind):
    for at in ((1, 0, 0), (0, 3, 1), (13, 7, 62), (4, 8, 16)):
        for n in (5, 64, 130):
            compare(impl, kind, *pair(kind, 3, n), plain(3, n), Key(5), 0.4, at)


@pytest.mark.parametrize("kind", KINDS)
def test_groups_and_what_is_seen(impl, kind):
    """A tile of attention: rows 5 to 8 of each of 3 heads with 96 queries and 300 keys."""
    for n, visible in ((128, 6), (100, 90), (65, 1), (64, 64), (70, 0)):
        rows = Rows(0.125, None, 4, 96 * 300, 300, visible)
        compare(impl, kind, *pair(kind, 12, n), rows, Key(2, 7, 5 * 300), 0.2)
    rows = Rows(1.0, None, 2, 9 * 4200, 4 * 4200, 4150)
    compare(impl, kind, *pair(kind, 4, 4200), rows, Key(2), 0.2)


def masks(kind: str, n: int) -> dict[str, np.ndarray]:
    """Masks for (2, 3, n) scores: of all strides, some broadcast, some rows without any part."""
    source = np.random.default_rng(n)
    full = source.random((2, 3, n)) < 0.7
    full[0, 1] = False
    add = to_storage(np.where(full, source.standard_normal(full.shape), -np.inf), kind)
    wide = np.zeros((2, 3, 2 * n), add.dtype)
    wide[..., ::2] = add
    return {
        "bool": full,
        "of another byte": np.where(full, np.uint8(7), 0).view(np.bool_),
        "keys": np.broadcast_to(full[:1, :1], full.shape),
        "rows": np.broadcast_to(full[..., :1], full.shape),
        "reversed": full[:, ::-1, ::-1],
        "one": np.broadcast_to(np.True_, full.shape),
        "added": add,
        "added to all": np.broadcast_to(add[1, 2], full.shape),
        "added to rows": np.broadcast_to(add[..., :1], full.shape),
        "added, every other": wide[..., ::2],
    }


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [1, 63, 64, 200, 4100])
def test_masks(impl, kind, n):
    x, dy = pair(kind, 6, n)
    chosen = masks(kind, n)
    if n > 4096:  # what is seen of a mask does not depend on the length, but its place does
        chosen = {name: chosen[name] for name in ("bool", "reversed", "added, every other")}
    for mask in chosen.values():
        compare(impl, kind, x, dy, plain(6, n, 0.5, mask), Key(1, 2, 3), 0.2)
        compare(impl, kind, x, dy, plain(6, n, -2.0, mask)._replace(visible=n // 2), Key(1), 0.2)


@pytest.mark.parametrize("kind", KINDS)
def test_special_numbers(impl, kind):
    special = [np.inf, -np.inf, np.nan, 0.0, -0.0, 1e-45, 5e-324, 65504, 3e38, -3e38, -90, -100]
    for n in (9, 64, 150):
        x, dy = pair(kind, 40, n, spread=20)
        some = to_storage(special, kind)
        for i, number in enumerate(some):
            x[2 * i, i % n] = number
            x[2 * i + 1] = number
        dy[30, 3], dy[31, 4], dy[32, 5] = some[0], some[2], some[1]
        x[36, :5] = some[1]
        for scale in (1.0, 0.0):
            compare(impl, kind, x, dy, plain(40, n, scale), Key(9), 0.3)


def test_exp_of_every_size(impl):
    """Weights of two scores, 0 and z <= 0: exp(z) decides the bits of both."""
    for kind, z in (
        ("float32", -np.geomspace(1e-8, 150, 100_001, dtype=np.float32)),
        ("float64", -np.geomspace(1e-17, 1200, 30_001)),
    ):
        x = np.stack([np.zeros_like(z), z], 1)
        rows, key = plain(len(z), 2, 1.0), Key(1)
        wanted = reference(kind, x, x, rows, key, 0.0)[0]
        y = np.empty_like(x)
        impl.softmax_dropout(x, y, kind, rows, key, make_plan(0.0, kind))
        assert same_bits(y, wanted, kind), difference(y, wanted)
