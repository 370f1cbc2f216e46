"""Layers that drop weights: of connections, of attention, of a table of embeddings."""

from fastdrop.variants import ATTENTION_DROPOUT, DROP_CONNECT, DROP_KEY, EMBEDDING_DROPOUT

from .declared import MaskedLayer

__all__ = ["AttentionDropout", "DropConnect", "DropKey", "EmbeddingDropout"]


class DropConnect(MaskedLayer):
    """DropConnect on a layer's weights: `forward` gives the weights to use in this step.

    See `fastdrop.drop_connect`. Source: Wan et al., ICML 2013, section "Motivation".

    Parameters
    ----------
    p, rng
        As for `Dropout`, with the same errors; `p` is the probability of dropping a weight.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop
    >>> layer = fastdrop.layers.DropConnect(0.5, rng=1)
    >>> x, w = np.ones((3, 4)), np.ones((2, 4))
    >>> y = x @ layer(w).T
    >>> layer.backward(np.ones_like(y).T @ x)
    array([[0., 0., 6., 0.],
           [0., 6., 0., 0.]])
    """

    _variant = DROP_CONNECT


class AttentionDropout(MaskedLayer):
    """Dropout on attention weights, after the softmax.

    See `fastdrop.attention_dropout`. Source: Vaswani et al., NIPS 2017, section 3.2.1.

    Parameters
    ----------
    p, rng
        As for `Dropout`, with the same errors; `p` is the probability of dropping a weight.

    Examples
    --------
    >>> import fastdrop
    >>> fastdrop.layers.AttentionDropout(0.5, rng=1)([[0.25] * 4] * 2)
    array([[0. , 0. , 0.5, 0. ],
           [0. , 0.5, 0. , 0. ]])
    """

    _variant = ATTENTION_DROPOUT


class EmbeddingDropout(MaskedLayer):
    """Drop whole rows of an embedding table: `forward` gives the table to use in this step.

    See `fastdrop.embedding_dropout`. Source: Merity, Keskar and Socher, ICLR 2018, section 4.3.

    Parameters
    ----------
    p, rng
        As for `Dropout`, with the same errors; `p` is the probability of dropping a row.

    Examples
    --------
    >>> import fastdrop
    >>> layer = fastdrop.layers.EmbeddingDropout(0.5, rng=3)
    >>> layer([[1.0] * 2] * 4)[[1, 3, 1]]
    array([[2., 2.],
           [0., 0.],
           [2., 2.]])
    """

    _variant = EMBEDDING_DROPOUT


class DropKey(MaskedLayer):
    """DropKey on attention's scores, before the softmax: dropped ones are -inf.

    See `fastdrop.drop_key`, also for what happens where all scores of a query are dropped. Source:
    Li et al., CVPR 2023.

    Parameters
    ----------
    p, rng
        As for `Dropout`, with the same errors; `p` is the probability of dropping a score.

    Examples
    --------
    >>> import fastdrop
    >>> layer = fastdrop.layers.DropKey(0.5, rng=1)
    >>> layer([[1.0] * 4] * 2)
    array([[-inf, -inf,   1., -inf],
           [-inf,   1., -inf, -inf]])
    >>> layer.backward([[1.0] * 4] * 2)
    array([[0., 0., 1., 0.],
           [0., 1., 0., 0.]])
    """

    _variant = DROP_KEY
