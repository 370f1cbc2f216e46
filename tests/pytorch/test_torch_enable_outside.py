"""Other projects with `enable`: all that they draw for dropout is drawn here.

Tiny models with random weights, made of configurations: nothing is loaded.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
import outside  # noqa: E402
from enabling import seeded  # noqa: E402

import fastdrop.torch as ft  # noqa: E402

pytestmark = [
    pytest.mark.outside,
    # What others deprecate, or warn of, is theirs.
    pytest.mark.filterwarnings("ignore"),
]


def operators(function: Callable[[], Any]) -> dict[str, int]:
    """How often PyTorch's operators were called, inner calls included."""
    with torch.profiler.profile() as profile:
        function()
    counted: dict[str, int] = {}
    for event in profile.events():
        counted[event.name] = counted.get(event.name, 0) + 1
    return counted


DRAWING = ("bernoulli", "aten::rand_like", "aten::rand", "uniform", "native_dropout")
SEEDING = "aten::random_"


def left(function: Callable[[], Any]) -> list[str]:
    """The operators by which PyTorch itself drew in a call, but for seeds of masks."""
    names = operators(function).keys() - {SEEDING}
    return [name for name in names if any(drawing in name for drawing in DRAWING)]


def ids(*shape: int) -> torch.Tensor:
    return torch.randint(0, 50, shape, generator=torch.Generator().manual_seed(2))


SIZES = {"num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": 16}


def bert(tf: Any, attention: str) -> tuple[Any, dict[str, Any]]:
    config = tf.BertConfig(
        **SIZES, vocab_size=50, intermediate_size=32, attn_implementation=attention
    )
    mask = torch.ones(3, 12, dtype=torch.int64)
    mask[0, 8:] = 0
    return tf.BertForMaskedLM(config), {
        "input_ids": ids(3, 12), "labels": ids(3, 12), "attention_mask": mask,
    }  # fmt: skip


def gpt2(tf: Any, attention: str) -> tuple[Any, dict[str, Any]]:
    config = tf.GPT2Config(
        vocab_size=50, n_positions=32, n_embd=16, n_layer=2, n_head=2,
        attn_implementation=attention,
    )  # fmt: skip
    return tf.GPT2LMHeadModel(config), {"input_ids": ids(3, 12), "labels": ids(3, 12)}


def llama(tf: Any, attention: str) -> tuple[Any, dict[str, Any]]:
    config = tf.LlamaConfig(
        **SIZES, vocab_size=50, intermediate_size=32, num_key_value_heads=1, attention_dropout=0.1,
        attn_implementation=attention,
    )  # fmt: skip
    return tf.LlamaForCausalLM(config), {"input_ids": ids(3, 12), "labels": ids(3, 12)}


def t5(tf: Any, attention: str) -> tuple[Any, dict[str, Any]]:
    config = tf.T5Config(
        vocab_size=50, d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2,
        decoder_start_token_id=0, attn_implementation=attention,
    )  # fmt: skip
    return tf.T5ForConditionalGeneration(config), {"input_ids": ids(3, 12), "labels": ids(3, 7)}


def vit(tf: Any, attention: str) -> tuple[Any, dict[str, Any]]:
    config = tf.ViTConfig(
        **SIZES, intermediate_size=32, image_size=16, patch_size=4, hidden_dropout_prob=0.1,
        attention_probs_dropout_prob=0.1, num_labels=5, attn_implementation=attention,
    )  # fmt: skip
    pixels = torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(2))
    return tf.ViTForImageClassification(config), {
        "pixel_values": pixels, "labels": torch.tensor([0, 1, 2]),
    }  # fmt: skip


def whisper(tf: Any, attention: str) -> tuple[Any, dict[str, Any]]:
    config = tf.WhisperConfig(
        vocab_size=60, num_mel_bins=8, d_model=16, encoder_layers=2, decoder_layers=2,
        encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=32,
        decoder_ffn_dim=32, max_source_positions=20, max_target_positions=20, dropout=0.1,
        attention_dropout=0.1, activation_dropout=0.1, pad_token_id=0, bos_token_id=1,
        eos_token_id=2, decoder_start_token_id=1, attn_implementation=attention,
    )  # fmt: skip
    sound = torch.randn(2, 8, 40, generator=torch.Generator().manual_seed(2))
    return tf.WhisperForConditionalGeneration(config), {
        "input_features": sound, "labels": ids(2, 7),
    }  # fmt: skip


def distilbert(tf: Any, attention: str) -> tuple[Any, dict[str, Any]]:
    config = tf.DistilBertConfig(
        vocab_size=50, n_layers=2, n_heads=2, dim=16, hidden_dim=32, attn_implementation=attention
    )
    return tf.DistilBertForMaskedLM(config), {"input_ids": ids(3, 12), "labels": ids(3, 12)}


def bart(tf: Any, attention: str) -> tuple[Any, dict[str, Any]]:
    config = tf.BartConfig(
        vocab_size=50, d_model=16, encoder_layers=2, decoder_layers=2, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32,
        attention_dropout=0.1, activation_dropout=0.1, max_position_embeddings=32,
        attn_implementation=attention,
    )  # fmt: skip
    return tf.BartForConditionalGeneration(config), {"input_ids": ids(3, 12), "labels": ids(3, 7)}


KINDS = [bert, gpt2, llama, t5, vit, whisper, distilbert, bart]


def make(kind: Callable[..., Any], attention: str = "sdpa") -> tuple[Any, dict[str, Any]]:
    tf = outside.transformers()
    torch.manual_seed(0)
    try:
        model, batch = kind(tf, attention)
    except ValueError as error:
        if "does not support an attention implementation" not in str(error):
            raise
        pytest.skip(str(error).splitlines()[0])
    return model.train(), batch


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_transformers_draws_nothing_itself(kind: Callable[..., Any], attention: str) -> None:
    model, batch = make(kind, attention)

    def step() -> torch.Tensor:
        model.zero_grad(set_to_none=True)
        loss = model(**batch).loss
        loss.backward()
        return loss.detach()

    with ft.enable(bernoulli=False):
        assert left(step) == []
        loss = seeded(step)
        assert torch.equal(loss, seeded(step))
        assert math.isfinite(loss)
        assert all(p.grad is None or bool(p.grad.isfinite().all()) for p in model.parameters())


def test_what_is_counted_is_drawn_by_pytorch_otherwise() -> None:
    model, batch = make(bert)
    assert left(lambda: model(**batch)) == ["aten::bernoulli_"]


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_losses_are_those_of_pytorch_up_to_chance(kind: Callable[..., Any], attention: str) -> None:
    """Over 60 seeds each: the means differ by less than five standard errors."""
    model, batch = make(kind, attention)

    @torch.no_grad()
    def losses() -> list[float]:
        torch.manual_seed(1)
        return [float(model(**batch).loss) for _ in range(60)]

    theirs = losses()
    with ft.enable():
        ours = losses()
    assert ours != theirs
    error = math.sqrt((statistics.variance(theirs) + statistics.variance(ours)) / 60)
    assert abs(statistics.mean(theirs) - statistics.mean(ours)) < 5 * error
    assert 0.5 < statistics.stdev(ours) / statistics.stdev(theirs) < 2.0


def test_gradient_checkpointing_of_transformers() -> None:
    """Masks are drawn again as they were: the gradients are those without it, to the bit."""
    with ft.enable():
        for kind in (bert, gpt2, llama):
            gradients = []
            for checkpointed in (False, True):
                model, batch = make(kind)
                if checkpointed:
                    model.gradient_checkpointing_enable({"use_reentrant": False})
                seeded(lambda model=model, batch=batch: model(**batch).loss.backward())
                gradients.append([p.grad for p in model.parameters() if p.grad is not None])
            assert all(map(torch.equal, *gradients)), kind


def test_trainer(tmp_path: Path) -> None:
    tf = outside.transformers()
    outside.package("accelerate")
    data = [{"input_ids": ids(12), "labels": ids(12)} for _ in range(16)]
    losses = []
    for _ in range(2):
        with ft.enable():
            model, _ = make(gpt2)
            options = tf.TrainingArguments(
                output_dir=str(tmp_path), max_steps=4, per_device_train_batch_size=4, use_cpu=True,
                report_to=[], save_strategy="no", logging_steps=1, disable_tqdm=True, seed=1,
            )  # fmt: skip
            trainer = tf.Trainer(model, options, train_dataset=data)
            trainer.train()
            losses.append([row["loss"] for row in trainer.state.log_history if "loss" in row])
    assert len(losses[0]) == 4
    assert losses[0] == losses[1]


def test_lora_of_peft() -> None:
    peft = outside.package("peft")
    model, batch = make(llama)
    lora = peft.LoraConfig(lora_dropout=0.3, target_modules=["q_proj", "v_proj"], r=4)
    adapted = peft.get_peft_model(model, lora).train()
    with ft.enable(bernoulli=False):
        assert left(lambda: adapted(**batch).loss.backward()) == []
        assert torch.equal(
            seeded(lambda: adapted(**batch).loss), seeded(lambda: adapted(**batch).loss)
        )


TIMM: dict[str, dict[str, Any]] = {
    "vit_tiny_patch16_224": {
        "img_size": 32, "drop_rate": 0.1, "attn_drop_rate": 0.1, "drop_path_rate": 0.1,
        "proj_drop_rate": 0.1, "pos_drop_rate": 0.1, "depth": 3,
    },
    "resnet10t": {"drop_rate": 0.1, "drop_path_rate": 0.1, "drop_block_rate": 0.1},
    "convnext_atto": {"drop_path_rate": 0.1, "drop_rate": 0.1},
}  # fmt: skip


@pytest.mark.parametrize("name", TIMM)
def test_timm(name: str) -> None:
    """Layers of dropout draw here, and so do DropPath and DropBlock, by ``bernoulli_``."""
    timm = outside.timm()
    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=7, **TIMM[name]).train()
    x = torch.randn(2, 3, 32, 32)
    for module in model.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.momentum = 0.0
    plain = seeded(model, x)
    with ft.enable():
        y = seeded(model, x)
        assert torch.equal(y, seeded(model, x))
    assert not torch.equal(plain, y)
    assert torch.equal(plain, seeded(model, x))


def test_torchvision() -> None:
    torchvision = outside.torchvision()
    x = torch.ones(40, 3, 2, 2)
    with ft.enable():
        y = seeded(torchvision.ops.stochastic_depth, x, 0.25, "row", True)
        kept = seeded(ft.dropout, torch.ones(40), 0.25) != 0
        assert torch.equal(y[:, 0, 0, 0] != 0, kept)
        torch.manual_seed(0)
        model = torchvision.models.vgg11(num_classes=3).train()
        assert left(lambda: model(torch.ones(1, 3, 32, 32))) == []


def test_graph_attention() -> None:
    outside.package("torch_geometric")
    from torch_geometric.nn import GATConv

    layer = GATConv(8, 4, heads=2, dropout=0.3)
    x, edges = torch.randn(10, 8), torch.randint(0, 10, (2, 40))
    with ft.enable(bernoulli=False):
        assert left(lambda: layer(x, edges)) == []
        assert torch.equal(seeded(layer, x, edges), seeded(layer, x, edges))
