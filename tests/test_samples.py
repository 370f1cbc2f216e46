"""`dropout_samples`: each is dropout on a stream of its own."""

import functools
from typing import Any

import numpy as np
import pytest
from support import core_or_skip, sample_key

import fastdrop
from fastdrop import Generator, Key

KEY = Key(7, 2**64 - 2, 4096 + 9)  # a stream whose samples pass 2**64
key_of = functools.partial(sample_key, KEY)


@pytest.mark.usefixtures("impl")
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
@pytest.mark.parametrize("shape", [(), (7,), (3, 5), (2, 3, 4097)])
def test_samples_are_dropout_on_consecutive_streams(shape: tuple[int, ...], dtype: Any) -> None:
    x = np.random.default_rng(1).uniform(0.5, 2, shape).astype(dtype)
    y = fastdrop.dropout_samples(x, 0.3, 5, rng=KEY)
    assert y.shape == (5, *shape)
    assert y.dtype == x.dtype
    for k in range(5):
        keep = fastdrop.dropout_mask(shape, 0.3, rng=key_of(k))
        want = np.where(keep, fastdrop.dropout(x, 0), 0)
        assert np.array_equal(y[k] != 0, want != 0)
        assert np.array_equal(y[k], fastdrop.dropout(x, 0.3, rng=key_of(k)))


@pytest.mark.usefixtures("impl")
@pytest.mark.parametrize("samples", [1, 2])
@pytest.mark.parametrize("axes", [31, 32, 33, 40])
def test_samples_of_many_axes(axes: int, samples: int) -> None:
    x = np.linspace(1, 2, 6).reshape((2, *(1,) * (axes - 2), 3))
    y = fastdrop.dropout_samples(x, 0.3, samples, rng=KEY)
    assert y.shape == (samples, *x.shape)
    want = fastdrop.dropout_samples(x.reshape(-1), 0.3, samples, rng=KEY)
    assert np.array_equal(y.reshape(samples, -1), want)


@pytest.mark.usefixtures("impl")
@pytest.mark.parametrize("streaming", [1, 2**60])
@pytest.mark.parametrize("threads", [1, 3])
def test_large_samples(threads: int, streaming: int) -> None:
    """Many chunks, shared out among threads, with stores that bypass the cache and without."""
    core = core_or_skip()
    x = np.linspace(1, 2, 450_007, dtype=np.float32)
    before = core.get_streaming_bytes(), core.get_num_threads()
    core.set_streaming_bytes(streaming)
    core.set_num_threads(threads)
    try:
        y = fastdrop.dropout_samples(x, 0.3, 4, rng=KEY)
    finally:
        core.set_streaming_bytes(before[0])
        core.set_num_threads(before[1])
    for k in range(4):
        assert np.array_equal(y[k], fastdrop.dropout(x, 0.3, rng=key_of(k)))


def test_samples_of_bfloat16() -> None:
    x = np.linspace(1, 2, 40).astype(pytest.importorskip("ml_dtypes").bfloat16)
    y = fastdrop.dropout_samples(x, 0.3, 2, rng=KEY)
    assert y.dtype == x.dtype
    assert np.array_equal(y[1], fastdrop.dropout(x, 0.3, rng=key_of(1)))


def test_a_sample_does_not_depend_on_how_many_there_are() -> None:
    x = np.ones(100)
    many = fastdrop.dropout_samples(x, 0.5, 9, rng=3)
    assert np.array_equal(fastdrop.dropout_samples(x, 0.5, 4, rng=3), many[:4])
    assert len({sample.tobytes() for sample in many}) == 9


@pytest.mark.usefixtures("impl")
def test_where_samples_go() -> None:
    x = np.linspace(1, 2, 12).reshape(3, 4)
    want = fastdrop.dropout_samples(x, 0.5, 3, rng=KEY)
    out = np.zeros((3, 3, 4))
    assert fastdrop.dropout_samples(x, 0.5, 3, rng=KEY, out=out) is out
    assert np.array_equal(out, want)
    strided = np.zeros((6, 4, 6))[::-2, :, ::2].transpose(0, 2, 1)
    fastdrop.dropout_samples(x.copy(order="F"), 0.5, 3, rng=KEY, out=strided)
    assert np.array_equal(strided, want)
    assert np.array_equal(fastdrop.dropout_samples(x.tolist(), 0.5, 3, rng=KEY), want)


def test_samples_move_a_generator_once() -> None:
    generator = Generator(1)
    fastdrop.dropout_samples(np.ones(4097), 0.5, 3, rng=generator)
    assert generator.state == {**Generator(1).state, "offset": 2 * 4096}
    assert fastdrop.dropout_samples(np.ones((2, 0)), 0.5, 3, rng=generator).shape == (3, 2, 0)
    assert generator.offset == 2 * 4096


def test_samples_of_the_default_generator() -> None:
    fastdrop.manual_seed(3)
    y = fastdrop.dropout_samples(np.ones(100), 0.5, 2)
    assert np.array_equal(y, fastdrop.dropout_samples(np.ones(100), 0.5, 2, rng=3))


def test_rate_and_expectation_of_samples() -> None:
    """1e6 decisions, within 6.2 standard deviations: fails for fewer than one seed in 1e9."""
    p, n = 0.3, 1_000_000
    y = fastdrop.dropout_samples(np.ones(10_000), p, 100, rng=5)
    dropped = np.count_nonzero(y == 0)
    assert abs(dropped - n * p) < 6.2 * np.sqrt(n * p * (1 - p))
    assert abs(y.mean() - 1) < 6.2 * np.sqrt(p / (1 - p) / n)
    # Samples are independent: so are the products of neighbours.
    both = np.count_nonzero((y[1:] == 0) & (y[:-1] == 0))
    pairs, rate = 99 * 10_000, p * p
    # Neighbouring products share a sample, which adds 2 p^3 (1 - p) to their variance.
    variance = rate * (1 - rate) + 2 * p**3 * (1 - p)
    assert abs(both - pairs * rate) < 6.2 * np.sqrt(pairs * variance)
