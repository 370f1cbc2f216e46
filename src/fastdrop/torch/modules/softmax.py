"""The module of softmax with dropout."""

from __future__ import annotations

from torch import Tensor

from fastdrop import _arrays
from fastdrop._rates import check_factor
from fastdrop.torch import softmax
from fastdrop.torch._seeding import AnyGenerator, Seed

from .base import Drops

__all__ = ["SoftmaxDropout"]


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
