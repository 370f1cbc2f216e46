"""PyTorch's alpha dropout, for networks of SELUs."""

from __future__ import annotations

import torch
from torch import Tensor

from fastdrop._window import WindowLike
from fastdrop.variants import ALPHA_DROPOUT

from ._arguments import hand_over, probability
from ._bridge import overridden
from ._call import call
from ._seeding import AnyGenerator, Seed
from ._windows import windowed

__all__ = ["alpha_dropout", "feature_alpha_dropout"]

# As they are now: later ours may stand in their place.
_alpha, _alpha_ = torch.alpha_dropout, torch.alpha_dropout_
_features, _features_ = torch.feature_alpha_dropout, torch.feature_alpha_dropout_


def alpha_dropout(
    input: Tensor,
    p: float = 0.5,
    training: bool = False,
    inplace: bool = False,
    *,
    generator: AnyGenerator = None,
    seed: Seed = None,
    window: WindowLike | None = None,
) -> Tensor:
    """Set elements to SELU's negative saturation at random: PyTorch's `alpha_dropout`.

    Each element is dropped with probability `p`, on its own; an affine map of all elements then
    gives the result the mean and variance that the input has, where these are 0 and 1.

    Parameters
    ----------
    input : Tensor
        Of any shape and strides. Dtypes as for `dropout`.
    p : float, default 0.5
        Probability of dropping an element, from 0 to 1.
    training : bool, default False
        As in PyTorch, evaluation is the default: it returns `input` itself.
    inplace, generator, seed, window
        As for `dropout`.

    Returns
    -------
    Tensor
        As for `dropout`; with ``p = 1`` all elements are +0.0.

    Raises
    ------
    ValueError, TypeError, RuntimeError, NotImplementedError
        As for `dropout`.

    Notes
    -----
    Source: Klambauer et al., "Self-Normalizing Neural Networks", NIPS 2017, section "Alpha
    dropout"; the formula is that of `fastdrop.alpha_dropout`, and so are the bits for one seed.

    Examples
    --------
    >>> import torch
    >>> import fastdrop.torch
    >>> fastdrop.torch.alpha_dropout(torch.zeros(6), 0.5, training=True, seed=1)
    tensor([-0.7792, -0.7792,  0.7792, -0.7792, -0.7792,  0.7792])
    """
    if overridden((input,)):
        return hand_over(alpha_dropout, input, p, training, inplace, generator, seed, window)
    p = probability(p, "alpha_dropout")
    if window is not None and isinstance(input, Tensor):
        part = (input, None, None)
        return windowed(part, p, training, inplace, generator, seed, window, ALPHA_DROPOUT)
    if training is True and p != 0.0:
        y = call(input, float(p), inplace, generator, seed, ALPHA_DROPOUT)
        if y is not None:
            return y
    elif isinstance(input, Tensor) and (training is False or training is True):
        return input
    operator = _alpha_ if inplace else _alpha
    return operator(input, p, training)


def feature_alpha_dropout(
    input: Tensor,
    p: float = 0.5,
    training: bool = False,
    inplace: bool = False,
    *,
    generator: AnyGenerator = None,
    seed: Seed = None,
    window: WindowLike | None = None,
) -> Tensor:
    """Set whole channels to SELU's negative saturation: PyTorch's `feature_alpha_dropout`.

    Parameters
    ----------
    input : Tensor
        Of shape (N, C, ...). Dtypes as for `dropout`.
    p, training, inplace, generator, seed, window
        As for `alpha_dropout`; the mask takes one position for each sample and channel.

    Returns
    -------
    Tensor
        As for `alpha_dropout`.

    Raises
    ------
    RuntimeError
        `input` has less than 2 axes; in place as for `dropout`.
    ValueError, TypeError, NotImplementedError
        As for `dropout`.

    Notes
    -----
    Source: Klambauer et al., "Self-Normalizing Neural Networks", NIPS 2017, section "Alpha
    dropout", with the decisions of spatial dropout.

    Examples
    --------
    >>> import torch
    >>> import fastdrop.torch
    >>> y = fastdrop.torch.feature_alpha_dropout(torch.zeros(2, 3, 4), 0.5, True, seed=3)
    >>> y[:, :, 0]
    tensor([[-0.7792,  0.7792,  0.7792],
            [-0.7792, -0.7792, -0.7792]])
    """
    if overridden((input,)):
        return hand_over(
            feature_alpha_dropout, input, p, training, inplace, generator, seed, window
        )
    p = probability(p, "feature_alpha_dropout")
    if isinstance(input, Tensor):
        form = (-1, -1) + (1,) * (input.dim() - 2)
        if window is not None and input.dim() >= 2:
            part = (input, None, None)
            return windowed(
                part, p, training, inplace, generator, seed, window, ALPHA_DROPOUT, form
            )
        if training is False or (training is True and p == 0.0):
            return input
        if training is True and input.dim() >= 2:
            y = call(input, float(p), inplace, generator, seed, ALPHA_DROPOUT, form)
            if y is not None:
                return y
    operator = _features_ if inplace else _features
    return operator(input, p, training)
