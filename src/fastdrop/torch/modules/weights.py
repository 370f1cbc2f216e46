"""Modules that drop weights: of layers, attention, tables of embeddings."""

from __future__ import annotations

from typing import Any, Final

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - its usual name

from fastdrop._window import WindowLike
from fastdrop.torch import weights
from fastdrop.torch._seeding import AnyGenerator, Seed

from .base import Drops, Simple

__all__ = ["AttentionDropout", "DropConnect", "DropKey", "EmbeddingDropout"]


class AttentionDropout(Simple):
    """Dropout of attention's weights: see `fastdrop.torch.attention_dropout`.

    Parameters
    ----------
    p, inplace, generator, seed
        As for `Dropout`; `p` is the probability of dropping a weight.

    Raises
    ------
    ValueError, TypeError
        As for `Dropout`.

    Notes
    -----
    Source: Vaswani et al., "Attention Is All You Need", NIPS 2017, section 3.2.1.

    Examples
    --------
    >>> import torch
    >>> import fastdrop.torch
    >>> fastdrop.torch.AttentionDropout(0.5, seed=3)(torch.full((1, 4), 0.25))
    tensor([[0.0000, 0.5000, 0.5000, 0.0000]])
    """

    _function = staticmethod(weights.attention_dropout)


class DropConnect(Drops):
    """Dropout of a layer's weights, the same for all samples: see `fastdrop.torch.drop_connect`.

    Parameters
    ----------
    p : float, default 0.5
        Probability of dropping a weight, from 0 to 1. May be assigned later.
    generator, seed
        As for `Dropout`.

    Raises
    ------
    ValueError, TypeError
        As for `Dropout`.

    Notes
    -----
    Source: Wan et al., "Regularization of Neural Networks using DropConnect", ICML 2013.

    Examples
    --------
    >>> import torch
    >>> import fastdrop.torch
    >>> drop = fastdrop.torch.DropConnect(0.5, seed=1)
    >>> drop
    DropConnect(p=0.5)
    >>> drop(torch.ones(2, 4))
    tensor([[0., 0., 2., 0.],
            [0., 2., 0., 0.]])
    """

    def __init__(
        self, p: float = 0.5, *, generator: AnyGenerator = None, seed: Seed = None
    ) -> None:
        """Make the module; see the class."""
        self._start(p, generator, seed)

    def forward(self, weight: Tensor, *, window: WindowLike | None = None) -> Tensor:
        """The weights to compute with; in evaluation `weight` itself.

        With a `window` they are a part of a larger tensor, as for the function.
        """
        return weights.drop_connect(
            weight, self.p, self.training, generator=self._source, window=window
        )


class DropKey(Simple):
    """DropKey, dropout of attention's scores before the softmax: see `fastdrop.torch.drop_key`.

    Parameters
    ----------
    p, inplace, generator, seed
        As for `Dropout`; `p` is the probability of dropping a score.

    Raises
    ------
    ValueError, TypeError
        As for `Dropout`.

    Notes
    -----
    Source: Li et al., "DropKey for Vision Transformer", CVPR 2023.

    Examples
    --------
    >>> import torch
    >>> import fastdrop.torch
    >>> fastdrop.torch.DropKey(0.5, seed=3)(torch.ones(1, 4))
    tensor([[-inf, 1., 1., -inf]])
    """

    _function = staticmethod(weights.drop_key)


class EmbeddingDropout(Drops, nn.Embedding):
    """`torch.nn.Embedding` that drops whole words: see `fastdrop.torch.embedding_dropout`.

    Its state is that of `torch.nn.Embedding`: the weight, and that of a generator of its own.

    Parameters
    ----------
    num_embeddings, embedding_dim : int
        As for `torch.nn.Embedding`: how many words, and how many features each has.
    p : float, default 0.5
        Probability of dropping a word, in the whole batch, from 0 to 1. May be assigned later.
    generator, seed
        As for `Dropout`.
    **keywords : object
        As for `torch.nn.Embedding`, but for `max_norm` and `sparse`.

    Raises
    ------
    ValueError
        `max_norm` or `sparse` is given: both act on the table of all words, and not on the one
        that is looked up here; otherwise as for `Dropout`.
    TypeError
        As for `Dropout`.

    Notes
    -----
    Source: Merity, Keskar and Socher, "Regularizing and Optimizing LSTM Language Models", ICLR
    2018, section 4.3.

    Examples
    --------
    >>> import torch
    >>> import fastdrop.torch
    >>> words = fastdrop.torch.EmbeddingDropout(4, 3, 0.5, seed=3)
    >>> (words(torch.tensor([[0, 1], [2, 3]])) != 0).all(-1)
    tensor([[False,  True],
            [ True, False]])
    """

    _without: Final = ("max_norm", "sparse")

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        p: float = 0.5,
        *,
        generator: AnyGenerator = None,
        seed: Seed = None,
        **keywords: Any,
    ) -> None:
        """Make the module; see the class."""
        for name in self._without:
            if keywords.get(name):
                raise ValueError(f"{name} has to be left out, but got {keywords[name]!r}")
        self._start(p, generator, seed, num_embeddings, embedding_dim, **keywords)

    def forward(self, input: Tensor) -> Tensor:
        """Look words up, in training in a table from which some have been dropped."""
        table = weights.embedding_dropout(
            self.weight, self.p, self.training, generator=self._source
        )
        return F.embedding(
            input, table, self.padding_idx, scale_grad_by_freq=self.scale_grad_by_freq
        )
