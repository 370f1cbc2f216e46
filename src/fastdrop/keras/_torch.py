"""What is drawn where Keras runs on PyTorch."""

from __future__ import annotations

from typing import Any, Final

import keras
import torch
from torch.compiler import is_compiling

from fastdrop._rng import Key
from fastdrop.torch._autograd import intercepted, is_ordinary
from fastdrop.torch._bridge import taken
from fastdrop.torch._call import call
from fastdrop.torch._draw import NAMED
from fastdrop.variants import Variant

from ._private import draw_seed

__all__ = ["draw", "state_of", "takes"]

_WORD: Final = 0xFFFFFFFF  # Keras keeps 32 bits in a signed integer: PyTorch had no other


def takes(x: object) -> bool:
    """Whether `x` is a tensor that is computed here."""
    return isinstance(x, torch.Tensor) and taken(x)


def state_of(seed: Any) -> torch.Tensor:
    """Two numbers, as Keras draws them; in a graph without what Dynamo cannot trace."""
    if not is_compiling() or type(seed) is not keras.random.SeedGenerator:
        return draw_seed(seed)
    state = seed.state.value * 1
    seed.state.assign(state + torch.arange(2, dtype=state.dtype, device=state.device))
    return state


def draw(
    variant: Variant,
    x: torch.Tensor,
    p: float,
    shape: tuple[int, ...] | None,
    state: torch.Tensor,
) -> Any:
    """A training call at a state of Keras' generators; `shape` is that of the decisions."""
    named = NAMED[variant.function]
    form: tuple[int, ...] | None = None
    if variant.decisions is None:
        form = (*(-1,) * x.dim(), 2)
    elif shape is not None:
        form = tuple([1 if n == 1 else -1 for n in shape])
    if is_compiling() or not is_ordinary(state):
        # The graph keeps the state as an operand: it draws anew whenever it runs.
        words = state.to(device="cpu", dtype=torch.int64) & _WORD
        key = torch.nn.functional.pad(words, (0, 1))
        return intercepted(x, key, p, named, form)
    seed, stream = [word & _WORD for word in state.tolist()]
    return call(x, p, False, None, Key(seed, stream), named, form)
