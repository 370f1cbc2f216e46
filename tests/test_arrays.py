"""Layouts: any shape, strides, offset and noise_shape gives what a contiguous copy gives.

The expected result is made of `dropout_mask` with the same key and one NumPy multiplication, and
compared bit by bit.
"""

import math
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import as_strided
from support import DTYPES

import fastdrop
from fastdrop import Key, _arrays, _overlap
from fastdrop._rates import make_plan

ANY_SIZE = settings(
    max_examples=40,
    deadline=None,
    # `impl` only selects an implementation: it holds for every example of one test.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def bits(array: np.ndarray) -> np.ndarray:
    array = np.ascontiguousarray(array)
    return array.view(f"u{array.itemsize}")


def expected(
    x: np.ndarray, p: float, key: Key, noise_shape: tuple[int, ...], mode: str = "inverted"
) -> np.ndarray:
    """x * m * scale from the mask, in the compute type, with +0.0 where it drops."""
    keep = np.broadcast_to(fastdrop.dropout_mask(noise_shape, p, rng=key), x.shape)
    compute = np.float64 if x.dtype == np.float64 else np.float32
    scale = compute(make_plan(p, _arrays.kind_of(x.dtype), mode).scale)
    with np.errstate(over="ignore"):
        product = (x.astype(compute) * scale).astype(x.dtype)
    return np.where(keep, product, np.zeros((), x.dtype))


class Layout(NamedTuple):
    """A view into a larger buffer: what slicing, transposing and reversing can make."""

    shape: tuple[int, ...]
    steps: tuple[int, ...]
    before: tuple[int, ...]
    order: tuple[int, ...]
    byte_offset: int

    def view(self, dtype: Any, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """The buffer that surrounds the view (random, as bytes), and the view."""
        dtype = np.dtype(dtype)
        lengths = [
            before + 1 + (n - 1) * abs(step) + 1 if n else before + 1
            for n, step, before in zip(self.shape, self.steps, self.before, strict=True)
        ]
        count = math.prod(lengths)
        data = np.zeros(count * dtype.itemsize + self.byte_offset, np.uint8)
        full = data[self.byte_offset :].view(dtype)
        values = np.random.default_rng(seed).standard_normal(count)
        full[...] = values.astype(dtype)
        full = full.reshape(lengths)
        slices = []
        for n, step, before in zip(self.shape, self.steps, self.before, strict=True):
            stop = before + (n - 1) * abs(step) + 1 if n else before
            part = slice(before, stop, abs(step))
            slices.append(part)
        # The ellipsis keeps a 0-d array from becoming a scalar.
        view = full[(*slices, ...)][
            (*(slice(None, None, 1 if step > 0 else -1) for step in self.steps), ...)
        ]
        return data, view.transpose(self.order)


@st.composite
def layouts(draw: st.DrawFn, largest: int = 40) -> Layout:
    axes = draw(st.integers(0, 4))
    shape = tuple(draw(st.integers(0, largest if axes < 3 else 6)) for _ in range(axes))
    return Layout(
        shape,
        tuple(draw(st.sampled_from((1, 1, 2, 3, -1, -2))) for _ in range(axes)),
        tuple(draw(st.integers(0, 3)) for _ in range(axes)),
        tuple(draw(st.permutations(range(axes)))),
        draw(st.sampled_from((0, 0, 4, 1))),
    )


@st.composite
def keys(draw: st.DrawFn) -> Key:
    word = st.integers(0, 2**64 - 1)
    offset = st.one_of(st.integers(0, 20_000), st.sampled_from((4095, 2**32 - 5, 2**64 - 2**20)))
    return Key(draw(word), draw(word), draw(offset))


probabilities = st.one_of(
    st.floats(0, 1), st.sampled_from((0.0, 0.1, 0.5, 1.0, 1e-9, math.nextafter(1.0, 0.0)))
)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@ANY_SIZE
@given(
    layout=layouts(), key=keys(), p=probabilities, mode=st.sampled_from(("inverted", "standard"))
)
@pytest.mark.usefixtures("impl")
def test_any_layout_equals_a_contiguous_copy(dtype, layout, key, p, mode) -> None:
    data, x = layout.view(dtype)
    before = data.tobytes()
    want = expected(x, p, key, x.shape, mode)
    y = fastdrop.dropout(x, p, rng=key, mode=mode)
    assert y.dtype == x.dtype
    assert y.shape == x.shape
    assert x.size == 0 or y.strides == np.empty_like(x).strides
    assert np.array_equal(bits(y), bits(want))
    assert data.tobytes() == before

    # In place: the view changes, and nothing around it.
    twin, twin_view = layout.view(dtype)
    twin_view[...] = want
    assert fastdrop.dropout_(x, p, rng=key, mode=mode) is x
    assert np.array_equal(data, twin)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@ANY_SIZE
@given(layout=layouts(), target=layouts(), key=keys(), p=probabilities)
@pytest.mark.usefixtures("impl")
def test_any_layout_of_out(dtype, layout, target, key, p) -> None:
    _, x = layout.view(dtype)
    axes = len(x.shape)
    # Of another layout only what does not depend on the number of axes can be taken over.
    other = Layout(
        x.shape,
        (target.steps + (1,) * axes)[:axes],
        (target.before + (0,) * axes)[:axes],
        tuple(range(axes)),
        target.byte_offset,
    )
    data, out = other.view(dtype, seed=2)
    twin, twin_out = other.view(dtype, seed=2)
    twin_out[...] = expected(x, p, key, x.shape)
    assert fastdrop.dropout(x, p, rng=key, out=out) is out
    if x.size:  # an empty view of some reach beyond its buffer
        assert np.array_equal(data, twin)


@st.composite
def layouts_with_noise(draw: st.DrawFn) -> tuple[Layout, tuple[int | None, ...]]:
    layout = draw(layouts(largest=24))
    shape = tuple(layout.shape[axis] for axis in layout.order)
    noise = tuple(draw(st.sampled_from((1, n, None))) for n in shape)
    shorter = draw(st.integers(0, len(noise)))
    return layout, noise[shorter:]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@ANY_SIZE
@given(case=layouts_with_noise(), key=keys(), p=probabilities)
@pytest.mark.usefixtures("impl")
def test_noise_shape_shares_decisions(dtype, case, key, p) -> None:
    layout, noise = case
    data, x = layout.view(dtype)
    missing = x.ndim - len(noise)
    full = (1,) * missing + tuple(
        n if m is None else m for m, n in zip(noise, x.shape[missing:], strict=True)
    )
    want = expected(x, p, key, full)
    y = fastdrop.dropout(x, p, rng=key, noise_shape=noise)
    assert np.array_equal(bits(y), bits(want))
    twin, twin_view = layout.view(dtype)
    twin_view[...] = want
    fastdrop.dropout_(x, p, rng=key, noise_shape=noise)
    assert np.array_equal(data, twin)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@ANY_SIZE
@given(layout=layouts(), seed=st.integers(0, 100), packed=st.booleans(), p=probabilities)
@pytest.mark.usefixtures("impl")
def test_apply_mask_takes_any_layout(dtype, layout, seed, packed, p) -> None:
    data, x = layout.view(dtype)
    keep = np.random.default_rng(seed).random(x.shape) < 0.5
    compute = np.float64 if dtype == np.float64 else np.float32
    with np.errstate(over="ignore"):
        product = x.astype(compute) * compute(1 / (1 - p) if p < 1 else 1)
        want = np.where(keep & (p < 1), product.astype(dtype), np.zeros((), dtype))
    if packed:
        mask = np.packbits(keep, bitorder="little")
    else:  # of another layout than x
        mask = np.repeat(keep[..., None], 2, axis=-1)[..., 1]
    y = fastdrop.apply_mask(x, mask, p)
    assert y.shape == x.shape
    assert np.array_equal(bits(y), bits(want))
    twin, twin_view = layout.view(dtype)
    twin_view[...] = want
    assert fastdrop.apply_mask(x, mask, p, out=x) is x
    assert np.array_equal(data, twin)


@pytest.mark.usefixtures("impl")
def test_a_field_of_a_structured_array() -> None:
    table = np.zeros(1000, np.dtype([("flag", "u1"), ("value", "f4"), ("more", "f8")]))
    table["value"] = np.linspace(1, 2, 1000)
    want = expected(table["value"], 0.3, Key(5), (1000,))
    fastdrop.dropout_(table["value"], 0.3, rng=5)
    assert np.array_equal(bits(table["value"]), bits(want))
    assert not table["flag"].any()
    assert not table["more"].any()


@pytest.mark.usefixtures("impl")
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_broadcast_input(order: Any, dtype: Any) -> None:
    x = np.broadcast_to(np.linspace(1, 2, 50).astype(dtype), (40, 50))
    out = np.empty((40, 50), dtype, order=order)
    fastdrop.dropout(x, 0.5, rng=3, out=out)
    assert np.array_equal(out, expected(x, 0.5, Key(3), x.shape))


@pytest.mark.usefixtures("impl")
@pytest.mark.parametrize("noise", [None, (2, 1, 1, 2)])
def test_sixty_four_axes(noise: tuple[int, ...] | None) -> None:
    x = np.ones((1,) * 60 + (2, 3, 1, 2), np.float32)[..., ::-1]
    want = fastdrop.dropout(x.reshape(2, 3, 1, 2), 0.5, rng=2, noise_shape=noise)
    y = fastdrop.dropout(x, 0.5, rng=2, noise_shape=noise)
    assert y.shape == x.shape
    assert np.array_equal(y.ravel(), want.ravel())
    assert fastdrop.apply_mask(x, y != 0, 0.5).tolist() == y.tolist()
    packed = np.packbits(y != 0, bitorder="little")
    assert fastdrop.apply_mask(x, packed, 0.5).tolist() == y.tolist()


# What overlaps itself or another array: a brute-force search over byte addresses knows.


def places(array: np.ndarray) -> list[range]:
    start = _overlap._address(array)
    return [
        range(begin, begin + array.itemsize)
        for index in np.ndindex(array.shape)
        for begin in [start + sum(i * s for i, s in zip(index, array.strides, strict=True))]
    ]


@settings(max_examples=300, deadline=None)
@given(
    shape=st.lists(st.integers(0, 4), min_size=0, max_size=3),
    strides=st.lists(st.integers(-9, 9), min_size=3, max_size=3),
)
def test_self_overlap_is_exact(shape: list[int], strides: list[int]) -> None:
    buffer = np.zeros(200, np.uint8)[100:].view(np.float16)
    array = as_strided(buffer, shape, strides[: len(shape)])
    taken = [place for element in places(array) for place in element]
    assert _overlap.overlaps_itself(array) == (len(set(taken)) < len(taken))


def test_what_cannot_be_decided_in_time_overlaps(monkeypatch: pytest.MonkeyPatch) -> None:
    def too_hard(*_: object, **__: object) -> bool:
        raise np.exceptions.TooHardError

    x = np.ones(8, np.float32)
    monkeypatch.setattr(np, "shares_memory", too_hard)
    with pytest.raises(ValueError, match="out has to be x itself or share no memory"):
        fastdrop.dropout(x[:4], rng=1, out=np.ones(4, np.float32))
    assert fastdrop.dropout(x, rng=1, out=x) is x


def test_out_may_be_another_view_of_all_of_x() -> None:
    x = np.ones((1, 60), np.float32)
    want = fastdrop.dropout(x, rng=1)
    for out in (x[:], x.view(), x.reshape(60)[None, :], as_strided(x, x.shape, (12345, 4))):
        x[...] = 1
        assert fastdrop.dropout(x, rng=1, out=out) is out
        assert np.array_equal(x, want)


def test_out_may_lie_between_the_elements_of_x() -> None:
    both = np.ones((100, 2), np.float32)
    fastdrop.dropout(both[:, 0], rng=1, out=both[:, 1])
    assert both[:, 0].tolist() == [1.0] * 100
    assert np.array_equal(both[:, 1], fastdrop.dropout(np.ones(100, np.float32), rng=1))


def test_bfloat16_is_known_by_its_name_and_home() -> None:
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    assert _arrays.kind_of(np.dtype(bfloat16)) == "bfloat16"
    assert _arrays.storage(np.zeros(3, bfloat16), "bfloat16").dtype == np.uint16
    for other in (np.dtype("V2"), np.dtype([("bfloat16", "u2")])):
        with pytest.raises(TypeError, match="x has to have dtype"):
            _arrays.kind_of(other)
