"""Modules of dropout in one pass with a second tensor."""

from __future__ import annotations

from torch import Tensor

from fastdrop._window import WindowLike
from fastdrop.torch import pairs
from fastdrop.torch._seeding import AnyGenerator, Seed

from .base import Drops

__all__ = ["DropoutAdd", "Zoneout"]


class DropoutAdd(Drops):
    """Dropout of a sub-layer's output, and the addition to its input, in one pass.

    See `fastdrop.torch.dropout_add`.

    Parameters
    ----------
    p : float, default 0.5
        Probability of dropping an element, from 0 to 1. May be assigned later.
    generator, seed
        As for `Dropout`.

    Raises
    ------
    ValueError, TypeError
        As for `Dropout`.

    Notes
    -----
    Source: Vaswani et al., "Attention Is All You Need", NIPS 2017, section 5.4.

    Examples
    --------
    >>> import torch
    >>> import fastdrop.torch
    >>> drop = fastdrop.torch.DropoutAdd(0.5, seed=1)
    >>> drop
    DropoutAdd(p=0.5)
    >>> drop(torch.ones(6), torch.full((6,), 10.0))
    tensor([10., 10., 12., 10., 10., 12.])
    """

    def __init__(
        self, p: float = 0.5, *, generator: AnyGenerator = None, seed: Seed = None
    ) -> None:
        """Make the module; see the class."""
        self._start(p, generator, seed)

    def forward(
        self, input: Tensor, residual: Tensor, *, window: WindowLike | None = None
    ) -> Tensor:
        """The sum, in training with dropout of `input`.

        With a `window` both are parts of larger tensors, as for the function.
        """
        return pairs.dropout_add(
            input, residual, self.p, self.training, generator=self._source, window=window
        )


class Zoneout(Drops):
    """Elements of a recurrent state keep their old value: see `fastdrop.torch.zoneout`.

    Parameters
    ----------
    p : float, default 0.5
        Probability of keeping the old value, from 0 to 1. May be assigned later.
    generator, seed
        As for `Dropout`.

    Raises
    ------
    ValueError, TypeError
        As for `Dropout`.

    Notes
    -----
    Source: Krueger et al., "Zoneout", ICLR 2017, section 3.

    Examples
    --------
    >>> import torch
    >>> import fastdrop.torch
    >>> zoneout = fastdrop.torch.Zoneout(0.5, seed=1)
    >>> zoneout(torch.ones(4), torch.zeros(4))
    tensor([0., 0., 1., 0.])
    >>> zoneout.eval()(torch.ones(4), torch.zeros(4))
    tensor([0.5000, 0.5000, 0.5000, 0.5000])
    """

    def __init__(
        self, p: float = 0.5, *, generator: AnyGenerator = None, seed: Seed = None
    ) -> None:
        """Make the module; see the class."""
        self._start(p, generator, seed)

    def forward(self, h_new: Tensor, h_old: Tensor, *, window: WindowLike | None = None) -> Tensor:
        """The next state; in evaluation its mean.

        With a `window` the states are parts of larger ones, as for the function.
        """
        return pairs.zoneout(
            h_new, h_old, self.p, self.training, generator=self._source, window=window
        )
