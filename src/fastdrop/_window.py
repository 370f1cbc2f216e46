"""Parts of larger arrays: which decisions of the whole belong to a part of it.

A decision is a function of its position alone. So the part of an array that begins at an index gets
its part of the whole array's mask, wherever it is computed, and nothing of the rest is drawn.
"""

from __future__ import annotations

import math
from typing import NamedTuple, TypeAlias

from . import _arrays
from ._arrays import Array
from ._rng import Key, RNGLike, resolve
from .backends.call import steps_of
from .decisions import without_memory

WindowLike: TypeAlias = "tuple[tuple[int, ...], tuple[int, ...]]"
"""The whole array's shape, and the index in it at which the part begins."""


class Window(NamedTuple):
    """A part of a larger array, by the whole's shape and the part's first index."""

    shape: tuple[int, ...]
    start: tuple[int, ...]

    @property
    def whole(self) -> Array:
        """An array of the whole's shape, for what looks at shapes alone."""
        return without_memory(self.shape)


class Place(NamedTuple):
    """Where in the stream the decisions of an array are, counted from the key's offset on."""

    total: int
    """How many decisions the whole has: what a generator reserves."""
    first: int
    """The first element's decision."""
    steps: tuple[int, ...] | None
    """As in `Call`: how many decisions further the next element along each axis is."""

    def key(self, rng: RNGLike, positions: int = 1) -> Key:
        """The key of the first element's decision, each of which takes so many positions.

        A generator moves on.
        """
        key = resolve(rng, positions * self.total)
        if not self.first:
            return key
        return Key(key.seed, key.stream, (key.offset + positions * self.first) % 2**64)


def check_window(
    window: object, shape: tuple[int, ...], argument: str = "x", *, words: str = ""
) -> Window:
    """`window`, if what the caller knows as `argument`, which has that shape, is a part of it."""
    named = words or f"{argument}, which has shape {shape}"
    if not isinstance(window, tuple | list) or len(window) != 2:
        raise ValueError(
            "window has to be a pair of the whole array's shape and the index at which "
            f"{argument} begins, but got {window!r}"
        )
    pair = [_arrays.lengths_of(part, "window", "a pair of tuples of integers") for part in window]
    if any(len(part) != len(shape) for part in pair):
        raise ValueError(
            f"window has to have a length and a first index for each of the {len(shape)} axes "
            f"of {argument}, but got {window!r}"
        )
    whole, start = pair
    if any(n < 0 for part in pair for n in part):
        raise ValueError(f"window has to have no negative numbers, but got {window!r}")
    if any(first + n > length for first, n, length in zip(start, shape, whole, strict=True)):
        raise ValueError(
            f"window has to hold {named}, but got the shape {whole} of the whole array "
            f"and the first index {start}"
        )
    _arrays.check_elements(whole, "window")
    return Window(whole, start)


def place_of(
    decisions: tuple[int, ...], shape: tuple[int, ...], start: tuple[int, ...] | None = None
) -> Place:
    """Where the decisions of an array of that shape are, of those that have the shape `decisions`.

    The array is the whole, or begins at `start`. It shares decisions along the axes where these
    have length 1.
    """
    steps, first = steps_of(decisions), 0
    if start is not None:
        first = sum(i * step for i, step in zip(start, steps, strict=True))
    own = zip(shape, steps, steps_of(shape), strict=True)
    in_order = all(n == 1 or step == wanted for n, step, wanted in own)
    return Place(math.prod(decisions), first, None if in_order else steps)
