"""The element-wise operations, each on a part of the elements: see ``backends.call.Operation``.

Each is given the call, which elements these are, what was drawn for them (decisions, True to keep,
or normal variates; None where nothing is), and the operands.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from fastdrop._arrays import Array
from fastdrop.backends.call import Call

from . import functions
from .arithmetic import factor, masked, multiplied, rounded, widened

Results: TypeAlias = tuple[Array, ...]

ACTIVATIONS: dict[str, tuple[Callable[[Array], Array], Callable[[Array], Array]]] = {
    "none": (lambda x: x, np.ones_like),
    "relu": (functions.relu, functions.relu_slope),
    "gelu": (functions.gelu, functions.gelu_slope),
    "gelu_tanh": (functions.gelu_tanh, functions.gelu_tanh_slope),
    "silu": (functions.silu, functions.silu_slope),
}
"""Each with its derivative."""


def _kept(y: Array, keep: Array | None) -> Array:
    return y if keep is None else masked(y, keep)


def scale(call: Call, _: slice, keep: Array | None, x: Array) -> Results:
    """``x * scale``, or +0.0."""
    return (_kept(multiplied(x, call.kind, call.numbers[0]), keep),)


def affine(call: Call, _: slice, keep: Array, x: Array) -> Results:
    """``x * scale + shift``, or a constant."""
    scale, shift, dropped = (factor(value, call.kind) for value in call.numbers)
    y = widened(x, call.kind) * scale + shift
    return (rounded(np.where(keep, y, dropped), call.kind),)


def add(call: Call, _: slice, keep: Array | None, x: Array, residual: Array) -> Results:
    """``x * scale + residual``, or the residual."""
    product = widened(x, call.kind) * factor(call.numbers[0], call.kind)
    total = _kept(product, keep) + widened(residual, call.kind)
    return (rounded(total, call.kind),)


def select(_call: Call, _: slice, keep: Array, a: Array, b: Array) -> Results:
    """``a``, or ``b``."""
    return (np.where(keep, a, b),)


def split(_call: Call, _: slice, keep: Array, dy: Array) -> Results:
    """``dy`` to one of two, +0.0 to the other."""
    return masked(dy, keep), masked(dy, ~keep)


def mix(call: Call, _: slice, _keep: None, a: Array, b: Array) -> Results:
    """``a * keep + b * drop``."""
    keep, drop = (factor(value, call.kind) for value in call.numbers)
    return (rounded(widened(a, call.kind) * keep + widened(b, call.kind) * drop, call.kind),)


def unmix(call: Call, _: slice, _keep: None, dy: Array) -> Results:
    """``dy * keep`` and ``dy * drop``."""
    keep, drop = call.numbers
    return multiplied(dy, call.kind, keep), multiplied(dy, call.kind, drop)


def _biased(call: Call, part: slice, x: Array) -> Array:
    """A part of x plus the bias, in the compute type."""
    assert call.bias is not None
    values, n, first = call.bias
    column = (np.arange(part.start, part.stop) + first) % n
    return widened(x, call.kind) + widened(values[column], call.kind)


def act(call: Call, part: slice, keep: Array | None, x: Array) -> Results:
    """``act(x + bias) * scale``, or +0.0."""
    y = ACTIVATIONS[call.act][0](_biased(call, part, x)) * factor(call.numbers[0], call.kind)
    return (rounded(_kept(y, keep), call.kind),)


def act_slope(call: Call, part: slice, keep: Array | None, x: Array, dy: Array) -> Results:
    """``(dy * scale) * act'(x + bias)``, or +0.0."""
    slope = ACTIVATIONS[call.act][1](_biased(call, part, x))
    dx = (widened(dy, call.kind) * factor(call.numbers[0], call.kind)) * slope
    return (rounded(_kept(dx, keep), call.kind),)


def _noise(call: Call, variates: Array) -> Array:
    """``deviation * z``; the variates are binary32 for every kind."""
    deviation = factor(call.numbers[0], call.kind)
    product: Array = variates.astype(deviation.dtype) * deviation
    return product


def noise_factor(call: Call, _: slice, variates: Array, x: Array) -> Results:
    """``x * (1 + deviation * z)``."""
    return (rounded(widened(x, call.kind) * (1 + _noise(call, variates)), call.kind),)


def noise_add(call: Call, _: slice, variates: Array, x: Array) -> Results:
    """``x + deviation * z``."""
    return (rounded(widened(x, call.kind) + _noise(call, variates), call.kind),)


OPERATIONS: dict[str, Callable[..., Results]] = {
    function.__name__: function
    for function in (
        scale, affine, add, select, split, mix, unmix, act, act_slope, noise_factor, noise_add,
    )
}  # fmt: skip
