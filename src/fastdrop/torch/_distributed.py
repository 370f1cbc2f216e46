"""DTensors: each process draws, for its shard, its part of the mask that one device would draw.

Nothing is communicated. All processes have to draw the same seed, as they do where each has called
``torch.manual_seed`` with the same number and makes the same calls.

Compiled code is cut at a call of ours. One of PyTorch's that is computed here stays in its graph,
as an operator on the shard, which says where that lies.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch.compiler import is_exporting
from torch.distributed.tensor import DTensor, Partial, Replicate, Shard
from torch.distributed.tensor.placement_types import Placement

from fastdrop._window import Window
from fastdrop.variants import DROPOUT, Variant

from . import _autograd
from ._bridge import TRACED, readable, taken
from ._derivatives import gradients
from ._draw import KEPT, Draw, Form, is_act, is_drawn, shape_of
from ._keys import word_for
from ._ops import part_op
from ._private import disable_dynamo
from ._seeding import AnyGenerator, Seed, words_for


@disable_dynamo
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


@disable_dynamo
def kept(x: Any, p: float, generator: AnyGenerator) -> torch.Tensor:
    """Ones where dropout of a DTensor that is taken would keep."""
    ones = _ones(x)
    _check(ones, KEPT)
    y: torch.Tensor = _Drawn.apply(ones, _whole(ones, p, generator, None, KEPT, None))
    return y


@disable_dynamo
def call_with_kept(x: Any, p: float) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Dropout of a DTensor, and ones where it keeps, or None as in `call`."""
    if not taken(_local(x)):
        return None
    _check(x, DROPOUT)
    whole = _whole(x, p, None, None, DROPOUT, None)
    return _Drawn.apply(x, whole), _Drawn.apply(_ones(x), whole.of(KEPT))


def _ones(x: DTensor) -> DTensor:
    """What is no sum of parts."""
    return _placed(torch.ones_like(_local(x)), x, _unsummed(x.placements))


@disable_dynamo
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
    whole = _whole(x, p, generator, seed, variant, None, act)
    y: torch.Tensor = _Drawn.apply(x, whole, other, bias)
    return y


def is_taken(x: object) -> bool:
    """Whether `x` is a DTensor whose shards are computed here."""
    return isinstance(x, DTensor) and taken(_local(x))


class _Whole(NamedTuple):
    """The draw of a whole DTensor, whose form is the mask's shape."""

    draw: Draw
    key: torch.Tensor | None
    """Where the draw begins, in place of its own numbers, in the graph of a tracer."""

    def of(self, variant: Variant) -> _Whole:
        """The same decisions, for another variant."""
        return self._replace(draw=self.draw._replace(variant=variant))


def _whole(
    x: DTensor,
    p: float,
    generator: AnyGenerator,
    seed: Seed,
    variant: Variant,
    form: Form,
    act: str = "none",
) -> _Whole:
    mask = shape_of(form, x.shape)
    n = math.prod(x.shape if mask is None else mask)
    words, key, local = (0, 0, 0), None, _local(x)
    if type(local) in TRACED:
        if is_exporting():
            raise NotImplementedError(
                f"{variant.function} of a DTensor cannot be exported: the program would have to "
                "carry the place of the shard of each process"
            )
        key = word_for(local.new_empty(1), n, generator, seed)  # a shard may have no elements
    elif n and is_drawn(variant):
        words = words_for(n, generator, seed)
    return _Whole(Draw(p, *words, variant, mask, act=act), key)


def _beside_features(x: DTensor) -> list[Placement]:
    """Where a bias has to be: with the shards of the axis that it is added along."""
    last = x.dim() - 1
    return [Shard(0) if place == Shard(last) else Replicate() for place in x.placements]


def _window(x: DTensor) -> tuple[tuple[int, ...], Window]:
    """The shape of this process' shard, and where it lies.

    PyTorch's own function makes tensors to find that, and knows no symbols.
    """
    lengths, start = list(x.shape), [0] * x.dim()
    where = x.device_mesh.get_coordinate()
    if where is None:  # the process is not in the mesh
        return (0,) * x.dim(), Window(tuple(lengths), tuple(start))
    for place, processes, mine in zip(x.placements, x.device_mesh.shape, where, strict=True):
        if isinstance(place, Shard):  # as `torch.chunk` does
            n = lengths[place.dim]
            longest = -(-n // processes)
            first = min(longest * mine, n)
            lengths[place.dim] = min(longest, n - first)
            start[place.dim] += first
    return tuple(lengths), Window(tuple(x.shape), tuple(start))


def _unsummed(placements: Sequence[Placement]) -> list[Placement]:
    """The same places, with the whole in the place of partial sums."""
    return [Replicate() if isinstance(place, Partial) else place for place in placements]


def _placed(part: torch.Tensor, x: DTensor, placements: Sequence[Placement]) -> DTensor:
    """The shard of this process as a DTensor of the shape of `x`."""
    return DTensor.from_local(
        part, x.device_mesh, placements, run_check=False, shape=x.shape, stride=x.stride()
    )


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
        ctx: Any,
        x: DTensor,
        whole: _Whole,
        other: DTensor | None = None,
        bias: DTensor | None = None,
    ) -> Any:
        ctx.whole, ctx.placements = whole, x.placements
        draw, key = whole
        if is_act(draw.variant):
            ctx.save_for_backward(x, other, bias)
        lengths, window = _window(x)
        if key is not None:
            y: Any = part_op(_local(x), key, draw.p, draw.variant.function, draw.form, *window)
        else:
            local, *others = [None if t is None else readable(_local(t)) for t in (x, other, bias)]
            assert local is not None
            if lengths != window.shape:
                draw = draw._replace(window=window)
            y = _autograd.new(local, draw, *others)
        if isinstance(y, tuple):
            return tuple([_placed(part, x, x.placements) for part in y])
        return _placed(y, x, x.placements)

    @staticmethod
    def backward(ctx: Any, *upper: DTensor) -> tuple[Any, ...]:
        whole: _Whole = ctx.whole
        draw = whole.draw
        # The gradient of each summand is the gradient of the sum.
        placements = _unsummed(ctx.placements)
        placed: Any = [gradient.redistribute(placements=placements) for gradient in upper]
        operands: Any = ctx.saved_tensors or None
        x, other, bias = gradients(draw.variant, _again(whole), tuple(placed), draw.act, operands)
        if bias is not None:
            assert operands is not None
            added: Any = bias
            bias = added.redistribute(placements=operands[2].placements)
        return x, None, other, bias


def _again(whole: _Whole) -> Callable[..., Any]:
    """A draw with the same decisions, of gradients."""

    def again(variant: Variant, x: Any, other: Any = None, bias: Any = None) -> Any:
        return _Drawn.apply(x, whole.of(variant), other, bias)

    return again
