"""Layouts: any shape, strides, offset and noise_shape gives what a contiguous copy gives.

The expected result is made of `dropout_mask` with the same key and one NumPy multiplication, and
compared bit by bit.
"""

import math
import operator
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import as_strided
from support import COMPUTE, DTYPES, alike

import fastdrop
from fastdrop import Key, _arrays, _overlap
from fastdrop._rates import make_plan

ANY_SIZE = settings(
    max_examples=80,
    deadline=None,
    # `impl` only selects an implementation: it holds for every example of one test.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def expected(x: np.ndarray, keep: np.ndarray, scale: float) -> np.ndarray:
    """x * m * scale from the mask, in the compute type, with +0.0 where it drops."""
    compute = COMPUTE[x.dtype.name]
    with np.errstate(over="ignore"):
        product = (x.astype(compute) * compute(scale)).astype(x.dtype)
    return np.where(keep, product, np.zeros((), x.dtype))


class Layout(NamedTuple):
    """A view into a larger buffer: what slicing, transposing and reversing can make."""

    shape: tuple[int, ...]
    steps: tuple[int, ...]
    before: tuple[int, ...]
    order: tuple[int, ...]
    """Of the axes in memory."""
    byte_offset: int

    def view(self, dtype: Any, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """The buffer that surrounds the view (random, as bytes), and the view."""
        parts, lengths = [], []
        for n, step, before in zip(self.shape, self.steps, self.before, strict=True):
            end = before + (n - 1) * abs(step) + 1 if n else before
            parts.append(slice(before, end, abs(step)))
            lengths.append(end + 1)
        count = math.prod(lengths)
        data = np.zeros(count * np.dtype(dtype).itemsize + self.byte_offset, np.uint8)
        full = data[self.byte_offset :].view(dtype)
        full[...] = np.random.default_rng(seed).standard_normal(count).astype(dtype)
        full = full.reshape([lengths[axis] for axis in self.order])
        # The ellipsis keeps a 0-d array from becoming a scalar.
        view = full.transpose(np.argsort(self.order))[(*parts, ...)]
        return data, view[(*(slice(None, None, (s > 0) * 2 - 1) for s in self.steps), ...)]


@st.composite
def layouts(draw: st.DrawFn, shape: tuple[int, ...] | None = None) -> Layout:
    if shape is None:
        axes = draw(st.integers(0, 4))
        shape = tuple(draw(st.integers(0, 40 if axes < 3 else 6)) for _ in range(axes))
    return Layout(
        shape,
        tuple(draw(st.sampled_from((1, 1, 2, 3, -1, -2))) for _ in shape),
        tuple(draw(st.integers(0, 3)) for _ in shape),
        tuple(draw(st.permutations(range(len(shape))))),
        draw(st.sampled_from((0, 0, 4, 1))),
    )


@st.composite
def cases(draw: st.DrawFn) -> tuple[Layout, Layout, tuple[int | None, ...] | None]:
    """Two layouts of one shape, and a shape of decisions or None."""
    layout = draw(layouts())
    noise = tuple(draw(st.sampled_from((1, n, None))) for n in layout.shape)
    shorter = draw(st.none() | st.integers(0, len(noise)))
    return layout, draw(layouts(layout.shape)), None if shorter is None else noise[shorter:]


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
@given(case=cases(), key=keys(), p=probabilities, mode=st.sampled_from(("inverted", "standard")))
@pytest.mark.usefixtures("impl")
def test_any_layout_equals_a_contiguous_copy(dtype, case, key, p, mode) -> None:
    layout, target, noise = case
    data, x = layout.view(dtype)
    before = data.tobytes()
    full = x.shape if noise is None else (1,) * (x.ndim - len(noise)) + noise
    own = tuple(n if m is None else m for m, n in zip(full, x.shape, strict=True))
    keep = np.broadcast_to(fastdrop.dropout_mask(own, p, rng=key), x.shape)
    want = expected(x, keep, make_plan(p, x.dtype.name, mode).scale)
    more = {"rng": key, "noise_shape": noise, "mode": mode}
    y = fastdrop.dropout(x, p, **more)
    assert alike(y, want)
    assert x.size == 0 or y.strides == np.empty_like(x).strides

    strided = np.repeat(keep[..., None], 2, axis=-1)[..., 1]
    masks = (keep, strided, np.packbits(keep, bitorder="little")) if mode == "inverted" else ()
    for mask in masks:
        assert alike(fastdrop.apply_mask(x, mask, p), want)

    # What lies around the elements of the result stays.
    memory, out = target.view(dtype, seed=2)
    twin, inside = target.view(dtype, seed=2)
    inside[...] = want
    assert fastdrop.dropout(x, p, out=out, **more) is out
    assert np.array_equal(memory, twin)
    assert data.tobytes() == before
    calls = [lambda x: fastdrop.dropout_(x, p, **more)]
    calls += [lambda x, mask=mask: fastdrop.apply_mask(x, mask, p, out=x) for mask in masks]
    for call in calls:
        data, x = layout.view(dtype)
        twin, inside = layout.view(dtype)
        inside[...] = want
        assert call(x) is x
        assert np.array_equal(data, twin)


@pytest.mark.usefixtures("impl")
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_broadcast_input(order: Any, dtype: Any) -> None:
    x = np.broadcast_to(np.linspace(1, 2, 50).astype(dtype), (40, 50))
    out = np.empty((40, 50), dtype, order=order)
    fastdrop.dropout(x, 0.5, rng=3, out=out)
    assert np.array_equal(out, fastdrop.dropout(x.copy(), 0.5, rng=3))


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


@settings(max_examples=300, deadline=None)
@given(
    shape=st.lists(st.integers(0, 4), min_size=0, max_size=3),
    strides=st.lists(st.integers(-9, 9), min_size=3, max_size=3),
)
def test_self_overlap_is_exact(shape: list[int], strides: list[int]) -> None:
    buffer = np.zeros(200, np.uint8)[100:].view(np.float16)
    array = as_strided(buffer, shape, strides[: len(shape)])
    starts = [sum(map(operator.mul, index, array.strides)) for index in np.ndindex(array.shape)]
    taken = {start + byte for start in starts for byte in range(array.itemsize)}
    assert _overlap.overlaps_itself(array) == (len(taken) < array.nbytes)


def test_what_cannot_be_decided_in_time_overlaps(monkeypatch: pytest.MonkeyPatch) -> None:
    def too_hard(*_: object, **__: object) -> bool:
        raise np.exceptions.TooHardError

    x = np.ones(8, np.float32)
    monkeypatch.setattr(np, "shares_memory", too_hard)
    with pytest.raises(ValueError, match="out has to be x itself or share no memory"):
        fastdrop.dropout(x[::2], rng=1, out=x[1::2])
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
