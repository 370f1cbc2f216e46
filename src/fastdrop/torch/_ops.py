"""The operators that tracers see: `torch.compile`, `torch.export`, FakeTensor, subclasses.

``fastdrop::key`` draws from a generator as an eager call does, so that a compiled function gives
the masks that the same function gives in eager mode. ``fastdrop::draw``, and ``fastdrop::draw_two``
of two results, are pure functions of tensors and key; what a compiler keeps for the backward pass
is the key, 24 bytes, and the operands of an activation.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any, Final

import torch
from torch.fx.experimental.proxy_tensor import ProxyTorchDispatchMode

from fastdrop._window import Window
from fastdrop.variants import Variant

from ._derivatives import gradients
from ._draw import NAMED, Draw, Form, compute, decisions, is_act, shape_of
from ._private import (
    CustomOpDef,
    disable_dynamo,
    forward_ad,
    is_fwd_grad_enabled,
    make_autograd_impl,
)
from ._seeding import Source, Words, signed, words_for


def key_tensor(words: Words) -> torch.Tensor:
    """Seed, stream and offset as PyTorch's signed integers hold them."""
    return torch.tensor([signed(word) for word in words], dtype=torch.int64, device="cpu")


def words_of(key: torch.Tensor) -> Words:
    """What `key_tensor` was made of."""
    seed, stream, offset = (word % 2**64 for word in key.tolist())
    return seed, stream, offset


# --- keys ----------------------------------------------------------------------------------------

_library: Final = torch.library.Library("fastdrop", "FRAGMENT")
_library.define(
    "key(Tensor like, int source, SymInt[]? form=None, int site=-1) -> Tensor",
    "CONSERVATIVE",  # TorchScript takes it for an effect, and neither folds nor merges it
    tags=(torch.Tag.nondeterministic_seeded, torch.Tag.pt2_compliant_tag),
)
key_op: Final = torch.ops.fastdrop.key.default


@torch.library.impl(_library, "key", "CompositeExplicitAutograd")
def _key(
    like: torch.Tensor, source: int, form: Sequence[int] | None = None, site: int = -1
) -> torch.Tensor:
    """A key for what a draw of `like` decides, from the `Source` of that number; 0 is PyTorch's.

    `form` is as in `draw_op`. `site` is the place in a traced graph: no two are the same, and by it
    a backward pass that draws again gets the key of the forward pass.
    """
    n = decisions(like, form) if like.numel() else 0
    if n == 0:
        return key_tensor((0, 0, 0))
    return key_tensor(words_for(n, Source.in_graph(source) if source else None, None, site))


@torch.library.register_fake("fastdrop::key", lib=_library)
def _(
    like: torch.Tensor,  # noqa: ARG001
    source: int,
    form: Sequence[int] | None = None,  # noqa: ARG001
    site: int = -1,  # noqa: ARG001
) -> torch.Tensor:
    if source:
        Source.in_graph(source)
    return torch.empty(3, dtype=torch.int64, device="cpu")


_sites: Final = itertools.count()


@torch.library.register_torch_dispatch("fastdrop::key", ProxyTorchDispatchMode, lib=_library)
def _(
    mode: ProxyTorchDispatchMode,
    function: Any,
    types: Any,
    arguments: tuple[Any, ...],
    keywords: dict[str, Any] | None,
) -> Any:
    """Into a graph go the arguments with a new site."""
    form = arguments[2] if len(arguments) > 2 else (keywords or {}).get("form")
    arguments = (*arguments[:2], form, next(_sites))
    return mode.__torch_dispatch__(function, types, arguments, {})


# --- tangents ------------------------------------------------------------------------------------


def tangents_by(operator: CustomOpDef, function: Callable[..., torch.Tensor]) -> None:
    """Let a function compute the operator where tangents are: an operator has no rule for them."""
    ordinary = make_autograd_impl(operator._opoverload, operator)
    lazy = disable_dynamo(function)  # a compiled graph that meets tangents runs it as it is

    def kernel(keys: Any, *arguments: Any) -> torch.Tensor:
        if forward_ad._current_level >= 0 and is_fwd_grad_enabled():
            return lazy(*arguments)
        result: torch.Tensor = ordinary(keys, *arguments)
        return result

    _library.impl(operator._name, kernel, "AutogradCPU", with_keyset=True)


# --- values --------------------------------------------------------------------------------------


@torch.library.custom_op("fastdrop::draw", mutates_args=(), device_types="cpu")
def draw_op(
    x: torch.Tensor,
    key: torch.Tensor,
    p: float,
    variant: str,
    form: Sequence[int] | None = None,
    other: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
    act: str = "none",
) -> torch.Tensor:
    """What the variant of that name gives for its operands at `key`; `_draw` says what they are."""
    y = torch.empty_like(x)
    if x.numel():
        draw = Draw(p, *words_of(key), NAMED[variant], shape_of(form, x.shape), None, act)
        compute(draw, (x,) if other is None else (x, other), (y,), bias)
    return y


@torch.library.custom_op("fastdrop::draw_two", mutates_args=(), device_types="cpu")
def draw_two_op(
    x: torch.Tensor, key: torch.Tensor, p: float, variant: str, form: Sequence[int] | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """The same of a variant with two results."""
    a, b = torch.empty_like(x), torch.empty_like(x)
    if x.numel():
        draw = Draw(p, *words_of(key), NAMED[variant], shape_of(form, x.shape))
        compute(draw, (x,), (a, b))
    return a, b


@torch.library.custom_op("fastdrop::draw_part", mutates_args=(), device_types="cpu")
def part_op(
    x: torch.Tensor,
    key: torch.Tensor,
    p: float,
    variant: str,
    form: Sequence[int] | None,
    whole: Sequence[int],
    start: Sequence[int],
) -> torch.Tensor:
    """The same of the part that begins at `start` in a tensor of the shape `whole`.

    It has no gradient: `_distributed` sees to that.
    """
    y = torch.empty_like(x)
    if x.numel():
        window = Window(tuple(whole), tuple(start))
        mask = shape_of(form, window.shape)
        compute(Draw(p, *words_of(key), NAMED[variant], mask, window=window), (x,), (y,))
    return y


@part_op.register_fake
@draw_op.register_fake
def _(x: torch.Tensor, *_: object) -> torch.Tensor:
    return torch.empty_like(x)


@draw_two_op.register_fake
def _(x: torch.Tensor, *_: object) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.empty_like(x), torch.empty_like(x)


def draw_any(
    x: torch.Tensor,
    key: torch.Tensor,
    p: float,
    variant: Variant,
    form: Form,
    other: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
    act: str = "none",
) -> Any:
    """By the operator that has as many results as the variant."""
    if variant.results == 2:
        return draw_two_op(x, key, p, variant.function, form)
    if other is None and bias is None and not is_act(variant):
        return draw_op(x, key, p, variant.function, form)
    return draw_op(x, key, p, variant.function, form, other, bias, act)


def _with_defaults(inputs: Sequence[Any]) -> list[Any]:
    """The arguments of `draw_op`, or of `draw_two_op`, which has the first of them."""
    defaults: list[Any] = [None, None, None, "none"]
    return [*inputs, *defaults[len(inputs) - 4 :]]


class Saved:
    """What is saved of a draw by key, on the `ctx` of whatever differentiates it."""

    @staticmethod
    def keep(ctx: Any, inputs: tuple[Any, ...]) -> None:
        """Of the arguments of `draw_op`, with or without those that have a default."""
        x, key, p, name, form, other, bias, act = _with_defaults(inputs)
        variant = NAMED[name]
        operands = (x, other, bias) if is_act(variant) else ()
        ctx.save_for_backward(key, *operands)
        ctx.rest = (variant, p, form, act)

    def __init__(self, ctx: Any, draw: Callable[..., Any]) -> None:
        self.key, *operands = ctx.saved_tensors
        self.variant, self.p, self.form, self.act = ctx.rest
        self.operands: Any = tuple(operands) or None
        self.draw = draw

    def again(
        self,
        variant: Variant,
        x: torch.Tensor,
        other: torch.Tensor | None = None,
        bias: torch.Tensor | None = None,
    ) -> Any:
        """A draw with the same decisions."""
        return self.draw(x, self.key, self.p, variant, self.form, other, bias, self.act)

    def gradients(self, upper: tuple[torch.Tensor, ...]) -> tuple[Any, ...]:
        """For each argument of `draw_op`."""
        x, other, bias = gradients(self.variant, self.again, upper, self.act, self.operands)
        return x, None, None, None, None, other, bias, None


def _backward(ctx: Any, *upper: torch.Tensor) -> tuple[Any, ...]:
    return Saved(ctx, draw_any).gradients(upper)


def _backward_of_two(ctx: Any, *upper: torch.Tensor) -> tuple[Any, ...]:
    return _backward(ctx, *upper)[:5]


def _keep(ctx: Any, inputs: tuple[Any, ...], output: object) -> None:  # noqa: ARG001
    Saved.keep(ctx, inputs)


draw_op.register_autograd(_backward, setup_context=_keep)
draw_two_op.register_autograd(_backward_of_two, setup_context=_keep)


# --- batches -------------------------------------------------------------------------------------


def batched(
    batch: int, in_dims: tuple[int | None, ...], inputs: tuple[Any, ...], draw: Callable[..., Any]
) -> tuple[Any, Any]:
    """A draw of a batch, which becomes the first axis, and where its results have it.

    A key for each sample comes of vmap's randomness "different": then the first of the keys draws
    decisions for all samples, one after the other. A key without a batch ("same", or a seed that
    the caller gave) draws one mask, which the samples share.
    """
    x, key, p, variant, form, other, bias, act = inputs
    x_dim, key_dim, other_dim, bias_dim = (in_dims[i] for i in (0, 1, 5, 6))
    dtype = x.dtype
    x = _first(batch, x, x_dim)
    if other is not None:
        other = _first(batch, other, other_dim)
    if bias is not None and bias_dim is not None:
        # Each sample has its own: added before, in the type that the sum is computed in.
        wide = torch.float64 if dtype is torch.float64 else torch.float32
        rows = bias.movedim(bias_dim, 0).to(wide)
        x = x.to(wide) + rows.view(batch, *(1,) * (x.dim() - 2), -1)
        other = None if other is None else other.to(wide)
        bias = None
    if key_dim is None:
        form = (1, *((-1,) * (x.dim() - 1) if form is None else form))
    else:
        key = key.select(key_dim, 0)
        form = None if form is None else (batch, *form)
    y = draw(x, key, p, variant, form, other, bias, act)
    return (y, (0, 0)) if isinstance(y, tuple) else (y.to(dtype), 0)


def _first(batch: int, x: torch.Tensor, dim: int | None) -> torch.Tensor:
    return x.expand(batch, *x.shape) if dim is None else x.movedim(dim, 0)


def _of_batch(info: Any, in_dims: tuple[int | None, ...], *inputs: Any) -> tuple[Any, Any]:
    inputs = tuple(_with_defaults(inputs))
    dims = (*in_dims, *(None,) * (len(inputs) - len(in_dims)))
    return batched(info.batch_size, dims, (*inputs[:3], NAMED[inputs[3]], *inputs[4:]), draw_any)


draw_op.register_vmap(_of_batch)
draw_two_op.register_vmap(_of_batch)
