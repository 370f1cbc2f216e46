"""The declarations of the variants: each has all of its pieces, and what is public is declared."""

from __future__ import annotations

import dataclasses
import inspect
from pathlib import Path
from typing import get_args

import pytest

import fastdrop
from fastdrop.backends.call import Operation
from fastdrop.variants import DROPOUT, VARIANTS, Variant

REPOSITORY = Path(__file__).parents[1]

# Algorithms of their own, and functions on masks.
NOT_DECLARED = {
    "dropconnect_linear",
    "dropconnect_linear_backward",
    "dropout_",
    "dropout_mask",
    "dropout_samples",
    "mc_dropout",
    "softmax_dropout",
    "softmax_dropout_backward",
}
LAYERS_NOT_DECLARED = {"DropConnectLinear", "Layer", "SoftmaxDropout"}

NAMES = [variant.function for variant in VARIANTS]


def missing(variant: Variant) -> list[str]:
    """The pieces that the variant lacks, in words."""
    found = []
    function = getattr(fastdrop, variant.function, None)
    if variant.function not in fastdrop.__all__ or function is None:
        return [f"no function fastdrop.{variant.function}"]
    if "Source:" not in (inspect.getdoc(function) or ""):
        found.append("no source in the docstring")
    arguments = list(inspect.signature(function).parameters)
    absent = [name for name in variant.operands if name not in arguments]
    found += [f"no argument {name}" for name in absent]
    if variant.operation not in get_args(Operation):
        found.append(f"no operation {variant.operation}")
    if variant.gradient not in ("same", "identity", *NAMES):
        found.append(f"no gradient {variant.gradient}")
    if variant.function.endswith("_backward"):
        return found
    if variant.layer not in fastdrop.layers.__all__:
        found.append(f"no layer {variant.layer}")
    if f"`{variant.function}`" not in (REPOSITORY / "docs/dropout.md").read_text(encoding="utf-8"):
        found.append("no row in docs/dropout.md")
    return found


def skip_where_installed() -> None:
    if not (REPOSITORY / "docs" / "dropout.md").exists():
        pytest.skip("an installed fastdrop is tested apart from its repository")


@pytest.mark.parametrize("variant", VARIANTS, ids=NAMES)
def test_a_declaration_has_all_pieces(variant: Variant) -> None:
    skip_where_installed()
    assert missing(variant) == []


def test_a_missing_piece_is_found() -> None:
    skip_where_installed()
    for change, words in (
        ({"function": "no_such_dropout"}, "no function fastdrop.no_such_dropout"),
        ({"function": "max_norm_"}, "no argument x"),
        ({"function": "max_norm_"}, "no row in docs/dropout.md"),
        ({"function": "show_config"}, "no source in the docstring"),
        ({"operands": ("x", "y")}, "no argument y"),
        ({"operation": "subtract"}, "no operation subtract"),
        ({"gradient": "dropout_backward"}, "no gradient dropout_backward"),
        ({"layer": None}, "no layer None"),
    ):
        assert words in missing(dataclasses.replace(DROPOUT, **change))


def test_what_is_public_is_declared() -> None:
    drawing = {
        name
        for name in fastdrop.__all__
        if callable(function := getattr(fastdrop, name)) and not inspect.isclass(function)
        if "rng" in inspect.signature(function).parameters
    }
    assert drawing - NOT_DECLARED == set(NAMES)
    declared = {variant.layer for variant in VARIANTS if variant.layer}
    assert set(fastdrop.layers.__all__) - LAYERS_NOT_DECLARED == declared


def test_every_operation_is_declared_once_or_more() -> None:
    used = {variant.operation for variant in VARIANTS}
    used |= {v.evaluation.operation for v in VARIANTS if v.evaluation is not None}
    assert used == set(get_args(Operation))
