"""Keys as tensors: for operators, and for whatever traces or transforms them.

Where more than autograd looks on, a key is drawn by the operator ``fastdrop::key``, which a graph
records, and which draws anew whenever the graph runs.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.compiler import is_compiling

from . import _ops
from ._autograd import is_ordinary, outside
from ._draw import Form, decisions
from ._private import get_unwrapped, is_functorch_wrapped_tensor, transforms_active
from ._seeding import RANGE, AnyGenerator, Seed, Source, words_for


def word_for(x: torch.Tensor, n: int | None, generator: AnyGenerator, seed: Seed) -> torch.Tensor:
    """The key of `n` decisions, or one for each element of `x`, for an operator.

    A trace holds the number, but follows the elements.
    """
    if is_ordinary(x):
        return _ops.key_tensor(words_for(x.numel() if n is None else n, generator, seed))
    # A symbol stays one; what `torch.jit.trace` has in the place of an integer may be a tensor.
    count: Any = n
    form: Any = None if n is None else (count if isinstance(count, torch.SymInt) else int(n),)
    return key_for(x, form, generator, seed)


def key_for(x: torch.Tensor, form: Form, generator: AnyGenerator, seed: Seed) -> torch.Tensor:
    """What tracers and transforms see of `words_for`, for a draw of `x`."""
    with outside(x):
        if seed is not None:
            return _ops.key_tensor(words_for(decisions(x, form), generator, seed))
        if transforms_active():
            return _transformed_key(x, form, generator)
        if generator is None:
            return _ops.key_op(x, 0, form)
        if torch.compiler.is_exporting():
            raise NotImplementedError(
                "a module or call with a generator or seed of its own cannot be exported: the "
                "program would have to carry the generator. Export it with PyTorch's default "
                "generator, by leaving generator and seed out"
            )
        # Dynamo follows sources, not their class.
        source = generator if isinstance(generator, Source) else Source.of(generator)
        return _ops.key_op(x, source.number, form)


def _transformed_key(x: torch.Tensor, form: Form, generator: AnyGenerator) -> torch.Tensor:
    """A key that follows vmap's `randomness`: it has a batch where the samples' masks differ."""
    rest = torch.zeros(2, dtype=torch.int64, device="cpu")
    if isinstance(generator, Source):
        if is_compiling():
            raise NotImplementedError(
                "vmap of a module with a generator or seed of its own cannot be compiled"
            )
        generator = generator.generator
    if generator is None or isinstance(generator, torch.Generator):
        # PyTorch decides for how many samples, and whether it is allowed.
        word = torch.randint(0, RANGE, (1,), generator=generator, device="cpu")
        return torch.cat((word, rest))
    probe = torch.randint(0, 1, (1,), generator=torch.Generator(), device="cpu")
    batch = _size_of_batch(probe)
    words = _ops.key_tensor(words_for(decisions(x, form) * batch, generator, None))
    return torch.cat((probe, rest)) + words


def _size_of_batch(x: torch.Tensor) -> int:
    """How many samples there are in all of what vmap made of one number."""
    while is_functorch_wrapped_tensor(x):
        x = get_unwrapped(x)
    return x.numel()
