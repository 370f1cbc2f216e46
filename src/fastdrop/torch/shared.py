"""Decisions shared along axes: samples, time steps, rows of a table."""

from __future__ import annotations

from torch import Tensor

from fastdrop import _arrays
from fastdrop.decisions import PathMode, check_path_mode, path_shape

from ._family import drop, drops, not_taken, overridable
from ._seeding import AnyGenerator, Seed

__all__ = ["drop_path", "embedding_dropout", "variational_dropout"]


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
    mode = check_path_mode(mode)
    if not drops(input, p, training, "drop_path"):
        return input
    path_shape(input, mode)  # type: ignore[arg-type] # only its shape counts: is there an axis?
    form = (-1 if mode == "row" else 1, *(1,) * (input.dim() - 1))[: input.dim()]
    return drop(input, p, inplace, generator, seed, form)


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
    time_axis = _arrays.check_axis(time_axis, "time_axis")
    if not drops(input, p, training, "variational_dropout"):
        return input
    axis = _arrays.axis_in(time_axis, tuple(input.shape), "time_axis", "x")
    form = tuple(1 if i == axis else -1 for i in range(input.dim()))
    return drop(input, p, inplace, generator, seed, form)


@overridable
def embedding_dropout(
    table: Tensor,
    p: float = 0.5,
    training: bool = True,
    *,
    generator: AnyGenerator = None,
    seed: Seed = None,
) -> Tensor:
    """Drop whole rows of a table of embeddings: words, everywhere in the batch.

    Parameters
    ----------
    table : Tensor
        Of shape (words, features). Dtypes as for `dropout`; only tensors in the CPU's memory.
    p, training, generator, seed
        As for `dropout`; the mask takes one position for each row.

    Returns
    -------
    Tensor
        The table to look words up in; in evaluation `table` itself.

    Raises
    ------
    ValueError
        `table` has not 2 axes; otherwise as for `dropout`.
    TypeError
        A tensor that is not computed here, or an argument of the wrong type.

    Notes
    -----
    Source: Merity, Keskar and Socher, "Regularizing and Optimizing LSTM Language Models", ICLR
    2018, section 4.3.

    Examples
    --------
    >>> import torch
    >>> import fastdrop.torch
    >>> fastdrop.torch.embedding_dropout(torch.ones(4, 3), 0.5, seed=3)
    tensor([[0., 0., 0.],
            [2., 2., 2.],
            [2., 2., 2.],
            [0., 0., 0.]])
    """
    if not isinstance(table, Tensor):
        raise not_taken(table, "table")
    _arrays.check_rank(table, 2, 2, "table")  # type: ignore[arg-type] # only its shape
    if not drops(table, p, training, "embedding_dropout", "table"):
        return table
    form = (-1, 1)
    return drop(table, p, False, generator, seed, form, argument="table")
