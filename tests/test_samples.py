"""`dropout_samples`: each is dropout on a stream of its own."""

import functools
from typing import Any

import numpy as np
import pytest
from support import DTYPES, by_threads, core_or_skip, sample_key

import fastdrop
from fastdrop import Generator, Key

KEY = Key(7, 2**64 - 2, 4096 + 9)  # a stream whose samples pass 2**64
key_of = functools.partial(sample_key, KEY)


@pytest.mark.usefixtures("impl")
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(), (7,), (3, 5), (2, 3, 4097)])
def test_samples_are_dropout_on_consecutive_streams(shape: tuple[int, ...], dtype: Any) -> None:
    x = np.random.default_rng(1).uniform(0.5, 2, shape).astype(dtype)
    want = np.stack([fastdrop.dropout(x, 0.3, rng=key_of(k)) for k in range(5)])
    for samples in (5, 2):
        y = fastdrop.dropout_samples(x, 0.3, samples, rng=KEY)
        assert y.dtype == x.dtype
        assert np.array_equal(y, want[:samples])


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
def test_large_samples(streaming: int) -> None:
    """Many chunks, shared out among threads, with stores that bypass the cache and without."""
    core, x = core_or_skip(), np.linspace(1, 2, 450_007, dtype=np.float32)
    before = core.get_streaming_bytes()
    core.set_streaming_bytes(streaming)
    try:
        for y in by_threads(lambda: fastdrop.dropout_samples(x, 0.3, 4, rng=KEY), (1, 3)):
            for k in range(4):
                assert np.array_equal(y[k], fastdrop.dropout(x, 0.3, rng=key_of(k)))
    finally:
        core.set_streaming_bytes(before)


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
    generator = fastdrop.manual_seed(3)
    y = fastdrop.dropout_samples(np.ones(4097), 0.5, 3)
    assert np.array_equal(y, fastdrop.dropout_samples(np.ones(4097), 0.5, 3, rng=3))
    assert generator.state == {**Generator(3).state, "offset": 2 * 4096}
    assert fastdrop.dropout_samples(np.ones((2, 0)), 0.5, 3, rng=generator).shape == (3, 2, 0)
    assert generator.offset == 2 * 4096
