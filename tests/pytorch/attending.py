"""What the tests of attention share: the same by PyTorch, with all weights, for comparison."""

from typing import Any

import torch

import fastdrop.torch as ft

Tensors = list["torch.Tensor"]


def weights_of(
    query: "torch.Tensor",
    key: "torch.Tensor",
    attn_mask: "torch.Tensor | None" = None,
    is_causal: bool = False,
    scale: float | None = None,
) -> "torch.Tensor":
    """The weights before dropout; of a row that sees nothing, 0."""
    scores = query @ key.mT * (query.shape[-1] ** -0.5 if scale is None else scale)
    if is_causal:
        scores = scores.masked_fill(~torch.ones(scores.shape[-2:]).tril().bool(), -torch.inf)
    if attn_mask is not None and attn_mask.dtype is torch.bool:
        scores = scores.masked_fill(~attn_mask, -torch.inf)
    elif attn_mask is not None:
        scores = scores + attn_mask
    nothing = (scores == -torch.inf).all(-1, keepdim=True)
    return scores.masked_fill(nothing, 0).softmax(-1).masked_fill(nothing, 0)


def unfused(
    query: "torch.Tensor",
    key: "torch.Tensor",
    value: "torch.Tensor",
    attn_mask: "torch.Tensor | None" = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    *,
    seed: Any = None,
) -> "torch.Tensor":
    """Attention by softmax, `fastdrop.torch.dropout` and two products of matrices."""
    weights = weights_of(query, key, attn_mask, is_causal, scale)
    return ft.dropout(weights, dropout_p, seed=seed) @ value


def tensors(*shapes: tuple[int, ...], dtype: "torch.dtype" = torch.float64) -> Tensors:
    """Normal variates, the same in every run."""
    generator = torch.Generator().manual_seed(1)
    return [
        torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()
        for shape in shapes
    ]


def upper_of(y: "torch.Tensor") -> "torch.Tensor":
    """A gradient for `y` that is not the same everywhere."""
    return torch.linspace(-1, 1, y.numel(), dtype=torch.float64).reshape(y.shape).to(y.dtype)


def with_gradients(y: "torch.Tensor", inputs: Tensors) -> Tensors:
    """The result, and the gradients of all inputs."""
    return [y.detach(), *torch.autograd.grad(y, inputs, upper_of(y))]


def check_tiles(inputs: Tensors, *arguments: Any, within: float = 1e-13, **keywords: Any) -> None:
    """Values and gradients by tiles are those without."""
    ours, theirs = (
        with_gradients(attention(*inputs, *arguments, **keywords), inputs)
        for attention in (ft.scaled_dot_product_attention, unfused)
    )
    assert_close(ours, theirs, within)


def assert_close(ours: Tensors, theirs: Tensors, tolerance: float) -> None:
    for one, other in zip(ours, theirs, strict=True):
        assert one.dtype is other.dtype
        assert one.shape == other.shape
        difference = (one.double() - other.double()).abs().max().item()
        assert difference <= tolerance * max(1.0, other.abs().max().item())
