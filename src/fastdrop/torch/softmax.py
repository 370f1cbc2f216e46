"""Softmax with dropout: the weights of attention."""

from __future__ import annotations

import torch
from torch import Tensor

from fastdrop import _arrays
from fastdrop._rates import check_factor

from ._arguments import number
from ._autograd import is_ordinary, keepable
from ._bridge import KINDS, check_stored, taken
from ._call import call, word_for
from ._declared import drops, not_taken, overridable
from ._private import forward_ad, transforms_active
from ._seeding import AnyGenerator, Seed
from ._softmax import composed, softmax_op

__all__ = ["softmax_dropout"]


@overridable
def softmax_dropout(
    scores: Tensor,
    p: float = 0.5,
    training: bool = True,
    *,
    dim: int = -1,
    mask: Tensor | None = None,
    scale: float = 1.0,
    generator: AnyGenerator = None,
    seed: Seed = None,
) -> Tensor:
    """Softmax, and dropout of the weights that it gives, in one pass.

    The scores are multiplied by `scale`, masked, turned to weights that sum to 1 along `dim`, and
    dropped: each with probability `p`, the others divided by 1 - p. The backward pass computes the
    weights again from the scores and draws the mask again from its key: nothing else is kept.

    Parameters
    ----------
    scores : Tensor
        Of any shape with at least one axis. Dtypes as for `dropout`; only tensors in the CPU's
        memory.
    p : float, default 0.5
        Probability of dropping a weight, from 0 to 1.
    training : bool, default True
        False returns the weights.
    dim : int, default -1
        The axis that the weights sum to 1 along. Along another than the last one, dropout is a
        pass of its own.
    mask : Tensor, optional
        Broadcastable to the scores' shape; it is not expanded in memory. Either bool, True for
        what takes part, or of the scores' dtype and added to the scaled scores.
    scale : float, default 1.0
        What the scores are multiplied by; finite.
    generator, seed
        As for `dropout`; the mask takes one position for each score.

    Returns
    -------
    Tensor
        Of the scores' shape and dtype, contiguous where `dim` is the last axis.

    Raises
    ------
    ValueError
        `mask` cannot be broadcast to the scores; `dim` is none of their axes; `scale` is not
        finite; otherwise as for `dropout`.
    TypeError
        A tensor that is not computed here; `mask` is neither bool nor of the scores' dtype; an
        argument of the wrong type.

    Notes
    -----
    Source: Vaswani et al., "Attention Is All You Need", NIPS 2017, section 3.2.1. The values are
    those of `fastdrop.softmax_dropout` for one seed. Where nothing takes part, or all scores are
    -inf, all weights are 0, where PyTorch's softmax gives nan.

    Gradients of higher order, tangents, the transforms of `torch.func`, and a gradient with respect
    to the mask go by PyTorch's operators, in several passes, with the same decisions.

    There is no `window`: a softmax needs whole rows of scores.

    Examples
    --------
    >>> import torch
    >>> import fastdrop.torch
    >>> fastdrop.torch.softmax_dropout(torch.zeros(1, 4), 0.5, seed=3)
    tensor([[0.0000, 0.5000, 0.5000, 0.0000]])
    """
    dropping = drops(scores, p, training, "softmax_dropout", "scores")
    if not taken(scores):
        raise not_taken(scores, "scores")
    axis = _arrays.axis_in(_arrays.check_axis(dim, "dim"), tuple(scores.shape), "dim", "scores")
    factor = check_factor(number(scale, "softmax_dropout", "scale"), "scale", KINDS[scores.dtype])
    seen = None if mask is None else _mask(mask, scores)
    p = float(p) if dropping else 0.0
    if axis == scores.dim() - 1:
        return _of_last(scores, seen, p, factor, generator, seed)
    moved = scores.movedim(axis, -1)
    seen = None if seen is None else seen.movedim(axis, -1)
    weights = _of_last(moved, seen, 0.0, factor, None, None).movedim(-1, axis)
    if p == 0.0:
        return weights
    y = call(weights, p, False, generator, seed)
    if y is None:
        raise not_taken(scores, "scores")
    return y


def _of_last(
    scores: Tensor,
    mask: Tensor | None,
    p: float,
    scale: float,
    generator: AnyGenerator,
    seed: Seed,
) -> Tensor:
    drawing = p > 0.0 and scores.numel() > 0
    if not drawing:
        generator, seed = None, 0
    if is_ordinary(scores):
        check_stored(scores, mask)
    word = word_for(scores, None, generator, seed)
    slow = transforms_active() or (is_ordinary(scores) and forward_ad._current_level >= 0)
    if slow or (mask is not None and mask.requires_grad and torch.is_grad_enabled()):
        return composed(scores, mask, word, p, scale)
    y: Tensor = softmax_op(scores, mask, word, p, scale)
    return y


def _mask(mask: object, scores: Tensor) -> Tensor:
    """The mask in the scores' shape, as a view."""
    if not isinstance(mask, Tensor) or mask.dtype not in (torch.bool, scores.dtype):
        came = mask.dtype if isinstance(mask, Tensor) else type(mask).__name__
        raise TypeError(
            f"mask has to be a tensor of dtype torch.bool, or of scores' dtype {scores.dtype} "
            f"where it is added, but got {came}"
        )
    if mask.device.type != "cpu" or mask.layout is not torch.strided:
        raise not_taken(mask, "mask")
    try:
        return keepable(mask).expand(scores.shape)
    except RuntimeError:
        raise ValueError(
            f"mask has to be broadcastable to scores' shape {tuple(scores.shape)}, "
            f"but got {tuple(mask.shape)}"
        ) from None
