"""Dropout of xarray's `DataArray`: decisions are shared along dimensions that have names.

The bits are those of the NumPy functions on the same values: of a `DataArray` that holds a NumPy
array at once, of one that holds a Dask array lazily and block by block, as `fastdrop.dask` does.

>>> import numpy as np
>>> import xarray as xr
>>> import fastdrop.xarray
>>> x = xr.DataArray(np.ones((2, 3, 4), np.float32), dims=("sample", "time", "feature"))
>>> y = fastdrop.xarray.dropout(x, 0.5, rng=3, shared="time")
>>> y.sel(sample=0).values
array([[0., 2., 2., 0.],
       [0., 2., 2., 0.],
       [0., 2., 2., 0.]], dtype=float32)
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Any, TypeAlias

import fastdrop
from fastdrop._convert import type_name
from fastdrop._rng import RNGLike

from .functions.masks import Mode

try:
    import xarray as xr
except ImportError as error:
    raise ImportError(
        "fastdrop.xarray needs xarray: pip install 'fastdrop-kernels[dask]'"
    ) from error

__all__ = ["alpha_dropout", "dropout", "gaussian_dropout", "gaussian_noise"]

Dimensions: TypeAlias = "str | Iterable[Hashable]"


def _check(x: object) -> xr.DataArray:
    if not isinstance(x, xr.DataArray):
        hint = ": map the function over its variables" if isinstance(x, xr.Dataset) else ""
        raise TypeError(f"x has to be an xarray.DataArray, but got {type_name(x)}{hint}")
    return x


def _computed(x: xr.DataArray, function: str, *arguments: Any, **keywords: Any) -> xr.DataArray:
    """What the function of that name makes of the values, with all that `x` has beside them."""
    call: Callable[..., Any] = getattr(fastdrop, function)
    if x.chunks is not None:
        from fastdrop import dask

        call = getattr(dask, function)
    data = x.data
    result = call(data, *arguments, **keywords)
    return x if result is data else x.copy(data=result)


def _noise_shape(x: xr.DataArray, shared: Dimensions) -> tuple[int | None, ...] | None:
    """1 for the dimensions along which decisions are shared."""
    names = [shared] if isinstance(shared, str) else list(shared)
    for name in names:
        if name not in x.dims:
            raise ValueError(
                f"shared has to name dimensions of x, which has {tuple(x.dims)}, but got {name!r}"
            )
    return tuple([1 if name in names else None for name in x.dims]) if names else None


def dropout(
    x: xr.DataArray,
    p: float = 0.5,
    training: bool = True,
    *,
    rng: RNGLike = None,
    shared: Dimensions = (),
    mode: Mode = "inverted",
) -> xr.DataArray:
    """Set elements of a `DataArray` to zero at random, and scale the others.

    Parameters
    ----------
    x : xarray.DataArray
        Of NumPy or of Dask arrays, of any shape; dtypes as for `fastdrop.dropout`.
    p, training, rng, mode
        As for `fastdrop.dropout`; of a Dask array as for `fastdrop.dask.dropout`.
    shared : str or iterable of names, default ()
        The dimensions along which elements are dropped together: ``("y", "x")`` drops whole
        channels of images, ``"time"`` the same features in all time steps, and all dimensions
        but the samples' whole samples.

    Returns
    -------
    xarray.DataArray
        With x's dimensions, coordinates, name, attributes and dtype; inverted evaluation returns
        `x` itself. Lazy where `x` is.

    Raises
    ------
    TypeError
        What is no `DataArray`; otherwise as for `fastdrop.dropout`.
    ValueError
        `shared` has a name that is no dimension of `x`; otherwise as for `fastdrop.dropout` and
        `fastdrop.dask.dropout`.
    OverflowError
        The positions needed pass the end of the stream, 2**64.

    Notes
    -----
    Source: Srivastava et al., "Dropout", JMLR 15 (2014), section 4. Decisions are numbered in the
    order of `x.dims`: transpose before to have those of another order.

    Examples
    --------
    >>> import numpy as np
    >>> import xarray as xr
    >>> import fastdrop.xarray
    >>> x = xr.DataArray(np.ones((2, 3, 4, 4), np.float32), dims=("sample", "channel", "y", "x"))
    >>> y = fastdrop.xarray.dropout(x, 0.5, rng=3, shared=("y", "x"))
    >>> bool((y.values == fastdrop.dropout2d(x.values, 0.5, rng=3)).all())
    True
    """
    noise_shape = _noise_shape(_check(x), shared)
    return _computed(x, "dropout", p, training, rng=rng, noise_shape=noise_shape, mode=mode)


def alpha_dropout(
    x: xr.DataArray, p: float = 0.5, training: bool = True, *, rng: RNGLike = None
) -> xr.DataArray:
    """Dropout that keeps mean and variance: `fastdrop.alpha_dropout` of a `DataArray`.

    Parameters
    ----------
    x : xarray.DataArray
        As for `dropout`.
    p, training, rng
        As for `fastdrop.alpha_dropout`.

    Returns
    -------
    xarray.DataArray
        As for `dropout`.

    Raises
    ------
    TypeError, ValueError, OverflowError
        As for `dropout`.

    Notes
    -----
    Source: Klambauer et al., "Self-Normalizing Neural Networks", NIPS 2017, section "Alpha
    dropout".

    Examples
    --------
    >>> import numpy as np
    >>> import xarray as xr
    >>> import fastdrop.xarray
    >>> x = xr.DataArray(np.zeros(3, np.float32), dims="time")
    >>> fastdrop.xarray.alpha_dropout(x, 0.5, rng=1).values.round(3)
    array([-0.779, -0.779,  0.779], dtype=float32)
    """
    return _computed(_check(x), "alpha_dropout", p, training, rng=rng)


def gaussian_dropout(
    x: xr.DataArray, p: float = 0.5, training: bool = True, *, rng: RNGLike = None
) -> xr.DataArray:
    """Multiply with Gaussian noise of mean 1: `fastdrop.gaussian_dropout` of a `DataArray`.

    Parameters
    ----------
    x : xarray.DataArray
        As for `dropout`.
    p, training, rng
        As for `fastdrop.gaussian_dropout`.

    Returns
    -------
    xarray.DataArray
        As for `dropout`.

    Raises
    ------
    TypeError, ValueError, OverflowError
        As for `dropout`; `p` is 1.

    Notes
    -----
    Source: Srivastava et al., "Dropout", JMLR 15 (2014), section 10.

    Examples
    --------
    >>> import numpy as np
    >>> import xarray as xr
    >>> import fastdrop.xarray
    >>> x = xr.DataArray(np.ones(4, np.float32), dims="time")
    >>> fastdrop.xarray.gaussian_dropout(x, 0.2, rng=1).values.round(3)
    array([0.619, 0.981, 1.357, 0.646], dtype=float32)
    """
    return _computed(_check(x), "gaussian_dropout", p, training, rng=rng)


def gaussian_noise(
    x: xr.DataArray, std: float, training: bool = True, *, rng: RNGLike = None
) -> xr.DataArray:
    """Add Gaussian noise: `fastdrop.gaussian_noise` of a `DataArray`.

    Parameters
    ----------
    x : xarray.DataArray
        As for `dropout`.
    std, training, rng
        As for `fastdrop.gaussian_noise`.

    Returns
    -------
    xarray.DataArray
        As for `dropout`.

    Raises
    ------
    TypeError, ValueError, OverflowError
        As for `dropout`, and for `fastdrop.gaussian_noise`.

    Notes
    -----
    Source: Bishop, "Training with Noise is Equivalent to Tikhonov Regularization", Neural
    Computation 7 (1995).

    Examples
    --------
    >>> import numpy as np
    >>> import xarray as xr
    >>> import fastdrop.xarray
    >>> x = xr.DataArray(np.zeros(4, np.float32), dims="time")
    >>> fastdrop.xarray.gaussian_noise(x, 1, rng=1).values.round(3)
    array([-0.762, -0.038,  0.714, -0.709], dtype=float32)
    """
    return _computed(_check(x), "gaussian_noise", std, training, rng=rng)
