"""Element-wise operations in the compute type, on contiguous arrays.

The bytes of a chunk's mask are drawn into a buffer; a kernel, made of the conversions of a kind, is
compiled on first use.
"""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from fastdrop._arrays import Array
from fastdrop.backends.call import Call, parts

from .halves import conversions
from .jit import compiled
from .kernels import KINDS, MASK, draw, masking_kernel, types_of, vector, written

CHUNK = 64 * 4096
"""Elements at a time: a multiple of 8, so that packed masks are cut at bytes."""


def chunks(call: Call) -> Iterator[tuple[slice, Array]]:
    """Parts of the elements, each with its decisions as bytes, 0 to drop.

    They are drawn, or in `mask` as bytes; without either they are 1.
    """
    n, key, plan, mask = call.reads[0].size, call.key, call.plan, call.mask
    buffer = np.ones(min(n, CHUNK), np.uint8)
    for part in parts(n, CHUNK):
        keep = buffer[: part.stop - part.start]
        if key is not None and plan is not None:
            draw(keep, "mask", key, plan, part.start)
        elif mask is not None:
            keep = mask[part]
        yield part, keep


def _copied(call: Call, part: slice) -> Array:
    """A part of the elements, where the result is to be."""
    x, out = call.reads[0][part], call.writes[0][part]
    if not np.may_share_memory(x, out):
        out[:] = x
    return out


def scale(call: Call) -> None:
    """``x * scale`` where the decision is to keep, else +0.0."""
    (scale,), kind, key, plan = call.numbers, call.kind, call.key, call.plan
    if key is None or plan is None:
        kernel, factor = masking_kernel(kind), KINDS[kind][2](scale)
        for part, keep in chunks(call):
            kernel(_copied(call, part), keep, np.uint8(1), factor)
        return
    drawn = plan._replace(scale=scale)
    for part in parts(call.reads[0].size, CHUNK):
        draw(_copied(call, part), kind, key, drawn, part.start)


@functools.cache
def _affine_kernel(kind: str) -> Callable[..., None]:
    load, store = conversions(kind)

    def affine(x: Array, keep: Array, scale: Any, shift: Any, dropped: Any) -> None:
        for i in range(x.size):
            y = load(x[i]) * scale + shift
            x[i] = store(y if keep[i] else dropped)

    element, number = types_of(kind)
    return compiled(affine, written(element), MASK, number, number, number)


def affine(call: Call) -> None:
    """``x * scale + shift`` where the decision is to keep, else ``dropped``."""
    numbers = [KINDS[call.kind][2](number) for number in call.numbers]
    for part, keep in chunks(call):
        _affine_kernel(call.kind)(_copied(call, part), keep, *numbers)


@functools.cache
def _kernel(operation: str, kind: str) -> Callable[..., None]:
    """The kernel of an operation on two arrays, or with two results."""
    load, store = conversions(kind)
    element, number = types_of(kind)
    read, write = vector(element), written(element)

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

    if operation == "add":
        return compiled(add, read, read, write, MASK, number)
    if operation == "select":
        return compiled(select, read, read, write, MASK)
    if operation == "split":
        return compiled(split, read, write, write, MASK)
    return compiled(mix, read, read, write, MASK, number, number)


def compute(call: Call) -> None:
    """One of the other operations."""
    kernel = _kernel(call.operation, call.kind)
    operands = (*call.reads, *call.writes)
    numbers = [KINDS[call.kind][2](number) for number in call.numbers]
    for part, keep in chunks(call):
        kernel(*(operand[part] for operand in operands), keep, *numbers)
