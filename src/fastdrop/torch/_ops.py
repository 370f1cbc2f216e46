"""The operators that tracers see: `torch.compile`, `torch.export`, FakeTensor, subclasses.

``fastdrop::key`` draws from a generator as an eager call does, so that a compiled function gives
the masks that the same function gives in eager mode. ``fastdrop::draw`` is a pure function of
tensor and key; what a compiler keeps for the backward pass is the key, 24 bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from ._draw import Draw, Rule
from ._seeding import Source, Words, words_for


def key_tensor(words: Words) -> torch.Tensor:
    """Seed, stream and offset as PyTorch's signed integers hold them."""
    return torch.tensor([word - 2**64 if word >= 2**63 else word for word in words])


def words_of(key: torch.Tensor) -> Words:
    """What `key_tensor` was made of."""
    seed, stream, offset = (word % 2**64 for word in key.tolist())
    return seed, stream, offset


@torch.library.custom_op(
    "fastdrop::key", mutates_args=(), tags=(torch.Tag.nondeterministic_seeded,)
)
def key_op(token: torch.Tensor, source: int, n: int) -> torch.Tensor:  # noqa: ARG001
    """A key for `n` decisions from the `Source` of that number; 0 is the default generator.

    The token is a ``torch.empty(0)`` of each call's own. Compilers take two calls with the same
    arguments for one, unless they know the operator by name, but they leave every `empty` alone.
    """
    if n == 0:
        return key_tensor((0, 0, 0))
    return key_tensor(words_for(n, Source.by_number[source] if source else None, None))


@key_op.register_fake
def _(token: torch.Tensor, source: int, n: int) -> torch.Tensor:  # noqa: ARG001
    return torch.empty(3, dtype=torch.int64)


@torch.library.custom_op("fastdrop::draw", mutates_args=(), device_types="cpu")
def draw_op(
    x: torch.Tensor, key: torch.Tensor, p: float, rule: str, form: Sequence[int] | None = None
) -> torch.Tensor:
    """The values that the rule gives for `x` at `key`."""
    y = torch.empty_like(x)
    if x.numel():
        kind = Rule.by_name[rule]
        shape = None if form is None else tuple(form)
        kind.into(x.resolve_neg(), y, Draw(p, *words_of(key), kind, shape))
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
    return draw_op(gradient, key, *ctx.rest), None, None, None, None


draw_op.register_autograd(_backward, setup_context=_keep)


def batched(
    batch: int,
    in_dims: tuple[int | None, ...],
    x: torch.Tensor,
    key: torch.Tensor,
    form: Sequence[int] | None,
) -> tuple[torch.Tensor, torch.Tensor, tuple[int, ...] | None]:
    """What `draw_op` has to be called with for a batch, which becomes the first axis.

    A key for each sample comes of vmap's randomness "different": then the first of the keys draws
    decisions for all samples, one after the other. A key without a batch ("same", or a seed that
    the caller gave) draws one mask, which the samples share.
    """
    x_dim, key_dim = in_dims[0], in_dims[1]
    x = x.expand(batch, *x.shape) if x_dim is None else x.movedim(x_dim, 0)
    shape = tuple(x.shape[1:] if form is None else form)
    if key_dim is None:
        return x, key, (1, *shape)
    return x, key.select(key_dim, 0), None if form is None else (batch, *shape)


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
