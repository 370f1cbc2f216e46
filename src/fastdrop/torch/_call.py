"""A training call on any tensor: what all functions that draw have in common.

The public functions check their own arguments and come here. What comes back is the
result, or None for a tensor that is left to PyTorch's own operator.
"""

from __future__ import annotations

import math

import torch

from fastdrop._rng import Key
from fastdrop.variants import DROPOUT, Variant

from ._autograd import apply_in_place, drawn, intercepted, is_ordinary, keepable, records
from ._bridge import check_stored, has_memory, is_distributed, kind_of, readable, taken, tensor_size
from ._draw import Draw, Form, compute, decisions, is_act, is_drawn, positions, shape_of
from ._keys import key_for, word_for
from ._ops import key_tensor
from ._private import (
    forward_ad,
    is_functional_tensor,
    is_legacy_batchedtensor,
    unwrap_dead_wrappers,
    writable_view,
)
from ._seeding import AnyGenerator, Seed, words_for

__all__ = ["call", "call_both", "call_several", "check_writable", "key_for", "word_for"]


def call(
    x: torch.Tensor,
    p: float,
    inplace: bool,
    generator: AnyGenerator,
    seed: Seed,
    variant: Variant = DROPOUT,
    form: Form = None,
) -> torch.Tensor | None:
    """A draw of `x`, or None where `x` is of no kind that is computed here."""
    if is_ordinary(x):
        size = tensor_size(x)
        if size > 0:
            if inplace:
                check_written(x)
            shape = None if form is None else shape_of(form, x.shape)
            n = size if shape is None else math.prod(shape)
            draw = Draw(p, *words_for(n, generator, seed), variant, shape)
            return in_place(x, draw) if inplace else drawn(x, draw)
    return _unusual(x, p, inplace, generator, seed, variant, form)


def check_writable(x: torch.Tensor) -> None:
    """What PyTorch would say of a tensor that can be written to by nobody."""
    if x.is_inference() and not torch.is_inference_mode_enabled():
        raise RuntimeError(
            "Inplace update to inference tensor outside InferenceMode is not allowed."
            "You can make a clone to get a normal tensor before doing inplace update."
            "See https://github.com/pytorch/rfcs/pull/17 for more details."
        )
    if x._is_zerotensor():
        raise RuntimeError(
            "ZeroTensors are immutable. Please use the materialized zero tensor obtained using "
            ".clone() if you want a mutable tensor."
        )


def check_written(x: torch.Tensor) -> None:
    """What PyTorch would say, before anything is drawn or written."""
    check_writable(x)
    if torch.is_grad_enabled():
        base = x._base
        if base is None and x.requires_grad and x.is_leaf:
            raise RuntimeError(
                "a leaf Variable that requires grad is being used in an in-place operation."
            )
        if base is not None and base.requires_grad and base.is_leaf:
            raise RuntimeError(
                "a view of a leaf Variable that requires grad is being used in an in-place "
                "operation."
            )
        if base is not None and x.requires_grad and not writable_view(x):
            x.mul_(1.0)  # PyTorch's error names what the view is from
    if not x.is_contiguous() and any(
        step == 0 and n > 1 for n, step in zip(x.shape, x.stride(), strict=True)
    ):
        raise RuntimeError(
            "unsupported operation: more than one element of the written-to tensor refers to a "
            "single memory location. Please clone() the tensor before performing the operation."
        )


def in_place(x: torch.Tensor, draw: Draw) -> torch.Tensor:
    """A draw of an ordinary tensor into itself, which `check_written` lets be written to."""
    base = x._base if torch.is_grad_enabled() else None
    if records(x) or (base is not None and base.requires_grad):
        if base is None and not forward_ad._current_level >= 0:
            return apply_in_place(x, draw)
        # Views and tangents follow rules of their own, which are copy_'s too.
        return x.copy_(drawn(x, draw))
    compute(draw, (x,), (x,))
    if not x.is_inference():
        torch.autograd.graph.increment_version(x)
    return x


def _unusual(
    x: object,
    p: float,
    inplace: bool,
    generator: AnyGenerator,
    seed: Seed,
    variant: Variant,
    form: Form,
) -> torch.Tensor | None:
    if not isinstance(x, torch.Tensor):
        return None
    if not taken(x):
        if is_distributed(x):
            from . import _distributed  # at first use: it imports a large part of PyTorch

            y = _distributed.call(x, p, inplace, generator, seed, variant, form)
            if y is not None:
                return y
        if generator is None and seed is None:
            return None
        raise NotImplementedError(
            "generator and seed have to be left out for a tensor that PyTorch's own operator takes "
            f"({kind_of(x)}): it knows neither"
        )
    if not _is_direct(x):
        if inplace and not torch.compiler.is_compiling():
            check_written(x)
        y = intercepted(x, key_for(x, form, generator, seed), p, variant, form)
        return x.copy_(y) if inplace else y
    if x.numel() == 0:
        return x
    (alive,) = unwrap_dead_wrappers((x,))
    if alive is not x:
        return call(alive, p, inplace, generator, seed, variant, form)
    if inplace:
        check_written(x)
    if not has_memory(x):
        plain = call(readable(x), p, False, generator, seed, variant, form)
        return x.copy_(plain) if inplace and plain is not None else plain
    # Another backend than C is in use: the same ways lead to it.
    shape = shape_of(form, x.shape)
    draw = Draw(p, *words_for(positions(x, shape), generator, seed), variant, shape)
    return in_place(x, draw) if inplace else drawn(x, draw)


def call_both(
    one: tuple[torch.Tensor, Variant],
    other: tuple[torch.Tensor, Variant],
    p: float,
    generator: AnyGenerator,
    seed: Seed,
) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Two tensors of one shape by two variants and one mask, or None as in `call`."""
    (x, variant), (y, other_variant) = one, other
    if not taken(x) or not taken(y):
        return None
    n = decisions(x, None)
    if is_ordinary(x) and is_ordinary(y):
        check_stored(x, y)
        key = Key(*words_for(n, generator, seed)) if n else Key(0)
        first = call(x, p, False, None, key, variant)
        second = call(y, p, False, None, key, other_variant)
        return None if first is None or second is None else (first, second)
    # The one that more than autograd looks at decides what kind of key it is.
    word = key_for(y if is_ordinary(x) else x, None, generator, seed)
    return intercepted(x, word, p, variant, None), intercepted(y, word, p, other_variant, None)


def call_several(
    x: torch.Tensor,
    other: torch.Tensor | None,
    bias: torch.Tensor | None,
    p: float,
    generator: AnyGenerator,
    seed: Seed,
    variant: Variant,
    act: str = "none",
) -> torch.Tensor:
    """A variant of several operands, which are of a kind that is computed here.

    Nothing is drawn where the variant draws nothing, and where `x` is empty.
    """
    given = [tensor for tensor in (x, other, bias) if tensor is not None]
    drawing = is_drawn(variant) and x.numel() != 0
    if all(map(_is_direct, given)):
        alive = map(readable, unwrap_dead_wrappers(tuple(given)))
        if is_act(variant):  # which keeps its operands
            alive = map(keepable, alive)
        x = next(alive)
        other, bias = (None if tensor is None else next(alive) for tensor in (other, bias))
        words = words_for(x.numel(), generator, seed) if drawing else (0, 0, 0)
        direct: torch.Tensor = drawn(x, Draw(p, *words, variant, act=act), other, bias)
        return direct
    if drawing:
        # One that more than autograd looks at decides what kind of key it is.
        like = other if other is not None and _is_direct(x) and not _is_direct(other) else x
        word = key_for(like, None, generator, seed)
    else:
        word = key_tensor((0, 0, 0))
    y: torch.Tensor = intercepted(x, word, p, variant, None, other, bias, act)
    return y


def _is_direct(x: torch.Tensor) -> bool:
    """Whether nothing but autograd looks at what happens to the elements of `x`."""
    return is_ordinary(x) and not is_legacy_batchedtensor(x) and not is_functional_tensor(x)
