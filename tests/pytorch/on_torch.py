"""What the tests of the PyTorch face share: how each variant is called on tensors, and its module.

Operands and options come from `cases`, so that a declared variant is tested here without a word.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import cases
import numpy as np
import pytest
import torch
from cases import Case
from forms import with_acts, without_bias
from support import alike

import fastdrop
import fastdrop.torch as ft

KEY = fastdrop.Key(5, 6, 4096 - 7)
DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16]
LAYOUTS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "transposed": lambda x: x.transpose(0, -1).contiguous().transpose(0, -1),
    "channels last": lambda x: x.movedim(1 % x.dim(), -1).contiguous().movedim(-1, 1 % x.dim()),
    "every second": lambda x: x.repeat_interleave(2, -1)[..., ::2],
    "negated": lambda x: torch.complex(torch.zeros_like(x), -x).conj().imag,
}
"""The same numbers in memory of another layout."""

RENAMED = {
    "DropBlock1D": "DropBlock1d",
    "DropBlock2D": "DropBlock2d",
    "DropBlock3D": "DropBlock3d",
    "DropPath": "StochasticDepth",
    "Layer": "Dropout",  # the base of layers; that of modules is PyTorch's
    "SpatialDropout1D": "Dropout1d",
    "SpatialDropout2D": "Dropout2d",
    "SpatialDropout3D": "Dropout3d",
}
"""Layers whose module has PyTorch's name, or torchvision's."""


def takes(case: Case, *arguments: str) -> bool:
    return set(arguments) <= set(inspect.signature(getattr(ft, case.name)).parameters)


def is_taken(case: Case) -> bool:
    """By a function that reads shapes as NumPy's: 3 axes are rows to PyTorch's dropout2d."""
    other = case.name == "dropout2d" and len(case.shape) == 3
    return hasattr(ft, case.name) and takes(case, *case.options) and not other


CASES = [case for case in cases.CASES if is_taken(case)]
FIRST = [case for case in cases.FIRST if case in CASES]
"""One case of each function."""
FORMS = [form for case in FIRST for form in with_acts(case)]
"""The same with every activation."""
FORMS += [without_bias(case) for case in FIRST if "bias" in case.shapes]
SEVERAL = [case for case in FORMS if len(case.shapes) > 1]
"""Those of several operands."""


def tensors(case: Case, dtype: torch.dtype = torch.float32, special: bool = False) -> list[Any]:
    """One for each operand."""
    arrays = case.operands(np.float32, special).values()
    return [torch.from_numpy(x).to(dtype) for x in arrays]


def learned(case: Case, dtype: torch.dtype = torch.float32) -> list[Any]:
    """The same, whose gradients are recorded."""
    return [x.requires_grad_() for x in tensors(case, dtype)]


def like(x: Any, seed: int = 2) -> torch.Tensor:
    """A gradient for a result: the same at each call."""
    drawn = torch.randn(x.shape, generator=torch.Generator().manual_seed(seed))
    return drawn.to(x.dtype)


def in_torch(case: Case, operands: Any, p: Any = 0.4, **more: Any) -> Any:
    """The function, in training and from one key if nothing else is said."""
    if "generator" not in more:
        more.setdefault("seed", KEY)
    return getattr(ft, case.name)(
        *operands, **{case.rate: p, **case.options, "training": True, **more}
    )


def finite(y: torch.Tensor) -> torch.Tensor:
    """With 0 for what is dropped to -inf, whose differences are no numbers."""
    return torch.nan_to_num(y, neginf=0.0)


def in_numpy(case: Case, operands: Any, p: float = 0.4, **more: Any) -> np.ndarray:
    """What the NumPy function makes of the same numbers."""
    given = dict(zip(case.shapes, map(stored, operands), strict=True))
    found: np.ndarray = case(given, p, **{"rng": KEY, **more})
    return found


def module_name(case: Case) -> str:
    layer = str(case.variant.layer)
    return RENAMED.get(layer, layer)


def module(case: Case, p: float = 0.4, **more: Any) -> Any:
    return getattr(ft, module_name(case))(**{case.rate: p, **case.options, **more})


MODULES = [case for case in FIRST if module_name(case) != "EmbeddingDropout"]
"""All with a module that is called on the function's operands: that of tables is given words."""


def stored(x: torch.Tensor) -> np.ndarray:
    """The numbers as an array, of the same type."""
    x = x.detach().resolve_neg().contiguous()
    if x.dtype is torch.bfloat16:
        ml_dtypes = pytest.importorskip("ml_dtypes")
        return x.view(torch.uint16).numpy().view(ml_dtypes.bfloat16)
    return x.numpy()


def same(y: torch.Tensor, wanted: np.ndarray) -> bool:
    return alike(stored(y), wanted)


@contextmanager
def nothing_drawn() -> Iterator[None]:
    """Whatever happens leaves PyTorch's default generator where it stands."""
    before = torch.get_rng_state()
    yield
    assert torch.equal(torch.get_rng_state(), before)


@contextmanager
def left_alone(model: torch.nn.Module) -> Iterator[None]:
    """Modes, parameters and buffers are afterwards what they were."""
    modes = [(m, m.training) for m in model.modules()]
    of = lambda: (*model.named_parameters(), *model.named_buffers())  # noqa: E731
    state = {name: x.detach().clone() for name, x in of()}
    yield
    assert [(m, m.training) for m in model.modules()] == modes
    assert all(torch.equal(x, state[name]) for name, x in of())


def opcheck(operator: Any, *arguments: Any) -> None:
    """All that PyTorch checks of an operator."""
    assert set(torch.library.opcheck(operator, arguments).values()) == {"SUCCESS"}
