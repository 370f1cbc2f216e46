"""Every backend's operations on windows: decisions with the steps of a larger array.

A window of the reference's result for the larger array is what a call on the window gives, for
every operation, layout and way to share decisions.
"""

import numpy as np
import pytest
from computing import KINDS, OPERATIONS, Operation, numbers
from support import same_bits

from fastdrop import backends
from fastdrop._rates import make_plan
from fastdrop.backends.call import Bias, Call, room_for, steps_of
from fastdrop.stream import Key

# One of each name, in training where there is one; activations by the last of them.
ONE_OF_EACH = {o.name: o for o in sorted(OPERATIONS, key=lambda o: not o.evaluates)}
EACH = pytest.mark.parametrize("operation", ONE_OF_EACH.values(), ids=str)
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


def _whole(operation: Operation, kind: str, shape: tuple[int, ...], key: Key, /, **changes) -> Call:
    """A call on the larger array, as the reference has computed it."""
    n = int(np.prod(shape))
    reads = [numbers(kind, i)[:n].reshape(shape) for i in range(len(operation.variant.operands))]
    writes = [np.empty_like(reads[0]) for _ in range(operation.variant.results)]
    call = operation.call(kind, 0.3, reads, writes, key)._replace(**changes)
    if call.bias is not None:
        call = call._replace(bias=_bias(numbers(kind, 5)[: shape[-1]]))
    backends.load("numpy").run(call)
    return call


def _bias(row: np.ndarray) -> Bias:
    return Bias(np.resize(row, row.size + 4096), row.size, 0)


def _places(cut: tuple[slice, ...], steps: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
    """Of a window: its first decision in the larger array, and the steps to the next ones."""
    start = sum((axis.start or 0) * step for axis, step in zip(cut, steps, strict=True))
    return start, tuple((axis.step or 1) * step for axis, step in zip(cut, steps, strict=True))


def _part(call: Call, cut: tuple[slice, ...], steps: tuple[int, ...]) -> Call:
    """The call on a window of its operands."""
    key, bias = call.key, call.bias
    start, steps = _places(cut, steps)
    if key is not None:
        key = Key(key.seed, key.stream, key.offset + call.positions * start)
    if bias is not None:
        bias = _bias(bias.values[: bias.n][cut[-1]])
    reads = tuple(x[cut] for x in call.reads)
    writes = tuple(np.empty_like(y[cut]) for y in call.writes)
    return call._replace(reads=reads, writes=writes, key=key, steps=steps, bias=bias)


def _check(impl, call: Call, wanted, kind: str, *case, **changes) -> None:
    """What the call writes, over something else that was there."""
    call = call._replace(**changes)
    for y in call.writes:
        y.fill(7)
    impl.module.run(call)
    for got, want in zip(call.writes, wanted, strict=True):
        assert same_bits(np.ascontiguousarray(got), np.ascontiguousarray(want), kind), case


@pytest.mark.parametrize("kind", KINDS)
@EACH
def test_a_window_gets_its_part_of_the_decisions(impl, operation, kind):
    for n, (shape, cut) in enumerate(WINDOWS.values()):
        whole = _whole(operation, kind, shape, Key(5, 6, 4001 + n))
        part = _part(whole, cut, steps_of(shape))
        _check(impl, part, [y[cut] for y in whole.writes], kind, shape, cut)


@pytest.mark.parametrize("operation", DRAWN, ids=str)
def test_shared_decisions_of_a_window(impl, operation):
    shape, cut = (6, 12, 200), (slice(1, 5), slice(2, 9), slice(3, 150))
    for shared in [(1, 12, 200), (6, 1, 200), (6, 12, 1), (6, 1, 1), (1, 12, 1), (1, 1, 1)]:
        steps = steps_of(shared)
        whole = _whole(operation, "float32", shape, Key(5, 6, 77), steps=steps)
        part = _part(whole, cut, steps)
        wanted = [y[cut] for y in whole.writes]
        for room in [None] if part.plan is None else [None, room_for(part.reads[0].size)]:
            _check(impl, part, wanted, "float32", shared, room, mask=room)


@pytest.mark.parametrize("operation", [o for o in DRAWN if "noise" not in o.name], ids=str)
def test_given_bits_with_steps(impl, operation):
    """Windows of a mask that is there; the mask's first bit is the window's first decision."""
    shape = (7, 300)
    bits = np.random.default_rng(1).integers(0, 256, room_for(7 * 400).size, np.uint8)
    keep = np.unpackbits(bits, bitorder="little").view(bool)
    for steps in [(400, 1), (400, 0), (0, 1), (5, 3), (1, 7)]:
        index = np.indices(shape)
        given = keep[index[0] * steps[0] + index[1] * steps[1]]
        call = _whole(operation, "float32", shape, Key(1), key=None, mask=given)
        wanted = [y.copy() for y in call.writes]
        _check(impl, call, wanted, "float32", steps, mask=bits, steps=steps)


def test_masks_of_windows(impl):
    plan = make_plan(0.3, "float32")
    for n, (shape, cut) in enumerate(WINDOWS.values()):
        whole = np.empty(shape, bool)
        backends.load("numpy").mask_bool(whole, Key(5, 6, 4001 + n), plan)
        start, steps = _places(cut, steps_of(shape))
        wanted, key = np.ascontiguousarray(whole[cut]), Key(5, 6, 4001 + n + start)
        got = np.empty(wanted.shape, bool)
        impl.module.mask_bool(got, key, plan, steps)
        assert np.array_equal(got, wanted)
        packed = np.full(room_for(wanted.size).size, 0xEE, np.uint8)
        impl.module.mask_packed(packed, wanted.shape, key, plan, steps)
        assert np.array_equal(packed, np.packbits(wanted, bitorder="little"))
