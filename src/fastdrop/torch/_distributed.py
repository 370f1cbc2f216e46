"""DTensors: each process draws, for its shard, its part of the mask that one device would draw.

Nothing is communicated. All processes have to draw the same seed, as they do where each has called
``torch.manual_seed`` with the same number and makes the same calls.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch.distributed.tensor import DTensor, Partial, Replicate, Shard
from torch.distributed.tensor.placement_types import Placement

from fastdrop._window import Window
from fastdrop.variants import Variant

from . import _autograd
from ._bridge import readable, taken
from ._derivatives import gradients
from ._draw import Draw, Form, is_act, is_drawn, shape_of
from ._private import shard_of
from ._seeding import AnyGenerator, Seed, words_for


def call(
    x: Any,
    p: float,
    inplace: bool,
    generator: AnyGenerator,
    seed: Seed,
    variant: Variant,
    form: Form,
) -> torch.Tensor | None:
    """A draw of a DTensor, or None where its shards are of no kind that is computed here."""
    if not taken(_local(x)):
        return None
    _check(x, variant)
    if x.numel() == 0:
        return x
    y: torch.Tensor = _Drawn.apply(x, _whole(x, p, generator, seed, variant, form))
    return x.copy_(y) if inplace else y


def call_several(
    x: Any,
    other: Any,
    bias: Any,
    p: float,
    generator: AnyGenerator,
    seed: Seed,
    variant: Variant,
    act: str,
) -> torch.Tensor:
    """A variant of several DTensors, which are checked but for how they are placed.

    What lies elsewhere is brought to where the parts of `x` are.
    """
    _check(x, variant)
    if other is not None:
        _check(other, variant)
        other = other.redistribute(placements=x.placements)
    if bias is not None:
        bias = bias.redistribute(placements=_beside_features(x))
    draw = _whole(x, p, generator, seed, variant, None)._replace(act=act)
    y: torch.Tensor = _Drawn.apply(x, draw, other, bias)
    return y


def is_taken(x: object) -> bool:
    """Whether `x` is a DTensor whose shards are computed here."""
    return isinstance(x, DTensor) and taken(_local(x))


def _whole(
    x: DTensor, p: float, generator: AnyGenerator, seed: Seed, variant: Variant, form: Form
) -> Draw:
    """The draw of a whole DTensor, whose form is the mask's shape."""
    whole = shape_of(form, x.shape)
    n = math.prod(x.shape if whole is None else whole)
    words = words_for(n, generator, seed) if n and is_drawn(variant) else (0, 0, 0)
    return Draw(p, *words, variant, whole)


def _beside_features(x: DTensor) -> list[Placement]:
    """Where a bias has to be: with the shards of the axis that it is added along."""
    last = x.dim() - 1
    return [Shard(0) if place == Shard(last) else Replicate() for place in x.placements]


def _local(x: DTensor) -> torch.Tensor:
    """The shard of this process, which may be on its way from others."""
    with torch.no_grad():
        local: Any = x.to_local()
    waits = getattr(local, "wait", None)
    return local if waits is None else waits()


def _check(x: DTensor, variant: Variant) -> None:
    """Refuse what no part of the mask is known for, or would not be right for."""
    for placement in x.placements:
        if type(placement) is Shard or isinstance(placement, Replicate):
            continue
        why = "whose elements' places are not known here"
        if isinstance(placement, Partial):
            if placement.reduce_op in ("sum", "avg") and variant.gradient == "same":
                continue
            why = f"which {variant.function} is not linear for"
        raise NotImplementedError(
            "a DTensor has to be placed by Shard or Replicate, or to be partial sums where the "
            f"operation is linear, but got {placement}, {why}: redistribute it first"
        )
    if variant.block_axes and any(isinstance(placement, Shard) for placement in x.placements):
        raise NotImplementedError(
            f"{variant.function} has to have whole tensors, as its scale is made of all blocks, "
            f"but got a DTensor placed by {x.placements}: redistribute it first"
        )


class _Drawn(torch.autograd.Function):
    """A draw of DTensors that are placed alike, whose form is the mask's shape for the whole."""

    @staticmethod
    def forward(
        ctx: Any, x: DTensor, whole: Draw, other: DTensor | None = None, bias: DTensor | None = None
    ) -> Any:
        ctx.whole, ctx.placements = whole, x.placements
        if is_act(whole.variant):
            ctx.save_for_backward(x, other, bias)
        given = [None if t is None else readable(_local(t)) for t in (x, other, bias)]
        shape = tuple(x.shape)
        lengths, start = shard_of(x)
        if lengths != shape:
            # A process that is not in the mesh has no part, and no place for one.
            whole = whole._replace(window=Window(shape, start or (0,) * len(shape)))
        local, *others = given
        assert local is not None
        y = _autograd.new(local, whole, *others)

        def placed(part: torch.Tensor) -> DTensor:
            return DTensor.from_local(
                part, x.device_mesh, x.placements, run_check=False, shape=x.shape, stride=x.stride()
            )

        return tuple(map(placed, y)) if isinstance(y, tuple) else placed(y)

    @staticmethod
    def backward(ctx: Any, *upper: DTensor) -> tuple[Any, ...]:
        whole: Draw = ctx.whole
        # The gradient of each summand is the gradient of the sum.
        placements = [
            Replicate() if isinstance(placement, Partial) else placement
            for placement in ctx.placements
        ]
        placed: Any = [gradient.redistribute(placements=placements) for gradient in upper]
        operands: Any = ctx.saved_tensors or None
        x, other, bias = gradients(whole.variant, _again(whole), tuple(placed), whole.act, operands)
        if bias is not None:
            assert operands is not None
            added: Any = bias
            bias = added.redistribute(placements=operands[2].placements)
        return x, None, other, bias


def _again(whole: Draw) -> Callable[..., Any]:
    """A draw with the same decisions, of gradients."""

    def again(variant: Variant, x: Any, other: Any = None, bias: Any = None) -> Any:
        return _Drawn.apply(x, whole._replace(variant=variant), other, bias)

    return again
