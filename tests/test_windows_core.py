"""Every backend's operations on windows: decisions with the steps of a larger array.

A window of the reference's result for the larger array is what a call on the window gives, for
every operation, layout and way to share decisions.
"""

import numpy as np
import pytest
from computing import KINDS, layouts, numbers
from support import same_bits

from fastdrop import backends
from fastdrop._rates import make_plan
from fastdrop.backends.call import Bias, Call, room_for, steps_of
from fastdrop.stream import Key

# operation: how many operands it reads and writes, and its numbers
OPERATIONS = {
    "scale": (1, 1, (1.25,)),
    "affine": (1, 1, (1.25, 0.5, -0.75)),
    "add": (2, 1, (1.25,)),
    "select": (2, 1, ()),
    "split": (1, 2, ()),
    "mix": (2, 1, (0.75, 0.25)),
    "unmix": (1, 2, (0.75, 0.25)),
    "act": (1, 1, (1.25,)),
    "act_slope": (2, 1, (1.25,)),
    "noise_factor": (1, 1, (0.5,)),
    "noise_add": (1, 1, (0.5,)),
}

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


def _call(operation: str, kind: str, shape: tuple[int, ...], key: Key) -> Call:
    reads, writes, factors = OPERATIONS[operation]
    n = int(np.prod(shape))
    noise, plain = operation.startswith("noise"), operation in ("mix", "unmix")
    bias = None
    if operation.startswith("act"):
        some = numbers(kind, 5)[: shape[-1]]
        bias = Bias(np.resize(some, some.size + 4096), some.size, 0)
    return Call(
        operation,
        kind,
        tuple(numbers(kind, i)[:n].reshape(shape) for i in range(reads)),
        tuple(np.empty(shape, numbers(kind, 0).dtype) for _ in range(writes)),
        factors,
        None if plain else key,
        None if plain or noise else make_plan(0.3, kind),
        act="silu",
        bias=bias,
    )


def _part(call: Call, cut: tuple[slice, ...], steps: tuple[int, ...]) -> Call:
    """The call on a window of its operands."""
    key, bias = call.key, call.bias
    start = sum((axis.start or 0) * step for axis, step in zip(cut, steps, strict=True))
    if key is not None:
        key = Key(key.seed, key.stream, key.offset + call.positions * start)
    if bias is not None:
        row = bias.values[: bias.n][cut[-1]]
        bias = Bias(np.resize(row, row.size + 4096), row.size, 0)
    steps = tuple((axis.step or 1) * step for axis, step in zip(cut, steps, strict=True))
    reads = tuple(x[cut] for x in call.reads)
    writes = tuple(np.full_like(y[cut], 7) for y in call.writes)
    return call._replace(reads=reads, writes=writes, key=key, steps=steps, bias=bias)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_window_gets_its_part_of_the_decisions(impl, operation, kind):
    for n, (shape, cut) in enumerate(WINDOWS.values()):
        whole = _call(operation, kind, shape, Key(5, 6, 4001 + n))
        backends.load("numpy").run(whole)
        part = _part(whole, cut, steps_of(shape))
        impl.module.run(part)
        for got, want in zip(part.writes, whole.writes, strict=True):
            assert same_bits(got, np.ascontiguousarray(want[cut]), kind), (shape, cut)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_windows_in_any_memory(impl, operation):
    shape, cut = (9, 17, 300), (slice(2, 7), slice(1, 16), slice(3, 290))
    whole = _call(operation, "float32", shape, Key(5, 6, 2**64 - 100_000))
    backends.load("numpy").run(whole)
    part = _part(whole, cut, steps_of(shape))
    wanted = [np.ascontiguousarray(y[cut]) for y in whole.writes]
    order = np.ascontiguousarray(wanted[0])
    for name, y in layouts(order).items():
        for other in (name, "contiguous"):
            reads = tuple(layouts(np.ascontiguousarray(x))[other] for x in part.reads)
            writes = (y, *(np.empty_like(order) for _ in part.writes[1:]))
            y[...] = 7
            impl.module.run(part._replace(reads=reads, writes=writes))
            for got, want in zip(writes, wanted, strict=True):
                assert same_bits(np.ascontiguousarray(got), want, "float32"), (name, other)


@pytest.mark.parametrize("operation", [o for o in OPERATIONS if o not in ("mix", "unmix")])
def test_shared_decisions_of_a_window(impl, operation):
    shape, cut = (6, 12, 200), (slice(1, 5), slice(2, 9), slice(3, 150))
    for shared in [(1, 12, 200), (6, 1, 200), (6, 12, 1), (6, 1, 1), (1, 12, 1), (1, 1, 1)]:
        steps = steps_of(shared)
        whole = _call(operation, "float32", shape, Key(5, 6, 77))
        whole = whole._replace(steps=steps)
        backends.load("numpy").run(whole)
        part = _part(whole, cut, steps)
        rooms = [None] if part.plan is None else [None, room_for(part.reads[0].size)]
        for room in rooms:
            for y in part.writes:
                y.fill(7)
            impl.module.run(part._replace(mask=room))
            for got, want in zip(part.writes, whole.writes, strict=True):
                assert same_bits(got, np.ascontiguousarray(want[cut]), "float32"), (shared, room)


@pytest.mark.parametrize("operation", ["scale", "affine", "add", "select", "split", "act"])
def test_given_bits_with_steps(impl, operation):
    """Windows of a mask that is there; the mask's first bit is the window's first decision."""
    shape = (7, 300)
    bits = np.random.default_rng(1).integers(0, 256, room_for(7 * 400).size, np.uint8)
    keep = np.unpackbits(bits, bitorder="little").view(bool)
    for steps in [(400, 1), (400, 0), (0, 1), (5, 3), (1, 7)]:
        call = _call(operation, "float32", shape, Key(1))._replace(key=None)
        index = np.indices(shape)
        given = keep[index[0] * steps[0] + index[1] * steps[1]]
        backends.load("numpy").run(call._replace(mask=given))
        wanted = [y.copy() for y in call.writes]
        for y in call.writes:
            y.fill(7)
        impl.module.run(call._replace(mask=bits, steps=steps))
        for got, want in zip(call.writes, wanted, strict=True):
            assert same_bits(got, want, "float32"), steps


def test_masks_of_windows(impl):
    plan = make_plan(0.3, "float32")
    for n, (shape, cut) in enumerate(WINDOWS.values()):
        whole = np.empty(shape, bool)
        key = Key(5, 6, 4001 + n)
        backends.load("numpy").mask_bool(whole, key, plan)
        steps = steps_of(shape)
        start = sum((axis.start or 0) * step for axis, step in zip(cut, steps, strict=True))
        steps = tuple((axis.step or 1) * step for axis, step in zip(cut, steps, strict=True))
        wanted = np.ascontiguousarray(whole[cut])
        key = Key(5, 6, key.offset + start)
        got = np.empty(wanted.shape, bool)
        impl.module.mask_bool(got, key, plan, steps)
        assert np.array_equal(got, wanted)
        packed = np.full(room_for(wanted.size).size, 0xEE, np.uint8)
        impl.module.mask_packed(packed, wanted.shape, key, plan, steps)
        assert np.array_equal(packed, np.packbits(wanted, bitorder="little"))
