"""Whether arrays, or elements of one array, share memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

# Bounds the exact overlap search, which is exponential in the worst case; arrays that are too
# tangled to decide count as overlapping.
_OVERLAP_WORK = 10_000


def overlaps_itself(array: Array) -> bool:
    """Whether two elements of `array` share memory (broadcast or sliding-window views)."""
    flags = array.flags
    if flags.c_contiguous or flags.f_contiguous:
        return False
    reach = array.itemsize
    for stride, count in sorted(
        (abs(stride), count)
        for stride, count in zip(array.strides, array.shape, strict=True)
        if count > 1
    ):
        if stride < reach:
            break
        reach += stride * (count - 1)
    else:
        return False  # every axis steps over all that the finer axes span
    # Two different elements first differ along some axis k. As addresses are linear, they may
    # be moved so that the first lies at index 0 of k and both at index 0 of the axes before.
    for axis, count in enumerate(array.shape):
        start: tuple[Any, ...] = (0,) * axis
        if count > 1 and overlap(array[(*start, slice(0, 1))], array[(*start, slice(1, None))]):
            return True
    return False


def overlap(a: Array, b: Array) -> bool:
    """Whether two arrays share a byte; True where the search would take too long."""
    try:
        # NumPy's annotation knows two of the values that it takes.
        return np.shares_memory(a, b, max_work=_OVERLAP_WORK)  # type: ignore[arg-type]
    except np.exceptions.TooHardError:
        return True


def same_layout(a: Array, b: Array) -> bool:
    """Whether arrays of one shape and dtype put every element at the same place."""
    if a.__array_interface__["data"][0] != b.__array_interface__["data"][0]:
        return False
    return all(
        count == 1 or i == j for count, i, j in zip(a.shape, a.strides, b.strides, strict=True)
    )
