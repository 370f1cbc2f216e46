"""What holds for every backend operation that computes from contiguous arrays, element by element.

The NumPy backend is the reference: the others give its bits, at sizes on both sides of every
boundary, from any position of the stream, and touch nothing else. (Every alignment of every kernel:
tests/c/test_computing.c.)
"""

import functools
from collections.abc import Callable, Iterator

import numpy as np
import operations
from support import STORAGE, Guarded, difference, same_bits, to_storage

from fastdrop.stream import Key

KINDS = tuple(STORAGE)
SIZES = (
    0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129,
    4095, 4096, 4097, 8191, 8192, 8193, 3 * 4096 + 77,
)  # fmt: skip
FEW_SIZES = (1, 17, 65, 4099)
OFFSETS = (0, 1, 63, 64, 65, 4095, 4096, 2**63, 2**64 - 100_000)
BIG = 128 * 4096 + 77  # more than a chunk of any backend
_LARGEST = max(*SIZES, BIG)

Call = Callable[[operations.Operations, list[np.ndarray], list[np.ndarray], Key], None]
"""Calls the operation of a backend: what it reads, what it writes, the key of the first element."""


@functools.cache
def numbers(kind: str, which: int) -> np.ndarray:
    """Numbers of every size and sign, with what is special among them."""
    source = np.random.default_rng(100 + which)
    values = source.standard_normal(_LARGEST) * np.exp2(source.integers(-150, 150, _LARGEST))
    values[::2] = source.standard_normal(values[::2].size) * 3
    special = np.array([np.inf, -np.inf, np.nan, 0.0, -0.0, 1e-45, -6e-8, 5e-324, 65504, 3.3e38])
    source.shuffle(special)
    values[which::11] = np.resize(special, values[which::11].size)
    stored = to_storage(values, kind)
    stored.flags.writeable = False
    return stored


def _cases(backend: str) -> Iterator[tuple[int, int, tuple[int, ...]]]:
    """Sizes, offsets and misalignments: each with all of the others' interesting ones."""
    if backend == "numpy":  # the reference itself: that it may work in place, and touches nothing
        yield from ((n, 77, (1, 2, 3, 4)) for n in (0, *FEW_SIZES))
        return
    for n in SIZES:
        yield n, 77, (0, 0, 0, 0)
    for offset in OFFSETS:
        for n in FEW_SIZES:
            yield n, offset, (0, 0, 0, 0)
    for at in [(1, 0, 0, 0), (8, 0, 0, 0), (0, 33, 1, 2), (16, 7, 16, 8), (1, 63, 61, 4)]:
        for n in FEW_SIZES:
            yield n, 13, at
    yield BIG, 5, (0, 4, 8, 0)


_known: dict[tuple[str, str, int, int], list[np.ndarray]] = {}
"""What the reference said, for operations with a label: it says so to every implementation."""


def _reference(
    label: str | None, kind: str, call: Call, read: list[np.ndarray], writes: int, key: Key
) -> list[np.ndarray]:
    name = (label or "", kind, read[0].size, key.offset)
    wanted = _known.get(name) if label else None
    if wanted is None:
        wanted = [np.empty_like(read[0]) for _ in range(writes)]
        call(operations.of("numpy"), read, wanted, key)
        if label:
            _known[name] = wanted
    return wanted


def check_operation(
    impl,
    kind: str,
    call: Call,
    *,
    reads: int,
    writes: int = 1,
    in_place: tuple[int, ...] = (0,),
    label: str | None = None,
) -> None:
    """Compare an operation with the reference, out of place and in place of some operand.

    ``in_place`` names the operands that the first output may be. Operations that are slow in the
    reference have a ``label`` of their own, by which its results are remembered.
    """
    for n, offset, at in _cases(impl.name):
        key = Key(3, 4, offset)
        read = [numbers(kind, i)[:n] for i in range(reads)]
        wanted = _reference(label, kind, call, read, writes, key)
        for place in (None, *in_place):
            case = (kind, n, offset, at, "apart" if place is None else f"in place of {place}")
            inputs = [Guarded(n, STORAGE[kind], at[i]) for i in range(reads)]
            for guarded, before in zip(inputs, read, strict=True):
                guarded.array[:] = before
            outputs = [Guarded(n, STORAGE[kind], at[-1 - i]) for i in range(writes)]
            if place is not None:
                outputs[0] = inputs[place]
            call(impl, [g.array for g in inputs], [g.array for g in outputs], key)
            for got, want in zip(outputs, wanted, strict=True):
                assert same_bits(got.array, want, kind), (case, difference(got.array, want))
            assert all(g.intact() for g in inputs + outputs), case
            for guarded, before in zip(inputs, read, strict=True):
                if guarded is not outputs[0]:
                    assert same_bits(guarded.array, before, kind), ("was written", case)


def layouts(x: np.ndarray) -> dict[str, np.ndarray]:
    """The same numbers in memory of many kinds: each a copy of its own."""
    reversed_ = np.empty_like(x)[::-1]
    reversed_[...] = x
    padded = np.empty((*x.shape[:-1], x.shape[-1] + 3), x.dtype)[..., 1:-2]
    padded[...] = x
    every_other = np.empty((*x.shape[:-1], 2 * x.shape[-1]), x.dtype)[..., ::2]
    every_other[...] = x
    return {
        "contiguous": x.copy(),
        "fortran": np.asfortranarray(x),
        "reversed": reversed_,
        "padded": padded,
        "every other": every_other,
    }
