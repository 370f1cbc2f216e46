"""Shared decisions: the shape of the decisions for an array, 1 along axes that share them.

The decisions, in C order, are the positions in the stream. Errors call the array `argument`.
"""

from __future__ import annotations

import functools
from typing import Literal, TypeAlias

import numpy as np

from . import _arrays
from ._arrays import Array
from ._rates import check_choice

DataFormat: TypeAlias = Literal["channels_first", "channels_last"]
PathMode: TypeAlias = Literal["row", "batch"]


def check_data_format(data_format: object) -> DataFormat:
    """`data_format`, if it is one of the two."""
    return check_choice(data_format, "data_format", ("channels_first", "channels_last"))


def check_path_mode(mode: object) -> PathMode:
    """`mode`, if it is one of the two."""
    return check_choice(mode, "mode", ("row", "batch"))


def check_block_size(block_size: object) -> int:
    """`block_size`, if blocks can have it."""
    return _arrays.check_count(block_size, "block_size")


@functools.lru_cache(maxsize=256)
def without_memory(shape: tuple[int, ...]) -> Array:
    """An array of that shape that takes no memory, for what looks at shapes alone."""
    return np.broadcast_to(np.False_, shape)


def spatial_shape(x: Array, axes: int, data_format: object, argument: str = "x") -> tuple[int, ...]:
    """One decision for each sample and channel of `x`, which has so many spatial axes."""
    place = check_data_format(data_format)
    _arrays.check_rank(x, axes + 1, axes + 2, argument)
    ones = (1,) * axes
    if place == "channels_first":
        return x.shape[:-axes] + ones
    return x.shape[: x.ndim - axes - 1] + ones + x.shape[-1:]


def variational_shape(x: Array, time_axis: object, argument: str = "x") -> tuple[int, ...]:
    """One decision for all time steps."""
    axis = _arrays.check_axis(time_axis, "time_axis")
    axis = _arrays.axis_in(axis, x.shape, "time_axis", argument)
    return (*x.shape[:axis], 1, *x.shape[axis + 1 :])


def path_shape(x: Array, mode: object, argument: str = "x") -> tuple[int, ...]:
    """One decision for each sample, or one in all."""
    if check_path_mode(mode) == "batch":
        return (1,) * x.ndim
    _arrays.check_rank(x, 1, None, argument)
    return x.shape[:1] + (1,) * (x.ndim - 1)


def feature_shape(x: Array, argument: str = "x") -> tuple[int, ...]:
    """One decision for each sample and channel of `x`."""
    _arrays.check_rank(x, 2, None, argument)
    return x.shape[:2] + (1,) * (x.ndim - 2)


def row_shape(table: Array, argument: str = "table") -> tuple[int, ...]:
    """One decision for each row of `table`."""
    _arrays.check_rank(table, 2, 2, argument)
    return (table.shape[0], 1)


def corner_shape(x: Array, axes: int, block_size: object, argument: str = "x") -> tuple[int, ...]:
    """The shape of the decisions for `x`, which has so many spatial axes: a block's corners."""
    size = check_block_size(block_size)
    _arrays.check_rank(x, axes + 1, axes + 2, argument)
    lengths = x.shape[-axes:]
    block = min(size, *lengths)
    return (*x.shape[:-axes], *(n - block + 1 for n in lengths))
