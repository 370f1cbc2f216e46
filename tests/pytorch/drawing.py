"""All functions and modules of fastdrop.torch that draw, as calls of one tensor of shape (4, 4)."""

from collections.abc import Callable
from typing import Any

import torch
from cases import Case
from on_torch import CASES, FORMS, module, module_name, takes
from on_torch import MODULES as WITH_MODULES
from torch import nn

import fastdrop.torch as ft

Call = Callable[..., Any]


def name_of(case: Case) -> str:
    """The function's, and what is said by options beside numbers."""
    return " ".join([case.name, *(v for v in case.options.values() if isinstance(v, str))])


def prepare(case: Case, x: torch.Tensor) -> list[torch.Tensor]:
    """The operands, of as many axes as the case has: the tensor, its double, a row as a bias."""
    if case.name.endswith(("2d", "3d")):
        x = x[(None,) * (len(case.shape) - 2)]
    others = list(case.shapes.values())[1:]
    return [x, *(x * 2 if shape == case.shape else x[0] for shape in others)]


def calling(case: Case) -> Call:
    # Blocks of 2 leave something of 4 elements.
    options = {**case.options, "training": True, **({"block_size": 2} if case.axes else {})}
    default = 0.3 if case.axes else 0.5
    return lambda x, p=default, **more: getattr(ft, case.name)(
        *prepare(case, x), **{case.rate: p, **options, **more}
    )


_LAST = {name_of(case): case for case in reversed([*FORMS, *CASES])}
_CASES = {name: case for name, case in _LAST.items() if len(case.shape) > 1}

ALGORITHMS: dict[str, Call] = {
    "softmax_dropout": lambda x, p=0.5, **k: ft.softmax_dropout(x, p, **k),
    "softmax_dropout dim 0": lambda x, p=0.5, **k: ft.softmax_dropout(x, p, dim=0, **k),
    "dropconnect_linear": lambda x, p=0.5, **k: ft.dropconnect_linear(x, x, None, p, **k),
    "dropconnect_linear shared": lambda x, p=0.5, **k: ft.dropconnect_linear(
        x, x, None, p, per_sample=False, **k
    ),
}
FUNCTIONS: dict[str, Call] = {
    **{name: calling(case) for name, case in _CASES.items()},
    **ALGORITHMS,
}
INPLACE = {name: calling(case) for name, case in _CASES.items() if takes(case, "inplace")}
"""Those that take ``inplace=True``."""


class _On(nn.Module):
    """A module that gets a tensor of shape (4, 4) in the shape that it takes."""

    def __init__(self, module: nn.Module, case: Case) -> None:
        super().__init__()
        self.module = module
        self.case = case

    def forward(self, x: "torch.Tensor") -> "torch.Tensor":
        return self.module(*prepare(self.case, x))


def _on(case: Case) -> Call:
    more = {"block_size": 2} if case.axes else {}
    return lambda **k: _On(module(case, 0.3 if case.axes else 0.5, **more, **k), case)


MODULES: dict[str, Call] = {
    **{module_name(case): _on(case) for case in WITH_MODULES},
    "SoftmaxDropout": lambda **k: ft.SoftmaxDropout(0.5, **k),
    "DropConnectLinear": lambda **k: ft.DropConnectLinear(4, 4, **k),
}
"""Modules, as functions that make them."""
