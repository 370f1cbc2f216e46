"""From a function's arguments to blocks that each get their part of the whole array's mask.

Arguments are checked and positions reserved where the graph is made. A block then needs its place
in the whole array and a key, and is what the NumPy function makes of it with that `window`:
whatever the chunks are, in whatever order and wherever the blocks are computed.
"""

from __future__ import annotations

import math
from typing import Any

import dask.array as da
import numpy as np
import numpy.typing as npt
from dask.array.core import normalize_chunks
from dask.base import tokenize

import fastdrop
from fastdrop import _arrays
from fastdrop._convert import type_name
from fastdrop._rng import Key, RNGLike, check_unused
from fastdrop._window import Place, place_of
from fastdrop.pipeline import checked
from fastdrop.variants import Variant

Words = tuple[int, int, int]
"""Seed, stream and offset: plain numbers in a graph, which have the same name everywhere."""


def as_dask(value: object, argument: str) -> da.Array:
    """`value`, if it is a Dask array of NumPy blocks of known sizes."""
    if not isinstance(value, da.Array):
        raise TypeError(
            f"{argument} has to be a Dask array, but got {type_name(value)}; "
            "functions for NumPy arrays are in fastdrop itself"
        )
    if any(math.isnan(n) for n in value.shape):
        raise ValueError(
            f"{argument} has to have chunks of known sizes, but got shape {value.shape}: "
            "call its compute_chunk_sizes() first"
        )
    _arrays.check_elements(value.shape, argument)
    _arrays.as_operand(value._meta, argument)
    return value


def _stand_in(array: da.Array) -> npt.NDArray[Any]:
    """What is checked in the array's place: of its shape and dtype, without its memory."""
    return np.broadcast_to(np.empty((), array.dtype), array.shape)


def lazily(
    variant: Variant,
    operands: tuple[object, ...],
    p: float,
    training: bool,
    rng: RNGLike,
    options: dict[str, object] | None = None,
    settings: dict[str, object] | None = None,
    act: tuple[object, object] | None = None,
) -> da.Array:
    """The work of a public function.

    `options` are what the variant's decisions depend on, `settings` its other arguments, by name;
    `act` is an activation and its bias.
    """
    options, settings = options or {}, settings or {}
    names = variant.operands
    arrays = [as_dask(value, name) for value, name in zip(operands, names, strict=True)]
    x = arrays[0]
    bias = None if act is None or act[1] is None else as_dask(act[1], "bias")
    found = checked(
        variant,
        tuple(_stand_in(array) for array in arrays),
        p,
        training,
        *options.values(),
        act=None if act is None else (act[0], None if bias is None else _stand_in(bias)),
    )
    words = None
    if found.training and x.size:
        place = place_of(found.decisions or x.shape, x.shape)
        words = _words(place, rng, variant.positions)
    else:
        check_unused(rng)
        if variant.evaluation is None:
            return x
    arrays = [x, *(other.rechunk(x.chunks) for other in arrays[1:])]
    if bias is not None:
        arrays.append(bias.rechunk(x.chunks[-1:]))
    middle = () if act is None else (act[0],) if bias is not None else (None, act[0])
    fixed = {
        "function": variant.function,
        "rest": (*middle, p, words is not None),
        "words": words,
        "settings": {**options, **settings},
    }
    return da.map_blocks(
        _part,
        *arrays,
        **fixed,
        name=_name(variant.function, [array.name for array in arrays], fixed),
        dtype=x.dtype,
        chunks=x.chunks,
        meta=x._meta,
    )


def lazy_mask(shape: tuple[int, ...], p: float, rng: RNGLike, chunks: object) -> da.Array:
    """A mask by blocks; `shape` and `p` are checked."""
    cut = normalize_chunks(chunks, shape, dtype=np.bool_)
    words = _words(place_of(shape, shape), rng)
    fixed = {"p": p, "words": words}
    return da.map_blocks(
        _part_of_mask,
        **fixed,
        name=_name("dropout_mask", [shape, cut], fixed),
        dtype=np.bool_,
        chunks=cut,
        meta=np.empty((0,) * len(shape), np.bool_),
    )


def _words(place: Place, rng: RNGLike, positions: int = 1) -> Words:
    key = place.key(rng, positions)
    return key.seed, key.stream, key.offset


def _name(function: str, arrays: list[Any], fixed: dict[str, Any]) -> str:
    """A name that follows from what is computed, so that the same graph is made again."""
    return f"fastdrop-{function}-{tokenize(arrays, fixed)}"


def _window(block_info: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The whole's shape, and where a block begins."""
    whole = block_info[None]
    return tuple(whole["shape"]), tuple(start for start, _ in whole["array-location"])


def _part(
    *arrays: npt.NDArray[Any],
    function: str,
    rest: tuple[Any, ...],
    words: Words | None,
    settings: dict[str, Any],
    block_info: Any = None,
) -> Any:
    """One block, of whole arrays that it has its place in."""
    rng = None if words is None else Key(*words)
    compute = getattr(fastdrop, function)
    return compute(*arrays, *rest, rng=rng, window=_window(block_info), **settings)


def _part_of_mask(p: float, words: Words, block_info: Any = None) -> Any:
    window = _window(block_info)
    lengths = tuple(stop - start for start, stop in block_info[None]["array-location"])
    return fastdrop.dropout_mask(lengths, p, rng=Key(*words), window=window)
