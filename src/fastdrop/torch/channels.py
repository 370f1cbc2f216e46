"""Decisions shared along axes: channels, with PyTorch's signatures; samples; time steps."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from fastdrop._window import WindowLike
from fastdrop.decisions import PathMode
from fastdrop.variants import DROP_PATH, VARIATIONAL_DROPOUT

from ._arguments import hand_over, probability
from ._bridge import overridden
from ._call import call
from ._declared import overridable, run
from ._seeding import AnyGenerator, Seed
from ._windows import windowed

__all__ = ["drop_path", "dropout1d", "dropout2d", "dropout3d", "variational_dropout"]

# As they are now: later ours may stand in their place.
_features, _features_ = torch.feature_dropout, torch.feature_dropout_


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
    window: WindowLike | None = None,
) -> Tensor:
    """Drop whole samples of a residual branch's output: stochastic depth.

    Parameters
    ----------
    input : Tensor
        The branch's output; the first axis is that of the samples. Dtypes as for `dropout`;
        only tensors in the CPU's memory.
    p, training, inplace, generator, seed, window
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
    NotImplementedError
        `window`, or a `DTensor`, as for `dropout`.

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
    return run(DROP_PATH, input, p, training, inplace, generator, seed, mode, window=window)


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
    window: WindowLike | None = None,
) -> Tensor:
    """Drop features of sequences, the same ones in all time steps: variational or locked dropout.

    Parameters
    ----------
    input : Tensor
        Of any shape with a time axis. Dtypes as for `dropout`; only tensors in the CPU's memory.
    p, training, inplace, generator, seed, window
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
    NotImplementedError
        `window`, or a `DTensor`, as for `dropout`.

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
    return run(
        VARIATIONAL_DROPOUT, input, p, training, inplace, generator, seed, time_axis, window=window
    )


def _purpose(axes: int, ranks: tuple[int, int]) -> str:
    s = "s" if axes > 1 else ""
    return (
        f"Note that dropout{axes}d exists to provide channel-wise dropout on inputs with {axes} "
        f"spatial dimension{s}, a channel dimension, and an optional batch dimension "
        f"(i.e. {ranks[0]}D or {ranks[1]}D inputs)."
    )


def _warn_of_rank(input: Tensor, axes: int) -> None:
    ranks = (axes + 1, axes + 2)
    if input.dim() not in ranks:
        name = f"dropout{axes}d"
        warnings.warn(
            f"{name}: Received a {input.dim()}-D input to {name}, which is deprecated and will "
            "result in an error in a future release. To retain the behavior and silence this "
            "warning, please use dropout instead. " + _purpose(axes, ranks),
            stacklevel=3,
        )


def _channels(
    input: Tensor,
    lead: int,
    p: float,
    training: bool,
    inplace: bool,
    generator: AnyGenerator,
    seed: Seed,
    window: WindowLike | None,
) -> Tensor:
    """One decision for each index into the first `lead` axes."""
    form = (-1,) * lead + (1,) * (input.dim() - lead)
    if window is not None:
        part = (input, None, None)
        return windowed(part, p, training, inplace, generator, seed, window, form=form)
    if training is False or (training is True and p == 0.0):
        return input
    if training is True and input.dim() >= lead:
        y = call(input, float(p), inplace, generator, seed, form=form)
        if y is not None:
            return y
    x = input if lead == 2 else input.unsqueeze(0)
    if inplace:
        _features_(x, p, training)
        return input
    y = _features(x, p, training)
    return y if lead == 2 else y.squeeze(0)


def dropout1d(
    input: Tensor,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    *,
    generator: AnyGenerator = None,
    seed: Seed = None,
    window: WindowLike | None = None,
) -> Tensor:
    """Drop whole channels of sequences: PyTorch's `dropout1d`.

    Each channel of each sample is dropped with probability `p`, all positions of it together; the
    others are divided by 1 - p.

    Parameters
    ----------
    input : Tensor
        Of shape (N, C, L), or (C, L) for a single sample. Dtypes as for `dropout`.
    p, training, inplace, generator, seed, window
        As for `dropout`; the mask takes one position for each sample and channel.

    Returns
    -------
    Tensor
        As for `dropout`.

    Raises
    ------
    RuntimeError
        `input` has not 2 or 3 axes; in place as for `dropout`.
    ValueError, TypeError, NotImplementedError
        As for `dropout`.

    Notes
    -----
    Source: Tompson et al., "Efficient Object Localization Using Convolutional Networks", CVPR 2015,
    section 3.2.

    Examples
    --------
    >>> import torch
    >>> import fastdrop.torch
    >>> fastdrop.torch.dropout1d(torch.ones(1, 4, 3), 0.5, seed=3)[0]
    tensor([[0., 0., 0.],
            [2., 2., 2.],
            [2., 2., 2.],
            [0., 0., 0.]])
    """
    if overridden((input,)):
        return hand_over(dropout1d, input, p, training, inplace, generator, seed, window)
    if type(p) is not float or not 0.0 <= p <= 1.0:
        p = probability(p, "dropout1d")
    dims = input.dim()
    if dims not in (2, 3):
        raise RuntimeError(
            f"dropout1d: Expected 2D or 3D input, but received a {dims}D input. "
            + _purpose(1, (2, 3))
        )
    return _channels(input, dims - 1, p, training, inplace, generator, seed, window)


def dropout2d(
    input: Tensor,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    *,
    generator: AnyGenerator = None,
    seed: Seed = None,
    window: WindowLike | None = None,
) -> Tensor:
    """Drop whole channels of images: PyTorch's `dropout2d`.

    Each channel of each sample is dropped with probability `p`, all pixels of it together; the
    others are divided by 1 - p.

    Parameters
    ----------
    input : Tensor
        Of shape (N, C, H, W). A tensor with 3 axes is read as (N, C, L), with a warning, as PyTorch
        does; `fastdrop.dropout2d` for NumPy arrays reads (C, H, W). Any other number of axes from 2
        on is taken with a warning. Dtypes as for `dropout`.
    p, training, inplace, generator, seed, window
        As for `dropout`; the mask takes one position for each sample and channel.

    Returns
    -------
    Tensor
        As for `dropout`.

    Raises
    ------
    RuntimeError
        `input` has less than 2 axes; in place as for `dropout`.
    ValueError, TypeError, NotImplementedError
        As for `dropout`.

    Notes
    -----
    Source: Tompson et al., "Efficient Object Localization Using Convolutional Networks", CVPR 2015,
    section 3.2.

    Examples
    --------
    >>> import torch
    >>> import fastdrop.torch
    >>> y = fastdrop.torch.dropout2d(torch.ones(2, 3, 4, 4), 0.5, seed=3)
    >>> y[:, :, 0, 0]
    tensor([[0., 2., 2.],
            [0., 0., 0.]])
    """
    if overridden((input,)):
        return hand_over(dropout2d, input, p, training, inplace, generator, seed, window)
    if type(p) is not float or not 0.0 <= p <= 1.0:
        p = probability(p, "dropout2d")
    _warn_of_rank(input, 2)
    if input.dim() == 3:
        warnings.warn(
            "dropout2d: Received a 3D input to dropout2d and assuming that channel-wise 1D dropout "
            "behavior is desired - input is interpreted as shape (N, C, L), where C is the channel "
            "dim. This behavior will change in a future release to interpret the input as one "
            "without a batch dimension, i.e. shape (C, H, W). To maintain the 1D channel-wise "
            "dropout behavior, please switch to using dropout1d instead.",
            stacklevel=2,
        )
    return _channels(input, 2, p, training, inplace, generator, seed, window)


def dropout3d(
    input: Tensor,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    *,
    generator: AnyGenerator = None,
    seed: Seed = None,
    window: WindowLike | None = None,
) -> Tensor:
    """Drop whole channels of volumes: PyTorch's `dropout3d`.

    Each channel of each sample is dropped with probability `p`, all voxels of it together; the
    others are divided by 1 - p.

    Parameters
    ----------
    input : Tensor
        Of shape (N, C, D, H, W), or (C, D, H, W) for a single sample. Any other number of axes from
        1 on is taken with a warning, the first axis for that of the channels. Dtypes as for
        `dropout`.
    p, training, inplace, generator, seed, window
        As for `dropout`; the mask takes one position for each sample and channel.

    Returns
    -------
    Tensor
        As for `dropout`.

    Raises
    ------
    RuntimeError
        `input` has no axis; in place as for `dropout`.
    ValueError, TypeError, NotImplementedError
        As for `dropout`.

    Notes
    -----
    Source: Tompson et al., "Efficient Object Localization Using Convolutional Networks", CVPR 2015,
    section 3.2, on volumes.

    Examples
    --------
    >>> import torch
    >>> import fastdrop.torch
    >>> y = fastdrop.torch.dropout3d(torch.ones(2, 3, 4, 4, 4), 0.5, seed=3)
    >>> y[:, :, 0, 0, 0]
    tensor([[0., 2., 2.],
            [0., 0., 0.]])
    """
    if overridden((input,)):
        return hand_over(dropout3d, input, p, training, inplace, generator, seed, window)
    if type(p) is not float or not 0.0 <= p <= 1.0:
        p = probability(p, "dropout3d")
    _warn_of_rank(input, 3)
    lead = 2 if input.dim() == 5 else 1
    return _channels(input, lead, p, training, inplace, generator, seed, window)
