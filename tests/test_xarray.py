"""xarray: names of dimensions for shared decisions, and everything but the values as it was."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from support import alike

import fastdrop
from fastdrop import Generator, Key

xr = pytest.importorskip("xarray", reason="xarray is not installed")

import fastdrop.xarray  # noqa: E402

DIMS = ("sample", "channel", "y", "x")
KEY = Key(1, 2, 3)


def image() -> Any:
    values = np.random.default_rng(1).standard_normal((3, 4, 5, 6)).astype(np.float32)
    return xr.DataArray(
        values, dims=DIMS, coords={"x": np.arange(6.0)}, name="stack", attrs={"unit": "K"}
    )


@pytest.fixture(params=["numpy", "dask"])
def x(request: pytest.FixtureRequest) -> Any:
    if request.param == "numpy":
        return image()
    pytest.importorskip("dask.array", reason="Dask is not installed")
    return image().chunk({"sample": 2, "y": 3})


def test_shared_dimensions(x: Any) -> None:
    for n in range(len(DIMS) + 1):
        for shared in itertools.combinations(DIMS, n):
            shape = tuple(1 if name in shared else None for name in DIMS)
            y = fastdrop.xarray.dropout(x, 0.4, rng=KEY, shared=shared)
            assert y.chunks == x.chunks
            assert alike(y, fastdrop.dropout(image().values, 0.4, rng=KEY, noise_shape=shape))
            assert y.dims == x.dims
            assert y.name == "stack"
            assert y.attrs == {"unit": "K"}
            assert y.coords.identical(image().coords)
    one, same = (fastdrop.xarray.dropout(x, 0.4, rng=KEY, shared=s) for s in ("y", ["y"]))
    assert alike(one, same)


@pytest.mark.parametrize("name", ["alpha_dropout", "gaussian_dropout", "gaussian_noise"])
def test_the_others(name: str, x: Any) -> None:
    y = getattr(fastdrop.xarray, name)(x, 0.3, rng=KEY)
    assert alike(y, getattr(fastdrop, name)(image().values, 0.3, rng=KEY))
    assert getattr(fastdrop.xarray, name)(x, 0.3, training=False) is x


def test_a_generator_and_evaluation() -> None:
    x, generator = image(), Generator(1)
    fastdrop.xarray.dropout(x, 0.5, rng=generator)
    assert generator.offset == 4096
    assert fastdrop.xarray.dropout(x, 0.5, training=False) is x
    y = fastdrop.xarray.dropout(x, 0.25, training=False, mode="standard")
    assert np.array_equal(y.values, fastdrop.dropout(x.values, 0.25, False, mode="standard"))


def test_errors() -> None:
    with pytest.raises(ValueError, match=r"dimensions of x, which has \('sample', .*got 'time'"):
        fastdrop.xarray.dropout(image(), shared="time")
    with pytest.raises(TypeError, match=r"xarray.*DataArray, but got numpy.ndarray"):
        fastdrop.xarray.dropout(image().values)
    with pytest.raises(TypeError, match="map the function over its variables"):
        fastdrop.xarray.gaussian_noise(image().to_dataset(), 1.0)
