"""Products whose weights are dropped as operators, and as a composition.

``fastdrop::dropconnect``, ``fastdrop::dropconnect_dx`` and ``fastdrop::dropconnect_dw`` are the
derivatives of one sum of products, keep * w[o, i] * x[n, i] * g[n, o], with respect to g, x and w:
each is linear in both of its factors, and has the two others as its derivatives, to every order.
No mask is stored. `composed` stores one: for tangents and the transforms of `torch.func`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - its usual name

from fastdrop import backends
from fastdrop._rates import make_plan
from fastdrop._rng import Key
from fastdrop.variants import DROPOUT

from . import _bridge
from ._autograd import drawn, intercepted, is_ordinary
from ._derivatives import dense
from ._draw import Draw
from ._ops import tangents_by, words_of

if TYPE_CHECKING:
    from fastdrop._arrays import Array


def _array(x: Tensor) -> Array:
    return _bridge.array_of(_bridge.readable(x).contiguous())


def _product(
    name: str,
    a: Tensor,
    b: Tensor,
    shape: tuple[int, int],
    word: Tensor,
    p: float,
    shared: bool,
    bias: tuple[Tensor | None, ...] = (),
) -> Tensor:
    """What the backend's operation makes of two matrices."""
    y = a.new_zeros(shape)
    if y.numel() and (a.numel() or bias):
        kind = _bridge.KINDS[a.dtype]
        first, second, out = map(_array, (a, b, y))
        more = [None if x is None else _array(x) for x in bias]
        key = Key(*words_of(word))
        with _bridge.limits(fresh=True):
            operation = getattr(backends.active(), name)
            operation(first, second, *more, out, kind, key, make_plan(p, kind), shared)
    return y


@torch.library.custom_op("fastdrop::dropconnect", mutates_args=(), device_types="cpu")
def dropconnect_op(
    x: Tensor, w: Tensor, bias: Tensor | None, word: Tensor, p: float, shared: bool
) -> Tensor:
    """y[n, o] of matrices x[n, i] and w[o, i], plus the bias."""
    return _product("dropconnect", x, w, (len(x), len(w)), word, p, shared, (bias,))


@torch.library.custom_op("fastdrop::dropconnect_dx", mutates_args=(), device_types="cpu")
def dropconnect_dx_op(gradient: Tensor, w: Tensor, word: Tensor, p: float, shared: bool) -> Tensor:
    """The derivative with respect to x."""
    shape = (len(gradient), w.shape[1])
    return _product("dropconnect_dx", gradient, w, shape, word, p, shared)


@torch.library.custom_op("fastdrop::dropconnect_dw", mutates_args=(), device_types="cpu")
def dropconnect_dw_op(gradient: Tensor, x: Tensor, word: Tensor, p: float, shared: bool) -> Tensor:
    """The derivative with respect to w."""
    shape = (gradient.shape[1], x.shape[1])
    return _product("dropconnect_dw", gradient, x, shape, word, p, shared)


@dropconnect_op.register_fake
def _(x: Tensor, w: Tensor, *_: object) -> Tensor:
    return x.new_empty((x.shape[0], w.shape[0]))


@dropconnect_dx_op.register_fake
def _(gradient: Tensor, w: Tensor, *_: object) -> Tensor:
    return gradient.new_empty((gradient.shape[0], w.shape[1]))


@dropconnect_dw_op.register_fake
def _(gradient: Tensor, x: Tensor, *_: object) -> Tensor:
    return gradient.new_empty((gradient.shape[1], x.shape[1]))


def _keep(ctx: Any, inputs: tuple[Any, ...], output: object) -> None:  # noqa: ARG001
    a, b, *bias, word, p, shared = inputs
    ctx.has_bias = bool(bias) and bias[0] is not None
    ctx.save_for_backward(a, b, word)
    ctx.rest = (p, shared)


def _backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
    x, w, word = ctx.saved_tensors
    gradient = dense(gradient)
    dx, dw = ctx.needs_input_grad[:2]
    return (
        dropconnect_dx_op(gradient, w, word, *ctx.rest) if dx else None,
        dropconnect_dw_op(gradient, x, word, *ctx.rest) if dw else None,
        gradient.sum(0) if ctx.has_bias else None,
        *[None] * 3,
    )


def _backward_of_dx(ctx: Any, u: Tensor) -> tuple[Tensor | None, ...]:
    gradient, w, word = ctx.saved_tensors
    upper, dw = ctx.needs_input_grad[:2]
    return (
        dropconnect_op(u, w, None, word, *ctx.rest) if upper else None,
        dropconnect_dw_op(gradient, u, word, *ctx.rest) if dw else None,
        *[None] * 3,
    )


def _backward_of_dw(ctx: Any, u: Tensor) -> tuple[Tensor | None, ...]:
    gradient, x, word = ctx.saved_tensors
    upper, dx = ctx.needs_input_grad[:2]
    return (
        dropconnect_op(x, u, None, word, *ctx.rest) if upper else None,
        dropconnect_dx_op(gradient, u, word, *ctx.rest) if dx else None,
        *[None] * 3,
    )


dropconnect_op.register_autograd(_backward, setup_context=_keep)
dropconnect_dx_op.register_autograd(_backward_of_dx, setup_context=_keep)
dropconnect_dw_op.register_autograd(_backward_of_dw, setup_context=_keep)


def composed(
    x: Tensor, w: Tensor, bias: Tensor | None, word: Tensor, p: float, shared: bool
) -> Tensor:
    """What `dropconnect_op` gives, by operators that PyTorch can differentiate and transform."""
    weights = w if shared else w.expand(len(x), *w.shape).contiguous()
    if is_ordinary(weights):
        weights = drawn(weights, Draw(p, *words_of(word), DROPOUT))
    else:
        weights = intercepted(weights, word, p, DROPOUT, None)
    if shared:
        return F.linear(x, weights, bias)
    y = (weights @ x[:, :, None])[:, :, 0]
    return y if bias is None else y + bias


tangents_by(dropconnect_op, composed)
