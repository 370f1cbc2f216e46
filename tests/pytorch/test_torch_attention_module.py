"""`MultiheadAttention`, and what `replace` makes of PyTorch's."""

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from attending import assert_close, with_gradients  # noqa: E402
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
    found = []
    for replaced in (False, True):
        if replaced:
            assert ft.replace(nn.ModuleList([module])).replaced == ("0",)
        y, weights = module(*inputs, need_weights=need_weights)
        assert (weights is not None) is need_weights
        found.append([*with_gradients(y, inputs), y if weights is None else weights])
    assert_close(*found, 1e-5)


def test_masks_are_ours_with_and_without_weights() -> None:
    """One number of PyTorch's generator decides, so that both ways drop the same weights."""
    names = F.scaled_dot_product_attention, F.dropout, F.multi_head_attention_forward
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
    assert names == (F.scaled_dot_product_attention, F.dropout, F.multi_head_attention_forward)


def test_what_is_not_replaced() -> None:
    class Own(nn.MultiheadAttention):
        """Attention of the user's."""

    report = ft.replace(
        nn.ModuleList([nn.MultiheadAttention(4, 2), Own(4, 2), Own(4, 2, dropout=0.1)])
    )
    assert report.replaced == ()
    assert report.left == {"2": "is of a class of its own, Own, which may do something else"}


def test_evaluation() -> None:
    module, inputs = made("plain")
    wanted, before = module.eval()(*inputs)[0], torch.get_rng_state()
    ft.replace(nn.ModuleList([module]))
    assert type(module) is nn.MultiheadAttention
    assert torch.allclose(module(*inputs)[0], wanted, atol=1e-6)
    with torch.no_grad():  # PyTorch's fast path
        assert torch.allclose(module(*inputs)[0], wanted, atol=1e-6)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("need_weights", [False, True])
def test_compiled(need_weights: bool) -> None:
    torch._dynamo.reset()
    module, inputs = made("batch first")
    ft.replace(nn.ModuleList([module]))
    compiled = torch.compile(module, backend="aot_eager", fullgraph=True)
    found = [
        with_gradients(seeded(function, *inputs, need_weights=need_weights)[0], inputs)
        for function in (module, compiled)
    ]
    assert_close(*found, 1e-5)


def test_another_pytorch() -> None:
    with pytest.raises(ImportError, match="has to use nothing_like_it, but does not"):
        _with(F.multi_head_attention_forward, nothing_like_it=1)
