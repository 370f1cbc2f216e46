"""DTensors: each process draws, for its shard, its part of the mask that one device would draw.

Nothing is communicated. All processes have to draw the same seed, as they do where each has called
``torch.manual_seed`` with the same number and makes the same calls.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.distributed.tensor import DTensor, Partial, Replicate, Shard

from fastdrop._window import Window
from fastdrop.variants import Variant

from . import _autograd
from ._bridge import taken
from ._derivatives import derivative_of
from ._draw import Draw, Form, decisions, shape_of
from ._private import shard_of
from ._seeding import AnyGenerator, Seed, words_for
from ._windows import Part, into_new, whole_decisions


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
    whole = Draw(p, *words_for(decisions(x, form), generator, seed), variant)
    whole = whole._replace(form=shape_of(form, x.shape))
    y: torch.Tensor = _Drawn.apply(x, whole)
    return x.copy_(y) if inplace else y


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
    """A draw of a DTensor, whose form is the mask's shape for the whole of it."""

    @staticmethod
    def forward(ctx: Any, x: DTensor, whole: Draw) -> DTensor:
        ctx.whole, ctx.placements = whole, x.placements
        local, shape = _local(x), tuple(x.shape)
        lengths, start = shard_of(x)
        if lengths == shape:
            y = _autograd.new(local, whole)
        else:
            p, variant = whole.p, whole.variant
            words = (whole.seed, whole.stream, whole.offset)
            decided = whole_decisions(variant, whole.form, shape)
            # A process that is not in the mesh has no part, and no place for one.
            window = Window(shape, start or (0,) * len(shape))
            y = into_new(local, Part(variant, p, words, window, decided))
        return DTensor.from_local(
            y, x.device_mesh, x.placements, run_check=False, shape=x.shape, stride=x.stride()
        )

    @staticmethod
    def backward(ctx: Any, gradient: DTensor) -> tuple[DTensor, None]:
        variant = derivative_of(ctx.whole.variant)
        if variant is None:
            return gradient, None
        # The gradient of each summand is the gradient of the sum.
        placements = [
            Replicate() if isinstance(placement, Partial) else placement
            for placement in ctx.placements
        ]
        gradient = gradient.redistribute(placements=placements)
        return _Drawn.apply(gradient, ctx.whole._replace(variant=variant)), None
