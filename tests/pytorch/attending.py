"""What the tests of attention share: the same by PyTorch, with all weights, for comparison."""

from collections.abc import Iterable
from typing import Any

import torch

import fastdrop
import fastdrop.torch as ft

Tensors = list[torch.Tensor]

attend = ft.scaled_dot_product_attention
KEY = fastdrop.Key(5, 6, 4097)
TOLERANCES = {torch.float64: 1e-13, torch.float32: 1e-5, torch.bfloat16: 2e-2, torch.float16: 2e-3}


def band(queries: int, keys: int, is_causal: Any = False, sliding_window: Any = None) -> Any:
    """Which keys are seen, as a mask."""
    away = torch.arange(keys) - torch.arange(queries)[:, None]
    left, right = sliding_window or (-1, -1)
    return ~((away < -left) & (left >= 0) | (away > right) & (right >= 0) | (away > 0) & is_causal)


def weights_of(query: Any, key: Any, mask: Any = None, scale: Any = None, **seen: Any) -> Any:
    """The weights before dropout; of a row that sees nothing, 0."""
    scores = query @ key.mT * (max(query.shape[-1], 1) ** -0.5 if scale is None else scale)
    kept = band(*scores.shape[-2:], **seen)
    if mask is not None and mask.dtype is torch.bool:
        kept = kept & mask
    elif mask is not None:
        scores = scores + mask
    scores = scores.masked_fill(~kept, -torch.inf)
    nothing = (scores == -torch.inf).all(-1, keepdim=True)
    return scores.masked_fill(nothing, 0).softmax(-1).masked_fill(nothing, 0)


def unfused(q: Any, k: Any, v: Any, attn_mask: Any = None, dropout_p: Any = 0, **more: Any) -> Any:
    """Attention by softmax, `fastdrop.torch.dropout` and two products of matrices."""
    seed = more.pop("seed", None)
    if more.pop("enable_gqa", False):
        k, v = (x.repeat_interleave(q.shape[-3] // x.shape[-3], -3) for x in (k, v))
    return ft.dropout(weights_of(q, k, attn_mask, **more), dropout_p, seed=seed) @ v


def tensors(*shapes: tuple[int, ...], dtype: torch.dtype = torch.float64) -> Tensors:
    """Normal variates, the same in every run."""
    generator = torch.Generator().manual_seed(1)
    return [
        torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()
        for shape in shapes
    ]


def qkv(
    *lead: int, queries: int = 5, keys: int = 6, width: int = 8, dtype: Any = torch.float64
) -> Tensors:
    """Query, key and value."""
    return tensors((*lead, queries, width), (*lead, keys, width), (*lead, keys, width), dtype=dtype)


def some(*shape: int, share: float = 0.7) -> torch.Tensor:
    """A mask that leaves that share, the same in every run."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(1)) < share


def upper_of(y: torch.Tensor) -> torch.Tensor:
    """A gradient for `y` that is not the same everywhere."""
    return torch.linspace(-1, 1, y.numel(), dtype=torch.float64).reshape(y.shape).to(y.dtype)


def with_gradients(y: torch.Tensor, inputs: Iterable[torch.Tensor]) -> Tensors:
    """The result, and the gradients of all inputs that have one."""
    learned = [x for x in inputs if x.requires_grad]
    return [y.detach(), *torch.autograd.grad(y, learned, upper_of(y))]


def check(*inputs: torch.Tensor, seen: torch.Tensor | None = None, **more: Any) -> None:
    """Values and gradients are those with all weights in memory, in float64.

    `seen` is what `attn_mask` stands for, where that is no tensor to calculate with.
    """
    more = {"dropout_p": 0.3, "seed": KEY, **more}
    ours = with_gradients(attend(*inputs, **more), inputs)
    mask = more.pop("attn_mask", None) if seen is None else seen
    if mask is not None:
        more["attn_mask"] = mask.double() if mask.is_floating_point() else mask
    wide = [x.detach().double().requires_grad_(x.requires_grad) for x in inputs]
    theirs = with_gradients(unfused(*wide, **more), wide)
    dtype = inputs[0].dtype
    assert_close(ours, [x.to(dtype) for x in theirs], TOLERANCES[dtype])


def assert_close(ours: Iterable[Any], theirs: Iterable[Any], tolerance: float) -> None:
    for one, other in zip(ours, theirs, strict=True):
        assert one.dtype is other.dtype
        assert one.shape == other.shape
        difference = (one.double() - other.double()).abs().max().item()
        assert difference <= tolerance * max(1.0, other.abs().max().item())
