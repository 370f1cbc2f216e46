"""Dropout of Dask arrays in one pass with a second array: residual addition and zoneout."""

from __future__ import annotations

import dask.array as da

from fastdrop._rng import RNGLike
from fastdrop.variants import DROPOUT_ADD, ZONEOUT

from ._blocks import lazily

__all__ = ["dropout_add", "zoneout"]


def dropout_add(
    x: da.Array,
    residual: da.Array,
    p: float = 0.5,
    training: bool = True,
    *,
    rng: RNGLike = None,
) -> da.Array:
    """Add dropout of `x` to `residual`: `fastdrop.dropout_add` of Dask arrays.

    Parameters
    ----------
    x : dask.array.Array
        Of any shape. Dtypes as for `fastdrop.dropout`.
    residual : dask.array.Array
        Of x's shape and dtype; its chunks are made to be those of x.
    p, training, rng
        As for `fastdrop.dropout_add`. A `fastdrop.Generator` moves on when this is called, and not
        when blocks are computed.

    Returns
    -------
    dask.array.Array
        Lazy, of x's shape, dtype and chunks: ``fastdrop.dropout_add`` of the whole array, bit for
        bit, whatever the chunks; evaluation returns an array that is computed, too.

    Raises
    ------
    TypeError
        What is no Dask array of NumPy blocks; otherwise as for `fastdrop.dropout_add`.
    ValueError
        Chunks of unknown sizes; otherwise as for `fastdrop.dropout_add`.
    OverflowError
        The positions needed pass the end of the stream, 2**64.

    Notes
    -----
    Source: Vaswani et al., "Attention Is All You Need", NIPS 2017, section 5.4.

    Examples
    --------
    >>> import dask.array as da
    >>> import numpy as np
    >>> import fastdrop.dask
    >>> x = da.ones((4, 6), dtype=np.float32, chunks=(3, 4))
    >>> y = fastdrop.dask.dropout_add(x, 2 * x, 0.2, rng=1)
    >>> bool((y.compute() == fastdrop.dropout_add(x.compute(), 2 * x.compute(), 0.2, rng=1)).all())
    True
    """
    return lazily(DROPOUT_ADD, (x, residual), p, training, rng)


def zoneout(
    h_new: da.Array,
    h_old: da.Array,
    p: float = 0.5,
    training: bool = True,
    *,
    rng: RNGLike = None,
) -> da.Array:
    """Keep units of the step before: `fastdrop.zoneout` of Dask arrays.

    Parameters
    ----------
    h_new : dask.array.Array
        Of any shape. Dtypes as for `fastdrop.dropout`.
    h_old : dask.array.Array
        Of h_new's shape and dtype; its chunks are made to be those of h_new.
    p, training, rng
        As for `fastdrop.zoneout`. A `fastdrop.Generator` moves on when this is called, and not
        when blocks are computed.

    Returns
    -------
    dask.array.Array
        Lazy, of h_new's shape, dtype and chunks: ``fastdrop.zoneout`` of the whole array, bit for
        bit, whatever the chunks; evaluation returns an array that is computed, too.

    Raises
    ------
    TypeError
        What is no Dask array of NumPy blocks; otherwise as for `fastdrop.zoneout`.
    ValueError
        Chunks of unknown sizes; otherwise as for `fastdrop.zoneout`.
    OverflowError
        The positions needed pass the end of the stream, 2**64.

    Notes
    -----
    Source: Krueger et al., "Zoneout: Regularizing RNNs by Randomly Preserving Hidden
    Activations", ICLR 2017, section 3.

    Examples
    --------
    >>> import dask.array as da
    >>> import numpy as np
    >>> import fastdrop.dask
    >>> x = da.ones((4, 6), dtype=np.float32, chunks=(3, 4))
    >>> y = fastdrop.dask.zoneout(x, 2 * x, 0.2, rng=1)
    >>> bool((y.compute() == fastdrop.zoneout(x.compute(), 2 * x.compute(), 0.2, rng=1)).all())
    True
    """
    return lazily(ZONEOUT, (h_new, h_old), p, training, rng)
