"""Every variant computes what its definition says, to the bit, in every backend."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cases import CASES, KEY, Case, parametrize, results
from support import DTYPES, difference, same_bits

import fastdrop
from fastdrop import Key
from fastdrop.variants import VARIANTS


def check(got: list[np.ndarray], wanted: list[np.ndarray], *what: object) -> None:
    """Where a function has a second result that the formula does not give, it is left out."""
    for y, want in zip(got, wanted, strict=False):
        kind, raw = want.dtype.name, np.dtype(f"u{want.itemsize}")
        stored = np.uint16 if want.itemsize == 2 else want.dtype
        assert type(y) is np.ndarray
        assert y.dtype == want.dtype
        assert y.shape == want.shape
        a, b = np.ascontiguousarray(y).view(raw), np.ascontiguousarray(want).view(raw)
        equal = same_bits(a.view(stored), b.view(stored), kind)
        assert equal, (what, difference(a, b))


def test_every_variant_is_in_the_table() -> None:
    assert {case.name for case in CASES} == {variant.function for variant in VARIANTS}
    options = {name for case in CASES for name in case.options}
    assert options >= {"noise_shape", "mode", "data_format", "time_axis", "block_size", "act"}


@pytest.mark.usefixtures("impl")
@parametrize()
def test_the_definition(case: Case) -> None:
    for dtype in DTYPES:
        operands = case.operands(dtype, special=True)
        before = {name: x.copy() for name, x in operands.items()}
        for p in case.rates:
            check(results(case(operands, p, rng=KEY)), case.defined(operands, p, KEY), p)
        for name, x in operands.items():
            assert x.tobytes() == before[name].tobytes()


@pytest.mark.usefixtures("impl")
@parametrize()
def test_at_the_last_positions_of_the_stream(case: Case) -> None:
    operands, key = case.operands(), Key(3, 4, 2**64 - case.positions)
    check(results(case(operands, rng=key)), case.defined(operands, 0.4, key))


@pytest.mark.usefixtures("impl")
@parametrize()
def test_evaluation(case: Case) -> None:
    for dtype in DTYPES:
        operands = case.operands(dtype, special=True)
        first = next(iter(operands.values()))
        for p in case.rates:
            y = case(operands, p, training=False, rng=KEY)
            if case.evaluated is None:
                assert y is first
            check(results(y), case.defined(operands, p, None), p)


@pytest.mark.usefixtures("impl")
@parametrize()
def test_a_dropped_element_is_positive_zero_or_what_the_formula_says(case: Case) -> None:
    """Whatever the first operand was: signs, infinities and nan leave no trace."""
    if case.name.startswith("gaussian"):
        return  # nothing is dropped
    operands, dropped = case.operands(), ~case.draw(0.5, KEY)
    first = next(iter(operands))
    want = case.defined(operands, 0.5, KEY)[0][dropped]
    for value in (-np.inf, np.nan, -1.0):
        operands[first] = np.full_like(operands[first], value)
        got = results(case(operands, 0.5, rng=KEY))[0][dropped]
        assert got.tobytes() == want.tobytes()


def test_the_default_rate_and_positions_of_arguments() -> None:
    x = np.linspace(-1, 1, 2 * 3 * 16 * 16, dtype=np.float32).reshape(2, 3, 16, 16)
    for variant in VARIANTS:
        function: Any = getattr(fastdrop, variant.function)
        if variant.function.endswith(("1d", "3d", "_backward", "_noise")):
            continue
        given = x[0, 0] if variant.function == "embedding_dropout" else x
        arrays = [given] * len(variant.operands)
        more = {"block_size": 7} if variant.block_axes else {}
        by_name = {**dict(zip(variant.operands, arrays, strict=True)), **more, "p": 0.5}
        assert np.array_equal(function(*arrays, rng=1), function(**by_name, training=1, rng=1))
