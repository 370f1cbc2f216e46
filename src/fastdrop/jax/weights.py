"""Dropout in JAX of weights, tables and attention."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastdrop.variants import ATTENTION_DROPOUT, DROP_CONNECT, DROP_KEY, EMBEDDING_DROPOUT

from ._call import RNG, Window, run

if TYPE_CHECKING:
    import jax

__all__ = ["attention_dropout", "drop_connect", "drop_key", "embedding_dropout"]


def drop_connect(
    w: Any,
    p: float | jax.Array = 0.5,
    training: bool = True,
    *,
    rng: RNG,
    window: Window = None,
) -> jax.Array:
    """Drop weights of a matrix: `fastdrop.drop_connect` of JAX's arrays.

    Parameters
    ----------
    w : array_like
        Weights of any shape. Dtypes as for `fastdrop.jax.dropout`.
    p, training, rng
        As for `fastdrop.jax.dropout`: p may be traced, and `rng` may be a key of JAX.
    window : (shape, start), optional
        As for `fastdrop.jax.dropout`.

    Returns
    -------
    jax.Array
        Of w's shape and dtype; with a `Key` or an integer the bits of `fastdrop.drop_connect`;
        evaluation returns `w`.

    Raises
    ------
    TypeError, ValueError, OverflowError
        As for `fastdrop.drop_connect`; `rng` is something else than `fastdrop.jax.dropout` takes.
    NotImplementedError, ImportError
        As for `fastdrop.jax.dropout`.

    Notes
    -----
    Source: Wan et al., "Regularization of Neural Networks using DropConnect", ICML 2013.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> import numpy as np
    >>> import fastdrop.jax
    >>> x = jnp.ones((4, 6))
    >>> y = fastdrop.jax.drop_connect(x, 0.5, rng=1)
    >>> bool((y == fastdrop.drop_connect(np.asarray(x), 0.5, rng=1)).all())
    True
    """
    result: jax.Array = run(DROP_CONNECT, (w,), p, training, rng, window=window)
    return result


def attention_dropout(
    weights: Any,
    p: float | jax.Array = 0.5,
    training: bool = True,
    *,
    rng: RNG,
    window: Window = None,
) -> jax.Array:
    """Drop attention weights: `fastdrop.attention_dropout` of JAX's arrays.

    Parameters
    ----------
    weights : array_like
        Of any shape. Dtypes as for `fastdrop.jax.dropout`.
    p, training, rng
        As for `fastdrop.jax.dropout`: p may be traced, and `rng` may be a key of JAX.
    window : (shape, start), optional
        As for `fastdrop.jax.dropout`.

    Returns
    -------
    jax.Array
        Of weights's shape and dtype; with a `Key` or an integer the bits of
        `fastdrop.attention_dropout`; evaluation returns `weights`.

    Raises
    ------
    TypeError, ValueError, OverflowError
        As for `fastdrop.attention_dropout`; `rng` is something else than `fastdrop.jax.dropout`
        takes.
    NotImplementedError, ImportError
        As for `fastdrop.jax.dropout`.

    Notes
    -----
    Source: Vaswani et al., "Attention Is All You Need", NIPS 2017, section 3.2.1.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> import numpy as np
    >>> import fastdrop.jax
    >>> x = jnp.ones((2, 4, 4))
    >>> y = fastdrop.jax.attention_dropout(x, 0.5, rng=1)
    >>> bool((y == fastdrop.attention_dropout(np.asarray(x), 0.5, rng=1)).all())
    True
    """
    result: jax.Array = run(ATTENTION_DROPOUT, (weights,), p, training, rng, window=window)
    return result


def embedding_dropout(
    table: Any,
    p: float | jax.Array = 0.5,
    training: bool = True,
    *,
    rng: RNG,
    window: Window = None,
) -> jax.Array:
    """Drop whole rows of a table: `fastdrop.embedding_dropout` of JAX's arrays.

    Parameters
    ----------
    table : array_like
        Of shape (words, features). Dtypes as for `fastdrop.jax.dropout`.
    p, training, rng
        As for `fastdrop.jax.dropout`: p may be traced, and `rng` may be a key of JAX.
    window : (shape, start), optional
        As for `fastdrop.jax.dropout`.

    Returns
    -------
    jax.Array
        Of table's shape and dtype; with a `Key` or an integer the bits of
        `fastdrop.embedding_dropout`; evaluation returns `table`.

    Raises
    ------
    TypeError, ValueError, OverflowError
        As for `fastdrop.embedding_dropout`; `rng` is something else than `fastdrop.jax.dropout`
        takes.
    NotImplementedError, ImportError
        As for `fastdrop.jax.dropout`.

    Notes
    -----
    Source: Merity, Keskar and Socher, "Regularizing and Optimizing LSTM Language Models", ICLR
    2018, section 4.3.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> import numpy as np
    >>> import fastdrop.jax
    >>> x = jnp.ones((9, 4))
    >>> y = fastdrop.jax.embedding_dropout(x, 0.5, rng=1)
    >>> bool((y == fastdrop.embedding_dropout(np.asarray(x), 0.5, rng=1)).all())
    True
    """
    result: jax.Array = run(EMBEDDING_DROPOUT, (table,), p, training, rng, window=window)
    return result


def drop_key(
    scores: Any,
    p: float = 0.5,
    training: bool = True,
    *,
    rng: RNG,
    window: Window = None,
) -> jax.Array:
    """Drop attention's scores to -inf, before the softmax: `fastdrop.drop_key` of JAX's arrays.

    Parameters
    ----------
    scores : array_like
        Of any shape. Dtypes as for `fastdrop.jax.dropout`.
    p, training, rng
        `p` is a Python number, which is compiled in; otherwise as for `fastdrop.drop_key` and
        `fastdrop.jax.dropout`.
    window : (shape, start), optional
        As for `fastdrop.jax.dropout`.

    Returns
    -------
    jax.Array
        Of the scores' shape and dtype; with a `Key` or an integer the bits of `fastdrop.drop_key`;
        evaluation returns `scores`.

    Raises
    ------
    TypeError, ValueError, OverflowError
        As for `fastdrop.drop_key`; `rng` is something else than `fastdrop.jax.dropout` takes.
    NotImplementedError, ImportError
        As for `fastdrop.jax.dropout`.

    Notes
    -----
    Source: Li et al., "DropKey for Vision Transformer", CVPR 2023.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> import numpy as np
    >>> import fastdrop.jax
    >>> x = jnp.ones((2, 4, 4))
    >>> y = fastdrop.jax.drop_key(x, 0.5, rng=1)
    >>> bool((y == fastdrop.drop_key(np.asarray(x), 0.5, rng=1)).all())
    True
    """
    result: jax.Array = run(DROP_KEY, (scores,), p, training, rng, window=window)
    return result
