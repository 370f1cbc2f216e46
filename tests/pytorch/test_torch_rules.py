"""PyTorch's rules for what is given: p, tangents, sparse gradients, nested tensors, generators."""

import io
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from drawing import FUNCTIONS, MODULES  # noqa: E402
from on_torch import finite  # noqa: E402
from torch import nn  # noqa: E402
from torch.autograd import forward_ad  # noqa: E402
from watching import Operators  # noqa: E402

import fastdrop.torch as ft  # noqa: E402


@pytest.mark.parametrize("name", FUNCTIONS)
def test_p_as_a_tensor(name: str) -> None:
    x, p = torch.ones(4, 4), torch.tensor(0.25)
    assert torch.equal(FUNCTIONS[name](x, p, seed=1), FUNCTIONS[name](x, 0.25, seed=1))
    for refused in (nn.Parameter(p), p[None]):
        with pytest.raises(TypeError, match=r"argument '(p|std)' must be float, not"):
            FUNCTIONS[name](x, refused)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("around", [nullcontext, Operators])
def test_tangents(name: str, around: Callable[[], Any]) -> None:
    x = torch.rand(4, 4, dtype=torch.float64) + 1
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(x, torch.ones_like(x))
        with around():
            y = FUNCTIONS[name](dual, seed=1)
        primal, tangent = forward_ad.unpack_dual(y)
    step = 1e-6
    up, down = (finite(FUNCTIONS[name](x + h, seed=1)) for h in (step, -step))
    assert torch.allclose(primal, FUNCTIONS[name](x, seed=1))
    assert torch.allclose(tangent, (up - down) / (2 * step), atol=1e-6)


LARGER: dict[str, tuple[tuple[int, ...], Callable[..., Any]]] = {
    "dropout2d": ((2, 3, 4, 4), ft.dropout2d),
    "dropout3d": ((2, 3, 4, 4, 4), ft.dropout3d),
    "drop_block2d": ((2, 3, 4, 4), lambda x, seed: ft.drop_block2d(x, 0.3, 2, seed=seed)),
    "drop_block3d": ((2, 3, 4, 4, 4), lambda x, seed: ft.drop_block3d(x, 0.3, 2, seed=seed)),
    "attention": (
        (2, 3, 4, 4),
        lambda x, seed: ft.scaled_dot_product_attention(x, x, x, dropout_p=0.5, seed=seed),
    ),
}
"""Functions of tensors with more axes: PyTorch's views have no derivatives that are sparse."""


@pytest.mark.filterwarnings("ignore:Sparse invariant checks")
@pytest.mark.parametrize("name", {**FUNCTIONS, **LARGER})
@pytest.mark.parametrize("around", [nullcontext, Operators])
def test_sparse_gradients(name: str, around: Callable[[], Any]) -> None:
    shape, function = LARGER.get(name) or ((4, 4), FUNCTIONS[name])
    x = torch.rand(shape, dtype=torch.float64, requires_grad=True)
    with around():
        y = function(x, seed=1)
    gradient = torch.rand_like(y) * (torch.rand_like(y) < 0.5)
    (expected,) = torch.autograd.grad(y, x, gradient, retain_graph=True)
    (found,) = torch.autograd.grad(y, x, gradient.to_sparse())
    assert torch.equal(found.to_dense(), expected)


@pytest.mark.filterwarnings("ignore:Sparse invariant checks")
@pytest.mark.parametrize("drop", [ft.dropout, ft.embedding_dropout])
def test_gradients_of_embeddings_stay_sparse(drop: Callable[..., Any]) -> None:
    table = nn.Embedding(8, 3, sparse=True)
    optimizer = torch.optim.SparseAdam(table.parameters())
    dropped = drop(table.weight, 0.5, seed=1)
    nn.functional.embedding(torch.tensor([5, 2, 5]), dropped, sparse=True).sum().backward()
    found = table.weight.grad
    assert found.layout is torch.sparse_coo
    rows = torch.tensor([0, 0, 1, 0, 0, 2, 0, 0])[:, None]
    expected = drop(torch.ones(8, 3), 0.5, seed=1) * rows
    assert torch.equal(found.to_dense(), expected)
    optimizer.step()


def test_nested_tensors() -> None:
    x = torch.nested.nested_tensor([torch.ones(2, 3), torch.ones(4, 3)], layout=torch.jagged)
    assert ft.dropout(x, 0.5).is_nested
    with pytest.raises(NotImplementedError, match="a nested tensor"):
        ft.dropout(x, 0.5, seed=1)
    for function in (ft.drop_path, ft.gaussian_dropout, ft.variational_dropout):
        with pytest.raises(TypeError, match="a nested tensor"):
            function(x, 0.5)


def test_packed_sequences() -> None:
    x = nn.utils.rnn.pack_sequence([torch.ones(3, 2), torch.ones(2, 2)])
    for keywords in ({}, {"seed": 1}):
        with pytest.raises(TypeError, match="must be Tensor, not PackedSequence"):
            ft.dropout(x, 0.5, **keywords)


@pytest.mark.parametrize(
    "make", [lambda: {"seed": 2**64 - 1}, lambda: {"generator": torch.Generator()}]
)
@pytest.mark.parametrize("name", MODULES)
def test_generators_in_state_dicts(name: str, make: Callable[[], dict[str, Any]]) -> None:
    x, module = torch.rand(4, 4), MODULES[name](**make())
    module(x)
    file = io.BytesIO()
    torch.save(module.state_dict(), file)
    file.seek(0)
    state = torch.load(file, weights_only=True)
    twin, plain = MODULES[name](**make()), MODULES[name]()
    twin.load_state_dict(state)
    assert torch.equal(module(x), twin(x))
    assert not any("extra" in key for key in plain.state_dict())
    twin.load_state_dict(plain.state_dict())
    with pytest.raises(RuntimeError, match=r"Unexpected key.*_extra_state"):
        plain.load_state_dict(state)
    plain.load_state_dict(state, strict=False)


@pytest.mark.parametrize("dtype", [torch.bool, torch.float64])
@pytest.mark.parametrize("name", ["attention", "softmax_dropout"])
def test_masks_that_are_inference_tensors(name: str, dtype: "torch.dtype") -> None:
    def call(x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        if name == "softmax_dropout":
            return ft.softmax_dropout(x, 0.5, mask=mask, seed=1)
        return ft.scaled_dot_product_attention(x, x, x, mask, 0.5, seed=1)

    x = torch.rand(2, 2, 4, 4, dtype=torch.float64, requires_grad=True)
    mask = torch.eye(4).to(dtype)
    with torch.inference_mode():
        twin = mask.clone()
    wanted, found = (torch.autograd.grad(call(x, m).square().sum(), x)[0] for m in (mask, twin))
    assert torch.equal(wanted, found)
