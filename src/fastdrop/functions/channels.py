"""Dropout with decisions that are shared along axes: a smaller mask, shaped by `decisions`."""

from __future__ import annotations

import numpy.typing as npt

from fastdrop._arrays import Array
from fastdrop._rng import RNGLike
from fastdrop._window import WindowLike
from fastdrop.decisions import DataFormat, PathMode
from fastdrop.pipeline import run
from fastdrop.variants import DROP_PATH, DROPOUT1D, DROPOUT2D, DROPOUT3D, VARIATIONAL_DROPOUT

__all__ = ["drop_path", "dropout1d", "dropout2d", "dropout3d", "variational_dropout"]


def dropout1d(
    x: npt.ArrayLike,
    p: float = 0.5,
    training: bool = True,
    *,
    rng: RNGLike = None,
    out: Array | None = None,
    data_format: DataFormat = "channels_first",
    window: WindowLike | None = None,
) -> Array:
    """Drop whole channels of sequences: spatial dropout.

    Each channel of each sample is dropped with probability `p`, all positions of it together; the
    others are divided by 1 - p. Source: Tompson, Goroshin, Jain, LeCun and Bregler, "Efficient
    Object Localization Using Convolutional Networks", CVPR 2015, section 3.2.

    Parameters
    ----------
    x : array_like
        Of shape ([samples,] channels, length); with "channels_last", ([samples,] length, channels).
        Dtypes as for `dropout`.
    p, training, rng, out, window
        As for `dropout`; the mask takes one position for each sample and channel.
    data_format : {"channels_first", "channels_last"}, default "channels_first"
        Where the channels' axis is.

    Returns
    -------
    ndarray
        `out`, or an array of x's shape and dtype; evaluation returns `x` itself.

    Raises
    ------
    TypeError, ValueError, OverflowError
        As for `dropout`; ValueError if `x` has not 2 or 3 axes or `data_format` is unknown.

    Examples
    --------
    >>> import fastdrop
    >>> fastdrop.dropout1d([[1.0] * 3] * 4, 0.5, rng=3)
    array([[0., 0., 0.],
           [2., 2., 2.],
           [2., 2., 2.],
           [0., 0., 0.]])
    """
    return run(DROPOUT1D, (x,), p, training, rng, out, window, data_format)


def dropout2d(
    x: npt.ArrayLike,
    p: float = 0.5,
    training: bool = True,
    *,
    rng: RNGLike = None,
    out: Array | None = None,
    data_format: DataFormat = "channels_first",
    window: WindowLike | None = None,
) -> Array:
    """Drop whole channels of images: spatial dropout, as `dropout1d` does it for sequences.

    An array with 3 axes is a single sample (PyTorch's function of this name reads it as samples of
    sequences). Source: Tompson et al., CVPR 2015, section 3.2; see `dropout1d`.

    Parameters
    ----------
    x : array_like
        Of shape ([samples,] channels, height, width); with "channels_last", ([samples,] height,
        width, channels). Dtypes as for `dropout`.
    p, training, rng, out, data_format, window
        As for `dropout1d`.

    Returns
    -------
    ndarray
        `out`, or an array of x's shape and dtype; evaluation returns `x` itself.

    Raises
    ------
    TypeError, ValueError, OverflowError
        As for `dropout1d`; here `x` has 3 or 4 axes.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop
    >>> fastdrop.dropout2d(np.ones((2, 3, 4, 4)), 0.5, rng=3)[:, :, 0, 0]
    array([[0., 2., 2.],
           [0., 0., 0.]])
    """
    return run(DROPOUT2D, (x,), p, training, rng, out, window, data_format)


def dropout3d(
    x: npt.ArrayLike,
    p: float = 0.5,
    training: bool = True,
    *,
    rng: RNGLike = None,
    out: Array | None = None,
    data_format: DataFormat = "channels_first",
    window: WindowLike | None = None,
) -> Array:
    """Drop whole channels of volumes: spatial dropout, as `dropout1d` does it for sequences.

    Source: Tompson et al., CVPR 2015, section 3.2, on volumes; see `dropout1d`.

    Parameters
    ----------
    x : array_like
        Of shape ([samples,] channels, depth, height, width); with "channels_last", ([samples,]
        depth, height, width, channels). Dtypes as for `dropout`.
    p, training, rng, out, data_format, window
        As for `dropout1d`.

    Returns
    -------
    ndarray
        `out`, or an array of x's shape and dtype; evaluation returns `x` itself.

    Raises
    ------
    TypeError, ValueError, OverflowError
        As for `dropout1d`; here `x` has 4 or 5 axes.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop
    >>> x = np.ones((2, 2, 2, 3))
    >>> fastdrop.dropout3d(x, 0.5, rng=3, data_format="channels_last")[0, 0]
    array([[0., 2., 2.],
           [0., 2., 2.]])
    """
    return run(DROPOUT3D, (x,), p, training, rng, out, window, data_format)


def variational_dropout(
    x: npt.ArrayLike,
    p: float = 0.5,
    training: bool = True,
    *,
    rng: RNGLike = None,
    out: Array | None = None,
    time_axis: int = 1,
    window: WindowLike | None = None,
) -> Array:
    """Drop features of sequences, the same ones in all time steps: variational or locked dropout.

    Each feature of each sample is dropped with probability `p`, in all time steps together; the
    others are divided by 1 - p. `layers.VariationalDropout` can be called one time step at a time.
    Source: Gal and Ghahramani, "A Theoretically Grounded Application of Dropout in Recurrent Neural
    Networks", NIPS 2016, section 4.

    Parameters
    ----------
    x, p, training, rng, out, window
        As for `dropout`, with an `x` that has a time axis, such as (samples, time, features); the
        mask takes one position for each element of a time step.
    time_axis : int, default 1
        The axis of x's time steps; negative numbers count from the end.

    Returns
    -------
    ndarray
        `out`, or an array of x's shape and dtype; evaluation returns `x` itself.

    Raises
    ------
    TypeError, ValueError, OverflowError
        As for `dropout`; TypeError if `time_axis` is no integer, ValueError if it is no axis of x.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop
    >>> fastdrop.variational_dropout(np.ones((2, 3, 4)), 0.5, rng=3)[0]
    array([[0., 2., 2., 0.],
           [0., 2., 2., 0.],
           [0., 2., 2., 0.]])
    """
    return run(VARIATIONAL_DROPOUT, (x,), p, training, rng, out, window, time_axis)


def drop_path(
    x: npt.ArrayLike,
    p: float = 0.5,
    training: bool = True,
    *,
    rng: RNGLike = None,
    out: Array | None = None,
    mode: PathMode = "row",
    window: WindowLike | None = None,
) -> Array:
    """Drop whole samples of a residual branch's output: stochastic depth.

    ``h + drop_path(f(h), p)`` skips the branch f with probability `p`, for each sample on its
    own or for all of them together. Samples that are kept are divided by 1 - p.

    Source: Huang, Sun, Liu, Sedra and Weinberger, "Deep Networks with Stochastic Depth", ECCV 2016,
    section 3. The paper decides once in a batch, and multiplies with the survival probability in
    evaluation; here, as usual now, training divides by it instead.

    Parameters
    ----------
    x, p, training, rng, out, window
        As for `dropout`, with samples along the first axis of `x`; the mask takes one position for
        each sample, or one in all. `p` is one minus the survival probability of the paper.
    mode : {"row", "batch"}, default "row"
        "row" decides for each sample, "batch" once.

    Returns
    -------
    ndarray
        `out`, or an array of x's shape and dtype; evaluation returns `x` itself.

    Raises
    ------
    TypeError, ValueError, OverflowError
        As for `dropout`; ValueError if `mode` is unknown, or is "row" and `x` has no axis.

    Examples
    --------
    >>> import fastdrop
    >>> fastdrop.drop_path([[1.0] * 3] * 4, 0.5, rng=3)
    array([[0., 0., 0.],
           [2., 2., 2.],
           [2., 2., 2.],
           [0., 0., 0.]])
    """
    return run(DROP_PATH, (x,), p, training, rng, out, window, mode)
