"""Bias, activation and dropout together, and the gradient."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._plan import Plan
from fastdrop.stream import Key

from . import functions
from .arithmetic import factor, masked, rounded, widened
from .draw import CHUNK, keep

if TYPE_CHECKING:
    from fastdrop._runs import Bias

Array = np.ndarray[Any, np.dtype[Any]]

ACTIVATIONS: dict[str, tuple[Callable[[Array], Array], Callable[[Array], Array]]] = {
    "none": (lambda x: x, np.ones_like),
    "relu": (functions.relu, functions.relu_slope),
    "gelu": (functions.gelu, functions.gelu_slope),
    "gelu_tanh": (functions.gelu_tanh, functions.gelu_tanh_slope),
    "silu": (functions.silu, functions.silu_slope),
}
"""Each with its derivative."""


def _biased(x: Array, part: slice, bias: "Bias", kind: str) -> Array:
    """A part of x plus the bias, in the compute type."""
    column = (np.arange(part.start, part.stop) + bias.column) % bias.n
    return widened(x[part], kind) + widened(bias.values[column], kind)


def _kept(y: Array, part: slice, key: Key | None, plan: Plan) -> Array:
    return y if key is None else masked(y, keep(key, plan, part.start, part.stop))


def bias_act(
    x: Array, out: Array, kind: str, act: str, bias: "Bias", key: Key | None, plan: Plan
) -> None:
    """Dropout of ``act(x + bias)``; everything is kept without a key."""
    for start in range(0, x.size, CHUNK):
        part = slice(start, min(start + CHUNK, x.size))
        with np.errstate(all="ignore"):
            y = ACTIVATIONS[act][0](_biased(x, part, bias, kind)) * factor(plan.scale, kind)
        out[part] = rounded(_kept(y, part, key, plan), kind)


def bias_act_slope(
    dy: Array,
    x: Array,
    out: Array,
    kind: str,
    act: str,
    bias: "Bias",
    key: Key | None,
    plan: Plan,
) -> None:
    """The gradient with respect to ``x + bias``."""
    for start in range(0, x.size, CHUNK):
        part = slice(start, min(start + CHUNK, x.size))
        with np.errstate(all="ignore"):
            slope = ACTIVATIONS[act][1](_biased(x, part, bias, kind))
            dx = (widened(dy[part], kind) * factor(plan.scale, kind)) * slope
        out[part] = rounded(_kept(dx, part, key, plan), kind)
