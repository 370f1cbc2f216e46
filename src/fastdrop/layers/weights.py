"""Layers that drop weights: of connections, of attention, of a table of embeddings."""

from __future__ import annotations

from fastdrop.variants import ATTENTION_DROPOUT, DROP_CONNECT, DROP_KEY, EMBEDDING_DROPOUT

from .declared import MaskedLayer

__all__ = ["AttentionDropout", "DropConnect", "DropKey", "EmbeddingDropout"]


class DropConnect(MaskedLayer):
    """DropConnect on a layer's weights: `forward` gives the weights to use in this step.

    Parameters
    ----------
    p : float, default 0.5
        Probability of dropping a weight, from 0 to 1. May be assigned later.
    rng : None, int, Key, Generator, numpy.random.SeedSequence or numpy.random.Generator
        What the layer draws from, as for `Dropout`.

    Raises
    ------
    TypeError
        An argument has the wrong type.
    ValueError
        `p` is outside [0, 1].

    Notes
    -----
    Source: Wan et al., "Regularization of Neural Networks using DropConnect", ICML 2013.
    See `fastdrop.drop_connect`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop
    >>> layer = fastdrop.layers.DropConnect(0.5, rng=1)
    >>> x, w = np.ones((3, 4), np.float32), np.ones((2, 4), np.float32)
    >>> y = x @ layer(w).T
    >>> dw = layer.backward(np.ones_like(y).T @ x)
    >>> dw
    array([[0., 0., 6., 0.],
           [0., 6., 0., 0.]], dtype=float32)
    """

    _variant = DROP_CONNECT


class AttentionDropout(MaskedLayer):
    """Dropout on attention weights, after the softmax.

    Parameters
    ----------
    p : float, default 0.5
        Probability of dropping a weight, from 0 to 1. May be assigned later.
    rng : None, int, Key, Generator, numpy.random.SeedSequence or numpy.random.Generator
        What the layer draws from, as for `Dropout`.

    Raises
    ------
    TypeError
        An argument has the wrong type.
    ValueError
        `p` is outside [0, 1].

    Notes
    -----
    Source: Vaswani et al., "Attention Is All You Need", NIPS 2017. See
    `fastdrop.attention_dropout`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop
    >>> layer = fastdrop.layers.AttentionDropout(0.5, rng=1)
    >>> layer(np.full((2, 4), 0.25, np.float32))
    array([[0. , 0. , 0.5, 0. ],
           [0. , 0.5, 0. , 0. ]], dtype=float32)
    """

    _variant = ATTENTION_DROPOUT


class EmbeddingDropout(MaskedLayer):
    """Drop whole rows of an embedding table: `forward` gives the table to use in this step.

    Parameters
    ----------
    p : float, default 0.5
        Probability of dropping a row, from 0 to 1. May be assigned later.
    rng : None, int, Key, Generator, numpy.random.SeedSequence or numpy.random.Generator
        What the layer draws from, as for `Dropout`.

    Raises
    ------
    TypeError
        An argument has the wrong type.
    ValueError
        `p` is outside [0, 1].

    Notes
    -----
    Source: Merity, Keskar and Socher, "Regularizing and Optimizing LSTM Language Models", ICLR
    2018, section 4.3. See `fastdrop.embedding_dropout`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop
    >>> layer = fastdrop.layers.EmbeddingDropout(0.5, rng=3)
    >>> words = np.array([1, 3, 1])
    >>> layer(np.ones((4, 2), np.float32))[words]
    array([[2., 2.],
           [0., 0.],
           [2., 2.]], dtype=float32)
    """

    _variant = EMBEDDING_DROPOUT


class DropKey(MaskedLayer):
    """DropKey on attention's scores, before the softmax: dropped ones are -inf.

    Parameters
    ----------
    p : float, default 0.5
        Probability of dropping a score, from 0 to 1. May be assigned later.
    rng : None, int, Key, Generator, numpy.random.SeedSequence or numpy.random.Generator
        What the layer draws from, as for `Dropout`.

    Raises
    ------
    TypeError
        An argument has the wrong type.
    ValueError
        `p` is outside [0, 1].

    Notes
    -----
    Source: Li et al., "DropKey for Vision Transformer", CVPR 2023. See `fastdrop.drop_key`, also
    for what happens where all scores of a query are dropped.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop
    >>> layer = fastdrop.layers.DropKey(0.5, rng=1)
    >>> layer(np.ones((2, 4), np.float32))
    array([[-inf, -inf,   1., -inf],
           [-inf,   1., -inf, -inf]], dtype=float32)
    >>> layer.backward(np.ones((2, 4), np.float32))
    array([[0., 0., 1., 0.],
           [0., 1., 0., 0.]], dtype=float32)
    """

    _variant = DROP_KEY
