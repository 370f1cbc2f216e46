"""The work of functions that PyTorch has nothing like, from their declarations: `pipeline.run`'s.

The argument and its dtype are checked, then p, the option and the flag; then a call draws and
computes. Errors name arguments as the functions of `fastdrop.torch` do.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Final, ParamSpec

import torch
from torch import Tensor
from torch.overrides import handle_torch_function

from fastdrop import _arrays
from fastdrop._window import WindowLike
from fastdrop.variants import Variant

from ._arguments import number, probability
from ._bridge import KINDS, is_distributed, kind_of, overridden, taken
from ._call import call, call_several
from ._draw import evaluation_of, form_of
from ._seeding import AnyGenerator, Seed
from ._windows import part_of, windowed

_Arguments = ParamSpec("_Arguments")

_LARGE: Final = 2.0**100
"""Less than this every dtype takes as a deviation."""

_TORCH_NAMES: Final = {"x": "input", "w": "weight"}
"""Arguments that PyTorch calls otherwise than the declarations do."""


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


def run(
    variant: Variant,
    input: object,
    p: float,
    training: bool,
    inplace: bool,
    generator: AnyGenerator,
    seed: Seed,
    *option: object,
    window: WindowLike | None = None,
) -> Tensor:
    """The work of a function of one tensor, or of a part of one.

    `option` is what the variant's decisions depend on.
    """
    name = variant.operands[0]
    name = _TORCH_NAMES.get(name, name)
    if not isinstance(input, Tensor):
        raise not_taken(input, name)
    if variant.operation == "noise_add":
        p, limit = number(p, variant.function, "std"), _LARGE
    else:
        p, limit = probability(p, variant.function), 1.0
    if variant.operation.startswith("noise") and not (_is_number(p) and 0 <= p < limit):
        # It has errors of its own. Asked where it may have one: compilers cannot follow it.
        variant.rate(p, KINDS.get(input.dtype, "float64"))
    form = None if input.is_nested else form_of(variant, input, option, name)
    if window is not None:
        if not taken(input) and not is_distributed(input):
            raise not_taken(input, name)
        part = (input, None, None)
        return windowed(
            part, p, training, inplace, generator, seed, window, variant, form, argument=name
        )
    if not _arrays.check_flag(training, "training") or p == 0.0:
        return input
    y = None if input.is_nested else call(input, float(p), inplace, generator, seed, variant, form)
    if y is None:
        raise not_taken(input, name)
    return y


def _is_number(value: object) -> bool:
    return isinstance(value, float | int | torch.SymFloat) and not isinstance(value, bool)


def run_several(
    variant: Variant,
    operands: Sequence[object],
    p: float,
    training: bool,
    generator: AnyGenerator,
    seed: Seed,
    bias: object = None,
    act: str = "none",
    window: WindowLike | None = None,
) -> Tensor:
    """The work of a function of two tensors, or of one and the bias of an activation.

    With a `window` they are parts of larger ones.
    """
    names = [_TORCH_NAMES.get(name, name) for name in variant.operands]
    x = operands[0]
    if not isinstance(x, Tensor):
        raise not_taken(x, names[0])
    p = float(probability(p, variant.function))
    training = _arrays.check_flag(training, "training")
    sharded = _is_sharded(x)
    if not taken(x) and not sharded:
        raise not_taken(x, names[0])
    tensors = [x]
    for other, name in zip(operands[1:], names[1:], strict=True):
        tensors.append(_like(other, x, name, names[0], sharded))
    values = None
    if bias is not None:
        if x.dim() == 0:
            raise ValueError(
                f"{names[0]} has to have at least 1 axis where there is a bias, but got shape ()"
            )
        values = _like(bias, x, "bias", names[0], sharded, last=True)
    if torch.is_autocast_enabled("cpu"):
        # As PyTorch's sums are there: of the wider dtype. A bias follows what it is added to.
        dtype = functools.reduce(torch.promote_types, [tensor.dtype for tensor in tensors])
        tensors = [tensor.to(dtype) for tensor in tensors]
        values = None if values is None else values.to(dtype)
    x, other_tensor = tensors[0], tensors[1] if len(tensors) > 1 else None
    dropping = training and p > 0.0
    if window is not None:
        parts = (x, other_tensor, values)
        if dropping:
            return windowed(
                parts, p, training, False, generator, seed, window, variant, None, act, names[0]
            )
        part_of(parts, window, names[0])  # which is evaluated as the whole is
    if variant.operation == "select" and training and not dropping:
        return x
    if not dropping:
        variant = evaluation_of(variant)
    if sharded:
        from . import _distributed

        return _distributed.call_several(x, other_tensor, values, p, generator, seed, variant, act)
    return call_several(x, other_tensor, values, p, generator, seed, variant, act)


def _is_sharded(x: object) -> bool:
    """Whether `x` is a DTensor whose shards are computed here."""
    if not isinstance(x, Tensor) or not is_distributed(x):
        return False
    from . import _distributed  # at first use: it imports a large part of PyTorch

    return _distributed.is_taken(x)


def _like(
    value: object, x: Tensor, argument: str, of: str, sharded: bool, last: bool = False
) -> Tensor:
    """`value` as a tensor of the shape of `x`, or of its `last` axis, and of its dtype.

    Autocast casts what is of another dtype. Beside a `sharded` tensor it is a DTensor, too.
    """
    if not isinstance(value, Tensor) or not (taken(value) or _is_sharded(value)):
        raise not_taken(value, argument)
    if sharded is not _is_sharded(value):
        raise TypeError(
            f"{argument} has to be a DTensor where {of} is one, and no DTensor where it is none, "
            f"but got {type(value).__name__} beside {type(x).__name__}"
        )
    if value.dtype != x.dtype and not torch.is_autocast_enabled("cpu"):
        raise TypeError(
            f"{argument} has to have {_arrays.whose(of)} dtype {x.dtype}, but got {value.dtype}"
        )
    shape = x.shape[-1:] if last else x.shape
    if value.shape != shape:
        whose = _arrays.whose(of)
        words = f"the shape {tuple(shape)} of {whose} last axis"
        words = words if last else f"{whose} shape {tuple(shape)}"
        raise ValueError(f"{argument} has to have {words}, but got {tuple(value.shape)}")
    return value
