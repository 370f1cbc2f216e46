"""Every operation of the declarations gives the NumPy backend's bits in the others.

On contiguous arrays, element by element: at sizes on both sides of every boundary, from any
position of the stream, out of place and in place; and nothing else is touched. (Every size at
every alignment, for every kernel: tests/c/test_computing.c.) On windows: with decisions of a larger
array, what the reference gives for that part of it. And the known answers of normal variates.
"""

from __future__ import annotations

import functools
import itertools

import numpy as np
import operations
import pytest
from computing import BIG, KINDS, OPERATIONS, Operation, layouts, numbers
from support import STORAGE, Guarded, difference, guarded, number, records, same_bits, to_storage

from fastdrop._rates import make_plan
from fastdrop.backends.call import Bias, Call, room_for, steps_of
from fastdrop.backends.numpy import functions
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
        inputs = [guarded(x, at[i]) for i, x in enumerate(read)]
        outputs = [Guarded(n, STORAGE[kind], at[-1 - i]) for i in range(len(wanted))]
        if place is not None:
            outputs[0] = inputs[place]
        arrays = [[g.array for g in made] for made in (inputs, outputs)]
        impl.run(operation.call(kind, p, *arrays, key))
        pairs = zip(outputs + inputs, wanted + read, strict=True)  # what is read stays
        for i, (got, want) in enumerate(pairs):
            if i < len(wanted) or got is not outputs[0]:
                what = (kind, p, n, key, at, place, i)
                assert same_bits(got.array, want, kind), (what, difference(got.array, want))
                assert got.intact(), what


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


# --- Known answers ----------------------------------------------------------------------------


def test_numba_s_variates_are_the_reference_s_in_every_octave():
    """Also where few words lead to, so that the stream would hardly show it."""
    numba = pytest.importorskip("numba")
    from fastdrop.backends.numba.noise import normal

    words = np.concatenate([2 ** np.arange(32), 2 ** np.arange(32) - 1, [2**31 + 1]])
    words = np.concatenate([words, ~words & 0xFFFFFFFF, np.arange(0, 2**32, 9999991)])
    words = (words & 0xFFFFFFFF).astype(np.uint32)
    compiled = numba.njit(normal)
    got = np.array([compiled(word) for word in words], np.float32)
    np.testing.assert_array_equal(got, functions.normal(words))


def test_known_answers_of_single_words():
    words, expected = np.array([list(map(number, r)) for r in records("normal")], np.uint32).T
    assert words.size > 150
    np.testing.assert_array_equal(functions.normal(words).view(np.uint32), expected)


def test_known_answers_of_variates(impl):
    lines = list(records("variates"))
    assert len(lines) > 5
    for seed, stream, offset, n, *expected in lines:
        z = np.full(number(n), -0.0, np.float32)  # added to it, +0.0 and -0.0 stay
        key = Key(number(seed), number(stream), number(offset))
        impl.run(Call("noise_add", "float32", (z,), (z,), (1.0,), key))
        assert z.view(np.uint32).tolist() == list(map(number, expected))


# --- Windows ----------------------------------------------------------------------------------

# One of each name, in training where there is one; activations by the last of them.
ONE_OF_EACH = {o.name: o for o in sorted(OPERATIONS, key=lambda o: not o.evaluates)}
DRAWN = [o for o in ONE_OF_EACH.values() if not o.evaluates]

WINDOWS = {
    "columns": ((9, 700), (slice(None), slice(3, 530))),
    "few columns": ((300, 40), (slice(None), slice(5, 14))),
    "one column": ((90, 50), (slice(None), slice(7, 8))),
    "long rows": ((3, 9001), (slice(None), slice(1, 8999))),
    "rows": ((40, 130), (slice(11, 30), slice(None))),
    "three axes": ((6, 7, 130), (slice(1, 5), slice(2, 6), slice(3, 128))),
    "every third": ((20, 301), (slice(None, None, 2), slice(1, None, 3))),
    "far apart": ((3, 20001), (slice(None), slice(5, None, 4999))),
}


def whole_call(operation: Operation, kind, shape, key: Key, /, **changes) -> Call:
    """A call on the larger array, as the reference has computed it."""
    n = int(np.prod(shape))
    reads = [numbers(kind, i)[:n].reshape(shape) for i in range(len(operation.variant.operands))]
    writes = [np.empty_like(reads[0]) for _ in range(operation.variant.results)]
    call = operation.call(kind, 0.3, reads, writes, key)._replace(**changes)
    if call.bias is not None:
        call = call._replace(bias=bias_row(numbers(kind, 5)[: shape[-1]]))
    operations.of("numpy").run(call)
    return call


def bias_row(row: np.ndarray) -> Bias:
    return Bias(np.resize(row, row.size + 4096), row.size, 0)


def places(cut: tuple[slice, ...], steps: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
    """Of a window: its first decision in the larger array, and the steps to the next ones."""
    start = sum((axis.start or 0) * step for axis, step in zip(cut, steps, strict=True))
    return start, tuple((axis.step or 1) * step for axis, step in zip(cut, steps, strict=True))


def part_of(call: Call, cut: tuple[slice, ...], steps: tuple[int, ...]) -> Call:
    """The call on a window of its operands."""
    key, bias = call.key, call.bias
    start, steps = places(cut, steps)
    if key is not None:
        key = Key(key.seed, key.stream, key.offset + call.positions * start)
    if bias is not None:
        bias = bias_row(bias.values[: bias.n][cut[-1]])
    reads = tuple(x[cut] for x in call.reads)
    writes = tuple(np.empty_like(y[cut]) for y in call.writes)
    return call._replace(reads=reads, writes=writes, key=key, steps=steps, bias=bias)


def check(impl, call: Call, wanted, kind: str, *case) -> None:
    """What the call writes, over something else that was there."""
    for y in call.writes:
        y.fill(7)
    impl.run(call)
    for got, want in zip(call.writes, wanted, strict=True):
        assert same_bits(np.ascontiguousarray(got), np.ascontiguousarray(want), kind), case


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("operation", ONE_OF_EACH.values(), ids=str)
def test_a_window_gets_its_part_of_the_decisions(impl, operation, kind):
    for n, (shape, cut) in enumerate(WINDOWS.values()):
        whole = whole_call(operation, kind, shape, Key(5, 6, 4001 + n))
        part = part_of(whole, cut, steps_of(shape))
        check(impl, part, [y[cut] for y in whole.writes], kind, shape, cut)


@pytest.mark.parametrize("operation", DRAWN, ids=str)
def test_shared_decisions_of_a_window(impl, operation):
    shape, cut = (6, 12, 200), (slice(1, 5), slice(2, 9), slice(3, 150))
    for shared in [(1, 12, 200), (6, 1, 200), (6, 12, 1), (6, 1, 1), (1, 12, 1), (1, 1, 1)]:
        steps = steps_of(shared)
        whole = whole_call(operation, "float32", shape, Key(5, 6, 77), steps=steps)
        part = part_of(whole, cut, steps)
        wanted = [y[cut] for y in whole.writes]
        for room in [None] if part.plan is None else [None, room_for(part.reads[0].size)]:
            check(impl, part._replace(mask=room), wanted, "float32", shared, room)


@pytest.mark.parametrize("operation", [o for o in DRAWN if "noise" not in o.name], ids=str)
def test_given_bits_with_steps(impl, operation):
    """Windows of a mask that is there; the mask's first bit is the window's first decision."""
    shape = (7, 300)
    bits = np.random.default_rng(1).integers(0, 256, room_for(7 * 400).size, np.uint8)
    keep = np.unpackbits(bits, bitorder="little").view(bool)
    for steps in [(400, 1), (400, 0), (0, 1), (5, 3), (1, 7)]:
        index = np.indices(shape)
        given = keep[index[0] * steps[0] + index[1] * steps[1]]
        call = whole_call(operation, "float32", shape, Key(1), key=None, mask=given)
        wanted = [y.copy() for y in call.writes]
        check(impl, call._replace(mask=bits, steps=steps), wanted, "float32", steps)


def test_masks_of_windows(impl):
    plan = make_plan(0.3, "float32")
    for n, (shape, cut) in enumerate(WINDOWS.values()):
        whole = np.empty(shape, bool)
        operations.of("numpy").mask_bool(whole, Key(5, 6, 4001 + n), plan)
        start, steps = places(cut, steps_of(shape))
        wanted, key = np.ascontiguousarray(whole[cut]), Key(5, 6, 4001 + n + start)
        got = np.empty(wanted.shape, bool)
        impl.mask_bool(got, key, plan, steps)
        assert np.array_equal(got, wanted)
        packed = np.full(room_for(wanted.size).size, 0xEE, np.uint8)
        impl.mask_packed(packed, wanted.shape, key, plan, steps)
        assert np.array_equal(packed, np.packbits(wanted, bitorder="little"))
