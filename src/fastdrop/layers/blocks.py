"""Layers that drop blocks."""

from fastdrop._rng import RNGLike
from fastdrop.decisions import check_block_size
from fastdrop.variants import DROP_BLOCK1D, DROP_BLOCK2D, DROP_BLOCK3D

from .base import PROBABILITY, Option
from .declared import WholeLayer

__all__ = ["DropBlock1D", "DropBlock2D", "DropBlock3D"]


class _DropBlock(WholeLayer):
    """DropBlock, with however many spatial axes."""

    p = PROBABILITY
    block_size = Option(check_block_size, "Length of a block along each axis.", 7)

    def __init__(self, p: float = 0.5, block_size: int = 7, *, rng: RNGLike = None) -> None:
        self._configure(rng, p=p, block_size=block_size)


class DropBlock1D(_DropBlock):
    """Drop blocks of neighbours in sequences.

    See `fastdrop.drop_block1d`. Source: as for `DropBlock2D`.

    Parameters
    ----------
    p, rng
        As for `DropBlock2D`, with the same errors; `p` is the share of elements to drop.
    block_size : int, default 7
        Length of a block, at least 1; where the input is shorter, its length.

    Examples
    --------
    >>> import fastdrop
    >>> fastdrop.layers.DropBlock1D(0.4, 3, rng=1)([[1.0] * 8] * 2)
    array([[1.6, 1.6, 1.6, 0. , 0. , 0. , 1.6, 1.6],
           [1.6, 1.6, 0. , 0. , 0. , 1.6, 1.6, 1.6]])
    """

    _variant = DROP_BLOCK1D


class DropBlock2D(_DropBlock):
    """Drop square blocks of images.

    See `fastdrop.drop_block2d`. Source: Ghiasi, Lin and Le, NeurIPS 2018, section 3.

    Parameters
    ----------
    p, rng
        As for `Dropout`; `p` is the share of pixels to drop.
    block_size : int, default 7
        Height and width of a block, at least 1, or the least length of the input if that is less.

    Raises
    ------
    TypeError, ValueError
        As for `Dropout`; ValueError if `block_size` is less than 1.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop
    >>> layer = fastdrop.layers.DropBlock2D(0.3, block_size=3, rng=1)
    >>> layer
    DropBlock2D(p=0.3, block_size=3)
    >>> y = layer(np.ones((1, 5, 6)))
    >>> bool(np.all(layer.backward(np.ones_like(y)) == y))
    True
    """

    _variant = DROP_BLOCK2D


class DropBlock3D(_DropBlock):
    """Drop cubic blocks of volumes.

    See `fastdrop.drop_block3d`. Source: as for `DropBlock2D`.

    Parameters
    ----------
    p, block_size, rng
        As for `DropBlock2D`, with the same errors; `p` is the share of voxels to drop.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop
    >>> layer = fastdrop.layers.DropBlock3D(0.3, 2, rng=1)
    >>> float(layer(np.ones((1, 2, 4, 4))).max())
    2.0
    """

    _variant = DROP_BLOCK3D
