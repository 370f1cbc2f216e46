"""Each test of the PyTorch face leaves PyTorch's settings as it found them."""

import sys
from collections.abc import Iterator
from typing import Any

import pytest

PYTORCHS_OWN = (
    "ignore::DeprecationWarning:torch.*",
    "ignore:.torch.jit:DeprecationWarning",
    "ignore::torch.jit.TracerWarning",
    "ignore:dropout2d:UserWarning",
)
"""Warnings of what PyTorch itself deprecates or expects; a test that is about one catches it."""


def pytest_itemcollected(item: pytest.Item) -> None:
    item.add_marker(pytest.mark.filterwarnings(*PYTORCHS_OWN))


def _settings() -> dict[str, Any]:
    import torch

    return {
        "function modes": torch._C._len_torch_function_stack(),
        "dispatch modes": torch._C._len_torch_dispatch_stack(),
        "default dtype": torch.get_default_dtype(),
        "gradients": torch.is_grad_enabled(),
        "inference mode": torch.is_inference_mode_enabled(),
        "autocast": torch.is_autocast_enabled("cpu"),
        "threads": torch.get_num_threads(),
    }


@pytest.fixture(autouse=True)
def settings_stay() -> Iterator[None]:
    """A mode or default that one test leaves behind would change what later ones prove."""
    pytest.importorskip("torch")
    before = _settings()
    yield
    if "fastdrop.torch" in sys.modules:
        sys.modules["fastdrop.torch"].disable()
    assert _settings() == before


@pytest.fixture
def threads(request: pytest.FixtureRequest) -> Iterator[None]:
    """PyTorch with as many threads as the test's parameter says."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield
    torch.set_num_threads(before)


@pytest.fixture(params=["one tile", "small tiles", "small tiles, turned"])
def tiles(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small tensors' attention in one tile, or in many of 5 queries, matrices turned or not."""
    from fastdrop.torch import _tiles

    if request.param != "one tile":
        monkeypatch.setattr(_tiles, "_TURNS", "turned" in request.param)
        monkeypatch.setattr(_tiles, "SCORES", 150)
        monkeypatch.setattr(_tiles, "_QUERIES", (5, 5))
