"""What names a mask, and what can be done with one: a rule for each kind of dropout.

A `Draw` is all that `backward` keeps of a call. A `Rule` says how values are computed from a draw,
and which rule is its derivative. All rules act on each element by itself, as a line in its value:
the derivative's rule is then its own derivative, and one autograd function serves all rules, to
any order.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import torch

from fastdrop._rng import Key

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
    if form is None and _bridge.dropout_tensor(x, y, p, seed, stream, offset):
        return
    _bridge.dropout_arrays(x, y, p, draw.key, form or tuple(x.shape))


DROPOUT = Rule("dropout", _dropout_into)


def decisions(x: torch.Tensor, form: tuple[int, ...] | None) -> int:
    """How many positions of the stream a draw takes."""
    return x.numel() if form is None else math.prod(form)
