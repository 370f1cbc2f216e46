"""Each test of the PyTorch face leaves PyTorch's settings as it found them."""

from collections.abc import Iterator
from typing import Any

import pytest


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
    assert _settings() == before
