"""PyTorch's modules for networks of SELUs."""

from __future__ import annotations

from torch import Tensor, nn

from fastdrop._window import WindowLike
from fastdrop.torch import alpha

from .base import Simple, forward_of

__all__ = ["AlphaDropout", "FeatureAlphaDropout"]


class _Alpha(Simple):
    def forward(self, input: Tensor, *, window: WindowLike | None = None) -> Tensor:
        """Drop in training; in evaluation return the input itself.

        With a `window`, `input` is a part of a larger tensor, as for the function.
        """
        # As in PyTorch, `inplace` is shown and not followed.
        return type(self)._function(
            input, self.p, self.training, generator=self._source, window=window
        )

    forward.__wrapped__ = Simple._scripted  # type: ignore[attr-defined]


class AlphaDropout(_Alpha, nn.AlphaDropout):
    """`torch.nn.AlphaDropout`, computed by fastdrop: see `fastdrop.torch.alpha_dropout`.

    Parameters
    ----------
    p, generator, seed
        As for `Dropout`.
    inplace : bool, default False
        Has no effect, as in PyTorch.

    Raises
    ------
    ValueError, TypeError
        As for `Dropout`.

    Examples
    --------
    >>> import torch
    >>> import fastdrop.torch
    >>> fastdrop.torch.AlphaDropout(0.5, seed=1)(torch.zeros(3))
    tensor([-0.7792, -0.7792,  0.7792])
    """

    _function = staticmethod(alpha.alpha_dropout)
    _torch_forward = forward_of(nn.AlphaDropout)


class FeatureAlphaDropout(_Alpha, nn.FeatureAlphaDropout):
    """`torch.nn.FeatureAlphaDropout`, computed by fastdrop.

    See `fastdrop.torch.feature_alpha_dropout`.

    Parameters
    ----------
    p, generator, seed
        As for `Dropout`; `p` is the probability of dropping a channel.
    inplace : bool, default False
        Has no effect, as in PyTorch.

    Raises
    ------
    ValueError, TypeError
        As for `Dropout`.

    Examples
    --------
    >>> import torch
    >>> import fastdrop.torch
    >>> fastdrop.torch.FeatureAlphaDropout(0.5, seed=3)(torch.zeros(1, 3, 4))[0, :, 0]
    tensor([-0.7792,  0.7792,  0.7792])
    """

    _function = staticmethod(alpha.feature_alpha_dropout)
    _torch_forward = forward_of(nn.FeatureAlphaDropout)
