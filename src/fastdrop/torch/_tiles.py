"""Attention by tiles of queries that stay in a cache, forward and backward.

A tile is what some heads' scores are for some of their queries. PyTorch multiplies the matrices,
into memory that all tiles of a call share; softmax and dropout are one pass of fastdrop's over it.
The backward pass computes scores and decisions again: between the two nothing is kept of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

import torch
from torch import Tensor

from fastdrop import backends
from fastdrop._plan import check_factor, make_plan
from fastdrop._rng import Key
from fastdrop._rows import Rows

from ._bridge import KINDS, array_of, limits

if TYPE_CHECKING:
    from fastdrop._arrays import Array

SCORES: Final = 1 << 17
"""How many scores a tile has, unless its rows are very long: half a MiB of float32."""
_QUERIES: Final = (32, 128)
"""The least and the most queries of a tile: fewer, and matrix products are slow; more, and causal
attention computes more scores that are not seen."""


class Attention(NamedTuple):
    """A call's numbers. Decisions are numbered in C order of (batch, head, query, key)."""

    key: Key
    p: float
    causal: bool
    scale: float


def compute_dtype(dtype: torch.dtype) -> torch.dtype:
    """What scores, weights and sums are computed in, here and without tiles."""
    return torch.float64 if dtype is torch.float64 else torch.float32


class _Tile(NamedTuple):
    """Queries ``first`` to ``first + rows`` of some heads of a sample, and the keys they see."""

    batch: int
    heads: slice
    first: int
    rows: int
    keys: int


class _Heads(NamedTuple):
    """Heads of a sample that are computed together, of the compute type."""

    query: Tensor
    key: Tensor
    value: Tensor


class _Tiles:
    """The walk through a call, and the memory that its tiles share."""

    def __init__(
        self, query: Tensor, key: Tensor, mask: Tensor | None, call: Attention, arrays: int
    ) -> None:
        self.batch, self.heads, self.queries, _ = query.shape
        self.keys = key.shape[2]
        self.mask, self.call = mask, call
        self.dtype = compute_dtype(query.dtype)
        self.kind = KINDS[self.dtype]
        self.plan = make_plan(call.p, self.kind)
        self.scale = check_factor(call.scale, "scale", self.kind)
        least, most = _QUERIES
        self.rows = min(self.queries, max(least, min(most, SCORES // self.keys)))
        # As many heads as fill a tile, but enough to give every thread a matrix of its own.
        fill = max(SCORES // (self.rows * self.keys), torch.get_num_threads())
        self.together = min(self.heads, fill)
        size = self.together * self.rows * self.keys
        self.memory = [torch.empty(size, dtype=self.dtype) for _ in range(arrays)]

    def groups(self) -> Iterator[tuple[int, slice]]:
        """Sample and heads."""
        for sample in range(self.batch):
            for head in range(0, self.heads, self.together):
                yield sample, slice(head, min(head + self.together, self.heads))

    def tiles(self, sample: int, heads: slice) -> Iterator[_Tile]:
        """The tiles of some heads; causal ones end where no query of theirs sees any further."""
        for first in range(0, self.queries, self.rows):
            rows = min(self.rows, self.queries - first)
            keys = min(self.keys, first + rows) if self.call.causal else self.keys
            yield _Tile(sample, heads, first, rows, keys)

    def scores(self, tile: _Tile, number: int) -> Tensor:
        """The shared memory of that number in a tile's shape."""
        shape = (tile.heads.stop - tile.heads.start, tile.rows, tile.keys)
        size = shape[0] * shape[1] * shape[2]
        return self.memory[number][:size].view(shape)

    def where(self, tile: _Tile) -> tuple[Rows, Key]:
        """What takes part in the tile's rows, and where its decisions begin."""
        key, causal = self.call.key, self.call.causal
        row = (tile.batch * self.heads + tile.heads.start) * self.queries + tile.first
        rows = Rows(
            self.scale,
            None if self.mask is None else self._mask_of(self.mask, tile),
            tile.rows,
            self.queries * self.keys,
            self.keys,
            tile.first + 1 if causal else tile.keys,
        )
        return rows, Key(key.seed, key.stream, key.offset + row * self.keys)

    def _mask_of(self, mask: Tensor, tile: _Tile) -> Array:
        part = mask[tile.batch, tile.heads, tile.first : tile.first + tile.rows, : tile.keys]
        if part.dtype is not torch.bool:
            part = part.to(self.dtype).resolve_neg()
        return array_of(part)


def _heads(query: Tensor, key: Tensor, value: Tensor, sample: int, heads: slice) -> _Heads:
    dtype = compute_dtype(query.dtype)
    return _Heads(*(x[sample, heads].to(dtype) for x in (query, key, value)))


def _rows_of(scores: Tensor) -> Array:
    return array_of(scores.view(-1, scores.shape[-1]))


def _product(a: Tensor, b: Tensor, out: Tensor) -> None:
    if a.dtype is out.dtype:
        torch.bmm(a, b, out=out)
    else:
        out.copy_(torch.bmm(a, b))


def new_like_torch(shape: tuple[int, ...], like: Tensor) -> Tensor:
    """A result of shape (batch, heads, queries, width) in memory of (batch, queries, heads, width).

    So PyTorch's attention gives it, and models join the heads without a copy.
    """
    batch, heads, queries, width = shape
    return like.new_empty((batch, queries, heads, width)).transpose(1, 2)


def forward(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, call: Attention
) -> Tensor:
    """The attention of tensors of shape (batch, heads, queries or keys, width)."""
    tiles = _Tiles(query, key, mask, call, 1)
    out = new_like_torch((*query.shape[:3], value.shape[3]), query)
    backend = backends.active()
    with limits(fresh=False):
        for sample, some in tiles.groups():
            heads = _heads(query, key, value, sample, some)
            for tile in tiles.tiles(sample, some):
                part, weights = slice(tile.first, tile.first + tile.rows), tiles.scores(tile, 0)
                torch.bmm(heads.query[:, part], heads.key[:, : tile.keys].mT, out=weights)
                array, (rows, place) = _rows_of(weights), tiles.where(tile)
                backend.softmax_dropout(array, array, tiles.kind, rows, place, tiles.plan)
                _product(weights, heads.value[:, : tile.keys], out[sample, some, part])
    return out


def backward(
    gradient: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    call: Attention,
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients with respect to query, key and value."""
    tiles = _Tiles(query, key, mask, call, 2)
    results = tuple(new_like_torch(tuple(x.shape), x) for x in (query, key, value))
    d_query, d_key, d_value = results
    backend = backends.active()
    with limits(fresh=False):
        for sample, some in tiles.groups():
            heads = _heads(query, key, value, sample, some)
            upper = gradient[sample, some].to(tiles.dtype)
            sums = torch.zeros_like(heads.key), torch.zeros_like(heads.value)
            for tile in tiles.tiles(sample, some):
                part, seen = slice(tile.first, tile.first + tile.rows), slice(0, tile.keys)
                weights, slopes = tiles.scores(tile, 0), tiles.scores(tile, 1)
                torch.bmm(heads.query[:, part], heads.key[:, seen].mT, out=weights)
                torch.bmm(upper[:, part], heads.value[:, seen].mT, out=slopes)
                x, dy, (rows, place) = _rows_of(weights), _rows_of(slopes), tiles.where(tile)
                backend.softmax_dropout_backward(x, dy, dy, x, tiles.kind, rows, place, tiles.plan)
                _product(slopes, heads.key[:, seen], d_query[sample, some, part])
                sums[0][:, seen].baddbmm_(slopes.mT, heads.query[:, part])
                sums[1][:, seen].baddbmm_(weights.mT, upper[:, part])
            d_key[sample, some] = sums[0]
            d_value[sample, some] = sums[1]
    return d_query, d_key, d_value
