"""Dropout of weights that are Dask arrays: of connections, attention, a table of embeddings."""

from __future__ import annotations

import dask.array as da

from fastdrop._rng import RNGLike
from fastdrop.variants import ATTENTION_DROPOUT, DROP_CONNECT, DROP_KEY, EMBEDDING_DROPOUT

from ._blocks import lazily

__all__ = ["attention_dropout", "drop_connect", "drop_key", "embedding_dropout"]


def drop_connect(
    w: da.Array,
    p: float = 0.5,
    training: bool = True,
    *,
    rng: RNGLike = None,
) -> da.Array:
    """Drop weights of a matrix: `fastdrop.drop_connect` of a Dask array.

    Parameters
    ----------
    w : dask.array.Array
        Weights of any shape. Dtypes as for `fastdrop.dropout`.
    p, training, rng
        As for `fastdrop.drop_connect`. A `fastdrop.Generator` moves on when this is called, and not
        when blocks are computed.

    Returns
    -------
    dask.array.Array
        Lazy, of w's shape, dtype and chunks: ``fastdrop.drop_connect`` of the whole array, bit for
        bit, whatever the chunks; evaluation returns `w` itself.

    Raises
    ------
    TypeError
        What is no Dask array of NumPy blocks; otherwise as for `fastdrop.drop_connect`.
    ValueError
        Chunks of unknown sizes; otherwise as for `fastdrop.drop_connect`.
    OverflowError
        The positions needed pass the end of the stream, 2**64.

    Notes
    -----
    Source: Wan et al., "Regularization of Neural Networks using DropConnect", ICML 2013.

    Examples
    --------
    >>> import dask.array as da
    >>> import numpy as np
    >>> import fastdrop.dask
    >>> x = da.ones((4, 6), dtype=np.float32, chunks=3)
    >>> y = fastdrop.dask.drop_connect(x, 0.5, rng=1)
    >>> bool((y.compute() == fastdrop.drop_connect(x.compute(), 0.5, rng=1)).all())
    True
    """
    return lazily(DROP_CONNECT, (w,), p, training, rng)


def attention_dropout(
    weights: da.Array,
    p: float = 0.5,
    training: bool = True,
    *,
    rng: RNGLike = None,
) -> da.Array:
    """Drop attention weights: `fastdrop.attention_dropout` of a Dask array.

    Parameters
    ----------
    weights : dask.array.Array
        Of any shape. Dtypes as for `fastdrop.dropout`.
    p, training, rng
        As for `fastdrop.attention_dropout`. A `fastdrop.Generator` moves on when this is called,
        and not when blocks are computed.

    Returns
    -------
    dask.array.Array
        Lazy, of weights's shape, dtype and chunks: ``fastdrop.attention_dropout`` of the whole
        array, bit for bit, whatever the chunks; evaluation returns `weights` itself.

    Raises
    ------
    TypeError
        What is no Dask array of NumPy blocks; otherwise as for `fastdrop.attention_dropout`.
    ValueError
        Chunks of unknown sizes; otherwise as for `fastdrop.attention_dropout`.
    OverflowError
        The positions needed pass the end of the stream, 2**64.

    Notes
    -----
    Source: Vaswani et al., "Attention Is All You Need", NIPS 2017, section 3.2.1.

    Examples
    --------
    >>> import dask.array as da
    >>> import numpy as np
    >>> import fastdrop.dask
    >>> x = da.ones((2, 4, 4), dtype=np.float32, chunks=(1, 2, 3))
    >>> y = fastdrop.dask.attention_dropout(x, 0.5, rng=1)
    >>> bool((y.compute() == fastdrop.attention_dropout(x.compute(), 0.5, rng=1)).all())
    True
    """
    return lazily(ATTENTION_DROPOUT, (weights,), p, training, rng)


def embedding_dropout(
    table: da.Array,
    p: float = 0.5,
    training: bool = True,
    *,
    rng: RNGLike = None,
) -> da.Array:
    """Drop whole rows of a table: `fastdrop.embedding_dropout` of a Dask array.

    Parameters
    ----------
    table : dask.array.Array
        Of shape (words, features). Dtypes as for `fastdrop.dropout`.
    p, training, rng
        As for `fastdrop.embedding_dropout`. A `fastdrop.Generator` moves on when this is called,
        and not when blocks are computed.

    Returns
    -------
    dask.array.Array
        Lazy, of table's shape, dtype and chunks: ``fastdrop.embedding_dropout`` of the whole array,
        bit for bit, whatever the chunks; evaluation returns `table` itself.

    Raises
    ------
    TypeError
        What is no Dask array of NumPy blocks; otherwise as for `fastdrop.embedding_dropout`.
    ValueError
        Chunks of unknown sizes; otherwise as for `fastdrop.embedding_dropout`.
    OverflowError
        The positions needed pass the end of the stream, 2**64.

    Notes
    -----
    Source: Merity, Keskar and Socher, "Regularizing and Optimizing LSTM Language Models", ICLR
    2018, section 4.3.

    Examples
    --------
    >>> import dask.array as da
    >>> import numpy as np
    >>> import fastdrop.dask
    >>> x = da.ones((9, 4), dtype=np.float32, chunks=(2, 3))
    >>> y = fastdrop.dask.embedding_dropout(x, 0.5, rng=1)
    >>> bool((y.compute() == fastdrop.embedding_dropout(x.compute(), 0.5, rng=1)).all())
    True
    """
    return lazily(EMBEDDING_DROPOUT, (table,), p, training, rng)


def drop_key(
    scores: da.Array,
    p: float = 0.5,
    training: bool = True,
    *,
    rng: RNGLike = None,
) -> da.Array:
    """Drop attention's scores to -inf, before the softmax: `fastdrop.drop_key` of a Dask array.

    Parameters
    ----------
    scores : dask.array.Array
        Of any shape. Dtypes as for `fastdrop.dropout`.
    p, training, rng
        As for `fastdrop.drop_key`. A `fastdrop.Generator` moves on when this is called, and not
        when blocks are computed.

    Returns
    -------
    dask.array.Array
        Lazy, of the scores' shape, dtype and chunks: ``fastdrop.drop_key`` of the whole array, bit
        for bit, whatever the chunks; evaluation returns `scores` itself.

    Raises
    ------
    TypeError
        What is no Dask array of NumPy blocks; otherwise as for `fastdrop.drop_key`.
    ValueError
        Chunks of unknown sizes; otherwise as for `fastdrop.drop_key`.
    OverflowError
        The positions needed pass the end of the stream, 2**64.

    Notes
    -----
    Source: Li et al., "DropKey for Vision Transformer", CVPR 2023.

    Examples
    --------
    >>> import dask.array as da
    >>> import numpy as np
    >>> import fastdrop.dask
    >>> x = da.ones((2, 4, 4), dtype=np.float32, chunks=(1, 2, 3))
    >>> y = fastdrop.dask.drop_key(x, 0.5, rng=1)
    >>> bool((y.compute() == fastdrop.drop_key(x.compute(), 0.5, rng=1)).all())
    True
    """
    return lazily(DROP_KEY, (scores,), p, training, rng)
