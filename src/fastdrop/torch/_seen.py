"""Which keys a query sees: those of a band about the diagonal, and those that a mask leaves.

Attention is computed for some queries at a time. `Seen` tells from which key to which any of them
sees something, so that the others are not computed, and how the rows of scores are masked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ._bridge import array_of

if TYPE_CHECKING:
    from fastdrop._arrays import Array

_STEP = 32
"""Spans begin and end at multiples of it: products of matrices are faster so."""


class Band(NamedTuple):
    """Query i sees key j where ``low <= j - i <= high``; None is no limit."""

    low: int | None = None
    high: int | None = None

    def dense(self, queries: int, keys: int, device: torch.device) -> Tensor:
        """The same as a tensor of bool, of shape (queries, keys)."""
        seen = torch.ones(queries, keys, dtype=torch.bool, device=device)
        if self.high is not None:
            seen = seen.tril(self.high)
        return seen if self.low is None else seen.triu(self.low)

    def masked(self, mask: Tensor | None, queries: int, keys: int, device: torch.device) -> Tensor:
        """A mask that says the same as the band and another mask together."""
        seen = self.dense(queries, keys, device)
        if mask is None:
            return seen
        if mask.dtype is torch.bool:
            return mask & seen
        return torch.where(seen, mask, -torch.inf)


EVERYTHING = Band()
CAUSAL = Band(high=0)


class Part(NamedTuple):
    """Some heads of a sample, and queries ``first`` to ``first + rows`` of them."""

    sample: int
    heads: slice
    first: int
    rows: int


class Seen:
    """What the queries of a call see.

    Parameters
    ----------
    mask : Tensor or None
        Of shape (batch, heads, queries, keys), possibly expanded: bool, or added to the scores.
    band : Band
        The keys that take part, as far as the mask does not say otherwise.
    keys : int
        How many keys there are.
    dtype : torch.dtype
        What scores are computed in; masks that are added are converted to it.
    size : int
        How many scores a part has at most.
    """

    def __init__(
        self, mask: Tensor | None, band: Band, keys: int, dtype: torch.dtype, size: int
    ) -> None:
        self.mask, self.band, self.keys, self.dtype, self.size = mask, band, keys, dtype, size
        # A mask that is the same for all heads is looked through once for all of them.
        self.shared = mask is not None and mask.stride(1) == 0
        self._spans: dict[tuple[int, int], slice] = {}
        self._memory: Array | None = None

    def span(self, part: Part) -> slice:
        """From the first to the last key that any query of the part sees, or some more."""
        place = (part.sample, part.first)
        if self.shared and place in self._spans:
            return self._spans[place]
        low, high = self.band
        start = 0 if low is None else max(0, part.first + low)
        stop = self.keys if high is None else min(self.keys, part.first + part.rows + high)
        if self.mask is not None and start < stop:
            start, stop = _trimmed(self._cut(self.mask, part, slice(start, stop)), start, stop)
        if start >= stop:
            span = slice(0, 0)
        else:
            span = slice(start // _STEP * _STEP, min(self.keys, -(-stop // _STEP) * _STEP))
        if self.shared:
            self._spans[place] = span
        return span

    def rows(self, part: Part, span: slice) -> tuple[Array | None, int]:
        """The mask of the part's scores, and how many keys of the span its first query sees.

        Each later query sees one more, as `fastdrop._score_rows.Rows` has it.
        """
        n = span.stop - span.start
        low, high = self.band
        # From here on in rows of the part and columns of the span.
        low = None if low is None else low + part.first - span.start
        high = None if high is None else high + part.first - span.start
        visible = n
        if high is not None and high >= -1:
            visible, high = high + 1, None
        if low is not None and low + part.rows - 1 <= 0:
            low = None
        shape = (part.heads.stop - part.heads.start, part.rows, n)
        mask = None if self.mask is None else self._added(self.mask, part, span, shape)
        if low is None and high is None:
            return mask, visible
        seen = _diagonal(low, high, part.rows, n)
        return self._both(mask, np.broadcast_to(seen, shape)), visible

    def _cut(self, mask: Tensor, part: Part, span: slice) -> Tensor:
        heads = slice(0, 1) if self.shared else part.heads
        return mask[part.sample, heads, part.first : part.first + part.rows, span]

    def _added(self, mask: Tensor, part: Part, span: slice, shape: tuple[int, ...]) -> Array:
        cut = self._cut(mask, part, span)
        if cut.dtype not in (torch.bool, self.dtype):
            cut = torch.empty(cut.shape, dtype=self.dtype, device="cpu").copy_(cut)
        return np.broadcast_to(array_of(cut), shape)

    def _both(self, mask: Array | None, seen: Array) -> Array:
        """What a mask and the band leave together."""
        if mask is None:
            return seen
        if self._memory is None:
            self._memory = np.empty(self.size, mask.dtype)
        both = self._memory[: mask.size].reshape(mask.shape)
        if mask.dtype == bool:
            return np.logical_and(mask, seen, out=both)
        both.fill(-np.inf)
        np.copyto(both, mask, where=seen)
        return both


def _trimmed(mask: Tensor, start: int, stop: int) -> tuple[int, int]:
    """The first and the last but one of the columns in which anything takes part."""
    for axis in (0, 1):
        if mask.stride(axis) == 0:
            mask = mask.narrow(axis, 0, 1)
    if _taking_part(mask[..., [0, -1]]).flatten(0, 1).any(0).all():
        return start, stop
    found = _taking_part(mask).flatten(0, 1).any(0).nonzero()
    if found.numel() == 0:
        return start, start
    return start + int(found[0]), start + int(found[-1]) + 1


def _taking_part(mask: Tensor) -> Tensor:
    return mask if mask.dtype is torch.bool else mask != -torch.inf


def _diagonal(low: int | None, high: int | None, rows: int, columns: int) -> Array:
    """Bool, true where ``low <= column - row <= high``: a view of one value for each diagonal."""
    differences = np.arange(1 - rows, columns)
    seen = np.ones(differences.size, bool)
    if low is not None:
        seen &= differences >= low
    if high is not None:
        seen &= differences <= high
    return np.ndarray((rows, columns), bool, seen, rows - 1, (-1, 1))
