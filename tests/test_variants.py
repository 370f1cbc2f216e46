"""The declarations of the variants: each has all of its pieces."""

from __future__ import annotations

import dataclasses
import inspect
from pathlib import Path
from typing import get_args

import pytest

import fastdrop
from fastdrop.backends.call import Operation
from fastdrop.variants import DROPOUT, VARIANTS, Variant

TABLE = Path(__file__).parents[1] / "docs" / "dropout.md"
NAMES = [variant.function for variant in VARIANTS]


def missing(variant: Variant) -> list[str]:
    """The pieces that the variant lacks, in words."""
    function = getattr(fastdrop, variant.function, None)
    if variant.function not in fastdrop.__all__ or function is None:
        return [f"no function fastdrop.{variant.function}"]
    arguments = inspect.signature(function).parameters
    pieces = {
        "source in the docstring": "Source:" in (inspect.getdoc(function) or ""),
        **{f"argument {name}": name in arguments for name in variant.operands},
        f"operation {variant.operation}": variant.operation in get_args(Operation),
        f"gradient {variant.gradient}": variant.gradient in ("same", "identity", *NAMES),
    }
    if not variant.function.endswith("_backward"):
        row = f"`{variant.function}`" in TABLE.read_text(encoding="utf-8")
        pieces["row in docs/dropout.md"] = row
        pieces[f"layer {variant.layer}"] = variant.layer in fastdrop.layers.__all__
    return [f"no {piece}" for piece, is_there in pieces.items() if not is_there]


needs_docs = pytest.mark.skipif(
    not TABLE.exists(), reason="an installed fastdrop is tested apart from its repository"
)


@needs_docs
@pytest.mark.parametrize("variant", VARIANTS, ids=NAMES)
def test_a_declaration_has_all_pieces(variant: Variant) -> None:
    assert missing(variant) == []


@needs_docs
def test_a_missing_piece_is_found() -> None:
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


def test_every_operation_is_declared_once_or_more() -> None:
    used = {variant.operation for variant in VARIANTS}
    used |= {v.evaluation.operation for v in VARIANTS if v.evaluation is not None}
    assert used == set(get_args(Operation))
