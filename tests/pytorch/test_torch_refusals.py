"""Every variant refuses in the PyTorch face what it refuses of arrays, with the same words.

What PyTorch has too refuses flags and shapes as PyTorch does: test_torch_drop_in.py.
"""

from __future__ import annotations

import inspect
import math
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from cases import Case, parametrize  # noqa: E402
from forms import reshaped  # noqa: E402
from on_torch import FIRST, MODULES, in_numpy, in_torch, module, tensors  # noqa: E402
from torch.nn import functional  # noqa: E402

import fastdrop.torch as ft  # noqa: E402

OURS = [case for case in FIRST if not hasattr(functional, case.name)]
BAD: dict[str, tuple[Any, ...]] = {
    "p": (-0.5, 1.5, math.nan),
    "std": (-0.5, math.inf, math.nan, "0.5"),
    "training": (2, "no"),
    "mode": ("rows",),
    "time_axis": (7, "x", 1.0),
    "block_size": (0, "x"),
    "act": ("tanh",),
}
"""Values that no function takes, by argument."""


def parameters(case: Case) -> list[str]:
    return list(inspect.signature(getattr(ft, case.name)).parameters)


def bad_options(case: Case) -> list[tuple[str, Any]]:
    found = [(name, value) for name in parameters(case) for value in BAD.get(name, ())]
    return [*found, ("p", 1.0)] if 1.0 not in case.rates and case.rate == "p" else found


def names(case: Case) -> dict[str, str]:
    """What the operands are called: of arrays, and here."""
    return dict(zip(case.shapes, parameters(case), strict=False))


def translated(words: str, case: Case) -> str:
    for ours, theirs in names(case).items():
        for how in ("{} has to", "{}'s", "of {},"):
            words = words.replace(how.format(ours), how.format(theirs))
    return words.replace("float32", "torch.float32").replace("float64", "torch.float64")


def check(case: Case, operands: list[Any], **more: Any) -> None:
    """NumPy's error, and nothing is drawn or written."""
    state, before = torch.get_rng_state(), [x.clone() for x in operands]
    with pytest.raises((TypeError, ValueError)) as wanted:
        in_numpy(case, operands, **more)
    with pytest.raises(wanted.type) as found:
        in_torch(case, operands, seed=None, **more)
    assert str(found.value) == translated(str(wanted.value), case)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(map(torch.equal, operands, before))


@parametrize(FIRST)
def test_rates_and_options(case: Case) -> None:
    for name, value in bad_options(case):
        if name != "training" or case in OURS:
            check(case, tensors(case), **{name: value})
        if name not in ("training", "p") or case in OURS:
            check(case, tensors(case), **{"training": False, name: value})


@parametrize(OURS)
def test_shapes(case: Case) -> None:
    for n in range(7):
        other = reshaped(case, (2, 3, 2, 3, 2, 3)[:n])
        try:
            in_numpy(other, tensors(other))
        except ValueError:
            check(other, tensors(other))


@parametrize(OURS)
def test_operands(case: Case) -> None:
    for i, name in enumerate(names(case).values()):
        for other in (1.0, [1.0], tensors(case)[i].long(), tensors(case)[i].to("meta")):
            operands = [other if j == i else x for j, x in enumerate(tensors(case))]
            with pytest.raises(TypeError, match=f"{name} has to be a strided tensor|meta"):
                in_torch(case, operands, seed=None)
        if i:
            x, fits = tensors(case)
            check(case, [x, fits[1:]])
            check(case, [x, fits.double()])


@parametrize(MODULES)
def test_modules(case: Case) -> None:
    for name, value in bad_options(case):
        # Which axes there are is known when there is an input.
        if name != "training" and (name, value) != ("time_axis", 7):
            with pytest.raises((TypeError, ValueError), match="has to be"):
                module(case, **{name: value})


@pytest.mark.parametrize(
    ("keywords", "words"),
    [
        ({"max_norm": 1.0}, "max_norm has to be left out, but got 1.0"),
        ({"p": 1.5}, "between 0 and 1, but got 1.5"),
        ({"sparse": True}, "sparse has to be left out"),
    ],
)
def test_the_module_of_tables(keywords: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ft.EmbeddingDropout(3, 4, **keywords)
