"""Parts of larger tensors: a part gets its part of the mask that the whole tensor gets.

`backward` computes the same part of the same draw again, of the gradient. Only autograd may look
on: operators that tracers see have no windows.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch

from fastdrop import _arrays
from fastdrop._rng import Key
from fastdrop._window import Window, WindowLike, check_window, place_of
from fastdrop.pipeline import apply
from fastdrop.variants import DROPOUT, Variant

from ._autograd import is_ordinary
from ._bridge import check_stored, kind_of, limits, operands, readable, taken
from ._call import check_written
from ._derivatives import by_layout, derivative_of
from ._draw import Form, shape_of
from ._private import disable_dynamo
from ._seeding import AnyGenerator, Seed, Words, words_for


class Part(NamedTuple):
    """A draw of a part of a tensor."""

    variant: Variant
    p: float
    words: Words
    window: Window
    decisions: tuple[int, ...]
    """Their shape in the whole, 1 along axes that share them."""


def whole_decisions(variant: Variant, form: Form, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of the decisions for a whole tensor of that shape."""
    whole = shape_of(form, shape)
    if whole is None:
        return shape
    return whole[:-1] if variant.operation.startswith("noise") else whole


def into_new(x: torch.Tensor, part: Part) -> torch.Tensor:
    """The values of a part, in a new tensor."""
    y = torch.empty_like(x)
    if x.numel():
        kind, sources, results, _ = operands((x,), (y,), None)
        place = place_of(part.decisions, tuple(x.shape), part.window.start)
        if place.steps is not None and x.dim() > _arrays.FLAT_AXES:
            steps = zip(place.steps, x.shape, strict=True)
            place = place._replace(steps=tuple([step for step, n in steps if n != 1]))
        rate = part.variant.rate(part.p, kind)
        with limits(fresh=True):
            apply(part.variant, sources, results, kind, rate, Key(*part.words), place=place)
    return y


class _Drawn(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, part: Part) -> torch.Tensor:
        ctx.part = part
        return into_new(x, part)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        return by_layout(lambda g: _derivative(g, ctx.part), gradient), None

    @staticmethod
    def jvp(ctx: Any, tangent: torch.Tensor, _: None) -> torch.Tensor:
        return _derivative(tangent, ctx.part)


def _derivative(x: torch.Tensor, part: Part) -> torch.Tensor:
    variant = derivative_of(part.variant)
    # Nothing but a copy: autograd takes no view for a tangent.
    return x.clone() if variant is None else _Drawn.apply(x, part._replace(variant=variant))


@disable_dynamo  # a compiled graph is cut here, and goes on after it
def windowed(
    x: object,
    p: float,
    training: bool,
    inplace: bool,
    generator: AnyGenerator,
    seed: Seed,
    window: WindowLike,
    variant: Variant = DROPOUT,
    form: Form = None,
) -> torch.Tensor:
    """The work of a function on a part of a larger tensor; its `p` is checked."""
    training = _arrays.check_flag(training, "training")
    if not isinstance(x, torch.Tensor) or not taken(x) or not is_ordinary(x):
        came = kind_of(x) if isinstance(x, torch.Tensor) else type(x).__name__
        raise NotImplementedError(
            "window has to be left out within transforms, and for what is no strided tensor of "
            f"float16, bfloat16, float32 or float64 in the CPU's memory, but got {came}"
        )
    found = check_window(window, tuple(x.shape), "input")
    whole = whole_decisions(variant, form, found.shape)
    if not training or p == 0.0 or not math.prod(found.shape):
        return x
    if inplace:
        check_written(x)
    check_stored(x)
    words = words_for(variant.positions * math.prod(whole), generator, seed)
    part = Part(variant, float(p), words, found, whole)
    y: torch.Tensor = _Drawn.apply(readable(x), part)
    return x.copy_(y) if inplace else y
