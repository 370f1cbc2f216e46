"""Checks of bias and activation, and the repeated bias that backends read."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from . import _arrays
from ._arrays import Array
from ._rates import check_choice
from .backends.call import Bias

Activation: TypeAlias = Literal["none", "relu", "gelu", "gelu_tanh", "silu"]

ACTIVATIONS: Final[tuple[Activation, ...]] = ("none", "relu", "gelu", "gelu_tanh", "silu")

# Elements by which a bias is lengthened: operations read at most so many at once.
_LONGER = 4096


def check_activation(act: object) -> Activation:
    """`act`, if it is the name of an activation."""
    return check_choice(act, "act", ACTIVATIONS)


def as_bias(bias: npt.ArrayLike, x: Array) -> Array:
    """`bias` as an array for the rows of `x`."""
    array = _arrays.as_input_like(bias, x, "bias")
    if x.ndim == 0:
        raise ValueError("x has to have at least 1 axis where there is a bias, but got shape ()")
    if array.shape != x.shape[-1:]:
        raise ValueError(
            f"bias has to have the shape {x.shape[-1:]} of x's last axis, but got {array.shape}"
        )
    return array


def lengthened(bias: Array | None, x: Array, kind: str) -> Bias:
    """`bias` repeated, so that a run of `x` reads it without wrapping around; -0.0 for None."""
    if bias is None or bias.size == 0:
        bias = np.full(1, -0.0, x.dtype)  # the neutral element of addition: -0.0 + -0.0 is -0.0
    longer = np.empty(bias.size + min(_LONGER, x.size), bias.dtype)
    whole = longer.size // bias.size * bias.size
    longer[:whole].reshape(-1, bias.size)[...] = bias
    longer[whole:] = bias[: longer.size - whole]
    return Bias(_arrays.storage(longer, kind), bias.size, 0)
