"""`register_attention`: models of Transformers whose attention is fastdrop's."""

import sys
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
import outside  # noqa: E402
from attending import upper_of  # noqa: E402

import fastdrop.torch as ft  # noqa: E402
from fastdrop.torch.attention_interface import _forward  # noqa: E402

models = pytest.mark.outside

SIZES = {
    "vocab_size": 50, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
    "num_attention_heads": 4, "max_position_embeddings": 64,
}  # fmt: skip
MODELS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "bert": ("BertConfig", "BertForMaskedLM", {"attention_probs_dropout_prob": 0.3}),
    "gpt2": (
        "GPT2Config",
        "GPT2LMHeadModel",
        {"n_positions": 64, "n_embd": 32, "n_layer": 2, "n_head": 4, "attn_pdrop": 0.3},
    ),
    "llama": (
        "LlamaConfig", "LlamaForCausalLM", {"attention_dropout": 0.3, "num_key_value_heads": 2},
    ),
    "mistral": (
        "MistralConfig",
        "MistralForCausalLM",
        {"attention_dropout": 0.3, "num_key_value_heads": 2, "sliding_window": 5},
    ),
    "gemma3": (
        "Gemma3TextConfig",
        "Gemma3ForCausalLM",
        {
            "attention_dropout": 0.3, "num_key_value_heads": 1, "sliding_window": 5,
            "head_dim": 8, "layer_types": ["sliding_attention", "full_attention"],
        },
    ),
    "t5": (
        "T5Config",
        "T5ForConditionalGeneration",
        {
            "d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4,
            "decoder_start_token_id": 0, "pad_token_id": 0,
        },
    ),
    "vit": (
        "ViTConfig",
        "ViTModel",
        {"image_size": 16, "patch_size": 4, "attention_probs_dropout_prob": 0.3},
    ),
    "whisper": (
        "WhisperConfig",
        "WhisperForConditionalGeneration",
        {
            "d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4,
            "decoder_attention_heads": 4, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64,
            "num_mel_bins": 8, "max_source_positions": 12, "max_target_positions": 64,
            "attention_dropout": 0.3, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
            "decoder_start_token_id": 1,
        },
    ),
}  # fmt: skip
TOKENS = 12


def model_of(name: str) -> Any:
    """A tiny one with random weights."""
    library = outside.transformers()
    ft.register_attention()
    config, model, more = MODELS[name]
    sizes = SIZES if "n_embd" not in more else {"vocab_size": 50}
    torch.manual_seed(1)
    made = getattr(library, model)(getattr(library, config)(**{**sizes, **more}))
    assert made.config._attn_implementation == "sdpa"
    return made.eval()


def arguments_of(name: str, padded: bool) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(2)
    tokens = torch.randint(3, 50, (3, TOKENS), generator=generator)
    if name == "vit":
        return {"pixel_values": torch.randn(3, 3, 16, 16, generator=generator)}
    if name == "whisper":
        features = torch.randn(3, 8, 24, generator=generator)
        return {"input_features": features, "decoder_input_ids": tokens, "labels": tokens}
    found = {"input_ids": tokens, "labels": tokens}
    if padded:
        lengths = torch.tensor([TOKENS, 7, 9])[:, None]
        found["attention_mask"] = (torch.arange(TOKENS) < lengths).long()
    return found


def numbers_of(output: Any, arguments: dict[str, Any]) -> "torch.Tensor":
    """What is computed for the tokens that are no padding."""
    y = output.last_hidden_state if "pixel_values" in arguments else output.logits
    mask = arguments.get("attention_mask")
    return y if mask is None else y[mask.bool()]


@models
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("other", ["sdpa", "eager"])
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("name", MODELS)
def test_evaluation_is_transformers(name: str, padded: bool, other: str) -> None:
    model, arguments = model_of(name), arguments_of(name, padded)
    model.set_attn_implementation(other)
    wanted = numbers_of(model(**arguments), arguments)
    model.set_attn_implementation("fastdrop")
    before = torch.get_rng_state()
    found = numbers_of(model(**arguments), arguments)
    assert torch.equal(before, torch.get_rng_state())
    assert torch.allclose(found, wanted, atol=1e-5)


@models
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", MODELS)
def test_gradients_are_transformers_where_nothing_is_dropped(name: str) -> None:
    """A probability that drops nothing: fastdrop computes, and the numbers are Transformers'."""
    model, arguments = model_of(name), arguments_of(name, True)
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
        model.zero_grad()
        y = numbers_of(model(**arguments), arguments)
        y.backward(upper_of(y))
        found.append({n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None})
    assert calls, "attention went by fastdrop"
    assert found[0].keys() == found[1].keys()
    for key, wanted in found[0].items():
        scale = max(1.0, wanted.abs().max().item())
        assert torch.allclose(found[1][key], wanted, atol=1e-5 * scale), key


@models
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", MODELS)
def test_training_drops_and_learns(name: str) -> None:
    model, arguments = model_of(name), arguments_of(name, True)
    model.set_attn_implementation("fastdrop")
    model.train()
    found = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        found.append(numbers_of(model(**arguments), arguments).detach())
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(12):
        output = model(**arguments)
        loss = output.last_hidden_state.square().mean() if name == "vit" else output.loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


@models
@pytest.mark.filterwarnings("ignore")
def test_generation_with_a_cache() -> None:
    model = model_of("llama")
    prompt = arguments_of("llama", False)["input_ids"]
    found = []
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
    module = torch.nn.Module()
    q, k = torch.randn(2, 4, 6, 8), torch.randn(2, 2, 6, 8)
    y, weights = _forward(module, q, k, k, None)
    wanted = ft.scaled_dot_product_attention(q, k, k, is_causal=True, enable_gqa=True)
    assert weights is None
    assert torch.equal(y, wanted.transpose(1, 2))
    module.is_causal = False
    bias = torch.randn(1, 4, 6, 6)
    y, _ = _forward(module, q, k, k, None, scaling=0.5, position_bias=bias)
    wanted = ft.scaled_dot_product_attention(q, k, k, bias, scale=0.5, enable_gqa=True)
    assert torch.equal(y, wanted.transpose(1, 2))
    seen = torch.rand(2, 1, 6, 6) < 0.8
    y, _ = _forward(module, q, k, k, seen, is_causal=True, position_bias=bias)
    mask = bias.masked_fill(~seen, -torch.inf)
    wanted = ft.scaled_dot_product_attention(q, k, k, mask, enable_gqa=True)
    assert torch.equal(y, wanted.transpose(1, 2))
    y, _ = _forward(module, q, k, k, seen.float(), position_bias=bias)
    wanted = ft.scaled_dot_product_attention(q, k, k, bias + seen.float(), enable_gqa=True)
    assert torch.equal(y, wanted.transpose(1, 2))
    y, _ = _forward(module, q[:, :, :1], k, k, None, is_causal=True)
    wanted = ft.scaled_dot_product_attention(q[:, :, :1], k, k, enable_gqa=True)
    assert torch.equal(y, wanted.transpose(1, 2))


def test_what_is_not_supported() -> None:
    q = torch.randn(2, 4, 6, 8)
    with pytest.raises(ValueError, match="does not support softcap"):
        _forward(torch.nn.Module(), q, q, q, None, softcap=30.0)
    with pytest.warns(UserWarning, match="does not return its weights"):
        _forward(torch.nn.Module(), q, q, q, None, output_attentions=True)
