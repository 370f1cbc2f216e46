"""Kernels of attention, and of the operators whose caller sees the mask that they draw."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any, Final

import torch
from torch import Tensor

from fastdrop.variants import DROPOUT

from ._attending import call_of, computed
from ._autograd import apply, is_ordinary
from ._bridge import PLAIN, TRACED, drawn_tensor
from ._call import call, call_both
from ._draw import KEPT, Draw, compute
from ._kernels import (
    Function,
    Kernel,
    at_both,
    below,
    for_shards,
    is_ours,
    is_shared_out,
    unrecorded,
)
from ._private import forward_ad
from ._seeding import WORD

_LEAST: Final = 2.0**-16
"""Rarer events than a threshold of 16 bits tells apart come in blocks, and are left to PyTorch."""


def _attended(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    p: float,
    causal: bool,
    scale: float | None,
    grouped: bool,
) -> Tensor | None:
    """Attention as fastdrop.torch computes it, or None for what it leaves to PyTorch."""
    if mask is not None and type(mask) not in (*PLAIN, *TRACED):
        return None
    if scale is not None and not math.isfinite(scale):
        return None
    asked = call_of(query, key, value, mask, p, causal, scale=scale, enable_gqa=grouped)
    if asked is None:
        return None
    with below(query):
        return computed(asked)


def _attention(original: Function) -> Function:
    def kernel(
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        *,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> Any:
        if 0.0 < dropout_p < 1.0 and all(map(is_ours, (query, key, value))):
            y = _attended(query, key, value, attn_mask, dropout_p, is_causal, scale, enable_gqa)
            if y is not None:
                return y
        return original(
            query, key, value, attn_mask, dropout_p, is_causal,
            scale=scale, enable_gqa=enable_gqa,
        )  # fmt: skip

    return kernel


def _in_parts(operator: str) -> Kernel:
    """PyTorch's attention of DTensors by its parts, of which dropout is one, below autograd too.

    There it would be handed to the shards as a whole, and each would draw the same mask.
    """
    parts = getattr(torch.ops.aten, operator).default.decompose

    def make(original: Function) -> Function:
        def kernel(
            query: Tensor,
            key: Tensor,
            value: Tensor,
            attn_mask: Tensor | None = None,
            dropout_p: float = 0.0,
            *args: Any,
            **kwargs: Any,
        ) -> Any:
            call = original if dropout_p == 0.0 else parts
            return call(query, key, value, attn_mask, dropout_p, *args, **kwargs)

        return kernel

    return for_shards(operator, make)


def _native_dropout(original: Function) -> Function:
    """Dropout that gives its mask too: one key draws both."""

    def kernel(keys: Any, x: Tensor, p: float, train: bool | None) -> Any:
        shared = is_shared_out(x)
        if train is not False and 0.0 < p < 1.0 and (shared or is_ours(x)) and x.numel() != 0:
            with below(x):
                if shared:
                    both = _shards().call_with_kept(x, p)
                else:
                    both = call_both((x, DROPOUT), (torch.ones_like(x), KEPT), p, None, None)
                if both is not None:
                    y, kept = both
                    return y, kept.to(torch.bool)
        return original(keys, x, p, train)

    return kernel


def _shards() -> ModuleType:
    from . import _distributed  # at first use: it imports a large part of PyTorch

    return _distributed


def _may_be_drawn(x: Tensor, p: float) -> bool:
    if not _LEAST <= p <= 1.0 - _LEAST or not is_ours(x) or x.numel() == 0:
        return False
    # PyTorch says of elements that share memory that they cannot be written to.
    return x.is_contiguous() or all(
        step != 0 or n == 1 for n, step in zip(x.shape, x.stride(), strict=True)
    )


def _draw_(x: Tensor, p: float, generator: torch.Generator | None) -> Tensor | None:
    """Ones where dropout with probability 1 - p would keep, in an ordinary tensor.

    Dropout of ones and the signs of what is left: of the ways there are the shortest in calls.
    None where it is PyTorch's.
    """
    if not _may_be_drawn(x, p):
        return None
    if generator is not None or drawn_tensor(x.fill_(1.0), 1.0 - p, True, WORD, apply) is None:
        x.fill_(1.0)
        compute(Draw(1.0 - p, WORD.draw(generator), 0, 0, DROPOUT), (x,), (x,))
    return x.sign_()


def _bernoulli_below(original: Function) -> Function:
    def kernel(x: Tensor, p: float = 0.5, *, generator: torch.Generator | None = None) -> Any:
        y = _draw_(x, p, generator) if is_ordinary(x) else None
        if y is not None:
            return y
        return original(x, p, generator=generator)

    return kernel


def _bernoulli_(original: Function) -> Function:
    """PyTorch's kernel, where autograd has something to do, ends in the one below."""

    def kernel(
        keys: Any, x: Tensor, p: float = 0.5, *, generator: torch.Generator | None = None
    ) -> Any:
        if not is_ordinary(x):
            y = _traced(x, p, generator)
            if y is not None:
                return x.copy_(y)
        elif not _recorded(x) and forward_ad._current_level < 0:
            y = _draw_(x, p, generator)
            if y is not None:
                return y
        return original(keys, x, p, generator=generator)

    return kernel


def _bernoulli(original: Function) -> Function:
    """PyTorch composes it of the above in eager code, but tracers record it whole."""

    def kernel(keys: Any, x: Tensor, p: float, *, generator: torch.Generator | None = None) -> Any:
        y = None if is_ordinary(x) or _recorded(x) else _traced(x, p, generator)
        if y is not None:
            return y
        return original(keys, x, p, generator=generator)

    return kernel


def _recorded(x: Tensor) -> bool:
    return torch.is_grad_enabled() and x.requires_grad


def _traced(x: Tensor, p: float, generator: torch.Generator | None) -> Tensor | None:
    """Graphs know no generator but the default one."""
    if is_shared_out(x):
        return _of_shards(x, p, generator)
    if generator is not None or not _may_be_drawn(x, p):
        return None
    with below(x):
        return call(torch.ones_like(x), 1.0 - p, False, None, None, KEPT)


def _of_shards(x: Tensor, p: float, generator: torch.Generator | None) -> Tensor | None:
    if not 0.0 < p < 1.0 or x.numel() == 0 or not _shards().is_taken(x):
        return None
    if not _LEAST <= p <= 1.0 - _LEAST:
        raise NotImplementedError(
            "the probability of bernoulli of a DTensor has to be from 2**-16 to 1 - 2**-16, "
            f"but got {p}, for which PyTorch would draw the same in each shard"
        )
    with below(x):
        kept: Tensor = _shards().kept(x, 1.0 - p, generator)
    return kept


ATTENTION_KERNELS: Final = (
    *at_both("scaled_dot_product_attention", _attention),
    _in_parts("scaled_dot_product_attention"),
    _in_parts("_scaled_dot_product_attention_math"),
)
NATIVE_KERNELS: Final = (
    Kernel("native_dropout", "AutogradCPU", _native_dropout, with_keyset=True),
    Kernel("native_dropout", "CPU", unrecorded(_native_dropout), with_keyset=True),
    for_shards("native_dropout", _native_dropout, with_keyset=True),
)
BERNOULLI_KERNELS: Final = (
    Kernel("bernoulli_.float", "AutogradCPU", _bernoulli_, with_keyset=True),
    Kernel("bernoulli_.float", "CPU", _bernoulli_below),
    for_shards("bernoulli_.float", _bernoulli_, with_keyset=True),
    Kernel("bernoulli.p", "AutogradCPU", _bernoulli, with_keyset=True),
    for_shards("bernoulli.p", _bernoulli, with_keyset=True),
)
"""By which DropPath, DropBlock and PyTorch's own parts draw."""
