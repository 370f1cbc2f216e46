"""Every operation of the declarations gives the NumPy backend's bits in the others.

On contiguous arrays, element by element: at sizes on both sides of every boundary, from any
position of the stream, out of place and in place; and nothing else is touched. (Every size at
every alignment, for every kernel: tests/c/test_computing.c.)
"""

from __future__ import annotations

import functools
import itertools

import numpy as np
import operations
import pytest
from computing import BIG, KINDS, OPERATIONS, Operation, layouts, numbers
from support import STORAGE, Guarded, difference, same_bits, to_storage

from fastdrop.backends.call import Bias, Call, steps_of
from fastdrop.stream import Key

FEW_SIZES = (65, 4099)
SIZES = (
    0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 4095, 4096, 4097,
    8191, 8192, 8193, 3 * 4096 + 77,
)  # fmt: skip
OFFSETS = (0, 1, 63, 64, 4095, 2**63, 2**64 - 100_000)
MISALIGNMENTS = [(1, 0, 0, 0), (8, 0, 0, 0), (0, 33, 1, 2), (16, 7, 16, 8), (1, 63, 61, 4)]


def cases(impl: str, thoroughly: bool) -> list[tuple[int, int, tuple[int, ...]]]:
    """Sizes, offsets and misalignments: each with some of the others' interesting ones."""
    aligned = (0, 0, 0, 0)
    if impl == "numpy":  # the reference itself: that it may work in place, and touches nothing
        return [(n, 77, (1, 2, 3, 4)) for n in (0, *FEW_SIZES)]
    if not thoroughly:
        return [(n, 77, aligned) for n in (*FEW_SIZES, 8193)]
    return [
        *((n, 77, aligned) for n in SIZES),
        *((n, offset, aligned) for offset in OFFSETS for n in FEW_SIZES),
        *((n, 13, at) for at in MISALIGNMENTS for n in FEW_SIZES),
        (BIG, 5, (0, 4, 8, 0)),
    ]


@functools.lru_cache(maxsize=200)
def reference(operation: Operation, kind: str, p: float, n: int, key: Key) -> list[np.ndarray]:
    """What the NumPy backend says, and what every implementation is compared with."""
    read = [numbers(kind, i)[:n] for i in range(len(operation.variant.operands))]
    wanted = [np.empty(n, STORAGE[kind]) for _ in range(operation.variant.results)]
    operations.of("numpy").run(operation.call(kind, p, read, wanted, key))
    return wanted


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_the_reference_s_bits(impl, kind, operation):
    for p in operation.probabilities:
        # Dtypes have the same boundaries, and activations the same loops; C's tests take all.
        thoroughly = (kind == "float32" or operation.name == "scale") and p in (0.1, 0.9)
        for n, offset, at in cases(impl.name, thoroughly and operation.act == "none"):
            compare(impl, operation, kind, p, n, Key(3, 4, offset), at)


def compare(impl, operation: Operation, kind: str, p: float, n: int, key: Key, at) -> None:
    """Out of place, and in place of each operand where there is one result."""
    read = [numbers(kind, i)[:n] for i in range(len(operation.variant.operands))]
    wanted = reference(operation, kind, p, n, key)
    for place in (None, *range(len(read) if len(wanted) == 1 else 0)):
        what = (kind, p, n, key, at, "apart" if place is None else f"in place of {place}")
        inputs = [Guarded(n, STORAGE[kind], at[i]) for i in range(len(read))]
        for guarded, before in zip(inputs, read, strict=True):
            guarded.array[:] = before
        outputs = [Guarded(n, STORAGE[kind], at[-1 - i]) for i in range(len(wanted))]
        if place is not None:
            outputs[0] = inputs[place]
        impl.run(
            operation.call(kind, p, [g.array for g in inputs], [g.array for g in outputs], key)
        )
        for got, want in zip(outputs, wanted, strict=True):
            assert same_bits(got.array, want, kind), (what, difference(got.array, want))
        assert all(g.intact() for g in inputs + outputs), what
        for guarded, before in zip(inputs, read, strict=True):
            if guarded is not outputs[0]:
                assert same_bits(guarded.array, before, kind), ("was written", what)


def outcome(backend, operation: Operation, kind: str, p: float, x, key: Key, /, **changes):
    """What a backend writes into contiguous memory, of a call with some changes."""
    y = np.empty(x.shape, x.dtype)
    backend.run(operation.call(kind, p, [x], [y], key)._replace(**changes))
    return y


NOISE = [o for o in OPERATIONS if o.name.startswith("noise")]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("operation", NOISE, ids=str)
def test_shared_variates_have_the_reference_s_bits(impl, reference, kind, operation):
    x, key = numbers(kind, 1)[: 7 * 5 * 40].reshape(7, 5, 40), Key(3, 4, 4090)
    for shape in ((7, 1, 40), (1, 5, 1), (7, 5, 1), (1, 1, 1), (7, 5, 40)):
        steps = steps_of(shape)
        wanted = outcome(reference, operation, kind, 0.4, x, key, steps=steps)
        for given in layouts(x).values():
            got = outcome(impl, operation, kind, 0.4, given, key, steps=steps)
            assert same_bits(got, wanted, kind), shape
    assert same_bits(outcome(reference, operation, kind, 0.4, x, key), wanted, kind)


def test_the_largest_deviation_has_the_reference_s_bits(impl, reference):
    for operation, kind in itertools.product(NOISE[1:], ("float32", "float64")):
        x, key = numbers(kind, 1)[:4099], Key(3, 4, 77)
        found = [outcome(b, operation, kind, 3e38, x, key) for b in (impl, reference)]
        assert same_bits(*found, kind)


@pytest.mark.parametrize("kind", KINDS)
def test_no_bias_keeps_the_sign_of_zero(impl, kind):
    negative_zero = Bias(to_storage(np.full(4097, -0.0), kind), 1, 0)
    x = to_storage([0.0, -0.0], kind)
    y = np.empty_like(x)
    impl.run(Call("act", kind, (x,), (y,), (1.0,), act="none", bias=negative_zero))
    assert same_bits(y, x, kind)
