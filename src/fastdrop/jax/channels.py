"""Dropout in JAX with decisions that are shared along axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastdrop.variants import DROP_PATH, DROPOUT1D, DROPOUT2D, DROPOUT3D, VARIATIONAL_DROPOUT

from ._call import RNG, Window, run

if TYPE_CHECKING:
    import jax

    from fastdrop.decisions import DataFormat, PathMode

__all__ = ["drop_path", "dropout1d", "dropout2d", "dropout3d", "variational_dropout"]


def dropout1d(
    x: Any,
    p: float | jax.Array = 0.5,
    training: bool = True,
    *,
    rng: RNG,
    data_format: DataFormat = "channels_first",
    window: Window = None,
) -> jax.Array:
    """Drop whole channels of sequences: `fastdrop.dropout1d` of JAX's arrays.

    Parameters
    ----------
    x : array_like
        Of shape (samples, channels, length), or as `fastdrop.dropout1d` takes it. Dtypes as for
        `fastdrop.jax.dropout`.
    p, training, rng
        As for `fastdrop.jax.dropout`: p may be traced, and `rng` may be a key of JAX.
    data_format : {"channels_first", "channels_last"}, default "channels_first"
        As for `fastdrop.dropout1d`.
    window : (shape, start), optional
        As for `fastdrop.jax.dropout`.

    Returns
    -------
    jax.Array
        Of x's shape and dtype; with a `Key` or an integer the bits of `fastdrop.dropout1d`;
        evaluation returns `x`.

    Raises
    ------
    TypeError, ValueError, OverflowError
        As for `fastdrop.dropout1d`; `rng` is something else than `fastdrop.jax.dropout` takes.
    NotImplementedError, ImportError
        As for `fastdrop.jax.dropout`.

    Notes
    -----
    Source: Tompson et al., "Efficient Object Localization Using Convolutional Networks", CVPR 2015,
    section 3.2.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> import numpy as np
    >>> import fastdrop.jax
    >>> x = jnp.ones((4, 3, 8))
    >>> y = fastdrop.jax.dropout1d(x, 0.5, rng=1)
    >>> bool((y == fastdrop.dropout1d(np.asarray(x), 0.5, rng=1)).all())
    True
    """
    result: jax.Array = run(DROPOUT1D, (x,), p, training, rng, data_format, window=window)
    return result


def dropout2d(
    x: Any,
    p: float | jax.Array = 0.5,
    training: bool = True,
    *,
    rng: RNG,
    data_format: DataFormat = "channels_first",
    window: Window = None,
) -> jax.Array:
    """Drop whole channels of images: `fastdrop.dropout2d` of JAX's arrays.

    Parameters
    ----------
    x : array_like
        Of shape (samples, channels, height, width), or as `fastdrop.dropout2d` takes it. Dtypes as
        for `fastdrop.jax.dropout`.
    p, training, rng
        As for `fastdrop.jax.dropout`: p may be traced, and `rng` may be a key of JAX.
    data_format : {"channels_first", "channels_last"}, default "channels_first"
        As for `fastdrop.dropout2d`.
    window : (shape, start), optional
        As for `fastdrop.jax.dropout`.

    Returns
    -------
    jax.Array
        Of x's shape and dtype; with a `Key` or an integer the bits of `fastdrop.dropout2d`;
        evaluation returns `x`.

    Raises
    ------
    TypeError, ValueError, OverflowError
        As for `fastdrop.dropout2d`; `rng` is something else than `fastdrop.jax.dropout` takes.
    NotImplementedError, ImportError
        As for `fastdrop.jax.dropout`.

    Notes
    -----
    Source: Tompson et al., "Efficient Object Localization Using Convolutional Networks", CVPR 2015,
    section 3.2.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> import numpy as np
    >>> import fastdrop.jax
    >>> x = jnp.ones((4, 3, 8, 8))
    >>> y = fastdrop.jax.dropout2d(x, 0.5, rng=1)
    >>> bool((y == fastdrop.dropout2d(np.asarray(x), 0.5, rng=1)).all())
    True
    """
    result: jax.Array = run(DROPOUT2D, (x,), p, training, rng, data_format, window=window)
    return result


def dropout3d(
    x: Any,
    p: float | jax.Array = 0.5,
    training: bool = True,
    *,
    rng: RNG,
    data_format: DataFormat = "channels_first",
    window: Window = None,
) -> jax.Array:
    """Drop whole channels of volumes: `fastdrop.dropout3d` of JAX's arrays.

    Parameters
    ----------
    x : array_like
        Of shape (samples, channels, depth, height, width), or as `fastdrop.dropout3d` takes it.
        Dtypes as for `fastdrop.jax.dropout`.
    p, training, rng
        As for `fastdrop.jax.dropout`: p may be traced, and `rng` may be a key of JAX.
    data_format : {"channels_first", "channels_last"}, default "channels_first"
        As for `fastdrop.dropout3d`.
    window : (shape, start), optional
        As for `fastdrop.jax.dropout`.

    Returns
    -------
    jax.Array
        Of x's shape and dtype; with a `Key` or an integer the bits of `fastdrop.dropout3d`;
        evaluation returns `x`.

    Raises
    ------
    TypeError, ValueError, OverflowError
        As for `fastdrop.dropout3d`; `rng` is something else than `fastdrop.jax.dropout` takes.
    NotImplementedError, ImportError
        As for `fastdrop.jax.dropout`.

    Notes
    -----
    Source: Tompson et al., "Efficient Object Localization Using Convolutional Networks", CVPR 2015,
    section 3.2.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> import numpy as np
    >>> import fastdrop.jax
    >>> x = jnp.ones((2, 3, 4, 4, 4))
    >>> y = fastdrop.jax.dropout3d(x, 0.5, rng=1)
    >>> bool((y == fastdrop.dropout3d(np.asarray(x), 0.5, rng=1)).all())
    True
    """
    result: jax.Array = run(DROPOUT3D, (x,), p, training, rng, data_format, window=window)
    return result


def variational_dropout(
    x: Any,
    p: float | jax.Array = 0.5,
    training: bool = True,
    *,
    rng: RNG,
    time_axis: int = 1,
    window: Window = None,
) -> jax.Array:
    """Drop features in all time steps: `fastdrop.variational_dropout` of JAX's arrays.

    Parameters
    ----------
    x : array_like
        Of any shape with a time axis. Dtypes as for `fastdrop.jax.dropout`.
    p, training, rng
        As for `fastdrop.jax.dropout`: p may be traced, and `rng` may be a key of JAX.
    time_axis : int, default 1
        As for `fastdrop.variational_dropout`.
    window : (shape, start), optional
        As for `fastdrop.jax.dropout`.

    Returns
    -------
    jax.Array
        Of x's shape and dtype; with a `Key` or an integer the bits of
        `fastdrop.variational_dropout`; evaluation returns `x`.

    Raises
    ------
    TypeError, ValueError, OverflowError
        As for `fastdrop.variational_dropout`; `rng` is something else than `fastdrop.jax.dropout`
        takes.
    NotImplementedError, ImportError
        As for `fastdrop.jax.dropout`.

    Notes
    -----
    Source: Gal and Ghahramani, "A Theoretically Grounded Application of Dropout in Recurrent Neural
    Networks", NIPS 2016, section 4.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> import numpy as np
    >>> import fastdrop.jax
    >>> x = jnp.ones((4, 9, 3))
    >>> y = fastdrop.jax.variational_dropout(x, 0.5, rng=1)
    >>> bool((y == fastdrop.variational_dropout(np.asarray(x), 0.5, rng=1)).all())
    True
    """
    result: jax.Array = run(VARIATIONAL_DROPOUT, (x,), p, training, rng, time_axis, window=window)
    return result


def drop_path(
    x: Any,
    p: float | jax.Array = 0.5,
    training: bool = True,
    *,
    rng: RNG,
    mode: PathMode = "row",
    window: Window = None,
) -> jax.Array:
    """Drop whole samples: `fastdrop.drop_path` of JAX's arrays.

    Parameters
    ----------
    x : array_like
        Of any shape; the first axis is that of the samples. Dtypes as for `fastdrop.jax.dropout`.
    p, training, rng
        As for `fastdrop.jax.dropout`: p may be traced, and `rng` may be a key of JAX.
    mode : {"row", "batch"}, default "row"
        As for `fastdrop.drop_path`.
    window : (shape, start), optional
        As for `fastdrop.jax.dropout`.

    Returns
    -------
    jax.Array
        Of x's shape and dtype; with a `Key` or an integer the bits of `fastdrop.drop_path`;
        evaluation returns `x`.

    Raises
    ------
    TypeError, ValueError, OverflowError
        As for `fastdrop.drop_path`; `rng` is something else than `fastdrop.jax.dropout` takes.
    NotImplementedError, ImportError
        As for `fastdrop.jax.dropout`.

    Notes
    -----
    Source: Huang et al., "Deep Networks with Stochastic Depth", ECCV 2016, section 3.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> import numpy as np
    >>> import fastdrop.jax
    >>> x = jnp.ones((9, 4))
    >>> y = fastdrop.jax.drop_path(x, 0.5, rng=1)
    >>> bool((y == fastdrop.drop_path(np.asarray(x), 0.5, rng=1)).all())
    True
    """
    result: jax.Array = run(DROP_PATH, (x,), p, training, rng, mode, window=window)
    return result
