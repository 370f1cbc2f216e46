"""Every variant on arrays of any layout: an element becomes what it becomes in C order.

Strides, orders and shapes at large: test_equality_layouts.py and test_arrays.py, for `dropout`.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from cases import CASES, FIRST, KEY, Case, equal, parametrize, results
from computing import layouts
from forms import reshaped
from formulas import scaled
from support import by_threads, core_or_skip

import fastdrop

SOFTMAX = [
    Case(f"softmax_dropout{back}", dict.fromkeys(names, (5, 7, 33)), scaled, None, options, scaled)
    for back, names in (("", ["scores"]), ("_backward", ["dy", "scores"]))
    for options in ({}, {"axis": 1})
]
WITH_AXES = [case for case in CASES if case.shape] + SOFTMAX
# Blocks, channels and rows have as many axes as they say.
OF_ANY_RANK = [
    case
    for case in FIRST
    if not case.name.endswith(("1d", "2d", "3d")) and case.name != "embedding_dropout"
]


def alike(case: Case) -> list[str]:
    """The operands of the result's shape; the first one gives the result its layout."""
    names = [name for name, shape in case.shapes.items() if shape == case.shape]
    return sorted(names, key="dy".__eq__)


@pytest.mark.usefixtures("impl")
@parametrize(WITH_AXES)
def test_any_layout(case: Case) -> None:
    operands, first = case.operands(), alike(case)[0]
    variants = {name: layouts(x) for name, x in operands.items()}
    names = [name for name in variants[first] if name in next(reversed(variants.values()))]
    for training in (True, False) if case.evaluated else (True,):
        wanted = case(operands, training=training, rng=KEY)
        for i, j in itertools.product(range(len(names)), repeat=2):
            # Each operand in a layout of its own, so that each meets those of all others.
            given = {
                name: layouts(operands[name])[names[(i + k) % len(names)]]
                for k, name in enumerate(operands)
            }
            got = case(given, training=training, rng=KEY)
            assert equal(got, wanted), names[i]
            assert equal(tuple(given.values()), tuple(operands.values())), "an operand was written"
            assert results(got)[0].strides == np.empty_like(given[first]).strides, names[i]
            if case.takes("out"):
                out = layouts(np.zeros_like(operands[first]))[names[j]]
                got = case(given, training=training, rng=KEY, out=out)
                assert results(got)[0] is out
                assert equal(got, wanted), (names[i], names[j])


@pytest.mark.usefixtures("impl")
@parametrize([case for case in WITH_AXES if case.takes("out")])
def test_in_place_of_each_operand(case: Case) -> None:
    operands = case.operands()
    wanted = case(operands, rng=KEY)
    for written in alike(case):
        for how, x in layouts(operands[written]).items():
            got = case({**operands, written: x}, rng=KEY, out=x)
            assert results(got)[0] is x
            assert equal(got, wanted), (written, how)


@pytest.mark.usefixtures("impl")
@parametrize([case for case in FIRST if case.decisions is None and not case.axes])
def test_long_rows_in_another_order(case: Case) -> None:
    """So long that a block of the stream's length is taken from them, which begins within one."""
    for n, offset in ((9000, 0), (8192, 77), (4 * 4096, 4095)):
        operands, key = reshaped(case, (3, n)).operands(), fastdrop.Key(4, 5, offset)
        turned = {name: x[::-1].copy()[::-1] if x.ndim > 1 else x for name, x in operands.items()}
        assert equal(case(turned, rng=key), case(operands, rng=key))


@pytest.mark.usefixtures("impl")
@parametrize(OF_ANY_RANK)
def test_more_axes_than_a_backend_takes(case: Case) -> None:
    """More than the 32 of NumPy's iterators, and any that a kernel has loops for."""
    operands = case.operands()
    deep = {
        name: x.reshape(*x.shape[:-1], *(1,) * 50, x.shape[-1]) if x.ndim > 1 else x
        for name, x in operands.items()
    }
    got, want = results(case(deep, rng=KEY)), results(case(operands, rng=KEY))
    assert equal([y.reshape(np.shape(w)) for y, w in zip(got, want, strict=True)], want)


@parametrize(FIRST + SOFTMAX)
def test_what_is_not_an_array_is_converted(case: Case) -> None:
    operands = case.operands(np.float64)
    lists = {name: x.tolist() for name, x in operands.items()}
    assert equal(case(lists, rng=KEY), case(operands, rng=KEY))


@parametrize([case for case in FIRST if case.shape])
def test_the_same_bits_for_every_number_of_threads(case: Case) -> None:
    """More bytes than the pool is used for, from a position within a step of the stream."""
    core_or_skip()
    longer = case.shape[0] * -(-1_054_321 // math.prod(case.shape))
    operands = reshaped(case, (longer, *case.shape[1:])).operands()
    turned = {name: x.T.copy().T for name, x in operands.items()}
    key = fastdrop.Key(1, 2, 33)
    first, *others = by_threads(lambda: (case(operands, rng=key), case(turned, rng=key)))
    assert equal(*first)
    for other in others:
        assert all(itertools.starmap(equal, zip(other, first, strict=True)))
