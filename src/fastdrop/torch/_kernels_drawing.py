"""Kernels of attention, and of the operators whose caller sees the mask that they draw."""

from __future__ import annotations

import math
from typing import Any, Final

import torch
from torch import Tensor
from torch.autograd import forward_ad

from ._autograd import is_ordinary
from ._bridge import PLAIN
from ._call import call, call_both
from ._draw import DROPOUT, KEPT, Draw
from ._kernels import TRACED, Function, Kernel, at_both, below, is_ours
from ._seeding import WORD
from .attention import _attend, _fit, _repeated

_LEAST: Final = 2.0**-16
"""Rarer events than a threshold of 16 bits tells apart come in blocks, and are left to PyTorch."""


def _attention(original: Function) -> Function:
    def kernel(
        keys: Any,
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
        if (
            0.0 < dropout_p < 1.0
            and is_ours(query)
            and is_ours(key)
            and is_ours(value)
            and (attn_mask is None or type(attn_mask) in (*PLAIN, *TRACED))
            and (scale is None or math.isfinite(scale))
        ):
            with below(query):
                if _fit(query, key, value, attn_mask, is_causal, enable_gqa):
                    if enable_gqa:
                        key, value = (_repeated(x, query.shape[-3]) for x in (key, value))
                    if scale is None:
                        scale = query.shape[-1] ** -0.5
                    return _attend(
                        query, key, value, attn_mask, dropout_p, is_causal, scale, None, None
                    )
        return original(
            keys, query, key, value, attn_mask, dropout_p, is_causal,
            scale=scale, enable_gqa=enable_gqa,
        )  # fmt: skip

    return kernel


def _native_dropout(original: Function) -> Function:
    """Dropout that gives its mask too: one key draws both."""

    def kernel(keys: Any, x: Tensor, p: float, train: bool | None) -> Any:
        if train is not False and 0.0 < p < 1.0 and is_ours(x) and x.numel() != 0:
            with below(x):
                ones = torch.ones_like(x, memory_format=torch.contiguous_format)
                both = call_both((x, DROPOUT), (ones, KEPT), p, None, None)
                if both is not None:
                    y, kept = both
                    return y, kept.to(torch.bool)
        return original(keys, x, p, train)

    return kernel


def _may_be_drawn(x: Tensor, p: float) -> bool:
    if not _LEAST <= p <= 1.0 - _LEAST or not is_ours(x) or x.numel() == 0:
        return False
    # PyTorch says of elements that share memory that they cannot be written to.
    return all(step != 0 or n == 1 for n, step in zip(x.shape, x.stride(), strict=True))


def _draw_(x: Tensor, p: float, generator: torch.Generator | None) -> Tensor:
    """Ones where dropout with probability 1 - p would keep, in an ordinary tensor."""
    seed = WORD.draw(generator)
    KEPT.into(x.fill_(1.0), x, Draw(1.0 - p, seed, 0, 0, KEPT))
    return x


def _bernoulli_below(original: Function) -> Function:
    def kernel(
        keys: Any, x: Tensor, p: float = 0.5, *, generator: torch.Generator | None = None
    ) -> Any:
        if _may_be_drawn(x, p) and is_ordinary(x):
            return _draw_(x, p, generator)
        return original(keys, x, p, generator=generator)

    return kernel


def _bernoulli_(original: Function) -> Function:
    """PyTorch's kernel, where autograd has something to do, ends in the one below."""

    def kernel(
        keys: Any, x: Tensor, p: float = 0.5, *, generator: torch.Generator | None = None
    ) -> Any:
        if _may_be_drawn(x, p) and not _recorded(x):
            if is_ordinary(x):
                return _draw_(x, p, generator)
            kept = _traced(x, p, generator)
            if kept is not None:
                return x.copy_(kept)
        return original(keys, x, p, generator=generator)

    return kernel


def _bernoulli(original: Function) -> Function:
    """PyTorch composes it of the above in eager code, but tracers record it whole."""

    def kernel(keys: Any, x: Tensor, p: float, *, generator: torch.Generator | None = None) -> Any:
        if _may_be_drawn(x, p) and not _recorded(x) and not is_ordinary(x):
            kept = _traced(x, p, generator)
            if kept is not None:
                return kept
        return original(keys, x, p, generator=generator)

    return kernel


def _recorded(x: Tensor) -> bool:
    return (torch.is_grad_enabled() and x.requires_grad) or forward_ad._current_level >= 0


def _traced(x: Tensor, p: float, generator: torch.Generator | None) -> Tensor | None:
    """Graphs know no generator but the default one."""
    if generator is not None:
        return None
    with below(x):
        return call(torch.ones_like(x), 1.0 - p, False, None, None, KEPT)


ATTENTION_KERNELS: Final = at_both("scaled_dot_product_attention", _attention)
NATIVE_KERNELS: Final = at_both("native_dropout", _native_dropout)
BERNOULLI_KERNELS: Final = (
    Kernel("bernoulli_.float", "AutogradCPU", _bernoulli_),
    Kernel("bernoulli_.float", "CPU", _bernoulli_below),
    Kernel("bernoulli.p", "AutogradCPU", _bernoulli),
)
"""By which DropPath, DropBlock and PyTorch's own parts draw."""
