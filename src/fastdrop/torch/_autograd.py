"""Autograd by drawing again: a call keeps its `Draw`, a few numbers, and no mask.

Three ways lead to the same values. The common one (`_Drawn`, `_DrawnInPlace`) costs as little as a
Python autograd function can. Inside the transforms of `torch.func` the key has
to be a tensor, which vmap may batch (`_Transformed`). Whatever traces or intercepts operators
(`torch.compile`, FakeTensor, tensor subclasses) sees those of `_ops`. All serve every variant, to
every order, by `_derivatives`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeAlias

import torch
from torch.compiler import is_compiling

from fastdrop.variants import DROPOUT, Variant

from . import _ops
from ._bridge import PLAIN, WATCHED, drawn_pair, idle_modes, no_window, readable, tensor_size
from ._derivatives import apart, gradients, tangent
from ._draw import NAMED, Draw, Form, compute, is_act
from ._private import (
    FakeTensor,
    TransformType,
    forward_ad,
    is_legacy_batchedtensor,
    len_torch_dispatch_stack,
    len_torch_function_stack,
    peek_interpreter_stack,
    transforms_active,
)

Pair: TypeAlias = tuple[float, int]


def _whole(draw: Draw | Pair) -> Draw:
    return draw if isinstance(draw, Draw) else Draw(*draw, 0, 0, DROPOUT)


def is_ordinary(x: torch.Tensor) -> bool:
    """Whether nothing but autograd looks at what happens to `x`."""
    if is_compiling() or type(x) not in PLAIN:
        return False
    for watched in WATCHED:  # a loop takes half the time of any()
        if watched():
            return False
    return not len_torch_function_stack() or idle_modes()


def outside(x: torch.Tensor) -> AbstractContextManager[object]:
    """The mode of a FakeTensor that is used outside of it, for the tensors that have to fit it."""
    if is_compiling() or not isinstance(x, FakeTensor) or len_torch_dispatch_stack():
        return nullcontext()
    return x.fake_mode


def records(x: torch.Tensor) -> bool:
    """Whether autograd follows what happens to an ordinary tensor."""
    return (x.requires_grad and torch.is_grad_enabled()) or forward_ad._current_level >= 0


def keepable(x: torch.Tensor) -> torch.Tensor:
    """`x`, or a copy where autograd may have to keep it and keeps no inference tensors."""
    if is_ordinary(x) and torch.is_grad_enabled() and x.is_inference():
        return x.clone()
    return x


class _Drawn(torch.autograd.Function):
    """A draw of tensors, without the detours that `torch.func` would need.

    In the common case the draw is the pair of p and seed of plain dropout, on a contiguous tensor.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        draw: Draw | Pair,
        other: torch.Tensor | None = None,
        bias: torch.Tensor | None = None,
    ) -> Any:
        y: Any = drawn_pair(x, draw)
        if y is None:
            draw = _whole(draw)
            y = new(x, draw, other, bias)
            if is_act(draw.variant):
                ctx.save_for_backward(x, other, bias)
                ctx.save_for_forward(x, other, bias)
            if not x.is_contiguous():
                first = y[0] if isinstance(y, tuple) else y
                draw = draw._replace(strides=first.stride())
        ctx.draw = draw
        return y

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor, *others: torch.Tensor) -> tuple[Any, ...]:
        y = drawn_pair(gradient, ctx.draw)
        if y is not None:
            return y, None
        draw = _whole(ctx.draw)
        upper = tuple([_ordered(g, draw.strides) for g in (gradient, *others)])
        operands = ctx.saved_tensors or None
        x, other, bias = gradients(draw.variant, _again(draw), upper, draw.act, operands)
        return x, None, other, bias

    @staticmethod
    def jvp(ctx: Any, x: torch.Tensor, _: None, *others: torch.Tensor | None) -> Any:
        draw = _whole(ctx.draw)
        other, bias = others or (None, None)
        operands = ctx.saved_tensors or None
        return tangent(draw.variant, _again(draw), (x, other, bias), draw.act, operands)


def _ordered(gradient: torch.Tensor, strides: tuple[int, ...] | None) -> torch.Tensor:
    """An expanded gradient, as of sum(), has no order of its own, and takes the result's."""
    if strides is None or gradient.layout is not torch.strided or 0 not in gradient.stride():
        return gradient
    like = gradient.new_empty_strided(gradient.shape, strides)
    return like.copy_(gradient)


class _DrawnInPlace(_Drawn):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, draw: Draw | Pair) -> torch.Tensor:  # type: ignore[override]
        draw = _whole(draw)
        ctx.draw = draw if x.is_contiguous() else draw._replace(strides=x.stride())
        compute(draw, (x,), (x,))
        ctx.mark_dirty(x)
        return x


class _Transformed(torch.autograd.Function):
    """The same with a key that is a tensor, for `torch.func`: of the arguments of `draw_op`."""

    @staticmethod
    def forward(
        x: torch.Tensor,
        key: torch.Tensor,
        p: float,
        variant: str,
        form: Form,
        other: torch.Tensor | None,
        bias: torch.Tensor | None,
        act: str,
    ) -> Any:
        return _ops.draw_any(x, key, p, NAMED[variant], form, other, bias, act)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:  # noqa: ARG004
        _ops.Saved.keep(ctx, inputs)
        ctx.save_for_forward(*ctx.to_save)

    @staticmethod
    def backward(ctx: Any, *upper: torch.Tensor) -> tuple[Any, ...]:
        return _ops.Saved(ctx, transformed).gradients(upper)

    @staticmethod
    def jvp(ctx: Any, x: torch.Tensor, *others: Any) -> Any:
        saved = _ops.Saved(ctx, transformed)
        given = (x, others[4], others[5])
        return tangent(saved.variant, saved.again, given, saved.act, saved.operands)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *inputs: Any) -> tuple[Any, Any]:
        x, key, p, name, *rest = inputs
        named = (x, key, p, NAMED[name], *rest)
        return _ops.batched(info.batch_size, in_dims, named, transformed)


def transformed(
    x: torch.Tensor,
    key: torch.Tensor,
    p: float,
    variant: Variant,
    form: Form = None,
    other: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
    act: str = "none",
) -> Any:
    """`_ops.draw_any` inside of transforms."""
    return _Transformed.apply(x, key, p, variant.function, form, other, bias, act)


def _with_tangents(x: torch.Tensor, key: torch.Tensor, p: float, name: str, *rest: Any) -> Any:
    return transformed(x, key, p, NAMED[name], *rest)


_ops.tangents_by(_ops.draw_op, _with_tangents)
_ops.tangents_by(_ops.draw_two_op, _with_tangents)

# Function.apply of PyTorch looks for transforms, which `is_ordinary` has done.
apply: Callable[..., Any] = super(_Drawn, _Drawn).apply
apply_in_place = super(_DrawnInPlace, _DrawnInPlace).apply


def new(
    x: torch.Tensor,
    draw: Draw,
    other: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
) -> Any:
    """A draw of ordinary tensors, not recorded."""
    y = torch.empty_like(x)
    reads = (x,) if other is None else (x, other)
    if draw.variant.results == 1:
        if x.numel():
            compute(draw, reads, (y,), bias)
        return y
    both = y, torch.empty_like(x)
    if x.numel():
        compute(draw, reads, both, bias)
    return both


def drawn(
    x: torch.Tensor,
    draw: Draw,
    other: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
) -> Any:
    """A draw of ordinary tensors that `_bridge.taken` takes."""
    if other is None and bias is None:
        return apply(x, draw) if records(x) else new(x, draw)
    if any(records(given) for given in (x, other, bias) if given is not None):
        return apply(x, draw, other, bias)
    return new(x, draw, other, bias)


def _again(draw: Draw) -> Callable[..., Any]:
    """A draw with the same decisions of gradients or tangents, of any kind that PyTorch has."""

    def again(
        variant: Variant,
        x: torch.Tensor,
        other: torch.Tensor | None = None,
        bias: torch.Tensor | None = None,
    ) -> Any:
        given = [tensor for tensor in (x, other, bias) if tensor is not None]
        if all(is_ordinary(tensor) and tensor_size(tensor) >= 0 for tensor in given):
            return drawn(x, draw._replace(variant=variant, strides=None), other, bias)
        if draw.window is not None:  # operators know none
            return _part_again(draw._replace(variant=variant, strides=None), x, other, bias)
        key = _ops.key_tensor((draw.seed, draw.stream, draw.offset))
        return intercepted(x, key, draw.p, variant, draw.form, other, bias, draw.act)

    return again


@apart
def _part_again(draw: Draw, *operands: torch.Tensor | None) -> Any:
    x, *others = (None if t is None else _part(t) for t in operands)
    assert x is not None
    return drawn(x, draw, *others)


def _part(x: torch.Tensor) -> torch.Tensor:
    if not is_ordinary(x) or is_legacy_batchedtensor(x):
        raise no_window(x)
    return readable(x)


def _functionalized() -> bool:
    """Whether the innermost transform is one that has no rule for autograd functions."""
    if is_compiling():
        return False
    innermost = peek_interpreter_stack()
    return innermost is not None and innermost.key() == TransformType.Functionalize


def intercepted(
    x: torch.Tensor,
    key: torch.Tensor,
    p: float,
    variant: Variant,
    form: Form,
    other: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
    act: str = "none",
) -> Any:
    """A draw where more than autograd looks on."""
    draw = transformed if transforms_active() and not _functionalized() else _ops.draw_any
    with outside(x):
        return draw(x, key, p, variant, form, other, bias, act)
