"""Dropout of contiguous blocks: DropBlock."""

from __future__ import annotations

from torch import Tensor

from fastdrop.variants import DROP_BLOCK1D, DROP_BLOCK2D, DROP_BLOCK3D

from ._declared import overridable, run
from ._seeding import AnyGenerator, Seed

__all__ = ["drop_block1d", "drop_block2d", "drop_block3d"]


@overridable
def drop_block1d(
    input: Tensor,
    p: float = 0.5,
    block_size: int = 7,
    training: bool = True,
    inplace: bool = False,
    *,
    generator: AnyGenerator = None,
    seed: Seed = None,
) -> Tensor:
    """Drop blocks of neighbours in sequences: DropBlock.

    Parameters
    ----------
    input : Tensor
        Of shape (N, C, L), or (C, L) for a single sample. Dtypes as for `dropout`; only tensors in
        the CPU's memory.
    p, block_size, training, inplace, generator, seed
        As for `drop_block2d`.

    Returns
    -------
    Tensor
        As for `dropout`.

    Raises
    ------
    ValueError
        `input` has not 2 or 3 axes; otherwise as for `drop_block2d`.
    TypeError, RuntimeError
        As for `drop_block2d`.

    Notes
    -----
    Source: Ghiasi, Lin and Le, "DropBlock", NeurIPS 2018, section 3, on sequences.

    There is no `window`: the scale is made of all elements that the blocks of the whole leave.

    Examples
    --------
    >>> import torch
    >>> import fastdrop.torch
    >>> y = fastdrop.torch.drop_block1d(torch.ones(2, 18), 0.25, block_size=2, seed=1)
    >>> bool((y.sum() - 36).abs() < 1e-4)
    True
    """
    return run(DROP_BLOCK1D, input, p, training, inplace, generator, seed, block_size)


@overridable
def drop_block2d(
    input: Tensor,
    p: float = 0.5,
    block_size: int = 7,
    training: bool = True,
    inplace: bool = False,
    *,
    generator: AnyGenerator = None,
    seed: Seed = None,
) -> Tensor:
    """Drop blocks of neighbours in images: DropBlock.

    In each channel of each sample on its own, squares of `block_size` elements a side are dropped,
    so that about a share `p` of all elements is. The others are multiplied with the number of all
    elements over that of the kept ones, in this call.

    Parameters
    ----------
    input : Tensor
        Of shape (N, C, H, W), or (C, H, W) for a single sample. Dtypes as for `dropout`; only
        tensors in the CPU's memory.
    p : float, default 0.5
        Share of elements to drop, from 0 to 1.
    block_size : int, default 7
        The length of a block's sides; a smaller image is dropped as one.
    training, inplace, generator, seed
        As for `dropout`; the mask takes one position for each place that a block can lie at.

    Returns
    -------
    Tensor
        As for `dropout`.

    Raises
    ------
    ValueError
        `input` has not 3 or 4 axes; `block_size` less than 1; otherwise as for `dropout`.
    TypeError
        A tensor that is not computed here, or an argument of the wrong type.
    RuntimeError
        As for `dropout`.

    Notes
    -----
    Source: Ghiasi, Lin and Le, "DropBlock: A Regularization Method for Convolutional Networks",
    NeurIPS 2018, section 3. See `fastdrop.drop_block2d`, whose bits these are for one seed.

    There is no `window`: the scale is made of all elements that the blocks of the whole leave.

    Examples
    --------
    >>> import torch
    >>> import fastdrop.torch
    >>> y = fastdrop.torch.drop_block2d(torch.ones(1, 6, 6), 0.25, block_size=2, seed=1)
    >>> bool((y.sum() - 36).abs() < 1e-4)
    True
    """
    return run(DROP_BLOCK2D, input, p, training, inplace, generator, seed, block_size)


@overridable
def drop_block3d(
    input: Tensor,
    p: float = 0.5,
    block_size: int = 7,
    training: bool = True,
    inplace: bool = False,
    *,
    generator: AnyGenerator = None,
    seed: Seed = None,
) -> Tensor:
    """Drop blocks of neighbours in volumes: DropBlock.

    Parameters
    ----------
    input : Tensor
        Of shape (N, C, D, H, W), or without the first axis for a single sample. Dtypes as for
        `dropout`; only tensors in the CPU's memory.
    p, block_size, training, inplace, generator, seed
        As for `drop_block2d`.

    Returns
    -------
    Tensor
        As for `dropout`.

    Raises
    ------
    ValueError
        `input` has not 4 or 5 axes; otherwise as for `drop_block2d`.
    TypeError, RuntimeError
        As for `drop_block2d`.

    Notes
    -----
    Source: Ghiasi, Lin and Le, "DropBlock", NeurIPS 2018, section 3, on volumes.

    There is no `window`: the scale is made of all elements that the blocks of the whole leave.

    Examples
    --------
    >>> import torch
    >>> import fastdrop.torch
    >>> y = fastdrop.torch.drop_block3d(torch.ones(1, 5, 5, 5), 0.25, block_size=2, seed=1)
    >>> bool((y.sum() - 125).abs() < 1e-4)
    True
    """
    return run(DROP_BLOCK3D, input, p, training, inplace, generator, seed, block_size)
