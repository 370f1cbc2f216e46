"""Dropout of Dask arrays with decisions that are shared along axes of the whole array."""

from __future__ import annotations

import dask.array as da

from fastdrop._rng import RNGLike
from fastdrop.decisions import DataFormat, PathMode
from fastdrop.variants import DROP_PATH, DROPOUT1D, DROPOUT2D, DROPOUT3D, VARIATIONAL_DROPOUT

from ._blocks import lazily

__all__ = ["drop_path", "dropout1d", "dropout2d", "dropout3d", "variational_dropout"]


def dropout1d(
    x: da.Array,
    p: float = 0.5,
    training: bool = True,
    *,
    rng: RNGLike = None,
    data_format: DataFormat = "channels_first",
) -> da.Array:
    """Drop whole channels of sequences: `fastdrop.dropout1d` of a Dask array.

    Parameters
    ----------
    x : dask.array.Array
        Of shape (samples, channels, length), or as `fastdrop.dropout1d` takes it. Dtypes as for
        `fastdrop.dropout`.
    p, training, rng
        As for `fastdrop.dropout1d`. A `fastdrop.Generator` moves on when this is called, and not
        when blocks are computed.
    data_format : {"channels_first", "channels_last"}, default "channels_first"
        As for `fastdrop.dropout1d`, of the whole array.

    Returns
    -------
    dask.array.Array
        Lazy, of x's shape, dtype and chunks: ``fastdrop.dropout1d`` of the whole array, bit for
        bit, whatever the chunks; evaluation returns `x` itself.

    Raises
    ------
    TypeError
        What is no Dask array of NumPy blocks; otherwise as for `fastdrop.dropout1d`.
    ValueError
        Chunks of unknown sizes; otherwise as for `fastdrop.dropout1d`.
    OverflowError
        The positions needed pass the end of the stream, 2**64.

    Notes
    -----
    Source: Tompson et al., "Efficient Object Localization Using Convolutional Networks", CVPR 2015,
    section 3.2.

    Examples
    --------
    >>> import dask.array as da
    >>> import numpy as np
    >>> import fastdrop.dask
    >>> x = da.ones((4, 3, 8), dtype=np.float32, chunks=(2, 3, 5))
    >>> y = fastdrop.dask.dropout1d(x, 0.5, rng=1)
    >>> bool((y.compute() == fastdrop.dropout1d(x.compute(), 0.5, rng=1)).all())
    True
    """
    return lazily(DROPOUT1D, (x,), p, training, rng, {"data_format": data_format})


def dropout2d(
    x: da.Array,
    p: float = 0.5,
    training: bool = True,
    *,
    rng: RNGLike = None,
    data_format: DataFormat = "channels_first",
) -> da.Array:
    """Drop whole channels of images: `fastdrop.dropout2d` of a Dask array.

    Parameters
    ----------
    x : dask.array.Array
        Of shape (samples, channels, height, width), or as `fastdrop.dropout2d` takes it. Dtypes as
        for `fastdrop.dropout`.
    p, training, rng
        As for `fastdrop.dropout2d`. A `fastdrop.Generator` moves on when this is called, and not
        when blocks are computed.
    data_format : {"channels_first", "channels_last"}, default "channels_first"
        As for `fastdrop.dropout2d`, of the whole array.

    Returns
    -------
    dask.array.Array
        Lazy, of x's shape, dtype and chunks: ``fastdrop.dropout2d`` of the whole array, bit for
        bit, whatever the chunks; evaluation returns `x` itself.

    Raises
    ------
    TypeError
        What is no Dask array of NumPy blocks; otherwise as for `fastdrop.dropout2d`.
    ValueError
        Chunks of unknown sizes; otherwise as for `fastdrop.dropout2d`.
    OverflowError
        The positions needed pass the end of the stream, 2**64.

    Notes
    -----
    Source: Tompson et al., "Efficient Object Localization Using Convolutional Networks", CVPR 2015,
    section 3.2.

    Examples
    --------
    >>> import dask.array as da
    >>> import numpy as np
    >>> import fastdrop.dask
    >>> x = da.ones((4, 3, 8, 8), dtype=np.float32, chunks=5)
    >>> y = fastdrop.dask.dropout2d(x, 0.5, rng=1)
    >>> bool((y.compute() == fastdrop.dropout2d(x.compute(), 0.5, rng=1)).all())
    True
    """
    return lazily(DROPOUT2D, (x,), p, training, rng, {"data_format": data_format})


def dropout3d(
    x: da.Array,
    p: float = 0.5,
    training: bool = True,
    *,
    rng: RNGLike = None,
    data_format: DataFormat = "channels_first",
) -> da.Array:
    """Drop whole channels of volumes: `fastdrop.dropout3d` of a Dask array.

    Parameters
    ----------
    x : dask.array.Array
        Of shape (samples, channels, depth, height, width), or as `fastdrop.dropout3d`
        takes it. Dtypes as for `fastdrop.dropout`.
    p, training, rng
        As for `fastdrop.dropout3d`. A `fastdrop.Generator` moves on when this is called, and not
        when blocks are computed.
    data_format : {"channels_first", "channels_last"}, default "channels_first"
        As for `fastdrop.dropout3d`, of the whole array.

    Returns
    -------
    dask.array.Array
        Lazy, of x's shape, dtype and chunks: ``fastdrop.dropout3d`` of the whole array, bit for
        bit, whatever the chunks; evaluation returns `x` itself.

    Raises
    ------
    TypeError
        What is no Dask array of NumPy blocks; otherwise as for `fastdrop.dropout3d`.
    ValueError
        Chunks of unknown sizes; otherwise as for `fastdrop.dropout3d`.
    OverflowError
        The positions needed pass the end of the stream, 2**64.

    Notes
    -----
    Source: Tompson et al., "Efficient Object Localization Using Convolutional Networks", CVPR 2015,
    section 3.2.

    Examples
    --------
    >>> import dask.array as da
    >>> import numpy as np
    >>> import fastdrop.dask
    >>> x = da.ones((2, 3, 4, 4, 4), dtype=np.float32, chunks=3)
    >>> y = fastdrop.dask.dropout3d(x, 0.5, rng=1)
    >>> bool((y.compute() == fastdrop.dropout3d(x.compute(), 0.5, rng=1)).all())
    True
    """
    return lazily(DROPOUT3D, (x,), p, training, rng, {"data_format": data_format})


def variational_dropout(
    x: da.Array,
    p: float = 0.5,
    training: bool = True,
    *,
    rng: RNGLike = None,
    time_axis: int = 1,
) -> da.Array:
    """Drop features in all time steps: `fastdrop.variational_dropout` of a Dask array.

    Parameters
    ----------
    x : dask.array.Array
        Of any shape with a time axis. Dtypes as for `fastdrop.dropout`.
    p, training, rng
        As for `fastdrop.variational_dropout`. A `fastdrop.Generator` moves on when this is called,
        and not when blocks are computed.
    time_axis : int, default 1
        As for `fastdrop.variational_dropout`, of the whole array.

    Returns
    -------
    dask.array.Array
        Lazy, of x's shape, dtype and chunks: ``fastdrop.variational_dropout`` of the whole array,
        bit for bit, whatever the chunks; evaluation returns `x` itself.

    Raises
    ------
    TypeError
        What is no Dask array of NumPy blocks; otherwise as for `fastdrop.variational_dropout`.
    ValueError
        Chunks of unknown sizes; otherwise as for `fastdrop.variational_dropout`.
    OverflowError
        The positions needed pass the end of the stream, 2**64.

    Notes
    -----
    Source: Gal and Ghahramani, "A Theoretically Grounded Application of Dropout in Recurrent
    Neural Networks", NIPS 2016, section 4.

    Examples
    --------
    >>> import dask.array as da
    >>> import numpy as np
    >>> import fastdrop.dask
    >>> x = da.ones((4, 9, 3), dtype=np.float32, chunks=(4, 2, 3))
    >>> y = fastdrop.dask.variational_dropout(x, 0.5, rng=1)
    >>> bool((y.compute() == fastdrop.variational_dropout(x.compute(), 0.5, rng=1)).all())
    True
    """
    return lazily(VARIATIONAL_DROPOUT, (x,), p, training, rng, {"time_axis": time_axis})


def drop_path(
    x: da.Array,
    p: float = 0.5,
    training: bool = True,
    *,
    rng: RNGLike = None,
    mode: PathMode = "row",
) -> da.Array:
    """Drop whole samples: `fastdrop.drop_path` of a Dask array.

    Parameters
    ----------
    x : dask.array.Array
        Of any shape; the first axis is that of the samples. Dtypes as for `fastdrop.dropout`.
    p, training, rng
        As for `fastdrop.drop_path`. A `fastdrop.Generator` moves on when this is called, and not
        when blocks are computed.
    mode : {"row", "batch"}, default "row"
        As for `fastdrop.drop_path`, of the whole array.

    Returns
    -------
    dask.array.Array
        Lazy, of x's shape, dtype and chunks: ``fastdrop.drop_path`` of the whole array, bit for
        bit, whatever the chunks; evaluation returns `x` itself.

    Raises
    ------
    TypeError
        What is no Dask array of NumPy blocks; otherwise as for `fastdrop.drop_path`.
    ValueError
        Chunks of unknown sizes; otherwise as for `fastdrop.drop_path`.
    OverflowError
        The positions needed pass the end of the stream, 2**64.

    Notes
    -----
    Source: Huang et al., "Deep Networks with Stochastic Depth", ECCV 2016, section 3.

    Examples
    --------
    >>> import dask.array as da
    >>> import numpy as np
    >>> import fastdrop.dask
    >>> x = da.ones((9, 4), dtype=np.float32, chunks=(2, 3))
    >>> y = fastdrop.dask.drop_path(x, 0.5, rng=1)
    >>> bool((y.compute() == fastdrop.drop_path(x.compute(), 0.5, rng=1)).all())
    True
    """
    return lazily(DROP_PATH, (x,), p, training, rng, {"mode": mode})
