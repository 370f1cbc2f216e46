"""Graphs of eager calls, gone back through by compiled autograd."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from attending import attend, some  # noqa: E402
from drawing import FUNCTIONS, INPLACE  # noqa: E402
from enabling import FUNCTIONS as PYTORCHS  # noqa: E402
from enabling import seeded  # noqa: E402
from torch._dynamo import compiled_autograd  # noqa: E402

import fastdrop.torch as ft  # noqa: E402

PART = "part of a larger tensor"
CASES: dict[str, Callable[["torch.Tensor"], "torch.Tensor"]] = {
    **FUNCTIONS,
    "attention": lambda x: attend(x, x * 2, x * 3, dropout_p=0.5),
    "causal attention": lambda x: attend(x, x, x, some(4, 4), 0.5, is_causal=True),
    "grouped heads": lambda x: attend(
        x.view(1, 4, 2, 2), *[x.view(1, 2, 4, 2)] * 2, dropout_p=0.5, enable_gqa=True
    ),
    "a mask that learns": lambda x: attend(x, x, x, x, 0.5),
    "softmax with a mask": lambda x: ft.softmax_dropout(x, 0.5, mask=some(4, 4)),
    PART: lambda x: ft.dropout(x, 0.5, window=((8, 8), (3, 2))),
    "part, activation": lambda x: ft.bias_act_dropout(
        x, x[0], "gelu", 0.5, window=((8, 4), (3, 0))
    ),
    "transposed": lambda x: ft.dropout(x.mT, 0.5),
}


pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")  # PyTorch's look


@pytest.fixture(autouse=True)
def _nothing_compiled() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def agree(function: Callable[["torch.Tensor"], "torch.Tensor"]) -> None:
    """The gradient is the same by PyTorch's engine and by a compiled graph."""
    given = torch.rand(4, 4, generator=torch.Generator().manual_seed(1))
    around = (nullcontext(), compiled_autograd._enable(torch.compile(backend="aot_eager")))
    found: list[Any] = []
    for context in around:
        x = given.clone().requires_grad_()
        loss = seeded(function, x).square().sum()
        with context:
            loss.backward()
        found.append(x.grad)
    assert found[0].any()
    torch.testing.assert_close(*found)  # compilers may add gradients up in another order


def but(*light: str) -> list[Any]:
    """All cases; most of them are heavy, as compiling takes its time."""
    heavy = pytest.mark.heavy
    return [pytest.param(name, marks=() if name in light else heavy) for name in CASES]


@pytest.mark.parametrize("name", but("dropout", "softmax_dropout", "attention", PART))
def test_gradients(name: str) -> None:
    agree(CASES[name])


@pytest.mark.heavy
@pytest.mark.parametrize("name", INPLACE)
def test_gradients_in_place(name: str) -> None:
    agree(lambda x: INPLACE[name](x * 1, inplace=True))


@pytest.mark.heavy
@pytest.mark.parametrize("name", PYTORCHS)
def test_gradients_of_pytorchs_functions(name: str) -> None:
    with ft.enable():
        agree(PYTORCHS[name])


@pytest.mark.parametrize("name", but("softmax_dropout"))
def test_gradients_of_gradients(name: str) -> None:
    def penalty(x: "torch.Tensor") -> "torch.Tensor":
        y = CASES[name](x).square().sum()
        return torch.autograd.grad(y, x, create_graph=True)[0]

    agree(penalty)
