"""Autograd by drawing again: a call keeps its `Draw`, a few numbers, and no mask.

Three ways lead to the same values. The common one (`_Drawn`, `_DrawnInPlace`) costs as little as a
Python autograd function can. Inside the transforms of `torch.func` the key has
to be a tensor, which vmap may batch (`_Transformed`). Whatever traces or intercepts operators
(`torch.compile`, FakeTensor, tensor subclasses) sees those of `_ops`.
"""

from __future__ import annotations

from typing import Any, Final

import torch
from torch._C import (  # what PyTorch's own Function.apply asks
    _are_functorch_transforms_active as _transforms_active,
)
from torch._C import _get_tracing_state as _jit_tracing_state
from torch._C import _len_torch_dispatch_stack as _dispatch_modes
from torch.autograd import forward_ad
from torch.compiler import is_compiling

from . import _ops
from ._bridge import tensor_size
from ._draw import Draw, Rule

PLAIN: Final = frozenset((torch.Tensor, torch.nn.Parameter))


def is_ordinary(x: torch.Tensor) -> bool:
    """Whether nothing but autograd looks at what happens to `x`."""
    return (
        not is_compiling()
        and type(x) in PLAIN
        and not _transforms_active()
        and not _dispatch_modes()
        and _jit_tracing_state() is None
    )


def records(x: torch.Tensor) -> bool:
    """Whether autograd follows what happens to an ordinary tensor."""
    return (x.requires_grad and torch.is_grad_enabled()) or forward_ad._current_level >= 0


class _Drawn(torch.autograd.Function):
    """A draw of a tensor, without the detours that `torch.func` would need."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, draw: Draw) -> torch.Tensor:
        ctx.draw = draw
        y = torch.empty_like(x)
        ctx.strides = None if y.is_contiguous() else y.stride()
        draw.rule.into(x, y, draw)
        return y

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        if ctx.strides is not None and 0 in gradient.stride():
            # Expanded, as by sum(): it has no order of its own, and takes the input's.
            like = gradient.new_empty_strided(gradient.shape, ctx.strides)
            gradient = like.copy_(gradient)
        return derivative(gradient, ctx.draw), None

    @staticmethod
    def jvp(ctx: Any, tangent: torch.Tensor, _: None) -> torch.Tensor:
        return derivative(tangent, ctx.draw)


class _DrawnInPlace(_Drawn):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, draw: Draw) -> torch.Tensor:
        ctx.draw = draw
        ctx.strides = None if x.is_contiguous() else x.stride()
        draw.rule.into(x, x, draw)
        ctx.mark_dirty(x)
        return x


class _Transformed(torch.autograd.Function):
    """The same with a key that is a tensor, for `torch.func`."""

    @staticmethod
    def forward(
        x: torch.Tensor, key: torch.Tensor, p: float, rule: str, form: tuple[int, ...] | None
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
        return _Transformed.apply(gradient, key, *ctx.rest), None, None, None, None

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
        form: tuple[int, ...] | None,
    ) -> tuple[torch.Tensor, int]:
        x, key, shape = _ops.batched(info.batch_size, in_dims, x, key, form)
        return _Transformed.apply(x, key, p, rule, shape), 0


# Function.apply of PyTorch looks for transforms, which `is_ordinary` has done.
_apply = super(_Drawn, _Drawn).apply
apply_in_place = super(_DrawnInPlace, _DrawnInPlace).apply


def drawn(x: torch.Tensor, draw: Draw) -> torch.Tensor:
    """A draw of an ordinary tensor that `_bridge.taken` takes."""
    if records(x):
        result: torch.Tensor = _apply(x, draw)
        return result
    y = torch.empty_like(x)
    draw.rule.into(x, y, draw)
    return y


def derivative(x: torch.Tensor, draw: Draw) -> torch.Tensor:
    """What becomes of a tangent or gradient, which may be of any kind that PyTorch hands out."""
    if draw.rule.derivative is not draw.rule:
        draw = draw._replace(rule=draw.rule.derivative)
    if is_ordinary(x) and tensor_size(x) >= 0:
        return drawn(x, draw)
    p, seed, stream, offset, rule, form = draw
    return intercepted(x, _ops.key_tensor((seed, stream, offset)), p, rule, form)


def intercepted(
    x: torch.Tensor, key: torch.Tensor, p: float, rule: Rule, form: tuple[int, ...] | None
) -> torch.Tensor:
    """A draw where more than autograd looks on."""
    call = _Transformed.apply if _transforms_active() else _ops.draw_op
    result: torch.Tensor = call(x, key, p, rule.name, form)
    return result
