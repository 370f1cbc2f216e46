"""What a call of any variant draws: exactly its decisions, and nothing where it fails."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cases import CASES, FIRST, Arrays, Case, equal, parametrize, results
from forms import reshaped
from formulas import BLOCK

import fastdrop
from fastdrop import Generator, Key

DRAWING = [case for case in CASES if not case.repeats]


def empty(case: Case) -> list[Arrays]:
    """Operands without elements, along each axis (or the first, where lengths are an option)."""
    axes = range(1 if "noise_shape" in case.options else len(case.shape))
    shapes = [tuple(0 if i == axis else n for i, n in enumerate(case.shape)) for axis in axes]
    return [reshaped(case, shape).operands() for shape in shapes]


@parametrize()
def test_evaluation_and_empty_arrays_draw_nothing(case: Case) -> None:
    generator, operands = Generator(1), case.operands()
    first = next(iter(operands.values()))
    rng: Any = 1 if case.repeats else generator
    out = {"out": np.zeros_like(first)} if case.takes("out") else {}
    for more in ({}, out):
        got = results(case(operands, training=False, rng=rng, **more))[0]
        assert got is more.get("out", got if case.evaluated else first)
        for given in empty(case):
            x = given[case.variant.operands[0]]
            target = {"out": np.ones_like(x)} if more else {}
            got = results(case(given, rng=rng, **target))
            assert got[0] is target.get("out", got[0])
            assert got[0].shape == x.shape
            if case.evaluated is None and not target:
                assert got[0] is x
    assert generator.offset == 0


@parametrize(DRAWING)
def test_a_generator_moves_by_the_decisions_whatever_p_is(case: Case) -> None:
    generator, operands = Generator(1), case.operands()
    blocks = -(-case.positions // BLOCK)
    for i, p in enumerate(case.rates):
        case(operands, p, rng=generator)
        assert generator.offset == (i + 1) * blocks * BLOCK


@parametrize([case for case in CASES if case.positions > 1])
def test_a_key_has_to_leave_room_for_them(case: Case) -> None:
    """What leaves just enough: test_values.py."""
    with pytest.raises(OverflowError, match=f"{case.positions} positions"):
        case(case.operands(), rng=Key(1, 0, 2**64 - case.positions + 1))


@parametrize(FIRST)
def test_what_rng_may_be(case: Case) -> None:
    operands, sequence = case.operands(), np.random.SeedSequence(3)
    drawn = np.random.default_rng(3).integers(2**64, dtype=np.uint64, size=2)
    rngs: list[tuple[Any, Key]] = [
        (3, Key(3)),
        (np.int16(3), Key(3)),
        (np.uint64(3), Key(3)),
        (sequence, Key(*sequence.generate_state(2, np.uint64).tolist())),
    ]
    if not case.repeats:
        rngs += [(Generator(3), Key(3)), (np.random.default_rng(3), Key(*drawn.tolist()))]
    for rng, key in rngs:
        assert equal(case(operands, rng=rng), case(operands, rng=key))


@parametrize([case for case in FIRST if not case.repeats])
def test_without_rng_the_default_generator_is_drawn_from(case: Case) -> None:
    fastdrop.manual_seed(4)
    operands = case.operands()
    first, second = case(operands), case(operands)
    assert fastdrop.default_generator().offset == 2 * BLOCK * -(-case.positions // BLOCK)
    assert np.array_equal(first, case(operands, rng=4))
    assert not np.array_equal(first, second)


@parametrize([case for case in FIRST if case.shape])
def test_memory_is_allocated_before_a_generator_moves(case: Case) -> None:
    generator, shapes = Generator(1), case.shapes
    huge = {
        name: np.broadcast_to(np.float32(1), (2**42, *shape[1:]) if len(shape) > 1 else shape)
        for name, shape in shapes.items()
    }
    with pytest.raises(MemoryError):
        case(huge, rng=1 if case.repeats else generator)
    assert generator.offset == 0
