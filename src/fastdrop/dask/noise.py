"""Alpha dropout and Gaussian noise of Dask arrays."""

from __future__ import annotations

import dask.array as da

from fastdrop._rng import RNGLike
from fastdrop.variants import ALPHA_DROPOUT, FEATURE_ALPHA_DROPOUT, GAUSSIAN_DROPOUT, GAUSSIAN_NOISE

from ._blocks import lazily

__all__ = ["alpha_dropout", "feature_alpha_dropout", "gaussian_dropout", "gaussian_noise"]


def alpha_dropout(
    x: da.Array,
    p: float = 0.5,
    training: bool = True,
    *,
    rng: RNGLike = None,
) -> da.Array:
    """Dropout that keeps mean and variance: `fastdrop.alpha_dropout` of a Dask array.

    Parameters
    ----------
    x : dask.array.Array
        Of any shape. Dtypes as for `fastdrop.dropout`.
    p, training, rng
        As for `fastdrop.alpha_dropout`. A `fastdrop.Generator` moves on when this is called, and
        not when blocks are computed.

    Returns
    -------
    dask.array.Array
        Lazy, of x's shape, dtype and chunks: ``fastdrop.alpha_dropout`` of the whole array, bit for
        bit, whatever the chunks; evaluation returns `x` itself.

    Raises
    ------
    TypeError
        What is no Dask array of NumPy blocks; otherwise as for `fastdrop.alpha_dropout`.
    ValueError
        Chunks of unknown sizes; otherwise as for `fastdrop.alpha_dropout`.
    OverflowError
        The positions needed pass the end of the stream, 2**64.

    Notes
    -----
    Source: Klambauer et al., "Self-Normalizing Neural Networks", NIPS 2017, section "Alpha
    dropout".

    Examples
    --------
    >>> import dask.array as da
    >>> import numpy as np
    >>> import fastdrop.dask
    >>> x = da.ones((4, 6), dtype=np.float32, chunks=(3, 4))
    >>> y = fastdrop.dask.alpha_dropout(x, 0.2, rng=1)
    >>> bool((y.compute() == fastdrop.alpha_dropout(x.compute(), 0.2, rng=1)).all())
    True
    """
    return lazily(ALPHA_DROPOUT, (x,), p, training, rng)


def feature_alpha_dropout(
    x: da.Array,
    p: float = 0.5,
    training: bool = True,
    *,
    rng: RNGLike = None,
) -> da.Array:
    """The same of whole channels: `fastdrop.feature_alpha_dropout` of a Dask array.

    Parameters
    ----------
    x : dask.array.Array
        Of shape (samples, channels, ...). Dtypes as for `fastdrop.dropout`.
    p, training, rng
        As for `fastdrop.feature_alpha_dropout`. A `fastdrop.Generator` moves on when this is
        called, and not when blocks are computed.

    Returns
    -------
    dask.array.Array
        Lazy, of x's shape, dtype and chunks: ``fastdrop.feature_alpha_dropout`` of the whole array,
        bit for bit, whatever the chunks; evaluation returns `x` itself.

    Raises
    ------
    TypeError
        What is no Dask array of NumPy blocks; otherwise as for `fastdrop.feature_alpha_dropout`.
    ValueError
        Chunks of unknown sizes; otherwise as for `fastdrop.feature_alpha_dropout`.
    OverflowError
        The positions needed pass the end of the stream, 2**64.

    Notes
    -----
    Source: Klambauer et al., "Self-Normalizing Neural Networks", NIPS 2017, section "Alpha
    dropout".

    Examples
    --------
    >>> import dask.array as da
    >>> import numpy as np
    >>> import fastdrop.dask
    >>> x = da.ones((4, 6, 2), dtype=np.float32, chunks=(3, 4, 1))
    >>> y = fastdrop.dask.feature_alpha_dropout(x, 0.2, rng=1)
    >>> bool((y.compute() == fastdrop.feature_alpha_dropout(x.compute(), 0.2, rng=1)).all())
    True
    """
    return lazily(FEATURE_ALPHA_DROPOUT, (x,), p, training, rng)


def gaussian_dropout(
    x: da.Array,
    p: float = 0.5,
    training: bool = True,
    *,
    rng: RNGLike = None,
) -> da.Array:
    """Multiply with Gaussian noise of mean 1: `fastdrop.gaussian_dropout` of a Dask array.

    Parameters
    ----------
    x : dask.array.Array
        Of any shape. Dtypes as for `fastdrop.dropout`.
    p, training, rng
        As for `fastdrop.gaussian_dropout`. A `fastdrop.Generator` moves on when this is called, and
        not when blocks are computed.

    Returns
    -------
    dask.array.Array
        Lazy, of x's shape, dtype and chunks: ``fastdrop.gaussian_dropout`` of the whole array, bit
        for bit, whatever the chunks; evaluation returns `x` itself.

    Raises
    ------
    TypeError
        What is no Dask array of NumPy blocks; otherwise as for `fastdrop.gaussian_dropout`.
    ValueError
        Chunks of unknown sizes; otherwise as for `fastdrop.gaussian_dropout`.
    OverflowError
        The positions needed pass the end of the stream, 2**64.

    Notes
    -----
    Source: Srivastava et al., "Dropout", JMLR 15 (2014), section 10.

    Examples
    --------
    >>> import dask.array as da
    >>> import numpy as np
    >>> import fastdrop.dask
    >>> x = da.ones((4, 6), dtype=np.float32, chunks=(3, 4))
    >>> y = fastdrop.dask.gaussian_dropout(x, 0.2, rng=1)
    >>> bool((y.compute() == fastdrop.gaussian_dropout(x.compute(), 0.2, rng=1)).all())
    True
    """
    return lazily(GAUSSIAN_DROPOUT, (x,), p, training, rng)


def gaussian_noise(
    x: da.Array,
    std: float,
    training: bool = True,
    *,
    rng: RNGLike = None,
) -> da.Array:
    """Add Gaussian noise: `fastdrop.gaussian_noise` of a Dask array.

    Parameters
    ----------
    x : dask.array.Array
        Of any shape. Dtypes as for `fastdrop.dropout`.
    std, training, rng
        As for `fastdrop.gaussian_noise`. A `fastdrop.Generator` moves on when this is called, and
        not when blocks are computed.

    Returns
    -------
    dask.array.Array
        Lazy, of x's shape, dtype and chunks: ``fastdrop.gaussian_noise`` of the whole array, bit
        for bit, whatever the chunks; evaluation returns `x` itself.

    Raises
    ------
    TypeError
        What is no Dask array of NumPy blocks; otherwise as for `fastdrop.gaussian_noise`.
    ValueError
        Chunks of unknown sizes; otherwise as for `fastdrop.gaussian_noise`.
    OverflowError
        The positions needed pass the end of the stream, 2**64.

    Notes
    -----
    Source: Bishop, "Training with Noise is Equivalent to Tikhonov Regularization", Neural
    Computation 7 (1995).

    Examples
    --------
    >>> import dask.array as da
    >>> import numpy as np
    >>> import fastdrop.dask
    >>> x = da.ones((4, 6), dtype=np.float32, chunks=(3, 4))
    >>> y = fastdrop.dask.gaussian_noise(x, 1.0, rng=1)
    >>> bool((y.compute() == fastdrop.gaussian_noise(x.compute(), 1.0, rng=1)).all())
    True
    """
    return lazily(GAUSSIAN_NOISE, (x,), std, training, rng)
