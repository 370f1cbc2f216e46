"""Derivatives of all variants, as draws again: of gradients and tangents, with the same decisions.

Every variant but an activation is linear, so that its derivative needs no operand. An activation's
first derivative is a variant, too; from the second on, formulas of PyTorch's operators stand beside
the draws. Whoever draws (autograd functions, operators, transforms) passes itself as `again`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, Protocol, TypeAlias, TypeVar

import torch
from torch.compiler import is_compiling

from fastdrop.variants import DROPOUT, Variant

from ._draw import NAMED, Operands, is_drawn
from ._private import disable_dynamo


class Again(Protocol):
    """Draws by the key of the call whose derivative is taken: one tensor, or two of them."""

    def __call__(
        self,
        variant: Variant,
        x: torch.Tensor,
        other: torch.Tensor | None = None,
        bias: torch.Tensor | None = None,
    ) -> Any: ...


Gradients: TypeAlias = "tuple[torch.Tensor | None, torch.Tensor | None, torch.Tensor | None]"
"""Of both operands and the bias."""


def derivative_of(variant: Variant) -> Variant | None:
    """What a gradient becomes, by the declaration; None for itself."""
    return variant if variant.gradient == "same" else NAMED.get(variant.gradient)


# --- gradients that are sparse -------------------------------------------------------------------


def dense(gradient: torch.Tensor) -> torch.Tensor:
    """A gradient that may be sparse, as that of an embedding is, for what reads all of it."""
    return gradient if gradient.layout is torch.strided else gradient.to_dense()


def by_layout(
    function: Callable[[torch.Tensor], torch.Tensor], gradient: torch.Tensor
) -> torch.Tensor:
    """A function of each element, 0 at 0, of a gradient that may be sparse and stays so."""
    if gradient.layout is torch.strided:
        return function(gradient)
    y = function(gradient.to_dense())
    return y.sparse_mask(gradient.coalesce()) if gradient.layout is torch.sparse_coo else y


# --- what compilers do not follow ----------------------------------------------------------------

Given = ParamSpec("Given")
Result = TypeVar("Result")


def apart(function: Callable[Given, Result]) -> Callable[Given, Result]:
    """`function`, which Dynamo leaves out of its graphs; compiled autograd brings it here."""
    hidden = disable_dynamo(function)

    @functools.wraps(function)
    def called(*arguments: Given.args, **keywords: Given.kwargs) -> Result:
        # The one that is hidden imports the compiler.
        result: Result = (hidden if is_compiling() else function)(*arguments, **keywords)
        return result

    return called


def views(*tensors: torch.Tensor) -> list[torch.Tensor]:
    """To take derivatives by each of them: the same tensor may be there more than once."""
    return [x.view_as(x).requires_grad_() for x in tensors]


@apart
def twice_derived(
    function: Callable[..., torch.Tensor],
    count: int,
    saved: Sequence[Any],
    rest: Sequence[Any],
    gradients: Sequence[torch.Tensor],
) -> tuple[torch.Tensor | None, ...]:
    """PyTorch's derivative of its derivative of `function` with respect to `count` arguments.

    `saved` and `rest` are the upper gradient and the function's arguments.
    """
    with torch.enable_grad():
        upper, *inputs = given = views(*saved[: count + 1])
        y = function(*inputs, *saved[count + 1 :], *rest)
        first = torch.autograd.grad(y, inputs, upper, create_graph=True)
    second = torch.autograd.grad(first, given, gradients, create_graph=torch.is_grad_enabled())
    return *second, *(None,) * (len(saved) + len(rest) - len(second))


# --- backward and forward ------------------------------------------------------------------------


def gradients(
    variant: Variant,
    again: Again,
    upper: tuple[torch.Tensor, ...],
    act: str,
    operands: Operands | None,
) -> Gradients:
    """With respect to the operands, from those with respect to the results.

    Operands are what `is_act` variants read, and None for all others.
    """
    if operands is not None:
        return _of_act(variant, again, dense(upper[0]), act, operands)
    derivative = derivative_of(variant)
    if variant.results == 2:
        return again(derivative, *map(dense, upper)), None, None  # type: ignore[arg-type]
    if derivative is not None and derivative.results == 2:
        first, second = again(derivative, dense(upper[0]))
        return first, second, None
    first = upper[0]
    if derivative is not None:
        first = by_layout(lambda g: again(derivative, g), first)
    # What is added as it is has the gradient as it is.
    return first, upper[0] if len(variant.operands) > 1 else None, None


def tangent(
    variant: Variant,
    again: Again,
    given: Gradients,
    act: str,
    operands: Operands | None,
) -> Any:
    """Of the results, from those of the operands, of which those that there are have one each."""
    x, other, bias = given
    assert x is not None
    if operands is None:
        if other is not None or variant.results == 2:
            return again(variant, x, other)  # it is linear in both
        derivative = derivative_of(variant)
        return x.clone() if derivative is None else again(derivative, x)
    moved = x if bias is None else x + bias
    if variant.operation == "act":
        return again(_slope(variant), operands[0], moved, operands[2])
    assert other is not None
    assert operands[1] is not None
    return again(variant, operands[0], other, operands[2]) + _bent(
        variant, again, moved * operands[1], act, operands
    )


# --- activations ---------------------------------------------------------------------------------


def _slope(variant: Variant) -> Variant:
    slope = derivative_of(variant)
    assert slope is not None
    return slope


def _of_act(
    variant: Variant, again: Again, upper: torch.Tensor, act: str, operands: Operands
) -> Gradients:
    x, dy, bias = operands
    if dy is None:
        dx, ddy = again(_slope(variant), x, upper, bias), None
    else:
        dx, ddy = _bent(variant, again, upper * dy, act, operands), again(variant, x, upper, bias)
    return dx, ddy, None if bias is None else _over_rows(dx)


def _over_rows(x: torch.Tensor) -> torch.Tensor:
    return x.sum(tuple(range(x.dim() - 1))) if x.dim() > 1 else x


def _bent(
    variant: Variant, again: Again, factor: torch.Tensor, act: str, operands: Operands
) -> torch.Tensor:
    """`factor` where an element is kept, times the second derivative of the activation."""
    if act in ("none", "relu"):
        return torch.zeros_like(factor)
    if is_drawn(variant):
        factor = again(DROPOUT, factor)
    x, _, bias = operands
    dtype = torch.float64 if x.dtype is torch.float64 else torch.float32
    z = x.to(dtype) if bias is None else x.to(dtype) + bias.to(dtype)
    return (factor.to(dtype) * _CURVATURES[act](z)).to(x.dtype)


def _gelu(z: torch.Tensor) -> torch.Tensor:
    density = torch.exp(z * z * -0.5) * (2 * math.pi) ** -0.5
    return density * (2 - z * z)


def _gelu_tanh(z: torch.Tensor) -> torch.Tensor:
    a, b = (2 / math.pi) ** 0.5, 0.044715
    t = torch.tanh(a * (z + b * z**3))
    first, second = a * (1 + 3 * b * z * z), 6 * a * b * z
    return (1 - t * t) * (first + z * 0.5 * (second - 2 * t * first * first))


def _silu(z: torch.Tensor) -> torch.Tensor:
    s = torch.sigmoid(z)
    return s * (1 - s) * (2 + z * (1 - 2 * s))


_CURVATURES = {"gelu": _gelu, "gelu_tanh": _gelu_tanh, "silu": _silu}
