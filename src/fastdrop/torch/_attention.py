"""Attention with dropout as operators, and as a composition that PyTorch differentiates itself.

`attended` is for eager mode; tracers see ``fastdrop::attention`` and its derivative. All go by
tiles and keep nothing but their arguments and the key. `composed` is the same without tiles, with
all scores in memory: for second derivatives, the transforms of `torch.func`, tangents, and masks
that have a gradient.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.compiler import is_compiling

from fastdrop._rng import Key
from fastdrop.variants import DROPOUT

from . import _tiles
from ._autograd import drawn, intercepted, is_ordinary
from ._derivatives import dense, twice_derived, views
from ._draw import Draw
from ._ops import words_of
from ._private import is_legacy_batchedtensor, transforms_active
from ._seen import EVERYTHING, Band

Gradients: TypeAlias = tuple[Tensor, Tensor, Tensor]


def _call(
    word: Tensor, p: float, low: int | None, high: int | None, scale: float | None
) -> _tiles.Attention:
    return _tiles.Attention(Key(*words_of(word)), p, Band(low, high), scale)


@torch.library.custom_op("fastdrop::attention", mutates_args=(), device_types="cpu")
def attention_op(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    word: Tensor,
    p: float,
    low: int | None,
    high: int | None,
    scale: float | None,
) -> Tensor:
    """Attention of tensors of shape (batch, heads, queries or keys, width).

    Each head of key and value serves as many of query's in a row. The mask, if there is one, has
    the shape of the scores, and may be expanded. Query i sees key j where ``low <= j - i <= high``.
    `word` is the key to the random stream, as `_ops.key_tensor` makes it. Without a scale it is
    ``width ** -0.5``: a number here would be the first width's wherever calls are traced.
    """
    return _tiles.forward(query, key, value, mask, _call(word, p, low, high, scale))


@attention_op.register_fake
def _(query: Tensor, key: Tensor, value: Tensor, *_: object) -> Tensor:  # noqa: ARG001
    return query.new_empty((*query.shape[:3], value.shape[3]))


@torch.library.custom_op("fastdrop::attention_backward", mutates_args=(), device_types="cpu")
def attention_backward_op(
    gradient: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    word: Tensor,
    p: float,
    low: int | None,
    high: int | None,
    scale: float | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of `attention_op` with respect to query, key and value."""
    call = _call(word, p, low, high, scale)
    return _tiles.backward(gradient, query, key, value, mask, call)


@attention_backward_op.register_fake
def _(gradient: Tensor, query: Tensor, key: Tensor, value: Tensor, *_: object) -> Gradients:  # noqa: ARG001
    d_query, d_key, d_value = (
        _tiles.new_like_torch(tuple(x.shape), x) for x in (query, key, value)
    )
    return d_query, d_key, d_value


def _keep(ctx: Any, inputs: tuple[Any, ...], output: object) -> None:  # noqa: ARG001
    *tensors, p, low, high, scale = inputs
    ctx.save_for_backward(*tensors)
    ctx.rest = (p, low, high, scale)


def _backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
    found = attention_backward_op(dense(gradient), *ctx.saved_tensors, *ctx.rest)
    return *found, *(None,) * 6


attention_op.register_autograd(_backward, setup_context=_keep)
attention_backward_op.register_autograd(
    lambda ctx, *upper: twice_derived(composed, 3, ctx.saved_tensors, ctx.rest, upper),
    setup_context=_keep,
)


class _Attended(torch.autograd.Function):
    """`attention_op` of ordinary tensors, without the price of an operator."""

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> Tensor:
        _keep(ctx, inputs, None)
        query, key, value, mask, word, *rest = inputs
        return _tiles.forward(query, key, value, mask, _call(word, *rest))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        if is_compiling():  # by compiled autograd
            return _backward(ctx, gradient)
        query, key, value, mask, word = ctx.saved_tensors
        gradient = dense(gradient)
        again = torch.is_grad_enabled()
        plain = is_ordinary(gradient) and not is_legacy_batchedtensor(gradient)
        if plain and not again:
            call = _call(word, *ctx.rest)
            return *_tiles.backward(gradient, query, key, value, mask, call), *(None,) * 6

        def function(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
            return composed(query, key, value, mask, word, *ctx.rest)

        if transforms_active():
            pull = torch.func.vjp(function, query, key, value)[1]
            return *pull(gradient), *(None,) * 6
        with torch.enable_grad():
            inputs = views(query, key, value)
            y = function(*inputs)
        found = torch.autograd.grad(y, inputs, gradient, create_graph=again)
        return *found, *(None,) * 6


attended = _Attended.apply


def _repeated(x: Tensor, query: Tensor) -> Tensor:
    """Heads of keys or values as many times as there are heads of queries to each."""
    if min(x.dim(), query.dim()) < 3:
        return x
    heads, all_heads = x.shape[-3], query.shape[-3]
    if heads in (1, all_heads) or 0 < all_heads < heads:
        return x  # what can be broadcast is not repeated
    return x.repeat_interleave(all_heads // heads, -3)


def composed(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    word: Tensor,
    p: float,
    low: int | None,
    high: int | None,
    scale: float | None,
) -> Tensor:
    """What `attention_op` gives, by operators that PyTorch can differentiate and transform.

    Leading axes are any that can be broadcast, but for the last of them, the heads, of which each
    of key's and value's serves as many of query's in a row.
    """
    dtype = _tiles.compute_dtype(query.dtype)
    key, value = (_repeated(x, query) for x in (key, value))
    if scale is None:
        scale = query.shape[-1] ** -0.5
    scores = query.to(dtype) @ key.to(dtype).mT * scale
    band = Band(low, high)
    if band != EVERYTHING:
        queries, keys = scores.shape[-2:]
        mask = band.masked(mask, queries, keys, scores.device)
    if mask is not None and mask.dtype is torch.bool:
        scores = torch.where(mask, scores, -torch.inf)
    elif mask is not None:
        scores = scores + mask.to(dtype)
    # softmax makes nan of a row of nothing but -inf.
    nothing = (scores == -torch.inf).all(-1, keepdim=True)
    weights = scores.masked_fill(nothing, 0.0).softmax(-1).masked_fill(nothing, 0.0)
    if p > 0.0 and is_ordinary(weights):
        weights = drawn(weights, Draw(p, *words_of(word), DROPOUT))
    elif p > 0.0:
        weights = intercepted(weights, word, p, DROPOUT, None)
    return (weights @ value.to(dtype)).to(query.dtype)
