"""What backends compute: each declared operation; numbers, and memory, of every kind."""

import functools
from typing import Any, NamedTuple

import numpy as np
from support import STORAGE, to_storage

from fastdrop._bias import ACTIVATIONS
from fastdrop.backends.call import Bias, Call
from fastdrop.stream import Key
from fastdrop.variants import VARIANTS, Variant

KINDS = tuple(STORAGE)
BIG = 128 * 4096 + 77  # more than a chunk of any backend
WIDTHS = (1, 3, 64, 1000, 5000)
# The last but one drops all of every other block, and nearly all of the others.
PROBABILITIES = (0.0, 0.1, 1 - 2.0**-17, 1.0)
RARE = (2.0**-60, 1e-9, 1e-3, 0.5, 1 - 1e-9, 1 - 2.0**-53)


@functools.cache
def numbers(kind: str, which: int) -> np.ndarray:
    """Numbers of every size and sign, with what is special among them."""
    source = np.random.default_rng(100 + which)
    values = source.standard_normal(BIG) * np.exp2(source.integers(-150, 150, BIG))
    values[::2] = source.standard_normal(values[::2].size) * 3
    special = np.array([np.inf, -np.inf, np.nan, 0.0, -0.0, 1e-45, -6e-8, 5e-324, 65504, 3.3e38])
    source.shuffle(special)
    values[which::11] = np.resize(special, values[which::11].size)
    stored = to_storage(values, kind)
    stored.flags.writeable = False
    return stored


def check_slopes(call: Any, operands: Any, gradients: Any, dy: np.ndarray) -> None:
    """The gradients of sum(dy * call(*operands)) by differences in random directions, along which
    an error in any element shows."""
    source, step = np.random.default_rng(3), 1e-6
    for i, (x, gradient) in enumerate(zip(operands, gradients, strict=True)):
        assert gradient.shape == x.shape
        for _ in range(3):
            direction = np.asarray(source.standard_normal(x.shape))
            # What is dropped to -inf does not move, and has no difference.
            ends = (x + step * direction, x - step * direction)
            moved = (call(*operands[:i], end, *operands[i + 1 :]) for end in ends)
            up, down = (np.nan_to_num(y, neginf=0.0) for y in moved)
            slope = (dy * (up - down)).sum() / (2 * step)
            size = np.linalg.norm(gradient) * np.linalg.norm(direction)
            assert abs(slope - (gradient * direction).sum()) <= 1e-7 * size + 1e-7, i


def layouts(x: np.ndarray) -> dict[str, np.ndarray]:
    """The same numbers in memory of many kinds: each a copy of its own."""
    found = {
        "contiguous": np.empty(x.shape, x.dtype),
        "fortran": np.empty(x.shape, x.dtype, order="F"),
        "rotated": np.moveaxis(np.empty((*x.shape[1:], x.shape[0]), x.dtype), -1, 0),
        "reversed": np.empty_like(x)[::-1],
        "padded": np.empty((*x.shape[:-1], x.shape[-1] + 3), x.dtype)[..., 1:-2],
        "every other": np.empty((*x.shape[:-1], 2 * x.shape[-1]), x.dtype)[..., ::2],
    }
    for array in found.values():
        array[...] = x
    return found


# --- Operations -----------------------------------------------------------------------------------


class Operation(NamedTuple):
    """What a declared variant asks a backend for, in training or in evaluation."""

    variant: Variant
    evaluates: bool
    act: str = "none"

    def __str__(self) -> str:
        how = "-in-evaluation" if self.evaluates else ""
        return f"{self.name}{how}" + f"-{self.act}" * self.name.startswith("act")

    @property
    def name(self) -> str:
        evaluation = self.variant.evaluation
        return evaluation.operation if self.evaluates and evaluation else self.variant.operation

    @property
    def probabilities(self) -> tuple[float, ...]:
        if self.evaluates:
            return (0.1, 0.5)
        if self.name == "scale":  # by which most variants drop
            return (*PROBABILITIES, *RARE)
        return (0.0, 0.9) if self.name.startswith("noise") else PROBABILITIES

    def call(
        self, kind: str, p: float, reads: list[np.ndarray], writes: list[np.ndarray], key: Key
    ) -> Call:
        operands = tuple(reads), tuple(writes)
        bias = None
        if self.name.startswith("act"):
            which = KINDS.index(kind) + ACTIVATIONS.index(self.act)
            bias = bias_of(kind, WIDTHS[which % len(WIDTHS)])
        if self.evaluates:
            terms = self.variant.evaluation.numbers(p, kind)
            return Call(self.name, kind, *operands, terms, act=self.act, bias=bias)
        plan, terms = self.variant.rate(p, kind)
        return Call(self.name, kind, *operands, terms, key, plan, act=self.act, bias=bias)


@functools.cache
def bias_of(kind: str, width: int) -> Bias:
    """Of usual size, so that sums are where activations are curved; in long ones some special."""
    values = np.random.default_rng(width).standard_normal(width)
    values[7::500] = np.resize([np.inf, np.nan, -0.0, 65504], values[7::500].shape)
    stored = np.resize(to_storage(values, kind), width + 4096)
    stored.flags.writeable = False
    return Bias(stored, width, width // 2)


def all_operations() -> list[Operation]:
    """Each operation of the declarations once, in training and where evaluation computes."""
    found = {}
    for variant in VARIANTS:
        for evaluates in (False, True) if variant.evaluation else (False,):
            acts = ACTIVATIONS if variant.operation.startswith("act") else ("none",)
            for act in acts[:1] if evaluates else acts:
                operation = Operation(variant, evaluates, act)
                found.setdefault(str(operation), operation)
    return list(found.values())


OPERATIONS = all_operations()
