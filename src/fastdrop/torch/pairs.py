"""Dropout in one pass with a second tensor: a recurrent state before the step, or a residual."""

from __future__ import annotations

from torch import Tensor

from fastdrop._window import WindowLike
from fastdrop.variants import DROPOUT_ADD, ZONEOUT

from ._declared import overridable, run_several
from ._seeding import AnyGenerator, Seed

__all__ = ["dropout_add", "zoneout"]


@overridable
def dropout_add(
    input: Tensor,
    residual: Tensor,
    p: float = 0.5,
    training: bool = True,
    *,
    generator: AnyGenerator = None,
    seed: Seed = None,
    window: WindowLike | None = None,
) -> Tensor:
    """Add dropout of a tensor to a residual, in one pass: ``residual + dropout(input, p)``.

    The backward pass draws the mask again for the gradient of `input`; that of `residual` is the
    result's own. Nothing is kept.

    Parameters
    ----------
    input, residual : Tensor
        The sub-layer's output and its input, of one shape and dtype. Dtypes as for `dropout`; only
        tensors in the CPU's memory.
    p : float, default 0.5
        Probability of dropping an element of `input`, from 0 to 1.
    training : bool, default True
        False returns ``input + residual``, as does p = 0.
    generator, seed, window
        As for `dropout`; the mask takes one position for each element.

    Returns
    -------
    Tensor
        Of the shape, dtype and strides that ``torch.empty_like(input)`` has.

    Raises
    ------
    ValueError
        Tensors of two shapes; otherwise as for `dropout`.
    TypeError
        Tensors of two dtypes, but for autocast, which takes the wider one; a tensor that is not
        computed here, or an argument of the wrong type.
    NotImplementedError
        `window`, or a `DTensor`, as for `dropout`.

    Notes
    -----
    Source: Vaswani et al., "Attention Is All You Need", NIPS 2017, section 5.4. The values are
    those of `fastdrop.dropout_add` for one seed.

    Examples
    --------
    >>> import torch
    >>> import fastdrop.torch
    >>> fastdrop.torch.dropout_add(torch.ones(6), torch.arange(6.0), 0.5, seed=1)
    tensor([0., 1., 4., 3., 4., 7.])
    """
    return run_several(DROPOUT_ADD, (input, residual), p, training, generator, seed, window=window)


@overridable
def zoneout(
    h_new: Tensor,
    h_old: Tensor,
    p: float = 0.5,
    training: bool = True,
    *,
    generator: AnyGenerator = None,
    seed: Seed = None,
    window: WindowLike | None = None,
) -> Tensor:
    """Let elements of a recurrent state keep their old value at random.

    Each element keeps its old value with probability `p`, on its own.

    Parameters
    ----------
    h_new, h_old : Tensor
        The new and the old state, of one shape and dtype. Dtypes as for `dropout`; only tensors in
        the CPU's memory.
    p : float, default 0.5
        Probability of keeping the old value, from 0 to 1.
    training : bool, default True
        False returns the mean, ``(1 - p) h_new + p h_old``.
    generator, seed, window
        As for `dropout`; the mask takes one position for each element.

    Returns
    -------
    Tensor
        Of the shape and dtype of the states; `h_new` itself with p = 0.

    Raises
    ------
    ValueError
        States of two shapes; otherwise as for `dropout`.
    TypeError
        States of two dtypes, but for autocast, which takes the wider one; a tensor that is not
        computed here, or an argument of the wrong type.
    NotImplementedError
        `window`, or a `DTensor`, as for `dropout`.

    Notes
    -----
    Source: Krueger et al., "Zoneout: Regularizing RNNs by Randomly Preserving Hidden Activations",
    ICLR 2017, section 3. The values are those of `fastdrop.zoneout` for one seed, in training and
    in evaluation, and so are those of the gradients.

    Examples
    --------
    >>> import torch
    >>> import fastdrop.torch
    >>> fastdrop.torch.zoneout(torch.ones(8), torch.zeros(8), 0.5, seed=1)
    tensor([0., 0., 1., 0., 0., 1., 0., 0.])
    """
    return run_several(ZONEOUT, (h_new, h_old), p, training, generator, seed, window=window)
