"""Arguments of PyTorch's functions: checked with its errors, or handed on to who overrides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.overrides import handle_torch_function


def hand_over(function: Callable[..., Tensor], input: Tensor, *arguments: Any) -> Tensor:
    """Leave the call to a tensor-like class, or to a mode, that overrides functions."""
    names = ("p", "training", "inplace", "generator", "seed", "window")
    result: Tensor = handle_torch_function(
        function, (input,), input, **dict(zip(names, arguments, strict=False))
    )
    return result


def refuse(p: float) -> None:
    raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")


def number(value: float | Tensor, function: str, argument: str = "p") -> float:
    """`value`; of a tensor its number, unless PyTorch takes it for none, as one with a gradient."""
    if not isinstance(value, Tensor):
        return value
    if value.requires_grad or value.dim():
        raise wrong_type(function, argument, "float", value)
    return float(value)


def wrong_type(function: str, argument: str, wanted: str, came: object) -> TypeError:
    """PyTorch's words."""
    return TypeError(
        f"{function}(): argument '{argument}' must be {wanted}, not {type(came).__name__}"
    )


def probability(p: float | Tensor, function: str, argument: str = "p") -> float:
    """`p`, if it is the probability of a call of that function."""
    p = number(p, function, argument)
    if p < 0.0 or p > 1.0 or p != p:
        refuse(p)
    return p
