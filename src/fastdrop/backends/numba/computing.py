"""Element-wise operations in the compute type, each on a contiguous piece.

A kernel, made of the conversions of a kind, is compiled on first use.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types

from fastdrop._arrays import Array
from fastdrop.backends.call import Call

from .drawn import of_piece
from .halves import conversions
from .jit import compiled
from .kernels import KINDS, MASK, draw, masking_kernel, types_of, vector, written
from .noise import normal

_WORDS = types.Array(types.uint32, 1, "C", readonly=True)


def numbers_of(piece: Call) -> list[Any]:
    """The numbers of the operation, in the compute type."""
    return [KINDS[piece.kind][2](number) for number in piece.numbers]


def _copied(piece: Call) -> Array:
    """The elements, where the result is to be."""
    x, out = piece.reads[0], piece.writes[0]
    if not np.may_share_memory(x, out):
        out[:] = x
    return out


def scale(piece: Call) -> None:
    """``x * scale`` where the decision is to keep, else +0.0: drawn and applied in one go."""
    x, kind, key, plan = _copied(piece), piece.kind, piece.key, piece.plan
    if key is None or plan is None:
        masking_kernel(kind)(x, of_piece(piece), np.uint8(1), *numbers_of(piece))
    else:
        draw(x, kind, key, plan._replace(scale=piece.numbers[0]), 0)


@functools.cache
def _kernel(
    operation: str, kind: str, reads: int, writes: int, numbers: int
) -> Callable[..., None]:
    """The kernel of an operation on so many arrays, with so many results and numbers."""
    load, store = conversions(kind)
    compute = KINDS[kind][2]
    one = compute(1)

    def affine(x: Array, keep: Array, scale: Any, shift: Any, dropped: Any) -> None:
        for i in range(x.size):
            y = load(x[i]) * scale + shift
            x[i] = store(y if keep[i] else dropped)

    def add(x: Array, residual: Array, out: Array, keep: Array, scale: Any) -> None:
        for i in range(x.size):
            # The product is made before it is chosen, or a branch would be mispredicted.
            product = load(x[i]) * scale
            kept = product if keep[i] else scale - scale
            out[i] = store(kept + load(residual[i]))

    def select(a: Array, b: Array, out: Array, keep: Array) -> None:
        for i in range(a.size):
            out[i] = a[i] if keep[i] else b[i]

    def split(dy: Array, new: Array, old: Array, keep: Array) -> None:
        zero = dy.dtype.type(0)
        for i in range(dy.size):
            gradient = dy[i]
            new[i] = gradient if keep[i] else zero
            old[i] = zero if keep[i] else gradient

    def mix(a: Array, b: Array, out: Array, _: Array, keep: Any, drop: Any) -> None:
        for i in range(a.size):
            out[i] = store(load(a[i]) * keep + load(b[i]) * drop)

    def unmix(dy: Array, new: Array, old: Array, _: Array, keep: Any, drop: Any) -> None:
        for i in range(dy.size):
            gradient = load(dy[i])
            new[i] = store(gradient * keep)
            old[i] = store(gradient * drop)

    def noise_factor(x: Array, out: Array, words: Array, deviation: Any) -> None:
        for i in range(x.size):
            out[i] = store(load(x[i]) * (one + compute(normal(words[i])) * deviation))

    def noise_add(x: Array, out: Array, words: Array, deviation: Any) -> None:
        for i in range(x.size):
            out[i] = store(load(x[i]) + compute(normal(words[i])) * deviation)

    functions = (affine, add, select, split, mix, unmix, noise_factor, noise_add)
    made = {function.__name__: function for function in functions}
    element, number = types_of(kind)
    arrays = [vector(element)] * reads + [written(element)] * writes
    drawn = _WORDS if operation.startswith("noise") else MASK
    return compiled(made[operation], kind, *arrays, drawn, *[number] * numbers)


def compute(piece: Call) -> None:
    """One of the other operations; ``affine`` works in place."""
    reads = () if piece.operation == "affine" else piece.reads
    writes = (_copied(piece),) if piece.operation == "affine" else piece.writes
    numbers = numbers_of(piece)
    kernel = _kernel(piece.operation, piece.kind, len(reads), len(writes), len(numbers))
    kernel(*reads, *writes, of_piece(piece), *numbers)
