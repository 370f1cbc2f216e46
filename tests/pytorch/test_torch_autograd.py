"""Gradients by drawing again, with nothing kept; and `torch.func`.

Those of every variant, to any order: test_torch_family.py and test_torch_tracers.py.
"""

import gc
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from drawing import ALGORITHMS  # noqa: E402
from torch import nn  # noqa: E402
from torch.func import grad, hessian, jacfwd, jacrev, vmap  # noqa: E402
from torch.utils.checkpoint import checkpoint  # noqa: E402

import fastdrop.torch as ft  # noqa: E402


def saved_by(call: Callable[[], Any]) -> int:
    """How many elements autograd keeps of a call."""
    kept: list[int] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x.numel()), lambda x: x):
        call()
    return sum(kept)


def test_nothing_is_saved() -> None:
    x = torch.randn(100, requires_grad=True)
    compiled = torch.compile(lambda x: ft.dropout(x, 0.5), backend="aot_eager", fullgraph=True)
    assert saved_by(lambda: ft.dropout(x, 0.5)) <= 1
    assert saved_by(lambda: ft.dropout(x * 1, 0.5, inplace=True)) <= 1
    assert saved_by(lambda: ft.dropout2d(x.view(1, 10, 5, 2), 0.5)) <= 1
    assert saved_by(lambda: compiled(x)) <= 3, "a key"
    assert saved_by(lambda: nn.functional.dropout(x, 0.5)) == 100, "the hook sees what is saved"


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


@pytest.mark.parametrize("reentrant", [True, False])
def test_a_checkpoint_of_what_is_computed_in_place(reentrant: bool) -> None:
    """Of every module, with every generator: test_torch_effects.py."""
    x = torch.ones(256, requires_grad=True)
    y = checkpoint(lambda x: ft.dropout(x * 2, 0.5, inplace=True), x, use_reentrant=reentrant)
    y.sum().backward()
    assert torch.equal(x.grad, y)


def test_hooks_and_retained_gradients() -> None:
    seen = []
    x = torch.randn(10, requires_grad=True)
    y = ft.dropout(x * 1, 0.5, inplace=True, seed=3)
    y.retain_grad()
    y.register_hook(lambda g: seen.append(g) or g * 2)
    y.sum().backward()
    assert len(seen) == 1
    assert torch.equal(x.grad, ft.dropout(torch.full((10,), 2.0), 0.5, seed=3))


# --- torch.func ----------------------------------------------------------------------------------


def drop(x: "torch.Tensor") -> "torch.Tensor":
    return ft.dropout(x, 0.5)


def kinds(samples: "torch.Tensor") -> int:
    """How many of the samples differ."""
    return len({sample.numpy().tobytes() for sample in samples})


def test_vmap_error() -> None:
    x = torch.ones(3, 4, 4)
    attend = lambda x: ft.scaled_dot_product_attention(x, x, x, dropout_p=0.5)  # noqa: E731
    for call in (drop, nn.functional.dropout, attend, *ALGORITHMS.values()):
        with pytest.raises(RuntimeError, match="called random operation while in randomness error"):
            vmap(call)(x)
    assert torch.equal(vmap(lambda x: ft.dropout(x, 0.5, training=False))(x), x)
    assert torch.equal(vmap(lambda x: ft.dropout(x, 0.0))(x), x)


def test_vmap_of_what_has_no_batch() -> None:
    x = torch.ones(100)
    for randomness, n in (("different", 20), ("same", 1)):
        assert kinds(vmap(lambda i: drop(x) + 0 * i, randomness=randomness)(torch.zeros(20))) == n


@pytest.mark.parametrize("inplace", [True, False])
@pytest.mark.parametrize(("randomness", "n"), [("same", 1), ("different", 6)])
def test_vmap_of_channels(randomness: str, n: int, inplace: bool) -> None:
    x = torch.ones(6, 2, 30, 4, 4)
    y = vmap(lambda x: ft.dropout2d(x, 0.5, inplace=inplace), randomness=randomness)(x)
    assert (y == y[..., :1, :1]).all()
    assert kinds(y) == n


def test_gradients_of_samples() -> None:
    g = vmap(grad(lambda x: drop(x).sum()), randomness="different")(torch.randn(20, 30))
    assert set(g.unique().tolist()) == {0.0, 2.0}
    assert kinds(g) == 20


def test_jacobians_and_hessian() -> None:
    x, fixed = torch.randn(6), partial(ft.dropout, p=0.5, seed=3)
    keep = fixed(torch.ones(6)).diag()
    assert torch.equal(jacfwd(fixed)(x), keep)
    assert torch.equal(jacrev(fixed)(x), keep)
    assert torch.equal(hessian(lambda x: (fixed(x) ** 2).sum())(x), 2 * keep**2)
    for how in ({}, {"vectorize": True}, {"vectorize": True, "strategy": "forward-mode"}):
        assert torch.equal(torch.autograd.functional.jacobian(fixed, x, **how), keep)


def test_results_of_a_transform_that_is_over() -> None:
    kept = []
    grad(lambda x: kept.append(x) or x.sum())(torch.ones(10))
    y = ft.dropout(kept[0], 0.5, seed=3)
    assert torch.equal(y, ft.dropout(torch.ones(10), 0.5, seed=3))
