"""`fastdrop.torch` beside PyTorch: its dropout, and its multiplication, the limit; float32.

One thread. A step is forward and backward. At 16 elements the limit is PyTorch's own module: what
is measured there is the calls.
"""

import importlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from . import measure
from .measure import ALL_SIZES, QUICK, Bench

_GRADIENT = "gradient({}, leaf, g)"


class Case(NamedTuple):
    """Two statements to compare."""

    what: str
    size: str
    statement: str
    limit: str


def _large(size: str) -> list[Case]:
    return [
        Case("forward", size, "ours.dropout(x, p)", "x * s"),
        Case("forward, recorded", size, "ours.dropout(leaf, p)", "leaf * s"),
        Case("step", size, _GRADIENT.format("ours.dropout(leaf, p)"), _GRADIENT.format("leaf * s")),
        Case("in place", size, "ours.dropout(x, p, inplace=True)", "x.mul_(s)"),
        Case("forward, PyTorch", size, "F.dropout(x, p)", "x * s"),
        Case(
            "step, PyTorch",
            size,
            _GRADIENT.format("F.dropout(leaf, p)"),
            _GRADIENT.format("leaf * s"),
        ),
        Case("in place, PyTorch", size, "F.dropout(x, p, inplace=True)", "x.mul_(s)"),
    ]


_SMALL = [
    Case("forward", "16", "drop(x)", "theirs(x)"),
    Case("forward, recorded", "16", "drop(leaf)", "theirs(leaf)"),
    Case("step", "16", _GRADIENT.format("drop(leaf)"), _GRADIENT.format("theirs(leaf)")),
    Case("in place", "16", "drop_(x)", "theirs_(x)"),
]
_LAYOUTS = [
    Case("channels last", "1 M", "ours.dropout(x4, p)", "x4 * s"),
    Case("transposed", "1 M", "ours.dropout(x2, p)", "x2 * s"),
    Case("whole channels", "1 M", "ours.dropout2d(x4, p)", "x4 * s"),
]
CASES = [
    *_SMALL,
    *_large("64 K" if QUICK else "1 M"),
    *([] if QUICK else [*_large("16 M"), *_LAYOUTS]),
]


@pytest.fixture(scope="module")
def names() -> Iterator[dict[str, Any]]:
    """The modules, and PyTorch's single thread."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    ours = importlib.import_module("fastdrop.torch")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield {
        "torch": torch,
        "F": torch.nn.functional,
        "gradient": torch.autograd.grad,
        "ours": ours,
        "p": 0.1,
        "s": 1.0,
        "drop": ours.Dropout(0.1),
        "drop_": ours.Dropout(0.1, inplace=True),
        "theirs": torch.nn.Dropout(0.1),
        "theirs_": torch.nn.Dropout(0.1, inplace=True),
    }
    torch.set_num_threads(before)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.what}, {case.size}")
def test_torch(benchmark: BenchmarkFixture, names: dict[str, Any], case: Case) -> None:
    torch, n = names["torch"], ALL_SIZES[case.size]
    x = torch.ones(n)
    tensors = {"x": x, "leaf": torch.ones(n, requires_grad=True), "g": torch.ones(n)}
    if case in _LAYOUTS:
        tensors["x4"] = torch.ones(16, 64, 32, 32).contiguous(memory_format=torch.channels_last)
        tensors["x2"] = torch.ones(1024, 1024).T
    measure.run(
        benchmark,
        Bench(
            who="fastdrop.torch",
            what=case.what,
            statement=case.statement,
            limit=case.limit,
            names={**names, **tensors},
            n=n,
            moved=8 * n,
        ),
    )
