"""Every variant computes what its definition says, to the bit, in every backend."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from cases import CASES, KEY, Case, parametrize, results
from support import DTYPES, alike
from surface import EACH, Operation

import fastdrop
from fastdrop import Key
from fastdrop.variants import BY_FUNCTION, VARIANTS


def check(got: list[np.ndarray], wanted: list[np.ndarray], *what: object) -> None:
    """Where a function has a second result that the formula does not give, it is left out."""
    for y, want in zip(got, wanted, strict=False):
        assert type(y) is np.ndarray
        assert alike(y, want), what


def test_every_variant_is_in_the_table() -> None:
    assert {case.name for case in CASES} == {variant.function for variant in VARIANTS}
    options = {name for case in CASES for name in case.options}
    assert options >= {"noise_shape", "mode", "data_format", "time_axis", "block_size", "act"}


@pytest.mark.usefixtures("impl")
@parametrize()
def test_the_definition(case: Case) -> None:
    """In training, to the last positions of the stream, and in evaluation."""
    last = Key(3, 4, 2**64 - case.positions)
    for dtype in DTYPES:
        operands = case.operands(dtype, special=True)
        first, before = next(iter(operands.values())), [x.tobytes() for x in operands.values()]
        for p, key in [*itertools.product(case.rates, (KEY, None)), (0.4, last)]:
            y = case(operands, p, training=key is not None, rng=key or KEY)
            check(results(y), case.defined(operands, p, key), p, key)
            assert key is not None or case.evaluated is not None or y is first
        assert [x.tobytes() for x in operands.values()] == before


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


NOT_DECLARED = [p for p in EACH if p.id not in {*BY_FUNCTION, "mc_dropout", "sparsity"}]


@pytest.mark.usefixtures("impl")
@pytest.mark.parametrize("operation", NOT_DECLARED)
def test_bfloat16_is_computed_in_float32_and_rounded_once(operation: Operation) -> None:
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    for training, added in itertools.product((True, False), repeat=2):
        narrow = operation.operands(bfloat16)
        narrow |= {"mask": narrow["scores"]} if added and "scores" in narrow else {}
        wide = {name: x if x.dtype == bool else x.astype(np.float32) for name, x in narrow.items()}
        more = {"training": training} if operation.takes("training") else {}
        got, wanted = operation(narrow, **more), operation(wide, **more)
        for y, want in zip(results(got), results(wanted), strict=True):
            assert y.dtype == bfloat16
            assert np.array_equal(y, want.astype(bfloat16))


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
