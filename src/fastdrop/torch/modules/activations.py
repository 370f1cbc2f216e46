"""The module of bias, activation and dropout in one pass."""

from __future__ import annotations

from torch import Tensor

from fastdrop._bias import Activation, check_activation
from fastdrop._window import WindowLike
from fastdrop.torch import activations
from fastdrop.torch._seeding import AnyGenerator, Seed

from .base import Drops

__all__ = ["BiasActDropout"]


class BiasActDropout(Drops):
    """Bias, activation and dropout in one pass, after the product of a linear layer.

    See `fastdrop.torch.bias_act_dropout`.

    Parameters
    ----------
    act : {"none", "relu", "gelu", "gelu_tanh", "silu"}, default "none"
        The activation. May be assigned later.
    p : float, default 0.5
        Probability of dropping an element, from 0 to 1. May be assigned later.
    generator, seed
        As for `Dropout`.

    Raises
    ------
    ValueError
        An unknown `act`; otherwise as for `Dropout`.
    TypeError
        As for `Dropout`.

    Notes
    -----
    Source: Hendrycks and Gimpel, "Gaussian Error Linear Units (GELUs)", arXiv:1606.08415 (2016),
    section 2; Srivastava et al., "Dropout", JMLR 15 (2014), section 4.

    Examples
    --------
    >>> import torch
    >>> import fastdrop.torch
    >>> layer = fastdrop.torch.BiasActDropout("relu", 0.5, seed=1)
    >>> layer
    BiasActDropout(act=relu, p=0.5)
    >>> layer(torch.ones(2, 3), torch.tensor([1.0, -2.0, 1.0]))
    tensor([[0., 0., 4.],
            [0., 0., 4.]])
    """

    _shown = ("act", "p")

    def __init__(
        self,
        act: Activation = "none",
        p: float = 0.5,
        *,
        generator: AnyGenerator = None,
        seed: Seed = None,
    ) -> None:
        """Make the module; see the class."""
        act = check_activation(act)
        self._start(p, generator, seed)
        self.act: Activation = act

    def forward(
        self, input: Tensor, bias: Tensor | None = None, *, window: WindowLike | None = None
    ) -> Tensor:
        """The activation of the sum, in training with dropout.

        With a `window`, `input` is a part of a larger tensor, as for the function.
        """
        return activations.bias_act_dropout(
            input, bias, self.act, self.p, self.training, generator=self._source, window=window
        )
