"""Derivatives with `enable`: autograd to any order, tangents, transforms of `torch.func`."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from enabling import FUNCTIONS, outcome, seeded  # noqa: E402
from torch import nn  # noqa: E402
from torch.autograd import forward_ad  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812
from torch.utils.checkpoint import checkpoint  # noqa: E402

import fastdrop.torch as ft  # noqa: E402


@pytest.fixture(autouse=True, params=[True, False], ids=["bernoulli", "no bernoulli"])
def bernoulli(request: pytest.FixtureRequest) -> Iterator[bool]:
    """All tests run while it holds."""
    with ft.enable(bernoulli=request.param):
        yield request.param


@pytest.fixture(params=FUNCTIONS)
def function(request: pytest.FixtureRequest) -> Callable[["torch.Tensor"], "torch.Tensor"]:
    return FUNCTIONS[request.param]


def test_derivatives_of_both_kinds_and_orders(function: Callable[..., Any]) -> None:
    x = torch.randn(4, 5, dtype=torch.float64, requires_grad=True)

    def both(x: "torch.Tensor") -> "torch.Tensor":
        return seeded(lambda: function(x * x))

    assert torch.autograd.gradcheck(both, x, check_forward_ad=True, check_batched_grad=True)
    assert torch.autograd.gradgradcheck(both, x)


def test_tangents_of_bernoulli() -> None:
    x, t = torch.randn(2, 50)
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(x, t)
        assert not forward_ad.unpack_dual(dual.bernoulli_(0.5)).tangent.any()


def test_no_grad_and_inference_mode() -> None:
    leaf, query = torch.randn(50, requires_grad=True), torch.randn(3, 2, 4, 8)
    wanted = seeded(ft.dropout, leaf.detach(), 0.3)
    attended = seeded(F.scaled_dot_product_attention, *query, dropout_p=0.3)
    with torch.no_grad():
        y = seeded(F.dropout, leaf, 0.3)
    assert torch.equal(y, wanted)
    assert not y.requires_grad
    with torch.inference_mode():
        x = leaf.clone()
        for y in (seeded(F.dropout, leaf, 0.3), seeded(F.dropout, x, 0.3)):
            assert torch.equal(y, wanted)
            assert y.is_inference()
        y = seeded(F.scaled_dot_product_attention, *query, dropout_p=0.3)
        assert torch.equal(y, attended)
    held = outcome(lambda: F.dropout(x.clone(), 0.3))
    assert torch.equal(held, wanted)
    assert not held.is_inference()
    with torch.inference_mode():
        assert seeded(F.dropout, x, 0.3, inplace=True) is x
    assert torch.equal(x, wanted)


def test_below_autograd_nothing_is_recorded() -> None:
    x = torch.randn(50, requires_grad=True)
    with torch._C._AutoDispatchBelowAutograd():
        y = seeded(F.dropout, x, 0.3)
    assert y.grad_fn is None
    assert torch.equal(y, seeded(ft.dropout, x.detach(), 0.3))


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpoints_draw_the_same_again(reentrant: bool) -> None:
    model = nn.Sequential(
        nn.Linear(8, 8), nn.Dropout(0.3), nn.TransformerEncoderLayer(8, 2, 16, 0.3)
    )
    x, results = torch.randn(5, 2, 8, requires_grad=True), []
    for call in (model, lambda x: checkpoint(model, x, use_reentrant=reentrant)):
        x.grad = None
        y = seeded(call, x)
        y.square().sum().backward()
        results.append((y, x.grad))
    assert all(map(torch.equal, *results))


# --- transforms ----------------------------------------------------------------------------------


@pytest.fixture
def composed(bernoulli: bool) -> None:
    if not bernoulli:
        pytest.skip("PyTorch composes dropout of bernoulli_ there, which is left to it")


@pytest.mark.usefixtures("composed")
def test_vmap() -> None:
    x = torch.randn(6, 50)
    apart, together = (
        seeded(torch.vmap(lambda row: F.dropout(row, 0.3), randomness=randomness), x)
        for randomness in ("different", "same")
    )
    assert torch.equal(apart != 0, seeded(ft.dropout, x, 0.3) != 0)
    assert torch.equal(together != 0, (seeded(ft.dropout, x[0], 0.3) != 0).expand(6, 50))
    with pytest.raises(RuntimeError, match="randomness error mode"):
        torch.vmap(lambda row: F.dropout(row, 0.3))(x)


@pytest.mark.usefixtures("composed")
def test_grad_and_jvp(function: Callable[..., Any]) -> None:
    x = torch.randn(4, 5, dtype=torch.float64)

    def loss(x: "torch.Tensor") -> "torch.Tensor":
        return function(x).square().sum()

    leaf = x.clone().requires_grad_()
    wanted = seeded(loss, leaf)
    (slope,) = torch.autograd.grad(wanted, leaf)
    torch.testing.assert_close(seeded(torch.func.grad(loss), x), slope)
    primal, tangent = seeded(torch.func.jvp, loss, (x,), (x,))
    torch.testing.assert_close(primal, wanted.detach())
    torch.testing.assert_close(tangent, (slope * x).sum())
