"""Decisions shared along axes: samples, time steps."""

from __future__ import annotations

from torch import Tensor

from fastdrop.decisions import PathMode
from fastdrop.variants import DROP_PATH, VARIATIONAL_DROPOUT

from ._declared import overridable, run
from ._seeding import AnyGenerator, Seed

__all__ = ["drop_path", "variational_dropout"]


@overridable
def drop_path(
    input: Tensor,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    *,
    mode: PathMode = "row",
    generator: AnyGenerator = None,
    seed: Seed = None,
) -> Tensor:
    """Drop whole samples of a residual branch's output: stochastic depth.

    Parameters
    ----------
    input : Tensor
        The branch's output; the first axis is that of the samples. Dtypes as for `dropout`;
        only tensors in the CPU's memory.
    p, training, inplace, generator, seed
        As for `dropout`; the mask takes one position for each sample, or one in all.
    mode : {"row", "batch"}, default "row"
        "row" decides for each sample, "batch" once.

    Returns
    -------
    Tensor
        As for `dropout`.

    Raises
    ------
    ValueError
        An unknown `mode`; `input` has no axis and `mode` is "row"; otherwise as for `dropout`.
    TypeError
        A tensor that is not computed here, or an argument of the wrong type.
    RuntimeError
        As for `dropout`.

    Notes
    -----
    Source: Huang et al., "Deep Networks with Stochastic Depth", ECCV 2016, section 3.

    Examples
    --------
    >>> import torch
    >>> import fastdrop.torch
    >>> fastdrop.torch.drop_path(torch.ones(4, 3), 0.5, seed=3)
    tensor([[0., 0., 0.],
            [2., 2., 2.],
            [2., 2., 2.],
            [0., 0., 0.]])
    """
    return run(DROP_PATH, input, p, training, inplace, generator, seed, mode)


@overridable
def variational_dropout(
    input: Tensor,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    *,
    time_axis: int = 1,
    generator: AnyGenerator = None,
    seed: Seed = None,
) -> Tensor:
    """Drop features of sequences, the same ones in all time steps: variational or locked dropout.

    Parameters
    ----------
    input : Tensor
        Of any shape with a time axis. Dtypes as for `dropout`; only tensors in the CPU's memory.
    p, training, inplace, generator, seed
        As for `dropout`; the mask takes one position for each element of a time step.
    time_axis : int, default 1
        The axis of the time steps; negative numbers count from the end.

    Returns
    -------
    Tensor
        As for `dropout`.

    Raises
    ------
    ValueError
        `input` has no such axis; otherwise as for `dropout`.
    TypeError
        A tensor that is not computed here, or an argument of the wrong type.
    RuntimeError
        As for `dropout`.

    Notes
    -----
    Source: Gal and Ghahramani, "A Theoretically Grounded Application of Dropout in Recurrent
    Neural Networks", NIPS 2016, section 4.

    Examples
    --------
    >>> import torch
    >>> import fastdrop.torch
    >>> fastdrop.torch.variational_dropout(torch.ones(1, 3, 4), 0.5, seed=3)[0]
    tensor([[0., 2., 2., 0.],
            [0., 2., 2., 0.],
            [0., 2., 2., 0.]])
    """
    return run(VARIATIONAL_DROPOUT, input, p, training, inplace, generator, seed, time_axis)
