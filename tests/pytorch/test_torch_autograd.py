"""Gradients: by drawing again, forward and backward, and with nothing kept.

That of every variant, to any order: test_torch_family.py.
"""

import gc
import weakref

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from torch import nn  # noqa: E402
from torch.utils.checkpoint import checkpoint  # noqa: E402

import fastdrop.torch as ft  # noqa: E402


def test_nothing_is_saved() -> None:
    saved = []

    def keep(x: "torch.Tensor") -> "torch.Tensor":
        saved.append(x)
        return x

    x = torch.randn(100, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
        ft.dropout(x, 0.5)
        ft.dropout(x * 1, 0.5, inplace=True)
        ft.dropout2d(x.view(1, 10, 5, 2), 0.5)
        assert not [s for s in saved if s.numel() > 1]
        nn.functional.dropout(x, 0.5)
        assert len([s for s in saved if s.numel() == 100]) == 1, "the hook sees what is saved"


def test_the_input_is_not_kept_alive() -> None:
    leaf = torch.randn(100, requires_grad=True)
    x = leaf * 1
    alive = weakref.ref(x)
    y = ft.dropout(x, 0.5)
    del x
    gc.collect()
    assert alive() is None
    y.sum().backward()
    assert leaf.grad is not None


def test_gradients_are_recorded_only_where_they_should_be() -> None:
    x = torch.randn(10, requires_grad=True)
    assert ft.dropout(x, 0.5).requires_grad
    assert not ft.dropout(x.detach(), 0.5).requires_grad
    for context in (torch.no_grad(), torch.inference_mode()):
        with context:
            assert not ft.dropout(x, 0.5).requires_grad


@pytest.mark.parametrize("use_reentrant", [True, False])
@pytest.mark.parametrize("inplace", [True, False])
def test_checkpointing_draws_the_same_mask(use_reentrant: bool, inplace: bool) -> None:
    block = nn.Sequential(
        nn.Linear(8, 8), ft.Dropout(0.5, inplace), nn.Linear(8, 8), ft.Dropout(0.5)
    )
    x = torch.randn(4, 8, requires_grad=True)
    results = []
    for run in (block, lambda x: checkpoint(block, x, use_reentrant=use_reentrant)):
        block.zero_grad()
        x.grad = None
        torch.manual_seed(5)
        y = run(x)
        y.square().sum().backward()
        results.append([y.detach(), x.grad, *(p.grad.clone() for p in block.parameters())])
    assert all(map(torch.equal, *results))


def test_hooks_and_retained_gradients() -> None:
    seen = []
    x = torch.randn(10, requires_grad=True)
    y = ft.dropout(x * 1, 0.5, inplace=True, seed=3)
    y.retain_grad()
    y.register_hook(lambda g: seen.append(g) or g * 2)
    y.sum().backward()
    assert len(seen) == 1
    assert torch.equal(x.grad, ft.dropout(torch.full((10,), 2.0), 0.5, seed=3))
