"""Transformers: GPT-2 and BERT at their real widths, two layers of each, classifying sequences.

Dropout of 0.1 is the models' own: embeddings, attention weights, the outputs of every part. No
weights are fetched; the vocabulary has 1,000 random words, and a sequence's class is whether its
first word is in the vocabulary's first half.

    python -m examples.projects.language_models
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    GPT2Config,
    GPT2ForSequenceClassification,
)

from .common import SEED, Case, Step, main
from .on_torch import prepare, share, switch, training

LAYERS, WORDS = 2, 1000


def gpt2(p: float, quick: bool) -> nn.Module:
    small = {"n_embd": 48, "n_head": 4} if quick else {}
    config = GPT2Config(
        n_layer=LAYERS, vocab_size=WORDS, num_labels=2, pad_token_id=0, bos_token_id=1,
        eos_token_id=1, resid_pdrop=p, embd_pdrop=p, attn_pdrop=p, **small,
    )  # fmt: skip
    return GPT2ForSequenceClassification(config)


def bert(p: float, quick: bool) -> nn.Module:
    small = {"hidden_size": 48, "num_attention_heads": 4, "intermediate_size": 192}
    config = BertConfig(
        num_hidden_layers=LAYERS, vocab_size=WORDS, num_labels=2, hidden_dropout_prob=p,
        attention_probs_dropout_prob=p, **(small if quick else {}),
    )  # fmt: skip
    return BertForSequenceClassification(config)


MODELS = {"GPT-2": gpt2, "BERT": bert}


def build(name: str, batch: int, length: int, variant: str, quick: bool) -> Step:
    prepare()
    model = MODELS[name](0.0 if variant == "none" else 0.1, quick)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-5, fused=True)
    order = torch.Generator().manual_seed(SEED)

    def loss() -> Tensor:
        words = torch.randint(2, WORDS, (batch, length // (8 if quick else 1)), generator=order)
        found: Tensor = model(
            input_ids=words,
            attention_mask=torch.ones_like(words),
            labels=(words[:, 0] < WORDS // 2).long(),
        ).loss
        return found

    return training(model, optimizer, loss)


def case(name: str, batch: int, length: int) -> Case:
    return Case(
        f"{name}, {batch} x {length}",
        f"{LAYERS} layers of width 768, {batch} x {length} words, p = 0.1",
        lambda *how: build(name, batch, length, *how),
        switch,
        share,
        ("torch", "transformers"),
    )


CASES = (case("GPT-2", 1, 1024), case("BERT", 2, 512))

if __name__ == "__main__":
    main(CASES, __doc__)
