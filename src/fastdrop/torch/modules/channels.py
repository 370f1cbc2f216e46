"""Modules of the family beyond PyTorch's own. None has parameters or buffers."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from fastdrop import _arrays
from fastdrop._rates import check_deviation, check_noise_p
from fastdrop.decisions import PathMode, check_block_size, check_path_mode
from fastdrop.torch import blocks, channels, noise
from fastdrop.torch._seeding import AnyGenerator, Seed

from .masks import Drops, Simple

__all__ = [
    "DropBlock1d",
    "DropBlock2d",
    "DropBlock3d",
    "GaussianDropout",
    "GaussianNoise",
    "StochasticDepth",
    "VariationalDropout",
]


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

    def forward(self, input: Tensor) -> Tensor:
        """Drop in training; in evaluation return the input itself."""
        return channels.drop_path(
            input, self.p, self.training, self.inplace, mode=self.mode, generator=self._source
        )


class GaussianDropout(Simple):
    """Multiplication with Gaussian noise: see `fastdrop.torch.gaussian_dropout`.

    Parameters
    ----------
    p : float, default 0.5
        Probability of dropping of the dropout whose variance the noise has: from 0 to less than 1.
        May be assigned later.
    inplace, generator, seed
        As for `Dropout`.

    Raises
    ------
    ValueError
        `p` is 1; otherwise as for `Dropout`.
    TypeError
        As for `Dropout`.

    Notes
    -----
    Source: Srivastava et al., "Dropout", JMLR 15 (2014), section 10.

    Examples
    --------
    >>> import torch
    >>> import fastdrop.torch
    >>> drop = fastdrop.torch.GaussianDropout(0.2, seed=1)
    >>> drop
    GaussianDropout(p=0.2, inplace=False)
    >>> drop(torch.ones(4))
    tensor([0.6190, 0.9811, 1.3568, 0.6455])
    """

    _function = staticmethod(noise.gaussian_dropout)

    def __init__(
        self,
        p: float = 0.5,
        inplace: bool = False,
        *,
        generator: AnyGenerator = None,
        seed: Seed = None,
    ) -> None:
        """Make the module; see the class."""
        super().__init__(p, inplace, generator=generator, seed=seed)
        check_noise_p(p)


class GaussianNoise(Drops):
    """Addition of Gaussian noise: see `fastdrop.torch.gaussian_noise`.

    Parameters
    ----------
    std : float
        Standard deviation of the noise: finite, at least 0. May be assigned later.
    inplace, generator, seed
        As for `Dropout`.

    Raises
    ------
    ValueError
        `std` is negative or not finite; otherwise as for `Dropout`.
    TypeError
        As for `Dropout`.

    Notes
    -----
    Source: Bishop, "Training with Noise is Equivalent to Tikhonov Regularization", Neural
    Computation 7 (1995).

    Examples
    --------
    >>> import torch
    >>> import fastdrop.torch
    >>> noise = fastdrop.torch.GaussianNoise(1.0, seed=1)
    >>> noise
    GaussianNoise(std=1.0, inplace=False)
    >>> noise(torch.zeros(4))
    tensor([-0.7620, -0.0378,  0.7137, -0.7090])
    """

    _shown = ("std", "inplace")

    def __init__(
        self,
        std: float,
        inplace: bool = False,
        *,
        generator: AnyGenerator = None,
        seed: Seed = None,
    ) -> None:
        """Make the module; see the class."""
        check_deviation(std, "std", "float64")
        self._start(None, generator, seed)
        self.std, self.inplace = std, inplace

    def forward(self, input: Tensor) -> Tensor:
        """Add noise in training; in evaluation return the input itself."""
        return noise.gaussian_noise(
            input, self.std, self.training, self.inplace, generator=self._source
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

    def forward(self, input: Tensor) -> Tensor:
        """Drop in training; in evaluation return the input itself."""
        return channels.variational_dropout(
            input,
            self.p,
            self.training,
            self.inplace,
            time_axis=self.time_axis,
            generator=self._source,
        )


class _DropBlock(Drops):
    _function: Any
    _shown = ("p", "block_size", "inplace")

    def __init__(
        self,
        p: float = 0.5,
        block_size: int = 7,
        inplace: bool = False,
        *,
        generator: AnyGenerator = None,
        seed: Seed = None,
    ) -> None:
        """Make the module; see the class."""
        block_size = check_block_size(block_size)
        self._start(p, generator, seed)
        self.block_size, self.inplace = block_size, inplace

    def forward(self, input: Tensor) -> Tensor:
        """Drop in training; in evaluation return the input itself."""
        result: Tensor = type(self)._function(
            input, self.p, self.block_size, self.training, self.inplace, generator=self._source
        )
        return result


class DropBlock1d(_DropBlock):
    """Dropout of blocks in sequences: see `fastdrop.torch.drop_block1d`.

    Parameters
    ----------
    p, block_size, inplace, generator, seed
        As for `DropBlock2d`.

    Raises
    ------
    ValueError, TypeError
        As for `DropBlock2d`.

    Examples
    --------
    >>> import torch
    >>> import fastdrop.torch
    >>> fastdrop.torch.DropBlock1d(0.25, 2)
    DropBlock1d(p=0.25, block_size=2, inplace=False)
    """

    _function = staticmethod(blocks.drop_block1d)


class DropBlock2d(_DropBlock):
    """Dropout of blocks in images: see `fastdrop.torch.drop_block2d`.

    Parameters
    ----------
    p : float, default 0.5
        Share of elements to drop, from 0 to 1. May be assigned later.
    block_size : int, default 7
        The length of a block's sides.
    inplace, generator, seed
        As for `Dropout`.

    Raises
    ------
    ValueError
        `block_size` less than 1; otherwise as for `Dropout`.
    TypeError
        As for `Dropout`.

    Notes
    -----
    Source: Ghiasi, Lin and Le, "DropBlock", NeurIPS 2018, section 3.

    Examples
    --------
    >>> import torch
    >>> import fastdrop.torch
    >>> drop = fastdrop.torch.DropBlock2d(0.25, 2, seed=1)
    >>> drop(torch.ones(1, 1, 6, 6)).shape
    torch.Size([1, 1, 6, 6])
    """

    _function = staticmethod(blocks.drop_block2d)


class DropBlock3d(_DropBlock):
    """Dropout of blocks in volumes: see `fastdrop.torch.drop_block3d`.

    Parameters
    ----------
    p, block_size, inplace, generator, seed
        As for `DropBlock2d`.

    Raises
    ------
    ValueError, TypeError
        As for `DropBlock2d`.

    Examples
    --------
    >>> import torch
    >>> import fastdrop.torch
    >>> fastdrop.torch.DropBlock3d(0.25, 2)
    DropBlock3d(p=0.25, block_size=2, inplace=False)
    """

    _function = staticmethod(blocks.drop_block3d)
