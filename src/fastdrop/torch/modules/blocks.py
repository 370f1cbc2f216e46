"""DropBlock's modules."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from fastdrop.decisions import check_block_size
from fastdrop.torch import blocks
from fastdrop.torch._seeding import AnyGenerator, Seed

from .base import Drops

__all__ = ["DropBlock1d", "DropBlock2d", "DropBlock3d"]


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
