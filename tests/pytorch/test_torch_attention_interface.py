"""`register_attention`: models of Transformers whose attention is fastdrop's."""

import sys
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
import outside  # noqa: E402
from attending import assert_close, attend, some, upper_of  # noqa: E402

import fastdrop.torch as ft  # noqa: E402
from fastdrop.torch.attention_interface import _forward  # noqa: E402

others = [pytest.mark.outside, pytest.mark.filterwarnings("ignore")]
MODELS = [pytest.param(name, marks=others) for name in outside.MODELS]


def model_of(name: str) -> Any:
    outside.transformers()
    ft.register_attention()
    return outside.model(name)


def numbers_of(model: Any, given: dict[str, Any]) -> "torch.Tensor":
    """What is computed for the tokens that are no padding."""
    y, mask = model(**given).logits, given.get("attention_mask")
    return y if mask is None or mask.shape != y.shape[:2] else y[mask.bool()]


@pytest.mark.parametrize("other", ["sdpa", "eager"])
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("name", MODELS)
def test_evaluation_is_transformers(name: str, padded: bool, other: str) -> None:
    model, given = model_of(name), outside.batch(name, padded)
    model.set_attn_implementation(other)
    wanted = numbers_of(model, given)
    model.set_attn_implementation("fastdrop")
    before = torch.get_rng_state()
    assert torch.allclose(numbers_of(model, given), wanted, atol=1e-5)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("name", MODELS)
def test_gradients_are_transformers_where_nothing_is_dropped(name: str) -> None:
    """A probability that drops nothing: fastdrop computes, and the numbers are Transformers'."""
    model, given = model_of(name), outside.batch(name, True)
    calls = []

    def forward(module: Any, *rest: Any, dropout: float = 0.0, **more: Any) -> Any:
        assert dropout == 0.0
        calls.append(module)
        return _forward(module, *rest, dropout=1e-30, **more)

    transformers = outside.transformers()
    transformers.AttentionInterface.register("nothing dropped", forward)
    transformers.AttentionMaskInterface.register(
        "nothing dropped", sys.modules["transformers.masking_utils"].sdpa_mask
    )
    found = []
    for implementation in ("sdpa", "nothing dropped"):
        model.set_attn_implementation(implementation)
        y = numbers_of(model, given)
        learned = [p for p in model.parameters() if p.requires_grad]
        found.append(torch.autograd.grad(y, learned, upper_of(y), materialize_grads=True))
    assert calls, "attention went by fastdrop"
    assert_close(found[1], found[0], 1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_training_drops(name: str) -> None:
    model, given = model_of(name).train(), outside.batch(name, True)
    model.set_attn_implementation("fastdrop")
    found = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        found.append(numbers_of(model, given).detach())
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


@pytest.mark.parametrize("name", [pytest.param("llama", marks=others)])
def test_generation_with_a_cache(name: str) -> None:
    model, found = model_of(name), []
    prompt = outside.batch(name)["input_ids"]
    for implementation in ("sdpa", "fastdrop"):
        model.set_attn_implementation(implementation)
        found.append(model.generate(prompt, max_new_tokens=5, do_sample=False, pad_token_id=0))
    assert torch.equal(*found)


# --- without Transformers ------------------------------------------------------------------------


def test_without_transformers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ImportError, match="register_attention needs Transformers"):
        ft.register_attention()


def test_wrong_name() -> None:
    with pytest.raises(TypeError, match="name has to be a str, but got int"):
        ft.register_attention(3)


def test_what_models_pass() -> None:
    module, seen, bias = torch.nn.Module(), some(2, 1, 6, 6), torch.randn(1, 4, 6, 6)
    q, k = torch.randn(2, 4, 6, 8), torch.randn(2, 2, 6, 8)

    def check(wanted: dict[str, Any], mask: Any, q: "torch.Tensor" = q, **more: Any) -> None:
        y, weights = _forward(module, q, k, k, mask, **more)
        assert weights is None
        assert torch.equal(y, attend(q, k, k, enable_gqa=True, **wanted).transpose(1, 2))

    check({"is_causal": True}, None)
    module.is_causal = False
    check({"attn_mask": bias, "scale": 0.5}, None, scaling=0.5, position_bias=bias)
    both = bias.masked_fill(~seen, -torch.inf)
    check({"attn_mask": both}, seen, is_causal=True, position_bias=bias)
    check({"attn_mask": bias + seen.float()}, seen.float(), position_bias=bias)
    check({}, None, q[:, :, :1], is_causal=True)


def test_what_is_not_supported() -> None:
    q = torch.randn(2, 4, 6, 8)
    with pytest.raises(ValueError, match="does not support softcap"):
        _forward(torch.nn.Module(), q, q, q, None, softcap=30.0)
    with pytest.warns(UserWarning, match="does not return its weights"):
        _forward(torch.nn.Module(), q, q, q, None, output_attentions=True)
