"""Modules whose decisions are shared along axes: channels, time steps, samples."""

from __future__ import annotations

from torch import Tensor, nn

from fastdrop import _arrays
from fastdrop._window import WindowLike
from fastdrop.decisions import PathMode, check_path_mode
from fastdrop.torch import channels
from fastdrop.torch._seeding import AnyGenerator, Seed

from .base import Drops, Simple, forward_of

__all__ = ["Dropout1d", "Dropout2d", "Dropout3d", "StochasticDepth", "VariationalDropout"]


class StochasticDepth(Drops):
    """Dropout of whole samples of a residual branch: see `fastdrop.torch.drop_path`.

    Parameters
    ----------
    p : float, default 0.5
        Probability of dropping a sample, from 0 to 1. May be assigned later.
    mode : {"row", "batch"}, default "row"
        "row" decides for each sample, "batch" once.
    inplace, generator, seed
        As for `Dropout`.

    Raises
    ------
    ValueError
        An unknown `mode`; otherwise as for `Dropout`.
    TypeError
        As for `Dropout`.

    Notes
    -----
    Source: Huang et al., "Deep Networks with Stochastic Depth", ECCV 2016, section 3.

    Examples
    --------
    >>> import torch
    >>> import fastdrop.torch
    >>> drop = fastdrop.torch.StochasticDepth(0.5, seed=3)
    >>> drop
    StochasticDepth(p=0.5, mode=row, inplace=False)
    >>> drop(torch.ones(4, 2))[:, 0]
    tensor([0., 2., 2., 0.])
    """

    _shown = ("p", "mode", "inplace")

    def __init__(
        self,
        p: float = 0.5,
        mode: PathMode = "row",
        inplace: bool = False,
        *,
        generator: AnyGenerator = None,
        seed: Seed = None,
    ) -> None:
        """Make the module; see the class."""
        mode = check_path_mode(mode)
        self._start(p, generator, seed)
        self.mode, self.inplace = mode, inplace

    def forward(self, input: Tensor, *, window: WindowLike | None = None) -> Tensor:
        """Drop in training; in evaluation return the input itself.

        With a `window`, `input` is a part of a larger tensor, as for the function.
        """
        return channels.drop_path(
            input,
            self.p,
            self.training,
            self.inplace,
            mode=self.mode,
            generator=self._source,
            window=window,
        )


class VariationalDropout(Drops):
    """Dropout of features in all time steps: see `fastdrop.torch.variational_dropout`.

    Parameters
    ----------
    p : float, default 0.5
        Probability of dropping a feature of a sample, from 0 to 1. May be assigned later.
    time_axis : int, default 1
        The axis of the time steps: 1 for ``batch_first``, 0 for PyTorch's other order.
    inplace, generator, seed
        As for `Dropout`.

    Raises
    ------
    ValueError, TypeError
        As for `Dropout`.

    Notes
    -----
    Source: Gal and Ghahramani, "A Theoretically Grounded Application of Dropout in Recurrent
    Neural Networks", NIPS 2016, section 4.

    Examples
    --------
    >>> import torch
    >>> import fastdrop.torch
    >>> fastdrop.torch.VariationalDropout(0.5, seed=3)(torch.ones(1, 3, 4))[0]
    tensor([[0., 2., 2., 0.],
            [0., 2., 2., 0.],
            [0., 2., 2., 0.]])
    """

    _shown = ("p", "time_axis", "inplace")

    def __init__(
        self,
        p: float = 0.5,
        time_axis: int = 1,
        inplace: bool = False,
        *,
        generator: AnyGenerator = None,
        seed: Seed = None,
    ) -> None:
        """Make the module; see the class."""
        time_axis = _arrays.check_axis(time_axis, "time_axis")
        self._start(p, generator, seed)
        self.time_axis, self.inplace = time_axis, inplace

    def forward(self, input: Tensor, *, window: WindowLike | None = None) -> Tensor:
        """Drop in training; in evaluation return the input itself.

        With a `window`, `input` is a part of a larger tensor, as for the function.
        """
        return channels.variational_dropout(
            input,
            self.p,
            self.training,
            self.inplace,
            time_axis=self.time_axis,
            generator=self._source,
            window=window,
        )


class Dropout1d(Simple, nn.Dropout1d):
    """`torch.nn.Dropout1d`, computed by fastdrop: see `fastdrop.torch.dropout1d`.

    Parameters
    ----------
    p, inplace, generator, seed
        As for `Dropout`; `p` is the probability of dropping a channel.

    Raises
    ------
    ValueError, TypeError
        As for `Dropout`.

    Examples
    --------
    >>> import torch
    >>> import fastdrop.torch
    >>> fastdrop.torch.Dropout1d(0.5, seed=3)(torch.ones(1, 4, 3))[0, :, 0]
    tensor([0., 2., 2., 0.])
    """

    _function = staticmethod(channels.dropout1d)
    _torch_forward = forward_of(nn.Dropout1d)


class Dropout2d(Simple, nn.Dropout2d):
    """`torch.nn.Dropout2d`, computed by fastdrop: see `fastdrop.torch.dropout2d`.

    Parameters
    ----------
    p, inplace, generator, seed
        As for `Dropout`; `p` is the probability of dropping a channel.

    Raises
    ------
    ValueError, TypeError
        As for `Dropout`.

    Examples
    --------
    >>> import torch
    >>> import fastdrop.torch
    >>> fastdrop.torch.Dropout2d(0.5, seed=3)(torch.ones(2, 3, 4, 4))[:, :, 0, 0]
    tensor([[0., 2., 2.],
            [0., 0., 0.]])
    """

    _function = staticmethod(channels.dropout2d)
    _torch_forward = forward_of(nn.Dropout2d)


class Dropout3d(Simple, nn.Dropout3d):
    """`torch.nn.Dropout3d`, computed by fastdrop: see `fastdrop.torch.dropout3d`.

    Parameters
    ----------
    p, inplace, generator, seed
        As for `Dropout`; `p` is the probability of dropping a channel.

    Raises
    ------
    ValueError, TypeError
        As for `Dropout`.

    Examples
    --------
    >>> import torch
    >>> import fastdrop.torch
    >>> fastdrop.torch.Dropout3d(0.5, seed=3)(torch.ones(2, 3, 4, 4, 4))[:, :, 0, 0, 0]
    tensor([[0., 2., 2.],
            [0., 0., 0.]])
    """

    _function = staticmethod(channels.dropout3d)
    _torch_forward = forward_of(nn.Dropout3d)
