"""The operators that tracers see: `torch.compile`, `torch.export`, FakeTensor, subclasses.

``fastdrop::key`` draws from a generator as an eager call does, so that a compiled function gives
the masks that the same function gives in eager mode. ``fastdrop::draw`` is a pure function of
tensor and key; what a compiler keeps for the backward pass is the key, 24 bytes.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any, Final

import torch
from torch.fx.experimental.proxy_tensor import ProxyTorchDispatchMode

from ._bridge import readable
from ._draw import Draw, Form, Rule, decisions, shape_of
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


# --- gradients ---------------------------------------------------------------------------------


def dense(gradient: torch.Tensor) -> torch.Tensor:
    """A gradient that may be sparse, as that of an embedding is, for what reads all of it."""
    return gradient if gradient.layout is torch.strided else gradient.to_dense()


def by_layout(
    function: Callable[[torch.Tensor], torch.Tensor], gradient: torch.Tensor
) -> torch.Tensor:
    """A function of each element, 0 at 0, of a gradient that may be sparse and stays so."""
    if gradient.layout is torch.strided:
        return function(gradient)
    y = function(gradient.to_dense())
    return y.sparse_mask(gradient.coalesce()) if gradient.layout is torch.sparse_coo else y


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
    x: torch.Tensor, key: torch.Tensor, p: float, rule: str, form: Sequence[int] | None = None
) -> torch.Tensor:
    """The values that the rule gives for `x` at `key`; the form is as `_draw.shape_of` says."""
    y = torch.empty_like(x)
    if x.numel():
        kind = Rule.by_name[rule]
        kind.into(readable(x), y, Draw(p, *words_of(key), kind, shape_of(form, x.shape)))
    return y


@draw_op.register_fake
def _(
    x: torch.Tensor,
    key: torch.Tensor,  # noqa: ARG001
    p: float,  # noqa: ARG001
    rule: str,  # noqa: ARG001
    form: Sequence[int] | None = None,  # noqa: ARG001
) -> torch.Tensor:
    return torch.empty_like(x)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:  # noqa: ARG001
    _, key, p, rule, form = inputs
    ctx.save_for_backward(key)
    ctx.rest = (p, Rule.by_name[rule].derivative.name, form)


def _backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
    (key,) = ctx.saved_tensors
    found = by_layout(lambda g: draw_op(g, key, *ctx.rest), gradient)
    return found, None, None, None, None


draw_op.register_autograd(_backward, setup_context=_keep)


def batched(
    batch: int,
    in_dims: tuple[int | None, ...],
    x: torch.Tensor,
    key: torch.Tensor,
    form: Form,
) -> tuple[torch.Tensor, torch.Tensor, tuple[int, ...] | None]:
    """What `draw_op` has to be called with for a batch, which becomes the first axis.

    A key for each sample comes of vmap's randomness "different": then the first of the keys draws
    decisions for all samples, one after the other. A key without a batch ("same", or a seed that
    the caller gave) draws one mask, which the samples share.
    """
    x_dim, key_dim = in_dims[0], in_dims[1]
    x = x.expand(batch, *x.shape) if x_dim is None else x.movedim(x_dim, 0)
    if key_dim is None:
        return x, key, (1, *((-1,) * (x.dim() - 1) if form is None else form))
    return x, key.select(key_dim, 0), None if form is None else (batch, *form)


@draw_op.register_vmap
def _(
    info: Any,
    in_dims: tuple[int | None, ...],
    x: torch.Tensor,
    key: torch.Tensor,
    p: float,
    rule: str,
    form: Sequence[int] | None = None,
) -> tuple[torch.Tensor, int]:
    x, key, shape = batched(info.batch_size, in_dims, x, key, form)
    return draw_op(x, key, p, rule, shape), 0
