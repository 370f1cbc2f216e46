"""Modules of weights that are dropped: of layers, tables of embeddings, and attention."""

from __future__ import annotations

from typing import Any, Final

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - its usual name

from fastdrop import _arrays
from fastdrop._rates import check_factor
from fastdrop.torch import linear, softmax, weights
from fastdrop.torch._seeding import AnyGenerator, Seed

from .masks import Drops, Simple

__all__ = [
    "AttentionDropout",
    "DropConnect",
    "DropConnectLinear",
    "EmbeddingDropout",
    "SoftmaxDropout",
]


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

    def forward(self, weight: Tensor) -> Tensor:
        """The weights to compute with; in evaluation `weight` itself."""
        return weights.drop_connect(weight, self.p, self.training, generator=self._source)


class SoftmaxDropout(Drops):
    """Softmax, and dropout of the weights that it gives: see `fastdrop.torch.softmax_dropout`.

    Parameters
    ----------
    p : float, default 0.5
        Probability of dropping a weight, from 0 to 1. May be assigned later.
    dim : int, default -1
        The axis that the weights sum to 1 along.
    scale : float, default 1.0
        What the scores are multiplied by; finite.
    generator, seed
        As for `Dropout`.

    Raises
    ------
    ValueError
        `scale` is not finite; otherwise as for `Dropout`.
    TypeError
        As for `Dropout`.

    Notes
    -----
    Source: Vaswani et al., "Attention Is All You Need", NIPS 2017, section 3.2.1.

    Examples
    --------
    >>> import torch
    >>> import fastdrop.torch
    >>> weights = fastdrop.torch.SoftmaxDropout(0.5, seed=3)
    >>> weights(torch.zeros(1, 4))
    tensor([[0.0000, 0.5000, 0.5000, 0.0000]])
    >>> weights.eval()(torch.zeros(1, 4))
    tensor([[0.2500, 0.2500, 0.2500, 0.2500]])
    """

    _shown = ("p", "dim", "scale")

    def __init__(
        self,
        p: float = 0.5,
        dim: int = -1,
        scale: float = 1.0,
        *,
        generator: AnyGenerator = None,
        seed: Seed = None,
    ) -> None:
        """Make the module; see the class."""
        dim = _arrays.check_axis(dim, "dim")
        scale = check_factor(scale, "scale", "float64")
        self._start(p, generator, seed)
        self.dim, self.scale = dim, scale

    def forward(self, scores: Tensor, mask: Tensor | None = None) -> Tensor:
        """The weights, in training with dropout."""
        return softmax.softmax_dropout(
            scores,
            self.p,
            self.training,
            dim=self.dim,
            mask=mask,
            scale=self.scale,
            generator=self._source,
        )


class DropConnectLinear(Drops, nn.Linear):
    """`torch.nn.Linear` that drops connections: see `fastdrop.torch.dropconnect_linear`.

    Its state is that of `torch.nn.Linear`: weight and bias, and that of a generator of its own.

    Parameters
    ----------
    in_features, out_features : int
        As for `torch.nn.Linear`.
    bias : bool, default True
        Whether there is a bias, which is not dropped.
    p : float, default 0.5
        Probability of dropping a weight, from 0 to 1. May be assigned later.
    per_sample : bool, default True
        False draws one mask for all samples.
    generator, seed
        As for `Dropout`.
    **keywords : object
        As for `torch.nn.Linear`: its device and dtype.

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
    >>> layer = fastdrop.torch.DropConnectLinear(4, 3, p=0.5, seed=1)
    >>> layer
    DropConnectLinear(in_features=4, out_features=3, bias=True, p=0.5, per_sample=True)
    >>> layer(torch.ones(2, 4)).shape
    torch.Size([2, 3])
    """

    _shown = ("p", "per_sample")

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        p: float = 0.5,
        per_sample: bool = True,
        *,
        generator: AnyGenerator = None,
        seed: Seed = None,
        **keywords: Any,
    ) -> None:
        """Make the module; see the class."""
        per_sample = _arrays.check_flag(per_sample, "per_sample")
        self._start(p, generator, seed, in_features, out_features, bias, **keywords)
        self.per_sample = per_sample

    def forward(self, input: Tensor) -> Tensor:
        """The product, in training with dropped weights."""
        return linear.dropconnect_linear(
            input,
            self.weight,
            self.bias,
            self.p,
            self.training,
            per_sample=self.per_sample,
            generator=self._source,
        )


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
