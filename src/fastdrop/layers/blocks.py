"""Layers that drop blocks."""

from fastdrop._rng import RNGLike
from fastdrop.decisions import check_block_size
from fastdrop.variants import DROP_BLOCK1D, DROP_BLOCK2D, DROP_BLOCK3D

from .configured import Option
from .declared import WholeLayer

__all__ = ["DropBlock1D", "DropBlock2D", "DropBlock3D"]


class _DropBlock(WholeLayer):
    """DropBlock, with however many spatial axes."""

    block_size = Option(check_block_size, "Length of a block along each axis.", 7)

    def __init__(self, p: float = 0.5, block_size: int = 7, *, rng: RNGLike = None) -> None:
        self._configure(rng, p=p, block_size=block_size)


class DropBlock1D(_DropBlock):
    """Drop blocks of neighbours in sequences.

    Parameters
    ----------
    p : float, default 0.5
        Share of elements to drop, from 0 to 1. May be assigned later.
    block_size : int, default 7
        Length of a block, at least 1; where the input is shorter, its length.
    rng : None, int, Key, Generator, numpy.random.SeedSequence or numpy.random.Generator
        What the layer draws from, as for `Dropout`.

    Raises
    ------
    TypeError
        An argument has the wrong type.
    ValueError
        `p` is outside [0, 1], or `block_size` less than 1.

    Notes
    -----
    Source: Ghiasi, Lin and Le, "DropBlock: A regularization method for convolutional networks",
    NeurIPS 2018, section 3. See `fastdrop.drop_block1d`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop
    >>> layer = fastdrop.layers.DropBlock1D(0.4, 3, rng=1)
    >>> layer(np.ones((2, 8), np.float32))
    array([[1.6, 1.6, 1.6, 0. , 0. , 0. , 1.6, 1.6],
           [1.6, 1.6, 0. , 0. , 0. , 1.6, 1.6, 1.6]], dtype=float32)
    """

    _variant = DROP_BLOCK1D


class DropBlock2D(_DropBlock):
    """Drop square blocks of images.

    Parameters
    ----------
    p : float, default 0.5
        Share of pixels to drop, from 0 to 1. May be assigned later.
    block_size : int, default 7
        Height and width of a block, at least 1, or the least length of the input if that is less.
    rng : None, int, Key, Generator, numpy.random.SeedSequence or numpy.random.Generator
        What the layer draws from, as for `Dropout`.

    Raises
    ------
    TypeError
        An argument has the wrong type.
    ValueError
        `p` is outside [0, 1], or `block_size` less than 1.

    Notes
    -----
    Source: Ghiasi, Lin and Le, "DropBlock: A regularization method for convolutional networks",
    NeurIPS 2018, section 3. See `fastdrop.drop_block2d`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop
    >>> layer = fastdrop.layers.DropBlock2D(0.3, block_size=3, rng=1)
    >>> y = layer(np.ones((1, 5, 6), np.float32))
    >>> bool(np.all(layer.backward(np.ones_like(y)) == y))
    True
    >>> layer
    DropBlock2D(p=0.3, block_size=3)
    """

    _variant = DROP_BLOCK2D


class DropBlock3D(_DropBlock):
    """Drop cubic blocks of volumes.

    Parameters
    ----------
    p : float, default 0.5
        Share of voxels to drop, from 0 to 1. May be assigned later.
    block_size : int, default 7
        Length of a block along each axis, at least 1, or the least length of the input if that is
        less.
    rng : None, int, Key, Generator, numpy.random.SeedSequence or numpy.random.Generator
        What the layer draws from, as for `Dropout`.

    Raises
    ------
    TypeError
        An argument has the wrong type.
    ValueError
        `p` is outside [0, 1], or `block_size` less than 1.

    Notes
    -----
    Source: Ghiasi, Lin and Le, "DropBlock: A regularization method for convolutional networks",
    NeurIPS 2018, section 3. See `fastdrop.drop_block3d`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop
    >>> layer = fastdrop.layers.DropBlock3D(0.3, 2, rng=1)
    >>> x = np.ones((1, 2, 4, 4), np.float32)
    >>> float(layer(x).max())
    2.0
    >>> layer.eval()(x) is x
    True
    """

    _variant = DROP_BLOCK3D
