"""Autograd by drawing again: a call keeps its `Draw`, a few numbers, and no mask.

Three ways lead to the same values. The common one (`_Drawn`, `_DrawnInPlace`) costs as little as a
Python autograd function can. Inside the transforms of `torch.func` the key has
to be a tensor, which vmap may batch (`_Transformed`). Whatever traces or intercepts operators
(`torch.compile`, FakeTensor, tensor subclasses) sees those of `_ops`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeAlias

import torch
from torch.compiler import is_compiling

from . import _ops
from ._bridge import PLAIN, WATCHED, drawn_pair, idle_modes, tensor_size
from ._draw import DROPOUT, Draw, Form, Rule
from ._private import (
    FakeTensor,
    TransformType,
    forward_ad,
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
    if is_compiling() or type(x) not in PLAIN or any(watched() for watched in WATCHED):
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
    """A draw of a tensor, without the detours that `torch.func` would need.

    In the common case the draw is the pair of p and seed of plain dropout, on contiguous tensors.
    """

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, draw: Draw | Pair) -> torch.Tensor:
        y = drawn_pair(x, draw)
        if y is None:
            draw = _whole(draw)
            y = new(x, draw)
            if not y.is_contiguous():
                draw = draw._replace(strides=y.stride())
        ctx.draw = draw
        return y

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        y = drawn_pair(gradient, ctx.draw)
        if y is not None:
            return y, None
        draw = _whole(ctx.draw)
        strided = gradient.layout is torch.strided
        if strided and draw.strides is not None and 0 in gradient.stride():
            # Expanded, as by sum(): it has no order of its own, and takes the input's.
            like = gradient.new_empty_strided(gradient.shape, draw.strides)
            gradient = like.copy_(gradient)
        return _ops.by_layout(lambda g: derivative(g, draw), gradient), None

    @staticmethod
    def jvp(ctx: Any, tangent: torch.Tensor, _: None) -> torch.Tensor:
        return derivative(tangent, _whole(ctx.draw))


class _DrawnInPlace(_Drawn):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, draw: Draw | Pair) -> torch.Tensor:
        draw = _whole(draw)
        ctx.draw = draw if x.is_contiguous() else draw._replace(strides=x.stride())
        draw.rule.into(x, x, draw)
        ctx.mark_dirty(x)
        return x


class _Transformed(torch.autograd.Function):
    """The same with a key that is a tensor, for `torch.func`."""

    @staticmethod
    def forward(
        x: torch.Tensor, key: torch.Tensor, p: float, rule: str, form: Form
    ) -> torch.Tensor:
        return _ops.draw_op(x, key, p, rule, form)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:  # noqa: ARG004
        _, key, p, rule, form = inputs
        ctx.save_for_backward(key)
        ctx.save_for_forward(key)
        ctx.rest = (p, Rule.by_name[rule].derivative.name, form)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (key,) = ctx.saved_tensors
        found = _ops.by_layout(lambda g: _Transformed.apply(g, key, *ctx.rest), gradient)
        return found, None, None, None, None

    @staticmethod
    def jvp(ctx: Any, tangent: torch.Tensor, *_: None) -> torch.Tensor:
        (key,) = ctx.saved_tensors
        result: torch.Tensor = _Transformed.apply(tangent, key, *ctx.rest)
        return result

    @staticmethod
    def vmap(
        info: Any,
        in_dims: tuple[int | None, ...],
        x: torch.Tensor,
        key: torch.Tensor,
        p: float,
        rule: str,
        form: Form,
    ) -> tuple[torch.Tensor, int]:
        x, key, shape = _ops.batched(info.batch_size, in_dims, x, key, form)
        return _Transformed.apply(x, key, p, rule, shape), 0


def _with_tangent(
    x: torch.Tensor, key: torch.Tensor, p: float, rule: str, form: Form = None
) -> torch.Tensor:
    result: torch.Tensor = _Transformed.apply(x, key, p, rule, form)
    return result


_ops.tangents_by(_ops.draw_op, _with_tangent)

# Function.apply of PyTorch looks for transforms, which `is_ordinary` has done.
apply: Callable[[torch.Tensor, Draw | Pair], torch.Tensor] = super(_Drawn, _Drawn).apply
apply_in_place = super(_DrawnInPlace, _DrawnInPlace).apply


def new(x: torch.Tensor, draw: Draw) -> torch.Tensor:
    """A draw of an ordinary tensor, not recorded."""
    y = torch.empty_like(x)
    draw.rule.into(x, y, draw)
    return y


def drawn(x: torch.Tensor, draw: Draw) -> torch.Tensor:
    """A draw of an ordinary tensor that `_bridge.taken` takes."""
    if records(x):
        return apply(x, draw)
    return new(x, draw)


def derivative(x: torch.Tensor, draw: Draw) -> torch.Tensor:
    """What becomes of a tangent or gradient, which may be of any kind that PyTorch hands out."""
    p, seed, stream, offset, rule, form, _ = draw
    rule = rule.derivative
    draw = Draw(p, seed, stream, offset, rule, form)
    if is_ordinary(x) and tensor_size(x) >= 0:
        return drawn(x, draw)
    return intercepted(x, _ops.key_tensor((seed, stream, offset)), p, rule, form)


def _functionalized() -> bool:
    """Whether the innermost transform is one that has no rule for autograd functions."""
    if is_compiling():
        return False
    innermost = peek_interpreter_stack()
    return innermost is not None and innermost.key() == TransformType.Functionalize


def intercepted(
    x: torch.Tensor, key: torch.Tensor, p: float, rule: Rule, form: Form
) -> torch.Tensor:
    """A draw where more than autograd looks on."""
    call = _Transformed.apply if transforms_active() and not _functionalized() else _ops.draw_op
    with outside(x):
        result: torch.Tensor = call(x, key, p, rule.name, form)
    return result
