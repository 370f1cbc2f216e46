"""Dropout of weights, of tables of embeddings, and of attention's weights."""

from __future__ import annotations

from torch import Tensor

from fastdrop._window import WindowLike
from fastdrop.variants import ATTENTION_DROPOUT, DROP_CONNECT, DROP_KEY, EMBEDDING_DROPOUT

from ._declared import overridable, run
from ._seeding import AnyGenerator, Seed

__all__ = ["attention_dropout", "drop_connect", "drop_key", "embedding_dropout"]


@overridable
def drop_connect(
    weight: Tensor,
    p: float = 0.5,
    training: bool = True,
    *,
    generator: AnyGenerator = None,
    seed: Seed = None,
    window: WindowLike | None = None,
) -> Tensor:
    """Drop single weights of a layer, the same ones for all samples: DropConnect.

    Each weight is dropped with probability `p`, on its own; the others are divided by 1 - p.
    `dropconnect_linear` decides anew for each sample.

    Parameters
    ----------
    weight : Tensor
        Of any shape. Dtypes as for `dropout`; only tensors in the CPU's memory.
    p, training, generator, seed, window
        As for `dropout`.

    Returns
    -------
    Tensor
        The weights to compute with; in evaluation, and with p = 0, `weight` itself.

    Raises
    ------
    ValueError
        As for `dropout`.
    TypeError
        A tensor that is not computed here, or an argument of the wrong type.
    NotImplementedError
        `window`, or a `DTensor`, as for `dropout`.

    Notes
    -----
    Source: Wan et al., "Regularization of Neural Networks using DropConnect", ICML 2013. The values
    are those of `fastdrop.drop_connect` for one seed.

    Examples
    --------
    >>> import torch
    >>> import fastdrop.torch
    >>> fastdrop.torch.drop_connect(torch.ones(2, 4), 0.5, seed=1)
    tensor([[0., 0., 2., 0.],
            [0., 2., 0., 0.]])
    """
    return run(DROP_CONNECT, weight, p, training, False, generator, seed, window=window)


@overridable
def attention_dropout(
    weights: Tensor,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    *,
    generator: AnyGenerator = None,
    seed: Seed = None,
    window: WindowLike | None = None,
) -> Tensor:
    """Drop attention's weights, after the softmax and before they meet the values.

    `softmax_dropout` does it in one pass with the softmax, and `scaled_dot_product_attention`
    without a tensor of all weights.

    Parameters
    ----------
    weights : Tensor
        Of any shape, such as (samples, heads, queries, keys). Dtypes as for `dropout`; only tensors
        in the CPU's memory.
    p, training, inplace, generator, seed, window
        As for `dropout`.

    Returns
    -------
    Tensor
        As for `dropout`.

    Raises
    ------
    ValueError, RuntimeError
        As for `dropout`.
    TypeError
        A tensor that is not computed here, or an argument of the wrong type.
    NotImplementedError
        `window`, or a `DTensor`, as for `dropout`.

    Notes
    -----
    Source: Vaswani et al., "Attention Is All You Need", NIPS 2017, section 3.2.1. The values are
    those of `fastdrop.attention_dropout` for one seed.

    Examples
    --------
    >>> import torch
    >>> import fastdrop.torch
    >>> fastdrop.torch.attention_dropout(torch.full((2, 4), 0.25), 0.5, seed=1)
    tensor([[0.0000, 0.0000, 0.5000, 0.0000],
            [0.0000, 0.5000, 0.0000, 0.0000]])
    """
    return run(ATTENTION_DROPOUT, weights, p, training, inplace, generator, seed, window=window)


@overridable
def embedding_dropout(
    table: Tensor,
    p: float = 0.5,
    training: bool = True,
    *,
    generator: AnyGenerator = None,
    seed: Seed = None,
    window: WindowLike | None = None,
) -> Tensor:
    """Drop whole rows of a table of embeddings: words, everywhere in the batch.

    Parameters
    ----------
    table : Tensor
        Of shape (words, features). Dtypes as for `dropout`; only tensors in the CPU's memory.
    p, training, generator, seed, window
        As for `dropout`; the mask takes one position for each row.

    Returns
    -------
    Tensor
        The table to look words up in; in evaluation `table` itself.

    Raises
    ------
    ValueError
        `table` has not 2 axes; otherwise as for `dropout`.
    TypeError
        A tensor that is not computed here, or an argument of the wrong type.
    NotImplementedError
        `window`, or a `DTensor`, as for `dropout`.

    Notes
    -----
    Source: Merity, Keskar and Socher, "Regularizing and Optimizing LSTM Language Models", ICLR
    2018, section 4.3.

    Examples
    --------
    >>> import torch
    >>> import fastdrop.torch
    >>> fastdrop.torch.embedding_dropout(torch.ones(4, 3), 0.5, seed=3)
    tensor([[0., 0., 0.],
            [2., 2., 2.],
            [2., 2., 2.],
            [0., 0., 0.]])
    """
    return run(EMBEDDING_DROPOUT, table, p, training, False, generator, seed, window=window)


@overridable
def drop_key(
    scores: Tensor,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    *,
    generator: AnyGenerator = None,
    seed: Seed = None,
    window: WindowLike | None = None,
) -> Tensor:
    """Drop keys from attention, each from each query by itself, before the softmax: DropKey.

    Each score is set to -inf with probability `p`, on its own; the others stay as they are. Where
    all scores of a query are -inf, its softmax is nan: with few keys keep `p` small, or put back a
    score of each query.

    Parameters
    ----------
    scores : Tensor
        Of any shape, such as (samples, heads, queries, keys). Dtypes as for `dropout`; only tensors
        in the CPU's memory.
    p, training, inplace, generator, seed, window
        As for `dropout`.

    Returns
    -------
    Tensor
        As for `dropout`.

    Raises
    ------
    ValueError, RuntimeError
        As for `dropout`.
    TypeError
        A tensor that is not computed here, or an argument of the wrong type.
    NotImplementedError
        `window`, or a `DTensor`, as for `dropout`.

    Notes
    -----
    Source: Li et al., "DropKey for Vision Transformer", CVPR 2023. The values are those of
    `fastdrop.drop_key` for one seed.

    Examples
    --------
    >>> import torch
    >>> import fastdrop.torch
    >>> fastdrop.torch.drop_key(torch.ones(2, 4), 0.5, seed=1)
    tensor([[-inf, -inf, 1., -inf],
            [-inf, 1., -inf, -inf]])
    """
    return run(DROP_KEY, scores, p, training, inplace, generator, seed, window=window)
