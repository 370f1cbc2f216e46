"""Softmax with dropout as operators, and as a composition that PyTorch differentiates itself.

``fastdrop::softmax`` and ``fastdrop::softmax_backward`` work along the last axis and keep nothing
but their arguments and the key. `composed` is the same in several passes: for second derivatives,
the transforms of `torch.func`, tangents, and masks that have a gradient.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from fastdrop._rates import make_plan
from fastdrop._rng import Key
from fastdrop.functions.softmax import SoftmaxCall
from fastdrop.variants import DROPOUT

from . import _bridge
from ._autograd import drawn, intercepted, is_ordinary
from ._derivatives import dense, twice_derived
from ._draw import Draw
from ._ops import tangents_by, words_of
from ._tiles import compute_dtype


def _over_rows(
    x: Tensor, mask: Tensor | None, word: Tensor, p: float, scale: float, gradient: Tensor | None
) -> Tensor:
    """The weights of contiguous scores, or the gradient with respect to the scores."""
    y = torch.empty_like(x, memory_format=torch.contiguous_format)
    kind = _bridge.KINDS[x.dtype]
    seen = None if mask is None else _bridge.array_of(_bridge.readable(mask))
    call = SoftmaxCall(
        _bridge.array_of(_bridge.readable(x)), kind, x.dim() - 1, seen, scale, make_plan(p, kind)
    )
    dy = None if gradient is None else _bridge.array_of(_bridge.readable(gradient))
    with _bridge.limits(fresh=True):
        call.over_rows(Key(*words_of(word)), _bridge.array_of(y), call.scores, dy)
    return y


@torch.library.custom_op("fastdrop::softmax", mutates_args=(), device_types="cpu")
def softmax_op(scores: Tensor, mask: Tensor | None, word: Tensor, p: float, scale: float) -> Tensor:
    """Dropout of the softmax along the last axis of `scores`, which are contiguous or copied.

    The mask, if there is one, has the scores' shape, and may be expanded.
    """
    return _over_rows(scores.contiguous(), mask, word, p, scale, None)


@softmax_op.register_fake
def _(scores: Tensor, *_: object) -> Tensor:
    return torch.empty_like(scores, memory_format=torch.contiguous_format)


@torch.library.custom_op("fastdrop::softmax_backward", mutates_args=(), device_types="cpu")
def softmax_backward_op(
    gradient: Tensor, scores: Tensor, mask: Tensor | None, word: Tensor, p: float, scale: float
) -> Tensor:
    """The gradient of `softmax_op` with respect to the scores."""
    return _over_rows(scores.contiguous(), mask, word, p, scale, gradient.contiguous())


@softmax_backward_op.register_fake
def _(gradient: Tensor, scores: Tensor, *_: object) -> Tensor:  # noqa: ARG001
    return torch.empty_like(scores, memory_format=torch.contiguous_format)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: object) -> None:  # noqa: ARG001
    *tensors, p, scale = inputs
    ctx.save_for_backward(*tensors)
    ctx.rest = (p, scale)


def _backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
    found = softmax_backward_op(dense(gradient), *ctx.saved_tensors, *ctx.rest)
    return found, None, None, None, None


softmax_op.register_autograd(_backward, setup_context=_keep)
softmax_backward_op.register_autograd(
    lambda ctx, *upper: twice_derived(composed, 1, ctx.saved_tensors, ctx.rest, upper),
    setup_context=_keep,
)


def composed(scores: Tensor, mask: Tensor | None, word: Tensor, p: float, scale: float) -> Tensor:
    """What `softmax_op` gives, by operators that PyTorch can differentiate and transform."""
    dtype = compute_dtype(scores.dtype)
    z = scores.to(dtype) * scale
    if mask is not None and mask.dtype is torch.bool:
        z = torch.where(mask, z, -torch.inf)
    elif mask is not None:
        z = z + mask.to(dtype)
    # softmax makes nan of a row of nothing but -inf.
    nothing = (z == -torch.inf).all(-1, keepdim=True)
    weights = z.masked_fill(nothing, 0.0).softmax(-1).masked_fill(nothing, 0.0)
    if p > 0 and is_ordinary(weights):
        weights = drawn(weights, Draw(p, *words_of(word), DROPOUT))
    elif p > 0:
        weights = intercepted(weights, word, p, DROPOUT, None)
    return weights.to(scores.dtype)


tangents_by(softmax_op, composed)
