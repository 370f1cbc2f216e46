"""What names a mask, and what can be done with one: a rule for each kind of dropout.

A `Draw` is all that `backward` keeps of a call. A `Rule` says how values are computed from a draw,
and which rule is its derivative. All rules act on each element by itself, as a line in its value:
the derivative's rule is then its own derivative, and one autograd function serves all rules, to
any order.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
import torch

from fastdrop import backends, variants
from fastdrop._plan import make_plan
from fastdrop._rng import Key
from fastdrop.backends.call import Call, room_for, steps_of
from fastdrop.pipeline import apply, apply_blocks
from fastdrop.variants import Variant

from . import _bridge


class Draw(NamedTuple):
    """A call's probability, its place in the random stream, and what is done there."""

    p: float
    seed: int
    stream: int
    offset: int
    rule: Rule
    form: tuple[int, ...] | None = None
    """The mask's shape, 1 along axes that share decisions; None is the tensor's own shape."""
    strides: tuple[int, ...] | None = None
    """The result's, where they are not those of C order: for gradients that have no order."""

    @property
    def key(self) -> Key:
        """Where in the stream the mask begins."""
        return Key(self.seed, self.stream, self.offset)


Into: TypeAlias = Callable[[torch.Tensor, torch.Tensor, Draw], None]


class Rule:
    """One kind of dropout: how it is computed, and what its derivative is."""

    __slots__ = ("derivative", "into", "name")

    by_name: dict[str, Rule] = {}  # noqa: RUF012 - operators know rules by name

    def __init__(self, name: str, into: Into, derivative: Rule | None = None) -> None:
        self.name = name
        self.into = into  # computes the draw of a tensor into a second one, or into itself
        self.derivative = derivative or self
        self.by_name[name] = self


def _dropout_into(x: torch.Tensor, y: torch.Tensor, draw: Draw) -> None:
    p, seed, stream, offset, _, form, _ = draw
    if _bridge.dropout_tensor(x, y, p, seed, stream, offset, form):
        return
    _variant_into(variants.DROPOUT, x, y, draw)


def _variant_into(variant: Variant, x: torch.Tensor, y: torch.Tensor, draw: Draw) -> None:
    with _bridge.operands(x, y, draw.form) as (kind, source, target, shape):
        rate = variant.rate(draw.p, kind)
        apply(variant, (source,), (target,), kind, rate, draw.key, shape)


def _dropped_into(x: torch.Tensor, y: torch.Tensor, draw: Draw) -> None:
    """Dropped elements as they are, the others 0."""
    with _bridge.operands(x, y, draw.form) as (kind, source, target, shape):
        n = math.prod(shape)
        bits, backend = room_for(n), backends.active()
        backend.mask_packed(bits, n, draw.key, make_plan(draw.p, kind))
        mask, steps = np.invert(bits, out=bits), steps_of(shape)
        backend.run(Call("scale", kind, (source,), (target,), (1.0,), steps=steps, mask=mask))


def _noise_into(variant: Variant, x: torch.Tensor, y: torch.Tensor, draw: Draw) -> None:
    """The form is that of the positions: two for each variate, along a last axis of its own."""
    form = None if draw.form is None else draw.form[:-1]
    _variant_into(variant, x, y, draw._replace(form=form))


def _itself_into(x: torch.Tensor, y: torch.Tensor, draw: Draw) -> None:  # noqa: ARG001
    if y is not x:
        y.copy_(x)


def _blocks_into(axes: int, x: torch.Tensor, y: torch.Tensor, draw: Draw) -> None:
    """The form is that of the blocks' corners."""
    form, lengths = draw.form or (), tuple(x.shape[-axes:])
    block = lengths[0] - form[-axes] + 1
    with _bridge.operands(x, y, (*form[:-axes], *lengths)) as (kind, source, target, shape):
        apply_blocks(source, target, kind, draw.p, lengths, block, draw.key, shape)


DROPOUT = Rule("dropout", _dropout_into)
KEPT = Rule("kept", functools.partial(_variant_into, variants.DROPOUT_STANDARD))
LOST = Rule("lost", _dropped_into)
ALPHA_GRADIENT = Rule(
    "alpha_gradient", functools.partial(_variant_into, variants.ALPHA_DROPOUT_BACKWARD)
)
GAUSSIAN = Rule("gaussian", functools.partial(_noise_into, variants.GAUSSIAN_DROPOUT))
# Noise that is added has a standard deviation where the others have p.
NOISE = Rule(
    "noise",
    functools.partial(_noise_into, variants.GAUSSIAN_NOISE),
    Rule("itself", _itself_into),
)
ALPHA = Rule("alpha", functools.partial(_variant_into, variants.ALPHA_DROPOUT), ALPHA_GRADIENT)
DROP_BLOCK = {
    axes: Rule(f"drop_block{axes}d", functools.partial(_blocks_into, axes)) for axes in (2, 3)
}


Form: TypeAlias = "Sequence[int] | None"
"""The mask's shape as calls and operators give it, for tensors of any size: see `shape_of`."""


def shape_of(form: Form, lengths: Sequence[int]) -> tuple[int, ...] | None:
    """The mask's shape for a tensor of these lengths; None is the tensor's own shape.

    A number of the form from 0 on is a length. A negative one, -b, stands for the places that a
    block of b elements can lie at in the tensor's axis of the same index: -1 is the axis' length. A
    block that is longer than one of its axes is taken for as long as the shortest of them.
    """
    if form is None:
        return None
    if all(n >= -1 for n in form):
        return tuple([n if n >= 0 else lengths[i] for i, n in enumerate(form)])
    blocks: dict[int, int] = {}
    for n, length in zip(form, lengths, strict=False):
        if n < 0:
            blocks[n] = min(blocks.get(n, -n), length) if n < -1 else 1
    return tuple(n if n >= 0 else lengths[i] - blocks[n] + 1 for i, n in enumerate(form))


def decisions(x: torch.Tensor, form: Form) -> int:
    """How many positions of the stream a draw takes."""
    return positions(x, shape_of(form, x.shape))


def positions(x: torch.Tensor, shape: tuple[int, ...] | None) -> int:
    """The same for a mask's shape, as `shape_of` gives it."""
    return x.numel() if shape is None else math.prod(shape)
