"""Dropout of contiguous blocks: DropBlock, a decision for each place of a block's lowest corner."""

from __future__ import annotations

import numpy.typing as npt

from fastdrop._arrays import Array
from fastdrop._rng import RNGLike
from fastdrop.pipeline import run
from fastdrop.variants import DROP_BLOCK1D, DROP_BLOCK2D, DROP_BLOCK3D

__all__ = ["drop_block1d", "drop_block2d", "drop_block3d"]


def drop_block1d(
    x: npt.ArrayLike,
    p: float = 0.5,
    block_size: int = 7,
    training: bool = True,
    *,
    rng: RNGLike = None,
    out: Array | None = None,
) -> Array:
    """Drop blocks of neighbours in sequences: DropBlock, as `drop_block2d` does it for images.

    Source: Ghiasi, Lin and Le, NeurIPS 2018, section 3, on sequences; see `drop_block2d`.

    Parameters
    ----------
    x : array_like
        Of shape ([samples,] channels, length). Dtypes as for `dropout`.
    p, block_size, training, rng, out
        As for `drop_block2d`; a channel of a sample takes length - block_size + 1 positions.

    Returns
    -------
    ndarray
        As for `drop_block2d`.

    Raises
    ------
    TypeError, ValueError, OverflowError
        As for `drop_block2d`; here `x` has 2 or 3 axes.

    Examples
    --------
    >>> import fastdrop
    >>> fastdrop.drop_block1d([[1.0] * 8] * 2, 0.4, 3, rng=1)
    array([[1.6, 1.6, 1.6, 0. , 0. , 0. , 1.6, 1.6],
           [1.6, 1.6, 0. , 0. , 0. , 1.6, 1.6, 1.6]])
    """
    return run(DROP_BLOCK1D, (x,), p, training, rng, out, None, block_size)


def drop_block2d(
    x: npt.ArrayLike,
    p: float = 0.5,
    block_size: int = 7,
    training: bool = True,
    *,
    rng: RNGLike = None,
    out: Array | None = None,
) -> Array:
    r"""Drop square blocks of images: DropBlock.

    In each channel of each sample on its own, blocks of `block_size` times `block_size` pixels
    are dropped at random places, so that about a share `p` of all pixels is dropped. The others
    are multiplied with ``x.size / kept``, where ``kept`` is their number in this call.
    The gradient is the same call on ``dy`` with the same `Key`: the scale is the mask's alone.

    Parameters
    ----------
    x : array_like
        Of shape ([samples,] channels, height, width). Dtypes as for `dropout`.
    p : float, default 0.5
        Share of pixels to drop, from 0 to 1 (the paper: to keep). It is met in expectation only
        where blocks do not meet: the larger it is, the more of them do, and the less is dropped.
    block_size : int, default 7
        Height and width of a block, at least 1, or the least length of x if that is less.
    training, rng, out
        As for `dropout`; the mask takes one position for each place where a block's first pixel can
        lie, (height - block_size + 1) * (width - block_size + 1) in each channel of each sample.

    Returns
    -------
    ndarray
        `out`, or an array of x's shape and dtype (+0.0 if none is kept); evaluation returns `x`.

    Raises
    ------
    TypeError, ValueError, OverflowError
        As for `dropout`; TypeError if `block_size` is no integer, ValueError if it is below 1 or
        `x` has not 3 or 4 axes.

    Notes
    -----
    Source: Ghiasi, Lin and Le, "DropBlock: A regularization method for convolutional networks",
    NeurIPS 2018, section 3, equation 1 and algorithm 1. Each place of a block is taken with
    probability

    .. math:: \gamma = \frac{p}{b^2} \cdot \frac{h w}{(h - b + 1) (w - b + 1)}

    for blocks of size b in images of size h times w, rounded once to binary64; that is never above
    p. The paper's blocks are centred on their seeds; here, a seed is its block's pixel of lowest
    indices, which moves the seeds and leaves the blocks as they are, and lets b be even. The last
    step of the algorithm, count(M) / count_ones(M), is taken over the whole call, in binary64, and
    rounded to float32 (float64 for float64 arrays). Blocks of size 1 are dropped as by `dropout`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop
    >>> key = fastdrop.Generator(7).reserve(3 * 4)
    >>> y = fastdrop.drop_block2d(np.ones((1, 5, 6)), 0.3, 3, rng=key)
    >>> (y[0] != 0).astype(int)
    array([[1, 1, 1, 1, 1, 1],
           [1, 0, 0, 0, 0, 1],
           [0, 0, 0, 0, 0, 1],
           [0, 0, 0, 0, 0, 1],
           [0, 0, 0, 1, 1, 1]])
    >>> bool(np.all(fastdrop.drop_block2d(np.ones_like(y), 0.3, 3, rng=key) == y))
    True
    """
    return run(DROP_BLOCK2D, (x,), p, training, rng, out, None, block_size)


def drop_block3d(
    x: npt.ArrayLike,
    p: float = 0.5,
    block_size: int = 7,
    training: bool = True,
    *,
    rng: RNGLike = None,
    out: Array | None = None,
) -> Array:
    """Drop cubic blocks of volumes: DropBlock, as `drop_block2d` does it for images.

    Source: Ghiasi, Lin and Le, NeurIPS 2018, section 3, on volumes; see `drop_block2d`.

    Parameters
    ----------
    x : array_like
        Of shape ([samples,] channels, depth, height, width). Dtypes as for `dropout`.
    p, block_size, training, rng, out
        As for `drop_block2d`; a place for a block's voxel of lowest indices takes one position.

    Returns
    -------
    ndarray
        As for `drop_block2d`.

    Raises
    ------
    TypeError, ValueError, OverflowError
        As for `drop_block2d`; here `x` has 4 or 5 axes.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop
    >>> y = fastdrop.drop_block3d(np.ones((1, 2, 4, 4)), 0.3, 2, rng=1)
    >>> int(np.count_nonzero(y == 0)), float(y.max()), float(y.sum())
    (16, 2.0, 32.0)
    """
    return run(DROP_BLOCK3D, (x,), p, training, rng, out, None, block_size)
