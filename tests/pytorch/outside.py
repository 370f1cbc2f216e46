"""Other projects' packages for tests that are marked `outside`."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from types import ModuleType
from typing import Any

import pytest
import torch

os.environ["HF_HUB_OFFLINE"] = "1"  # nothing is loaded: models are made of configurations
_KEPT: list[torch.library.Library] = []


def package(name: str) -> ModuleType:
    """The package, or a skip that says why not."""
    try:
        return importlib.import_module(name)
    except (ImportError, RuntimeError, OSError) as error:
        pytest.skip(f"{name} cannot be imported: {error}")


def torchvision() -> ModuleType:
    """The package, also where it is of another build than PyTorch: its operators are missing then.

    It registers something for two operators when it is imported.
    """
    if importlib.util.find_spec("torchvision") is not None and not hasattr(
        torch.ops.torchvision, "nms"
    ):
        try:
            importlib.import_module("torchvision")
        except (ImportError, RuntimeError, OSError):
            for name in [name for name in sys.modules if name.startswith("torchvision")]:
                del sys.modules[name]
            _KEPT.append(torch.library.Library("torchvision", "FRAGMENT"))
            for name in ("nms", "qnms"):
                _KEPT[0].define(f"{name}(Tensor dets, Tensor scores, float threshold) -> Tensor")
    return package("torchvision")


def transformers() -> ModuleType:
    """Transformers, which imports torchvision where there is one."""
    if importlib.util.find_spec("torchvision") is not None:
        torchvision()
    return package("transformers")


def timm() -> ModuleType:
    """timm, which needs torchvision."""
    torchvision()
    return package("timm")


_SIZES = {
    "vocab_size": 50, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2,
    "num_attention_heads": 2, "max_position_embeddings": 32,
}  # fmt: skip
_TWO = {
    "vocab_size": 50, "d_model": 16, "encoder_layers": 2, "decoder_layers": 2,
    "encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32, "attention_dropout": 0.3, "activation_dropout": 0.1,
    "max_position_embeddings": 32,
}  # fmt: skip
_WEIGHTS = {"attention_probs_dropout_prob": 0.3}
_TOKENS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1}
_KEYS = {"attention_dropout": 0.3, "num_key_value_heads": 1}
MODELS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "bert": ("BertConfig", "BertForMaskedLM", _SIZES | _WEIGHTS),
    "distilbert": (
        "DistilBertConfig", "DistilBertForMaskedLM",
        {"vocab_size": 50, "n_layers": 2, "n_heads": 2, "dim": 16, "hidden_dim": 32},
    ),
    "gpt2": (
        "GPT2Config", "GPT2LMHeadModel",
        {"vocab_size": 50, "n_positions": 32, "n_embd": 16, "n_layer": 2, "n_head": 2},
    ),
    "llama": ("LlamaConfig", "LlamaForCausalLM", _SIZES | _KEYS),
    "mistral": (
        "MistralConfig", "MistralForCausalLM",
        _SIZES | _KEYS | {"num_attention_heads": 4, "num_key_value_heads": 2, "sliding_window": 5},
    ),
    "gemma3": (
        "Gemma3TextConfig", "Gemma3ForCausalLM",
        _SIZES | _KEYS | {
            "sliding_window": 5, "head_dim": 8,
            "layer_types": ["sliding_attention", "full_attention"],
        },
    ),
    "t5": (
        "T5Config", "T5ForConditionalGeneration",
        {
            "vocab_size": 50, "d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 2,
            "num_heads": 2, "decoder_start_token_id": 0, "pad_token_id": 0,
        },
    ),
    "bart": ("BartConfig", "BartForConditionalGeneration", _TWO),
    "vit": (
        "ViTConfig", "ViTForImageClassification",
        _SIZES | _WEIGHTS | {
            "image_size": 16, "patch_size": 4, "hidden_dropout_prob": 0.1, "num_labels": 5,
        },
    ),
    "whisper": (
        "WhisperConfig", "WhisperForConditionalGeneration",
        _TWO | _TOKENS | {"num_mel_bins": 8, "max_source_positions": 12, "dropout": 0.1},
    ),
}  # fmt: skip


def model(name: str, attention: str = "sdpa") -> Any:
    """A tiny model of Transformers with random weights: no network, no files."""
    library = transformers()
    config, kind, options = MODELS[name]
    torch.manual_seed(0)
    try:
        made = getattr(library, config)(**options, attn_implementation=attention)
        return getattr(library, kind)(made).eval()
    except ValueError as error:
        if "does not support an attention implementation" not in str(error):
            raise
        pytest.skip(str(error).splitlines()[0])


def batch(name: str, padded: bool = False) -> dict[str, torch.Tensor]:
    """What a model is called with, the same in every run."""
    generator = torch.Generator().manual_seed(2)
    if name == "vit":
        pixels = torch.randn(3, 3, 16, 16, generator=generator)
        return {"pixel_values": pixels, "labels": torch.tensor([0, 1, 2])}
    tokens = torch.randint(3, 50, (3, 12), generator=generator)
    few = tokens[:, :7].contiguous()
    if name == "whisper":
        sound = torch.randn(3, 8, 24, generator=generator)
        return {"input_features": sound, "labels": few}
    found = {"input_ids": tokens, "labels": few if name in ("t5", "bart") else tokens}
    if padded:
        found["attention_mask"] = (torch.arange(12) < torch.tensor([[12], [7], [9]])).long()
    return found
