"""`torch.func`: vmap with every randomness, grad, jvp, functional_call, and their combinations."""

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from torch import nn  # noqa: E402
from torch.func import (  # noqa: E402
    functional_call,
    grad,
    hessian,
    jacfwd,
    jacrev,
    vmap,
)

import fastdrop.torch as ft  # noqa: E402


def drop(x: "torch.Tensor") -> "torch.Tensor":
    return ft.dropout(x, 0.5)


def drawn(seed: int, *shape: int) -> "torch.Tensor":
    """What `drop` makes of ones, where this was the state of the generator."""
    torch.manual_seed(seed)
    return drop(torch.ones(shape))


@pytest.mark.parametrize("in_dim", [0, 1, -1])
def test_vmap_same(in_dim: int) -> None:
    x = torch.ones(100, 100)
    torch.manual_seed(1)
    y = vmap(drop, in_dims=in_dim, randomness="same")(x)
    assert (y == drawn(1, 100)).all()


def test_vmap_different() -> None:
    x = torch.ones(40, 100)
    torch.manual_seed(1)
    y = vmap(drop, randomness="different")(x)
    assert len({tuple(row.tolist()) for row in y}) == 40
    assert abs(y.mean() - 1) < 0.1
    torch.manual_seed(1)
    assert torch.equal(y, vmap(drop, randomness="different")(x))


def test_vmap_error() -> None:
    for call in (drop, lambda x: nn.functional.dropout(x, 0.5)):
        with pytest.raises(RuntimeError, match="called random operation while in randomness error"):
            vmap(call)(torch.ones(3, 4))
    x = torch.ones(3, 4)
    assert torch.equal(vmap(lambda x: ft.dropout(x, 0.5, training=False))(x), x)
    assert torch.equal(vmap(lambda x: ft.dropout(x, 0.0))(x), x)


def test_vmap_of_what_has_no_batch() -> None:
    x = torch.ones(100)
    y = vmap(lambda i: drop(x) + 0 * i, randomness="different")(torch.zeros(20))
    assert len({tuple(row.tolist()) for row in y}) == 20
    y = vmap(lambda i: drop(x) + 0 * i, randomness="same")(torch.zeros(20))
    assert len({tuple(row.tolist()) for row in y}) == 1


@pytest.mark.parametrize("inplace", [True, False])
@pytest.mark.parametrize("randomness", ["same", "different"])
def test_vmap_of_channels(randomness: str, inplace: bool) -> None:
    x = torch.ones(6, 2, 30, 4, 4)
    y = vmap(lambda x: ft.dropout2d(x, 0.5, inplace=inplace), randomness=randomness)(x)
    per_channel = y[..., 0, 0]
    assert (y == per_channel[..., None, None]).all()
    masks = {tuple(row.flatten().tolist()) for row in per_channel}
    assert len(masks) == (1 if randomness == "same" else 6)


def test_gradients_of_samples() -> None:
    x = torch.randn(20, 30)
    g = vmap(grad(lambda x: drop(x).sum()), randomness="different")(x)
    assert set(g.unique().tolist()) == {0.0, 2.0}
    assert len({tuple(row.tolist()) for row in g}) == 20


def test_jacobians_and_hessian() -> None:
    x = torch.randn(6)
    keep = ft.dropout(torch.ones(6), 0.5, seed=3)
    for jacobian in (jacfwd, jacrev):
        assert torch.equal(jacobian(lambda x: ft.dropout(x, 0.5, seed=3))(x), keep.diag())
    h = hessian(lambda x: (ft.dropout(x, 0.5, seed=3) ** 2).sum())(x)
    assert torch.equal(h, (2 * keep**2).diag())
    for vectorize in (True, False):
        for strategy in ("reverse-mode", "forward-mode") if vectorize else ("reverse-mode",):
            j = torch.autograd.functional.jacobian(
                lambda x: ft.dropout(x, 0.5, seed=3), x, vectorize=vectorize, strategy=strategy
            )
            assert torch.equal(j, keep.diag())


def test_functional_call() -> None:
    model = nn.Sequential(nn.Linear(5, 5), ft.Dropout(0.5))
    weights = {name: torch.randn_like(p) for name, p in model.named_parameters()}
    x = torch.randn(3, 5)
    torch.manual_seed(1)
    y = functional_call(model, weights, (x,))
    torch.manual_seed(1)
    assert torch.equal(y, drop(nn.functional.linear(x, weights["0.weight"], weights["0.bias"])))

    def loss(weights: dict, x: "torch.Tensor") -> "torch.Tensor":
        return functional_call(model, weights, (x,)).square().sum()

    gradients = vmap(grad(loss), in_dims=(None, 0), randomness="different")(weights, x)
    assert gradients["0.weight"].shape == (3, 5, 5)


def test_results_of_a_transform_that_is_over() -> None:
    kept = []
    grad(lambda x: kept.append(x) or x.sum())(torch.ones(10))
    y = ft.dropout(kept[0], 0.5, seed=3)
    assert torch.equal(y, ft.dropout(torch.ones(10), 0.5, seed=3))
