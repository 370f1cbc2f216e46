"""`MultiheadAttention`, and what `replace` makes of PyTorch's."""

import copy
import pickle
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from enabling import seeded  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812

import fastdrop.torch as ft  # noqa: E402
from fastdrop.torch.modules.attention import _with  # noqa: E402

SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "batch first": {"batch_first": True},
    "other widths": {"kdim": 5, "vdim": 6},
    "extra keys": {"add_bias_kv": True, "add_zero_attn": True},
    "no bias": {"bias": False},
}


def made(name: str, dropout: float = 0.4) -> tuple[nn.MultiheadAttention, list["torch.Tensor"]]:
    """A module, and query, key and value for it."""
    torch.manual_seed(1)
    module = nn.MultiheadAttention(8, 2, dropout=dropout, **SETTINGS[name])
    widths = (8, SETTINGS[name].get("kdim", 8), SETTINGS[name].get("vdim", 8))
    return module, [torch.randn(4, 4, width, requires_grad=True) for width in widths]


@pytest.mark.parametrize("need_weights", [False, True])
@pytest.mark.parametrize("name", SETTINGS)
def test_nearly_no_dropout_is_pytorchs(name: str, need_weights: bool) -> None:
    module, inputs = made(name, 1e-9)
    wanted, weights = module(*inputs, need_weights=need_weights)
    assert ft.replace(nn.ModuleList([module])).replaced == ("0",)
    found, ours = module(*inputs, need_weights=need_weights)
    assert torch.allclose(found, wanted, atol=1e-6)
    assert (ours is None) is (weights is None)
    assert weights is None or torch.allclose(ours, weights, atol=1e-6)
    for one, other in zip(
        torch.autograd.grad(found.square().sum(), inputs),
        torch.autograd.grad(wanted.square().sum(), inputs),
        strict=True,
    ):
        assert torch.allclose(one, other, atol=1e-5)


def test_masks_are_ours_with_and_without_weights() -> None:
    """One number of PyTorch's generator decides, so that both ways drop the same weights."""
    module, inputs = made("batch first")
    ft.replace(nn.ModuleList([module]))
    mask = nn.Transformer.generate_square_subsequent_mask(4)
    padding = torch.tensor([[False, False, False, True]] * 4)
    for more in ({}, {"attn_mask": mask}, {"key_padding_mask": padding}):
        found = (seeded(module, *inputs, need_weights=w, **more)[0] for w in (True, False))
        assert torch.allclose(*found, atol=1e-6)
    weights = seeded(module, *inputs, average_attn_weights=False)[1]
    kept = seeded(ft.dropout, torch.ones(2 * 4, 4, 4), 0.4).view_as(weights)
    assert torch.equal(weights == 0, kept == 0)


def test_pytorch_is_left_as_it_is() -> None:
    names = (F.scaled_dot_product_attention, F.dropout, F.multi_head_attention_forward)
    module, inputs = made("plain")
    ft.MultiheadAttention(8, 2, dropout=0.5)(*inputs, need_weights=False)
    before = seeded(module, *inputs, need_weights=False)[0]
    ft.replace(nn.ModuleList([module]))
    assert not torch.equal(seeded(module, *inputs, need_weights=False)[0], before)
    assert ft.restore(nn.ModuleList([module])) == ("0",)
    assert type(module) is nn.MultiheadAttention
    assert torch.equal(seeded(module, *inputs, need_weights=False)[0], before)
    assert names == (F.scaled_dot_product_attention, F.dropout, F.multi_head_attention_forward)


def test_what_is_not_replaced() -> None:
    class Own(nn.MultiheadAttention):
        """Attention of the user's."""

    report = ft.replace(
        nn.ModuleList([nn.MultiheadAttention(4, 2), Own(4, 2), Own(4, 2, dropout=0.1)])
    )
    assert report.replaced == ()
    assert report.left == {"2": "is of a class of its own, Own, which may do something else"}


def test_evaluation_copies_and_pickles() -> None:
    module, inputs = made("plain")
    wanted = module.eval()(*inputs)[0]
    model = nn.ModuleList([module])
    ft.replace(model)
    for twin in (model, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert type(twin[0]) is nn.MultiheadAttention
        before = torch.get_rng_state()
        assert torch.allclose(twin[0](*inputs)[0], wanted, atol=1e-6)
        assert torch.equal(before, torch.get_rng_state())
    with torch.no_grad():  # PyTorch's fast path
        assert torch.allclose(module(*inputs)[0], wanted, atol=1e-6)


@pytest.mark.parametrize("need_weights", [False, True])
def test_compiled(need_weights: bool) -> None:
    torch._dynamo.reset()
    module, inputs = made("batch first")
    ft.replace(nn.ModuleList([module]))
    compiled = torch.compile(module, backend="aot_eager", fullgraph=True)
    found = []
    for function in (module, compiled):
        torch.manual_seed(5)
        y = function(*inputs, need_weights=need_weights)[0]
        found.append([y, *torch.autograd.grad(y.square().sum(), inputs)])
    for one, other in zip(*found, strict=True):
        assert torch.allclose(one, other, atol=1e-5)


def test_a_transformer_trains() -> None:
    torch.manual_seed(1)
    model = nn.Transformer(8, 2, 1, 1, 16, dropout=0.1, batch_first=True)
    report = ft.replace(model)
    assert report.left == {}
    assert "decoder.layers.0.multihead_attn" in report.replaced
    x = torch.randn(3, 6, 8)
    mask = nn.Transformer.generate_square_subsequent_mask(6)
    model(x, x, tgt_mask=mask, tgt_is_causal=True).sum().backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_another_pytorch() -> None:
    with pytest.raises(ImportError, match="has to use nothing_like_it, but does not"):
        _with(F.multi_head_attention_forward, nothing_like_it=1)
