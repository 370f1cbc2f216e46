"""Parts of larger tensors: a part gets its part of the mask that the whole tensor gets.

A `Draw` has the window, so that `backward` computes the same part again. Only autograd may look
on: operators that tracers see have no windows.
"""

from __future__ import annotations

import math

import torch

from fastdrop import _arrays
from fastdrop._window import Window, WindowLike, check_window
from fastdrop.variants import DROPOUT, Variant

from ._autograd import drawn, is_ordinary, keepable
from ._bridge import check_stored, has_memory, no_window, readable, taken
from ._call import check_written, in_place
from ._draw import Draw, Form, Operands, is_act, shape_of
from ._private import disable_dynamo
from ._seeding import AnyGenerator, Seed, words_for


@disable_dynamo  # a compiled graph is cut here, and goes on after it
def part_of(operands: Operands, window: WindowLike, argument: str = "input") -> Window:
    """`window`, if the operands, the first of which is called `argument`, are parts as it says."""
    for tensor in operands:
        if tensor is not None and not (taken(tensor) and is_ordinary(tensor)):
            raise no_window(tensor)
    return check_window(window, tuple(operands[0].shape), argument)


@disable_dynamo
def windowed(
    operands: Operands,
    p: float,
    training: bool,
    inplace: bool,
    generator: AnyGenerator,
    seed: Seed,
    window: WindowLike,
    variant: Variant = DROPOUT,
    form: Form = None,
    act: str = "none",
    argument: str = "input",
) -> torch.Tensor:
    """The work of a function on parts of larger tensors; where nothing is dropped, the first.

    Its `p` is checked, and so are the operands, as the function checks them; the first is called
    `argument`.
    """
    training = _arrays.check_flag(training, "training")
    x, other, bias = operands
    found = part_of(operands, window, argument)
    if not training or p == 0.0:
        return x
    if inplace:
        check_written(x)
    check_stored(*operands)
    whole = shape_of(form, found.shape)
    n = math.prod(found.shape if whole is None else whole)
    words = words_for(n, generator, seed) if math.prod(found.shape) else (0, 0, 0)
    draw = Draw(float(p), *words, variant, whole, None, act, found)
    if inplace and x.numel() and has_memory(x):
        return in_place(x, draw)
    given = readable(x)
    more = [None if t is None else readable(t) for t in (other, bias)]
    if is_act(variant):  # which keeps its operands
        given, more[1] = keepable(given), None if more[1] is None else keepable(more[1])
    y: torch.Tensor = drawn(given, draw, *more)
    return x.copy_(y) if inplace else y
