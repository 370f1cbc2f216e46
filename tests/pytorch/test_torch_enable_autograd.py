"""Derivatives with `enable`: autograd to any order, tangents, transforms of `torch.func`."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from enabling import outcome, seeded  # noqa: E402
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


FUNCTIONS: dict[str, Callable[["torch.Tensor"], "torch.Tensor"]] = {
    "dropout": lambda x: F.dropout(x, 0.3),
    "dropout, in place": lambda x: F.dropout(x * 1, 0.3, inplace=True),
    "dropout, view in place": lambda x: (y := x * 1, F.dropout(y[1:], 0.3, inplace=True), y)[2],
    "dropout2d": lambda x: F.dropout2d(x[..., None, None], 0.3),
    "alpha_dropout": lambda x: F.alpha_dropout(x, 0.3, True),
    "feature_alpha_dropout": lambda x: F.feature_alpha_dropout(x[..., None], 0.3, True),
    "native_dropout": lambda x: torch.native_dropout(x, 0.3, True)[0],
    "attention": lambda x: F.scaled_dot_product_attention(x, x, x, dropout_p=0.3),
}


@pytest.fixture(params=FUNCTIONS)
def function(request: pytest.FixtureRequest) -> Callable[["torch.Tensor"], "torch.Tensor"]:
    return FUNCTIONS[request.param]


def test_derivatives_of_both_kinds_and_orders(function: Callable[..., Any]) -> None:
    x = torch.randn(4, 5, dtype=torch.float64, requires_grad=True)

    def both(x: "torch.Tensor") -> "torch.Tensor":
        return seeded(lambda: function(x * x))

    assert torch.autograd.gradcheck(both, x, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(both, x)


def test_tangents_of_bernoulli() -> None:
    x, t = torch.randn(2, 50)
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(x, t)
        assert not forward_ad.unpack_dual(dual.bernoulli_(0.5)).tangent.any()


def test_no_grad_and_inference_mode() -> None:
    leaf = torch.randn(50, requires_grad=True)
    wanted = seeded(ft.dropout, leaf.detach(), 0.3)
    with torch.no_grad():
        y = seeded(F.dropout, leaf, 0.3)
        assert torch.equal(y, wanted)
        assert not y.requires_grad
    with torch.inference_mode():
        for x in (leaf, leaf.clone()):
            y = seeded(F.dropout, x, 0.3)
            assert torch.equal(y, wanted)
            assert y.is_inference()
        x = leaf.clone()
        assert seeded(F.dropout, x, 0.3, inplace=True) is x
        assert torch.equal(x, wanted)
        query = torch.randn(3, 2, 4, 8)
        attended = seeded(F.scaled_dot_product_attention, *query, dropout_p=0.3)
    plain = query.clone()
    assert torch.equal(attended, seeded(F.scaled_dot_product_attention, *plain, dropout_p=0.3))


def test_an_inference_tensor_outside_is_as_pytorch_has_it() -> None:
    with torch.inference_mode():
        x = torch.randn(50)
    held = outcome(lambda: F.dropout(x.clone(), 0.3))
    assert torch.equal(held, seeded(ft.dropout, x.clone(), 0.3))
    assert not held.is_inference()


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
    x = torch.randn(5, 2, 8)
    results = []
    for call in (model, lambda leaf: checkpoint(model, leaf, use_reentrant=reentrant)):
        leaf = x.clone().requires_grad_()
        y = seeded(call, leaf)
        y.square().sum().backward()
        results.append((y, leaf.grad))
    (y, gradient), (again, recomputed) = results
    assert torch.equal(y, again)
    assert torch.equal(gradient, recomputed)


# --- transforms ----------------------------------------------------------------------------------


def needs_bernoulli(bernoulli: bool) -> None:
    if not bernoulli:
        pytest.skip("PyTorch composes dropout of bernoulli_ there, which is left to it")


def test_vmap(bernoulli: bool) -> None:
    needs_bernoulli(bernoulli)
    x = torch.randn(6, 50)
    apart = seeded(torch.vmap(lambda row: F.dropout(row, 0.3), randomness="different"), x)
    assert torch.equal(apart != 0, seeded(ft.dropout, x, 0.3) != 0)
    together = seeded(torch.vmap(lambda row: F.dropout(row, 0.3), randomness="same"), x)
    assert torch.equal(together != 0, (seeded(ft.dropout, x[0], 0.3) != 0).expand(6, 50))
    with pytest.raises(RuntimeError, match="randomness error mode"):
        torch.vmap(lambda row: F.dropout(row, 0.3))(x)


def test_grad_and_jvp(bernoulli: bool) -> None:
    needs_bernoulli(bernoulli)
    x = torch.randn(50)
    y = seeded(ft.dropout, x, 0.3)
    slope = seeded(torch.func.grad(lambda x: F.dropout(x, 0.3).sum()), x)
    torch.testing.assert_close(slope * x, y)
    primal, tangent = seeded(torch.func.jvp, lambda x: F.dropout(x, 0.3), (x,), (x,))
    torch.testing.assert_close(primal, y)
    torch.testing.assert_close(tangent, y)


def test_attention_in_transforms(bernoulli: bool) -> None:
    needs_bernoulli(bernoulli)
    query = torch.randn(2, 3, 8, 4, dtype=torch.float64)

    def loss(query: "torch.Tensor") -> "torch.Tensor":
        y = F.scaled_dot_product_attention(query, query, query, dropout_p=0.3)
        return y.square().sum()

    leaf = query.clone().requires_grad_()
    (wanted,) = torch.autograd.grad(seeded(loss, leaf), leaf)
    torch.testing.assert_close(seeded(torch.func.grad(loss), query), wanted)


def test_gradients_of_each_sample() -> None:
    layer, x = nn.Linear(5, 4), torch.randn(7, 5)
    parameters = {name: value.detach() for name, value in layer.named_parameters()}

    def loss(parameters: Any, row: "torch.Tensor") -> "torch.Tensor":
        return F.dropout(torch.func.functional_call(layer, parameters, (row,)), 0.5).sum()

    each = torch.vmap(torch.func.grad(loss), (None, 0), randomness="different")
    found = seeded(each, parameters, x)
    assert found["weight"].shape == (7, 4, 5)
    assert set(found["bias"].unique().tolist()) == {0.0, 2.0}


def test_batched_gradients() -> None:
    leaf = torch.randn(50, requires_grad=True)
    y = seeded(F.dropout, leaf, 0.3)
    upper = torch.eye(3, 50) + 1
    (found,) = torch.autograd.grad(y, leaf, upper, is_grads_batched=True)
    kept = seeded(ft.dropout, torch.ones(50), 0.3)
    torch.testing.assert_close(found, upper * kept)
