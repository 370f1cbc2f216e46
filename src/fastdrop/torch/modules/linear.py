"""The linear module whose connections are dropped for each sample."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from fastdrop import _arrays
from fastdrop.torch import linear
from fastdrop.torch._seeding import AnyGenerator, Seed

from .base import Drops

__all__ = ["DropConnectLinear"]


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
