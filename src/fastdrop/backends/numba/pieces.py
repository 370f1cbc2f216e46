"""A call cut into contiguous pieces of one axis."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from fastdrop._arrays import Array
from fastdrop.backends.call import Call, parts

from .drawn import at_once

CHUNK = 64 * 4096
"""Elements at a time: whole blocks of the stream, and whole bytes of packed masks."""

_BUFFER = 16 * 4096  # the same of arrays that are not contiguous


def pieces(call: Call) -> Iterator[Call]:
    """The call in pieces, one after another in C order.

    Arrays that are not contiguous go through small buffers: a piece has to be computed before the
    next is asked for. What is drawn for a piece begins at its key, or its mask is an array of it,
    with one element for each.
    """
    given, n = at_once(call), len(call.reads)
    reads = call.reads if given is None else (*call.reads, given)
    for start, operands in _contiguous(reads, call.writes):
        key, mask, bias = call.key, call.mask, call.bias
        if given is not None:
            key, mask = None, operands[n]
        elif key is None and mask is not None:  # packed
            skip, bits = start % 8, mask[start // 8 :]
            mask = np.unpackbits(bits, count=skip + operands[0].size, bitorder="little")[skip:]
        elif key is not None and start:
            offset = (key.offset + call.positions * start) % 2**64
            key = type(key)(key.seed, key.stream, offset)
        if bias is not None:
            bias = bias._replace(column=(bias.column + start) % bias.n)
        writes = operands[len(reads) :]
        yield call._replace(reads=operands[:n], writes=writes, key=key, mask=mask, bias=bias)


def _contiguous(
    reads: tuple[Array, ...], writes: tuple[Array, ...]
) -> Iterator[tuple[int, tuple[Array, ...]]]:
    """Where each piece of the arrays begins, and its parts of them."""
    arrays, start = (*reads, *writes), 0
    if all(array.flags.c_contiguous for array in arrays):
        flat = [array.reshape(-1) for array in arrays]
        for part in parts(flat[0].size, CHUNK):
            yield part.start, tuple(array[part] for array in flat)
        return
    flags: list[list[Any]] = [["readonly", "contig"]] * len(reads)
    flags += [["writeonly", "contig"]] * len(writes)
    how: Any = ["external_loop", "buffered", "delay_bufalloc"]
    iterator = np.nditer(arrays, how, flags, order="C", buffersize=_BUFFER)
    with iterator:
        iterator.reset()
        for operands in iterator:
            yield start, operands
            start += operands[0].size
