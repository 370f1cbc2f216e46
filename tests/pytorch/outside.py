"""Other projects' packages for tests that are marked `outside`."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from types import ModuleType

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


def model(name: str) -> object:
    """A tiny model of Transformers with random weights: no network, no files."""
    library = transformers()
    sizes = {"vocab_size": 50, "hidden_size": 16, "intermediate_size": 32}
    sizes |= {"num_hidden_layers": 2, "num_attention_heads": 2, "max_position_embeddings": 32}
    if name == "llama":
        config = library.LlamaConfig(**sizes, attention_dropout=0.3)
        return library.LlamaForCausalLM(config).eval()
    if name == "bert":
        return library.BertForMaskedLM(library.BertConfig(**sizes)).eval()
    if name == "gpt2":
        config = library.GPT2Config(vocab_size=50, n_positions=32, n_embd=16, n_layer=2, n_head=2)
        return library.GPT2LMHeadModel(config).eval()
    raise ValueError(name)
