"""Parts of larger tensors: a part gets its part of the mask that the whole tensor gets.

A `Draw` has the window, so that `backward` computes the same part again. Only autograd may look
on: operators that tracers see have no windows.
"""

from __future__ import annotations

import math

import torch

from fastdrop import _arrays
from fastdrop._window import WindowLike, check_window
from fastdrop.variants import DROPOUT, Variant

from ._autograd import drawn, is_ordinary, keepable
from ._bridge import check_stored, no_window, readable, taken
from ._call import call_several, check_written
from ._draw import Draw, Form, Operands, evaluation_of, is_act, shape_of
from ._private import disable_dynamo
from ._seeding import AnyGenerator, Seed, words_for


@disable_dynamo  # a compiled graph is cut here, and goes on after it
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
    """The work of a function on parts of larger tensors.

    Its `p` is checked, and so are the operands, as the function checks them; the first is called
    `argument`.
    """
    training = _arrays.check_flag(training, "training")
    x, other, bias = operands
    for tensor in operands:
        if tensor is not None and not (taken(tensor) and is_ordinary(tensor)):
            raise no_window(tensor)
    found = check_window(window, tuple(x.shape), argument)
    if variant.operation == "select" and p == 0.0:
        return x
    if not training or p == 0.0:
        if variant.evaluation is None:
            return x
        return call_several(x, other, bias, p, None, None, evaluation_of(variant), act)
    if inplace:
        check_written(x)
    check_stored(*operands)
    whole = shape_of(form, found.shape)
    n = math.prod(found.shape if whole is None else whole)
    words = words_for(n, generator, seed) if math.prod(found.shape) else (0, 0, 0)
    draw = Draw(float(p), *words, variant, whole, None, act, found)
    given = readable(x)
    more = [None if t is None else readable(t) for t in (other, bias)]
    if is_act(variant):  # which keeps its operands
        given, more[1] = keepable(given), None if more[1] is None else keepable(more[1])
    y: torch.Tensor = drawn(given, draw, *more)
    return x.copy_(y) if inplace else y
