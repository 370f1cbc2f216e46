"""A call of a backend: one element-wise operation on arrays, under decisions.

The caller has checked everything and holds all memory that is written. The C struct that the
compiled backend fills has the same parts.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from fastdrop._arrays import Array
from fastdrop._rates import Plan
from fastdrop.stream import Key

Steps: TypeAlias = tuple[int, ...] | None
"""How many decisions further the next element along each axis is, or None: see ``Call``."""

Operation: TypeAlias = Literal[
    "scale", "affine", "add", "select", "split", "mix", "unmix", "act", "act_slope", "noise_factor",
    "noise_add",
]  # fmt: skip
"""What is computed of kept elements and of dropped ones:

============  =========  ======  ======================  =======================================
operation     reads      writes  numbers                 kept; dropped
============  =========  ======  ======================  =======================================
scale         x          y       scale                   x * scale; +0.0
affine        x          y       scale, shift, dropped   x * scale + shift; dropped
add           x, r       y       scale                   x * scale + r; r
select        a, b       y                               a; b
split         dy         da, db                          da = dy, db = +0.0; the other way round
mix           a, b       y       keep, drop              a * keep + b * drop, without decisions
unmix         dy         da, db  keep, drop              dy * keep, dy * drop, without decisions
act           x          y       scale                   act(x + bias) * scale; +0.0
act_slope     x, dy      dx      scale                   (dy * scale) * act'(x + bias); +0.0
noise_factor  x          y       deviation               x * (1 + deviation * z), z normal
noise_add     x          y       deviation               x + deviation * z, z normal
============  =========  ======  ======================  =======================================

Each product and sum is rounded in the compute type: float64 for float64, float32 otherwise.
"""


class Bias(NamedTuple):
    """A bias that is added to rows of ``n`` elements.

    ``values`` has ``n`` + 4096 elements (or as many more as the operation has, if these are fewer),
    in which the bias repeats. The first element stands in ``column``.
    """

    values: Array
    n: int
    column: int


class Call(NamedTuple):
    """One operation: its operands, its decisions, and its numbers.

    Operands have one shape, any strides and at least one element; what is written may be what is
    read, with the same strides. 16-bit floats are uint16.
    """

    operation: Operation
    kind: str
    """The dtype, one of "float32", "float64", "float16" and "bfloat16"."""
    reads: tuple[Array, ...]
    writes: tuple[Array, ...]
    numbers: tuple[float, ...] = ()
    key: Key | None = None
    """Where decisions are drawn; without a key and a mask everything is kept."""
    plan: Plan | None = None
    """The threshold that decisions are drawn with; None for normal variates."""
    steps: Steps = None
    """How many decisions further the next element along each axis is, 0 to share a decision; None
    for C order. Element (i, j) has decision ``i * steps[0] + j * steps[1]``, which is at that
    position from the key's offset on (a variate, at twice that: it takes two positions). Those of a
    larger array make this a window of it."""
    mask: Array | None = None
    """Without a key the decisions themselves: packed bits in contiguous uint8, lowest first, with
    the steps, or bools of any strides. With a key None, or, where elements share decisions, room
    for one bit each, so that the C backend draws them once."""
    act: str = "none"
    """The activation: "none", "relu", "gelu", "gelu_tanh" or "silu"."""
    bias: Bias | None = None

    @property
    def positions(self) -> int:
        """How many positions of the stream a decision takes."""
        return 2 if self.operation.startswith("noise") else 1


def steps_of(mask_shape: tuple[int, ...]) -> tuple[int, ...]:
    """The steps of decisions in C order of a mask whose axes of length 1 share them."""
    steps, step = [], 1
    for n in reversed(mask_shape):
        steps.append(step if n != 1 else 0)
        step *= n
    return tuple(reversed(steps))


def mask_shape(call: Call) -> tuple[int, ...]:
    """The shape of the decisions of a call that has steps: 1 along axes that share them."""
    steps, shape = call.steps or (), call.reads[0].shape
    return tuple(n if step else 1 for n, step in zip(shape, steps, strict=True))


def room_for(n: int) -> Array:
    """Room for the packed bits of so many decisions."""
    return np.empty((n + 7) // 8, np.uint8)


def parts(n: int, length: int) -> Iterator[slice]:
    """The numbers below ``n``, at most ``length`` at a time."""
    for start in range(0, n, length):
        yield slice(start, min(start + length, n))
