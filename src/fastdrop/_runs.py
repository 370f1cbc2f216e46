"""Operations on contiguous runs, applied to arrays of any layout."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ._arrays import Array
from ._rng import Key

# Elements at a time where an array is not contiguous: whole blocks of the stream.
_BUFFER = 16 * 4096


def over_runs(run: Callable[..., None], read: Sequence[Array], written: Sequence[Array]) -> None:
    """Call ``run(start, *operands)`` for runs that make up the elements of all arrays, in C order.

    ``start`` is the number of the first element; operands are contiguous and have one axis. The
    arrays have one shape; those that are not contiguous go through small buffers. What is written
    may be what is read, with the same layout.
    """
    arrays = [*read, *written]
    if all(array.flags.c_contiguous for array in arrays):
        if arrays[0].size:
            run(0, *(array.reshape(-1) for array in arrays))
        return
    flags: list[list[Any]] = [["readonly", "contig"] for _ in read]
    flags += [["writeonly", "contig"] for _ in written]
    iterator = np.nditer(
        arrays,
        flags=["external_loop", "buffered", "zerosize_ok", "delay_bufalloc"],
        op_flags=flags,
        order="C",
        buffersize=_BUFFER,
    )
    start = 0
    with iterator:
        iterator.reset()
        for operands in iterator:
            run(start, *operands)
            start += operands[0].size


class Bias(NamedTuple):
    """A bias that is added to rows of ``n`` elements, as backends take it.

    ``values`` has ``n`` + 4096 elements, in which those of the bias come again and again; the first
    element of an operation stands in ``column``.
    """

    values: Array
    n: int
    column: int

    def at(self, start: int) -> Bias:
        """The same for an operation that begins at element number ``start``."""
        return self._replace(column=(self.column + start) % self.n)


def key_at(key: Key, start: int) -> Key:
    """The key of the elements from number ``start`` on."""
    return key if start == 0 else Key(key.seed, key.stream, (key.offset + start) % 2**64)
