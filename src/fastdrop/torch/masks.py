"""PyTorch's functions, with the signatures, errors and warnings that they have there."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.compiler import is_compiling
from torch.overrides import handle_torch_function

from fastdrop._window import WindowLike

from ._autograd import apply
from ._bridge import drawn_tensor, overridden
from ._call import call
from ._seeding import WORD, AnyGenerator, Seed
from ._windows import windowed

__all__ = ["dropout", "dropout1d", "dropout2d", "dropout3d"]

# As they are now: later ours may stand in their place.
_pytorchs, _pytorchs_ = torch.dropout, torch.dropout_
_features, _features_ = torch.feature_dropout, torch.feature_dropout_


def hand_over(function: Callable[..., Tensor], input: Tensor, *arguments: Any) -> Tensor:
    """Leave the call to a tensor-like class, or to a mode, that overrides functions."""
    names = ("p", "training", "inplace", "generator", "seed", "window")
    result: Tensor = handle_torch_function(
        function, (input,), input, **dict(zip(names, arguments, strict=False))
    )
    return result


def refuse(p: float) -> None:
    raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")


def number(value: float | Tensor, function: str, argument: str = "p") -> float:
    """`value`; of a tensor its number, unless PyTorch takes it for none, as one with a gradient."""
    if not isinstance(value, Tensor):
        return value
    if value.requires_grad or value.dim():
        raise wrong_type(function, argument, "float", value)
    return float(value)


def wrong_type(function: str, argument: str, wanted: str, came: object) -> TypeError:
    """PyTorch's words."""
    return TypeError(
        f"{function}(): argument '{argument}' must be {wanted}, not {type(came).__name__}"
    )


def probability(p: float | Tensor, function: str, argument: str = "p") -> float:
    """`p`, if it is the probability of a call of that function."""
    p = number(p, function, argument)
    if p < 0.0 or p > 1.0 or p != p:
        refuse(p)
    return p


def dropout(
    input: Tensor,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    *,
    generator: AnyGenerator = None,
    seed: Seed = None,
    window: WindowLike | None = None,
) -> Tensor:
    """Set elements of a tensor to zero at random, and scale the others: PyTorch's `dropout`.

    Each element is dropped with probability `p`, on its own; the others are divided by 1 - p.
    Where PyTorch multiplies with a mask of the input's dtype, which it keeps for the backward pass,
    here the mask is drawn again from a seed: nothing is kept.

    Parameters
    ----------
    input : Tensor
        Of any shape and strides. Tensors of float16, bfloat16, float32 or float64 in the CPU's
        memory are computed here; every other tensor is left to PyTorch's own operator.
    p : float, default 0.5
        Probability of dropping an element, from 0 to 1.
    training : bool, default True
        False returns `input` itself.
    inplace : bool, default False
        Write the result to `input`.
    generator : torch.Generator or fastdrop.Generator, optional
        Where the randomness comes from. By default one number is drawn from PyTorch's default
        generator of the CPU.
    seed : int or fastdrop.Key, optional
        Gives the same mask in every call: that of ``fastdrop.dropout(x, p, rng=seed)``.
    window : pair of tuple of int, optional
        ``(shape, start)``: `input` is the part of a tensor of that shape that begins at the index
        `start`, and gets its part of the mask that the whole tensor gets; its gradient, too. A
        `DTensor` needs none: its shards get their parts of the whole's mask.

    Returns
    -------
    Tensor
        Of the shape, dtype and strides that ``torch.empty_like(input)`` has; `input` itself where
        it is written to, in evaluation, with p = 0, and where it is empty.

    Raises
    ------
    ValueError
        `p` is not between 0 and 1; both `generator` and `seed` are given; a seed outside
        0..2**64-1; `window` as for `fastdrop.dropout`.
    TypeError
        An argument has the wrong type.
    RuntimeError
        A tensor that PyTorch does not let be written to in place.
    NotImplementedError
        `generator`, `seed` or `window` for a tensor that is left to PyTorch; `window` within the
        transforms of `torch.func`; a `DTensor` that is placed in a way that no part of the mask is
        known for.

    Notes
    -----
    Source: Srivastava et al., "Dropout", JMLR 15 (2014), section 4, in the inverted form of section
    10.

    It differs from PyTorch's in that a dropped inf or nan becomes 0 (there nan) and a dropped
    negative number +0.0 (there -0.0), and in the masks, for the same ``torch.manual_seed``.

    Examples
    --------
    >>> import torch
    >>> import fastdrop.torch
    >>> fastdrop.torch.dropout(torch.ones(8), 0.5, seed=1)
    tensor([0., 0., 2., 0., 0., 2., 0., 0.])
    >>> x = torch.ones(8, requires_grad=True)
    >>> y = fastdrop.torch.dropout(x, 0.5)
    >>> y.sum().backward()
    >>> torch.equal(x.grad, y)
    True

    The second half of a tensor alone, with its part of the mask:

    >>> fastdrop.torch.dropout(torch.ones(4), 0.5, seed=1, window=((8,), (4,)))
    tensor([0., 2., 0., 0.])
    """
    if (
        training is True
        and generator is None
        and seed is None
        and window is None
        and not is_compiling()
    ):
        y = drawn_tensor(input, p, inplace, WORD, apply)
        if y is not None:
            return y
    if overridden((input,)):
        return hand_over(dropout, input, p, training, inplace, generator, seed, window)
    if type(p) is not float or not 0.0 <= p <= 1.0:
        p = probability(p, "dropout")
    if window is not None:
        return windowed(input, p, training, inplace, generator, seed, window)
    if training is True and p != 0.0:
        y = call(input, p if type(p) is float else float(p), inplace, generator, seed)
        if y is not None:
            return y
    elif isinstance(input, Tensor) and (training is False or training is True):
        return input
    return (_pytorchs_ if inplace else _pytorchs)(input, p, training)


# --- whole channels ------------------------------------------------------------------------------


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
) -> Tensor:
    """One decision for each index into the first `lead` axes."""
    if training is False or (training is True and p == 0.0):
        return input
    if training is True and input.dim() >= lead:
        form = (-1,) * lead + (1,) * (input.dim() - lead)
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
) -> Tensor:
    """Drop whole channels of sequences: PyTorch's `dropout1d`.

    Each channel of each sample is dropped with probability `p`, all positions of it together; the
    others are divided by 1 - p.

    Parameters
    ----------
    input : Tensor
        Of shape (N, C, L), or (C, L) for a single sample. Dtypes as for `dropout`.
    p, training, inplace, generator, seed
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
        return hand_over(dropout1d, input, p, training, inplace, generator, seed)
    if type(p) is not float or not 0.0 <= p <= 1.0:
        p = probability(p, "dropout1d")
    dims = input.dim()
    if dims not in (2, 3):
        raise RuntimeError(
            f"dropout1d: Expected 2D or 3D input, but received a {dims}D input. "
            + _purpose(1, (2, 3))
        )
    return _channels(input, dims - 1, p, training, inplace, generator, seed)


def dropout2d(
    input: Tensor,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    *,
    generator: AnyGenerator = None,
    seed: Seed = None,
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
    p, training, inplace, generator, seed
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
        return hand_over(dropout2d, input, p, training, inplace, generator, seed)
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
    return _channels(input, 2, p, training, inplace, generator, seed)


def dropout3d(
    input: Tensor,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    *,
    generator: AnyGenerator = None,
    seed: Seed = None,
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
    p, training, inplace, generator, seed
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
        return hand_over(dropout3d, input, p, training, inplace, generator, seed)
    if type(p) is not float or not 0.0 <= p <= 1.0:
        p = probability(p, "dropout3d")
    _warn_of_rank(input, 3)
    return _channels(input, 2 if input.dim() == 5 else 1, p, training, inplace, generator, seed)
