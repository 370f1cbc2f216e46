"""What the functions have in common that PyTorch has nothing like."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec

from torch import Tensor
from torch.overrides import handle_torch_function

from fastdrop import _arrays

from ._bridge import kind_of, overridden
from ._call import call
from ._draw import DROPOUT, Rule
from ._seeding import AnyGenerator, Seed
from .functional import probability

_Arguments = ParamSpec("_Arguments")


def overridable(function: Callable[_Arguments, Tensor]) -> Callable[_Arguments, Tensor]:
    """Leave calls to tensor-like classes, and to modes, that override functions."""

    @functools.wraps(function)
    def front(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> Tensor:
        given = (*args, *kwargs.values())
        if overridden(given):
            result: Tensor = handle_torch_function(front, given, *args, **kwargs)
            return result
        return function(*args, **kwargs)

    return front


def not_taken(x: object, argument: str) -> TypeError:
    came = type(x).__name__
    if isinstance(x, Tensor):
        came = kind_of(x)
    return TypeError(
        f"{argument} has to be a strided tensor of float16, bfloat16, float32 or float64 in the "
        f"CPU's memory, but got {came}"
    )


def drops(x: object, p: float, training: bool, function: str, argument: str = "input") -> bool:
    """Whether anything is to be dropped, if the arguments are what they have to be."""
    if not isinstance(x, Tensor):
        raise not_taken(x, argument)
    p = probability(p, function)
    dropping = _arrays.check_flag(training, "training") and p > 0.0
    if dropping and x.is_nested:  # it has no shape to speak of
        raise not_taken(x, argument)
    return dropping


def drop(
    x: Tensor,
    p: float,
    inplace: bool,
    generator: AnyGenerator,
    seed: Seed,
    form: tuple[int, ...],
    rule: Rule = DROPOUT,
    argument: str = "input",
) -> Tensor:
    y = call(x, float(p), inplace, generator, seed, rule, form)
    if y is None:
        raise not_taken(x, argument)
    return y
