"""What names a mask, and what is computed with one: the declarations of `variants`, on tensors.

A `Draw` is all that `backward` keeps of a call of most variants: no tensor. `compute` computes it
again, of the same operands or of gradients. `_derivatives` says which variant a derivative is.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import torch

from fastdrop import backends, variants
from fastdrop._bias import lengthened
from fastdrop._rates import Rate, factor_rate
from fastdrop._rng import Key
from fastdrop._window import Place, Window, place_of
from fastdrop.backends.call import Call
from fastdrop.pipeline import apply
from fastdrop.variants import Variant

from . import _bridge

if TYPE_CHECKING:
    from fastdrop._arrays import Array

# --- variants by name ----------------------------------------------------------------------------

_EVALUATION: Final = "_evaluation"


def _evaluation(variant: Variant) -> Variant:
    """What is computed where nothing is drawn, as a variant that draws nothing."""
    evaluation = variant.evaluation
    assert evaluation is not None
    same = variant.gradient == "same"
    return dataclasses.replace(
        variant,
        function=variant.function + _EVALUATION,
        operation=evaluation.operation,
        rate=lambda p, kind: Rate(None, evaluation.numbers(p, kind)),
        evaluation=None,
        gradient="same" if same else variant.gradient + _EVALUATION,
    )


KEPT: Final = dataclasses.replace(variants.DROPOUT_STANDARD, function="kept", evaluation=None)
"""Kept elements as they are: nothing is scaled."""

_DRAWING: Final = [v for v in variants.VARIANTS if v is not variants.DROPOUT_STANDARD]

NAMED: Final[dict[str, Variant]] = {
    variant.function: variant
    for variant in (*_DRAWING, *[_evaluation(v) for v in _DRAWING if v.evaluation], KEPT)
}
"""Operators know variants by these names; "..._evaluation" is what evaluation computes."""


def evaluation_of(variant: Variant) -> Variant:
    """What a variant computes where nothing is drawn."""
    return NAMED[variant.function + _EVALUATION]


def is_drawn(variant: Variant) -> bool:
    """Whether the values depend on a key."""
    return not variant.function.endswith(_EVALUATION)


# --- draws ---------------------------------------------------------------------------------------


class Draw(NamedTuple):
    """A call's probability, its place in the random stream, and what is done there."""

    p: float
    """Or the deviation of noise."""
    seed: int
    stream: int
    offset: int
    variant: Variant
    form: tuple[int, ...] | None = None
    """The mask's shape, 1 along axes that share decisions; None is the tensor's own shape."""
    strides: tuple[int, ...] | None = None
    """The result's, where they are not those of C order: for gradients that have no order."""
    act: str = "none"
    window: Window | None = None
    """Where the tensor lies in a larger one; `form` is then the mask's shape for all of that."""

    @property
    def key(self) -> Key:
        """Where in the stream the mask begins."""
        return Key(self.seed, self.stream, self.offset)


Operands: TypeAlias = "tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]"
"""What variants read: one or two tensors of one shape, and the bias of an activation."""


def is_act(variant: Variant) -> bool:
    """Whether it is an activation, or the slope of one: not linear, and with a bias."""
    return variant.operation.startswith("act")


def compute(
    draw: Draw,
    reads: Sequence[torch.Tensor],
    writes: Sequence[torch.Tensor],
    bias: torch.Tensor | None = None,
) -> None:
    """The values of a draw of tensors of one shape and dtype; the first may be written to."""
    p, seed, stream, offset, variant, form, _, _, window = draw
    place = None
    if window is not None and is_drawn(variant):
        place, form = _place_of(draw, window, tuple(reads[0].shape)), None
        if place.steps is None:  # the part's decisions follow each other, as those of a whole do
            offset = place.key(draw.key, variant.positions).offset
            draw, place = Draw(p, seed, stream, offset, variant, act=draw.act), None
    if (
        variant.rate is factor_rate
        and place is None
        and variant.operation == "scale"
        and _bridge.dropout_tensor(reads[0], writes[0], p, seed, stream, offset, form)
    ):
        return
    shape = form[:-1] if form is not None and variant.operation.startswith("noise") else form
    call = draw, *_bridge.operands(reads, writes, shape if place is None else place.steps)
    if reads[0].numel() < _bridge.SMALL:
        _compute(*call, reads[0], bias, place)
    else:
        with _bridge.limits(fresh=writes[0] is not reads[0]):
            _compute(*call, reads[0], bias, place)


def _place_of(draw: Draw, window: Window, shape: tuple[int, ...]) -> Place:
    """Where the decisions of a part of that shape are among those of the whole."""
    whole = window.shape if draw.form is None else draw.form[: len(window.shape)]
    return place_of(whole, shape, window.start)


def _compute(
    draw: Draw,
    kind: str,
    sources: tuple[Array, ...],
    results: tuple[Array, ...],
    decisions: tuple[int, ...] | None,
    x: torch.Tensor,
    bias: torch.Tensor | None,
    place: Place | None,
) -> None:
    variant, extra = draw.variant, None
    rate = variant.rate(draw.p, kind)
    if is_act(variant):
        # To add -0.0 changes nothing, not even another -0.0.
        added = x.new_full((1,), -0.0) if bias is None else _bridge.readable(bias)
        extra = draw.act, lengthened(_bridge.array_of(added), sources[0], kind)
    if not is_drawn(variant):
        call = Call(variant.operation, kind, sources, results, rate.numbers)
        if extra is not None:
            call = call._replace(act=extra[0], bias=extra[1])
        backends.active().run(call)
    elif place is not None:
        place = place._replace(steps=decisions)
        apply(variant, sources, results, kind, rate, draw.key, act=extra, place=place)
    else:
        apply(variant, sources, results, kind, rate, draw.key, decisions, extra)


# --- forms ---------------------------------------------------------------------------------------

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
    shape = [m if n == -1 else n for n, m in zip(form, lengths, strict=False)]
    if not shape or min(shape) >= 0:
        return (*shape, *form[len(shape) :])
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


class _Lengths(NamedTuple):
    """What declarations ask of an array to say what is decided as one."""

    shape: tuple[int, ...]

    @property
    def ndim(self) -> int:
        return len(self.shape)


_LONG: Final = 1 << 40  # longer than any block

_FORMS: Final = 256  # so many are remembered at most
_forms: dict[tuple[object, ...], tuple[int, ...]] = {}


def form_of(
    variant: Variant, x: torch.Tensor, option: tuple[object, ...], argument: str
) -> tuple[int, ...] | None:
    """The form that the declaration's decisions have for tensors with as many axes as `x`.

    Raises what the declaration says of the tensor, which the caller knows as `argument`.
    """
    if variant.decisions is None:
        if variant.positions > 1:
            return (*(-1,) * x.dim(), variant.positions)
        return None
    known = (variant.function, x.dim(), option)
    # By the types that options have: 1.0, which is no axis, equals 1.
    remembers = not torch.compiler.is_compiling() and type(option[0] if option else 0) in (int, str)
    if remembers:
        form = _forms.get(known)
        if form is not None:
            return form
    variant.decisions(_Lengths(tuple(x.shape)), *option, argument=argument)
    shape = variant.decisions(_Lengths((_LONG,) * x.dim()), *option, argument=argument)
    if shape is None:
        return None
    form = tuple([n - _LONG - 1 if n > 1 else 1 for n in shape])
    if remembers:
        if len(_forms) >= _FORMS:
            _forms.clear()
        _forms[known] = form
    return form
