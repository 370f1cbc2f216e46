"""Dropout on weights: of connections, of an embedding table, of attention."""

from __future__ import annotations

import numpy.typing as npt

from fastdrop._arrays import Array
from fastdrop._rng import RNGLike
from fastdrop._window import WindowLike
from fastdrop.pipeline import run
from fastdrop.variants import (
    ATTENTION_DROPOUT,
    DROP_CONNECT,
    DROP_KEY,
    DROP_KEY_BACKWARD,
    EMBEDDING_DROPOUT,
)

__all__ = [
    "attention_dropout",
    "drop_connect",
    "drop_key",
    "drop_key_backward",
    "embedding_dropout",
]


def drop_connect(
    w: npt.ArrayLike,
    p: float = 0.5,
    training: bool = True,
    *,
    rng: RNGLike = None,
    out: Array | None = None,
    window: WindowLike | None = None,
) -> Array:
    """Drop weights, that is connections, instead of activations: DropConnect.

    Each weight is dropped with probability `p`, on its own; the others are divided by 1 - p.
    All samples that meet the result share the mask. The gradient with respect to `w` is the
    same call on the gradient with respect to the result, with the same `Key`.

    Source: Wan, Zeiler, Zhang, LeCun and Fergus, "Regularization of Neural Networks using
    DropConnect", ICML 2013, the section "Motivation". Evaluation takes the mean of the weights,
    where the paper samples from a normal approximation of the activations.

    Parameters
    ----------
    w, p, training, rng, out, window
        As for `dropout`, with the weights for `x`. (The paper writes p for keeping.)

    Returns
    -------
    ndarray
        `out`, or an array of w's shape and dtype; evaluation returns `w` itself.

    Raises
    ------
    TypeError, ValueError, OverflowError
        As for `dropout`.

    Examples
    --------
    >>> import fastdrop
    >>> fastdrop.drop_connect([[1.0] * 4] * 2, 0.5, rng=1)
    array([[0., 0., 2., 0.],
           [0., 2., 0., 0.]])
    """
    return run(DROP_CONNECT, (w,), p, training, rng, out, window)


def embedding_dropout(
    table: npt.ArrayLike,
    p: float = 0.5,
    training: bool = True,
    *,
    rng: RNGLike = None,
    out: Array | None = None,
    window: WindowLike | None = None,
) -> Array:
    """Drop whole rows of an embedding table: words.

    Each row is dropped with probability `p`, wherever the word occurs in the batch; the others are
    divided by 1 - p. Source: Gal and Ghahramani, "A Theoretically Grounded Application of Dropout
    in Recurrent Neural Networks", NIPS 2016, and Merity, Keskar and Socher, "Regularizing and
    Optimizing LSTM Language Models", ICLR 2018, section 4.3.

    Parameters
    ----------
    table, p, training, rng, out, window
        As for `dropout`, with a table of (words, width) for `x`; a row takes one position.

    Returns
    -------
    ndarray
        `out`, or an array of the table's shape and dtype; evaluation returns `table` itself.

    Raises
    ------
    TypeError, ValueError, OverflowError
        As for `dropout`; ValueError if `table` has not 2 axes.

    Examples
    --------
    >>> import fastdrop
    >>> fastdrop.embedding_dropout([[1.0] * 3] * 4, 0.5, rng=3)
    array([[0., 0., 0.],
           [2., 2., 2.],
           [2., 2., 2.],
           [0., 0., 0.]])
    """
    return run(EMBEDDING_DROPOUT, (table,), p, training, rng, out, window)


def attention_dropout(
    weights: npt.ArrayLike,
    p: float = 0.5,
    training: bool = True,
    *,
    rng: RNGLike = None,
    out: Array | None = None,
    window: WindowLike | None = None,
) -> Array:
    """Drop attention weights, after the softmax and before they meet the values.

    Each weight is dropped with probability `p`, on its own; the others are divided by 1 - p, so
    that a row sums to 1 in expectation only. Source: Vaswani et al., "Attention Is All You Need",
    NIPS 2017: the weights of section 3.2.1. Dropout on them is in the authors' code for the paper.

    Parameters
    ----------
    weights, p, training, rng, out, window
        As for `dropout`, with the weights, such as (samples, heads, queries, keys), for `x`.

    Returns
    -------
    ndarray
        `out`, or an array of the weights' shape and dtype; evaluation returns `weights` itself.

    Raises
    ------
    TypeError, ValueError, OverflowError
        As for `dropout`.

    Examples
    --------
    >>> import fastdrop
    >>> fastdrop.attention_dropout([[0.25] * 4] * 2, 0.5, rng=1)
    array([[0. , 0. , 0.5, 0. ],
           [0. , 0.5, 0. , 0. ]])
    """
    return run(ATTENTION_DROPOUT, (weights,), p, training, rng, out, window)


def drop_key(
    scores: npt.ArrayLike,
    p: float = 0.5,
    training: bool = True,
    *,
    rng: RNGLike = None,
    out: Array | None = None,
    window: WindowLike | None = None,
) -> Array:
    """Drop keys from attention, each from each query by itself, before the softmax: DropKey.

    Each score is set to -inf with probability `p`, on its own; the others stay as they are, bit for
    bit. The softmax after it gives dropped keys the weight 0, and a query's other weights still sum
    to 1, which they do not after `attention_dropout`. The gradient is that of `drop_key_backward`.
    Where all scores of a query are -inf, its softmax is nan: with n keys a share of ``p ** n`` of
    the queries. With few keys keep `p` small, or put back one score of each query, say that of its
    own key.

    Source: Li, Hu, Nie, Han, Jiang, Guo and Liu, "DropKey for Vision Transformer", CVPR 2023: its
    dropout before the softmax. The paper lets `p` fall from layer to layer. Code for it often adds
    -1e12 to a score in place of -inf, a number that float16 does not have.

    Parameters
    ----------
    scores, p, training, rng, out, window
        As for `dropout`, with scores, such as (samples, heads, queries, keys), for `x`, -inf where
        a mask has been added: with one `rng` and `p` both drop the same elements.

    Returns
    -------
    ndarray
        `out`, or an array of the scores' shape and dtype; evaluation returns `scores` itself.

    Raises
    ------
    TypeError, ValueError, OverflowError
        As for `dropout`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop
    >>> scores = fastdrop.drop_key(np.zeros((2, 4)), 0.4, rng=3)
    >>> scores
    array([[-inf,   0.,   0., -inf],
           [-inf, -inf,   0., -inf]])
    >>> np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    array([[0. , 0.5, 0.5, 0. ],
           [0. , 0. , 1. , 0. ]])
    """
    return run(DROP_KEY, (scores,), p, training, rng, out, window)


def drop_key_backward(
    dy: npt.ArrayLike,
    p: float = 0.5,
    training: bool = True,
    *,
    rng: RNGLike,
    out: Array | None = None,
    window: WindowLike | None = None,
) -> Array:
    """The gradient of `drop_key` with respect to the scores: `dy` where it kept, else +0.0.

    Source: Li et al., "DropKey for Vision Transformer", CVPR 2023.

    Parameters
    ----------
    dy, p, training, rng, out, window
        As for `alpha_dropout_backward`, but of `drop_key`.

    Returns
    -------
    ndarray
        `out`, or an array of dy's shape and dtype; of an evaluation, `dy` itself.

    Raises
    ------
    TypeError, ValueError, OverflowError
        As for `dropout`; TypeError if `rng` gives another mask in every call.

    Examples
    --------
    >>> import fastdrop
    >>> fastdrop.drop_key_backward([[3.0] * 4] * 2, 0.5, rng=1)
    array([[0., 0., 3., 0.],
           [0., 3., 0., 0.]])
    """
    return run(DROP_KEY_BACKWARD, (dy,), p, training, rng, out, window)
