"""Bias, activation and dropout of Dask arrays in one pass."""

from __future__ import annotations

import dask.array as da

from fastdrop._bias import Activation
from fastdrop._rng import RNGLike
from fastdrop.variants import BIAS_ACT_DROPOUT

from ._blocks import lazily

__all__ = ["bias_act_dropout"]


def bias_act_dropout(
    x: da.Array,
    bias: da.Array | None = None,
    act: Activation = "none",
    p: float = 0.5,
    training: bool = True,
    *,
    rng: RNGLike = None,
) -> da.Array:
    """Add a bias, activate, drop: `fastdrop.bias_act_dropout` of Dask arrays.

    Parameters
    ----------
    x : dask.array.Array
        Of any shape; with a bias of at least one axis. Dtypes as for `fastdrop.dropout`.
    bias : dask.array.Array, optional
        Of the length of x's last axis, and x's dtype.
    act : {"none", "relu", "gelu", "gelu_tanh", "silu"}, default "none"
        The activation.
    p, training, rng
        As for `fastdrop.bias_act_dropout`. A `fastdrop.Generator` moves on when this is called, and
        not when blocks are computed.

    Returns
    -------
    dask.array.Array
        Lazy, of x's shape, dtype and chunks: ``fastdrop.bias_act_dropout`` of the whole array, bit
        for bit, whatever the chunks; evaluation returns an array that is computed, too.

    Raises
    ------
    TypeError
        What is no Dask array of NumPy blocks; otherwise as for `fastdrop.bias_act_dropout`.
    ValueError
        Chunks of unknown sizes; otherwise as for `fastdrop.bias_act_dropout`.
    OverflowError
        The positions needed pass the end of the stream, 2**64.

    Notes
    -----
    Source: Hendrycks and Gimpel, "Gaussian Error Linear Units (GELUs)", arXiv:1606.08415 (2016).

    Examples
    --------
    >>> import dask.array as da
    >>> import numpy as np
    >>> import fastdrop.dask
    >>> x = da.ones((4, 6), dtype=np.float32, chunks=(3, 4))
    >>> y = fastdrop.dask.bias_act_dropout(x, None, "gelu", 0.2, rng=1)
    >>> want = fastdrop.bias_act_dropout(x.compute(), None, "gelu", 0.2, rng=1)
    >>> bool((y.compute() == want).all())
    True
    """
    return lazily(BIAS_ACT_DROPOUT, (x,), p, training, rng, act=(act, bias))
