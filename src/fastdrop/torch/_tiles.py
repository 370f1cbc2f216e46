"""Attention by tiles of queries that stay in a cache, forward and backward.

A tile is what some heads' scores are for some of their queries. PyTorch multiplies the matrices,
into memory that all tiles of a call share; softmax and dropout are one pass of fastdrop's over it.
The backward pass computes scores and decisions again: between the two nothing is kept of them.

With AVX-512, PyTorch multiplies matrices faster by one that lies in memory as it is read: where
there are many tiles, keys and values are copied transposed for each group of heads, and their
gradients are summed up transposed. With AVX2 it is as fast without, and the copies would take 6 %
of a call (Zen 3, 2 x 6 x 1024 x 64).
Heads of queries that share a head of keys are multiplied as one matrix with more rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

import torch
from torch import Tensor

from fastdrop import backends
from fastdrop._rates import check_factor, make_plan
from fastdrop._rng import Key
from fastdrop._score_rows import Rows

from ._bridge import KINDS, array_of, limits, readable
from ._seen import Band, Part, Seen

if TYPE_CHECKING:
    from fastdrop._arrays import Array

SCORES: Final = 1 << 17
"""How many scores a tile has, unless its rows are very long: half a MiB of float32."""
_QUERIES: Final = (32, 128)
"""The least and the most queries of a tile: fewer, and matrix products are slow; more, and causal
attention computes more scores that are not seen."""

_TURNS: Final = torch.backends.cpu.get_cpu_capability() == "AVX512"
"""Whether products gain by matrices in the order in which they are read."""


class Attention(NamedTuple):
    """A call's numbers. Decisions are numbered in C order of (batch, head, query, key)."""

    key: Key
    p: float
    band: Band
    scale: float | None
    """None for ``width ** -0.5``."""


def compute_dtype(dtype: torch.dtype) -> torch.dtype:
    """What scores, weights and sums are computed in, here and without tiles."""
    return torch.float64 if dtype is torch.float64 else torch.float32


class _Tile(NamedTuple):
    """A part of the scores, and the keys that are seen there, which may be none."""

    part: Part
    keys: slice
    rows: Rows
    place: Key

    @property
    def is_empty(self) -> bool:
        return self.keys.start == self.keys.stop

    @property
    def queries(self) -> slice:
        return slice(self.part.first, self.part.first + self.part.rows)


class _Tiles:
    """The walk through a call, and the memory that its tiles share."""

    def __init__(
        self, query: Tensor, key: Tensor, mask: Tensor | None, call: Attention, arrays: int
    ) -> None:
        self.batch, self.heads, self.queries, _ = query.shape
        self.keys = key.shape[2]
        self.sharing = self.heads // key.shape[1]  # heads of queries to one of keys
        self.call = call
        self.dtype = compute_dtype(query.dtype)
        self.kind = KINDS[self.dtype]
        self.plan = make_plan(call.p, self.kind)
        scale = query.shape[-1] ** -0.5 if call.scale is None else call.scale
        self.scale = check_factor(scale, "scale", self.kind)
        least, most = _QUERIES
        if call.band.high is not None:
            # With few tiles, what they have beyond the diagonal is a large part of them.
            most = max(least, min(most, self.queries // 4))
        self.rows = min(self.queries, max(least, min(most, SCORES // self.keys)))
        # As many heads as fill a tile, but enough to give every thread a matrix of its own.
        fill = max(SCORES // (self.rows * self.keys), torch.get_num_threads())
        self.together = min(self.heads, fill)
        if self.together > self.sharing:
            self.together -= self.together % self.sharing
        # Copying a transposed matrix takes as long as some products with it gain.
        self.often = _TURNS and self.queries > 4 * self.rows
        size = self.together * self.rows * self.keys
        self.memory = [torch.empty(size, dtype=self.dtype, device="cpu") for _ in range(arrays)]
        self.seen = Seen(mask, call.band, self.keys, self.dtype, size)

    def groups(self) -> Iterator[tuple[int, slice, slice]]:
        """Sample, heads of queries, and the heads of keys that they share."""
        step = max(self.together, self.sharing)
        for sample in range(self.batch):
            for start in range(0, self.heads, step):
                stop = min(start + step, self.heads)
                shared = slice(start // self.sharing, -(-stop // self.sharing))
                for head in range(start, stop, self.together):
                    yield sample, slice(head, min(head + self.together, stop)), shared

    def tiles(self, sample: int, heads: slice) -> Iterator[_Tile]:
        """The tiles of some heads."""
        key = self.call.key
        for first in range(0, self.queries, self.rows):
            part = Part(sample, heads, first, min(self.rows, self.queries - first))
            span = self.seen.span(part)
            mask, visible = self.seen.rows(part, span)
            rows = Rows(self.scale, mask, part.rows, self.queries * self.keys, self.keys, visible)
            row = (sample * self.heads + heads.start) * self.queries + first
            offset = key.offset + row * self.keys + span.start
            yield _Tile(part, span, rows, Key(key.seed, key.stream, offset))

    def sums(self, turned: Tensor) -> Tensor:
        """Zeros of that shape; in C order they are added to fastest, but have to be transposed."""
        if self.often:
            return torch.zeros(turned.shape, dtype=self.dtype, device="cpu")
        return torch.zeros(turned.mT.shape, dtype=self.dtype, device="cpu").mT

    def scores(self, tile: _Tile, shared: int, number: int) -> Tensor:
        """The shared memory of that number as the tile's scores, one matrix for a head of keys."""
        n = tile.keys.stop - tile.keys.start
        rows = (tile.part.heads.stop - tile.part.heads.start) * tile.part.rows
        return self.memory[number][: rows * n].view(shared, rows // shared, n)


def _matrices(x: Tensor, dtype: torch.dtype, often: bool) -> Tensor:
    """The matrices of some heads for products; in C order where they are in many of them."""
    if x.dtype is dtype and (not often or x.is_contiguous()):
        return x
    return torch.empty(x.shape, dtype=dtype, device="cpu").copy_(x)


def _turned(x: Tensor, dtype: torch.dtype, often: bool) -> Tensor:
    """The matrices transposed: in memory too, where they are in many products."""
    return _matrices(x.mT, dtype, often) if often else _matrices(x, dtype, often).mT


def _stacked(x: Tensor, shared: int) -> Tensor:
    """Of (heads, rows, width): one matrix for each head of keys."""
    return (
        x if x.shape[0] == shared else x.reshape(shared, x.shape[:2].numel() // shared, x.shape[2])
    )


def _rows_of(scores: Tensor) -> Array:
    return array_of(scores.view(-1, scores.shape[-1]))


def _product(a: Tensor, b: Tensor, out: Tensor) -> None:
    """The products of matrices; `out` is of (heads, rows, width), as `_stacked` takes it."""
    if a.dtype is out.dtype and out.shape[0] == a.shape[0]:
        torch.bmm(a, b, out=out)
    else:
        out.copy_(torch.bmm(a, b).view(out.shape))


def _add(sums: Tensor, rows: Tensor, factors: Tensor) -> None:
    """Add ``rows.mT @ factors`` to transposed sums."""
    if sums.stride(2) == 1:
        sums.baddbmm_(rows.mT, factors)
    else:
        sums.mT.baddbmm_(factors.mT, rows)


def _turn_back(results: Tensor, sums: Tensor) -> None:
    """Store transposed sums.

    PyTorch transposes a single matrix in blocks, into C order; a stack of them, or into other
    memory, element by element, which takes nine times as long.
    """
    for result, turned in zip(results, sums, strict=True):
        matrix = torch.empty(turned.mT.shape, dtype=turned.dtype, device="cpu")
        result.copy_(matrix.copy_(turned.mT))


def new_like_torch(shape: tuple[int, ...], like: Tensor) -> Tensor:
    """A gradient of shape (batch, heads, length, width) in memory of (batch, length, heads, width).

    So projections of tokens give query, key and value, and take their gradients without a copy.
    """
    batch, heads, length, width = shape
    return torch.empty(
        (batch, length, heads, width), dtype=like.dtype, device=like.device
    ).transpose(1, 2)


def _is_empty(query: Tensor, key: Tensor) -> bool:
    """Whether there are no weights."""
    return 0 in query.shape[:3] or key.shape[2] == 0


def forward(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, call: Attention
) -> Tensor:
    """The attention of tensors of shape (batch, heads, queries or keys, width).

    Key and value may have fewer heads: each serves as many of query's in a row.
    """
    query, key, value = (readable(x) for x in (query, key, value))
    mask = None if mask is None else readable(mask)
    shape = (*query.shape[:3], value.shape[3])
    out = torch.empty(shape, dtype=query.dtype, device="cpu")
    if _is_empty(query, key):
        return out.zero_()
    tiles = _Tiles(query, key, mask, call, 1)
    backend = backends.active()
    with limits(fresh=False):
        for sample, some, shared in tiles.groups():
            matrices = shared.stop - shared.start
            q = _matrices(query[sample, some], tiles.dtype, tiles.often)
            k_turned = _turned(key[sample, shared], tiles.dtype, tiles.often)
            v = _matrices(value[sample, shared], tiles.dtype, tiles.often)
            for tile in tiles.tiles(sample, some):
                if tile.is_empty:
                    out[sample, some, tile.queries] = 0
                    continue
                weights = tiles.scores(tile, matrices, 0)
                part = _stacked(q[:, tile.queries], matrices)
                torch.bmm(part, k_turned[:, :, tile.keys], out=weights)
                array = _rows_of(weights)
                backend.softmax_dropout(array, array, tiles.kind, tile.rows, tile.place, tiles.plan)
                _product(weights, v[:, tile.keys], out[sample, some, tile.queries])
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
    gradient, query, key, value = (readable(x) for x in (gradient, query, key, value))
    mask = None if mask is None else readable(mask)
    d_query, d_key, d_value = (new_like_torch(tuple(x.shape), x) for x in (query, key, value))
    if _is_empty(query, key):
        return d_query.zero_(), d_key.zero_(), d_value.zero_()
    tiles = _Tiles(query, key, mask, call, 2)
    backend = backends.active()
    with limits(fresh=False):
        sums: tuple[Tensor, Tensor] | None = None
        for sample, some, shared in tiles.groups():
            matrices = shared.stop - shared.start
            q = _matrices(query[sample, some], tiles.dtype, tiles.often)
            upper = _matrices(gradient[sample, some], tiles.dtype, tiles.often)
            k = _matrices(key[sample, shared], tiles.dtype, tiles.often)
            k_turned = _turned(key[sample, shared], tiles.dtype, tiles.often)
            v_turned = _turned(value[sample, shared], tiles.dtype, tiles.often)
            if sums is None:
                sums = tiles.sums(k_turned), tiles.sums(v_turned)
            for tile in tiles.tiles(sample, some):
                if tile.is_empty:
                    d_query[sample, some, tile.queries] = 0
                    continue
                weights, slopes = (tiles.scores(tile, matrices, i) for i in (0, 1))
                part, top = (_stacked(x[:, tile.queries], matrices) for x in (q, upper))
                torch.bmm(part, k_turned[:, :, tile.keys], out=weights)
                torch.bmm(top, v_turned[:, :, tile.keys], out=slopes)
                x, dy = _rows_of(weights), _rows_of(slopes)
                backend.softmax_dropout_backward(
                    x, dy, dy, x, tiles.kind, tile.rows, tile.place, tiles.plan
                )
                _product(slopes, k[:, tile.keys], d_query[sample, some, tile.queries])
                _add(sums[0][:, :, tile.keys], part, slopes)
                _add(sums[1][:, :, tile.keys], top, weights)
            if some.stop == shared.stop * tiles.sharing:
                _turn_back(d_key[sample, shared], sums[0])
                _turn_back(d_value[sample, shared], sums[1])
                sums = None
    return d_query, d_key, d_value
