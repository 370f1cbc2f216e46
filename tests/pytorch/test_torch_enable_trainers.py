"""Programs that train other people's models, with `enable`: skorch, Lightning, Accelerate, PyG.

Each trains a few steps, twice with the same seed: nothing is left to PyTorch to draw, and both
times give the same numbers.
"""

from __future__ import annotations

import copy
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
import outside  # noqa: E402
from enabling import numbers, seeded  # noqa: E402
from test_torch_enable_outside import learned, make, repeats  # noqa: E402
from torch import nn  # noqa: E402

import fastdrop.torch as ft  # noqa: E402

pytestmark = [
    pytest.mark.outside,
    # What others deprecate, or warn of, is theirs.
    pytest.mark.filterwarnings("ignore"),
]


_PERCEPTRON = nn.Sequential(nn.Linear(6, 16), nn.Dropout(0.3), nn.ReLU(), nn.Linear(16, 2))
X = numbers(32, 6)
Y = (X.sum(1) > 0).long()
DATA = torch.utils.data.TensorDataset(X, Y)


def perceptron() -> nn.Sequential:
    """Always the same, and made of numbers that no generator draws meanwhile."""
    return copy.deepcopy(_PERCEPTRON)


def parameters(model: nn.Module) -> list[torch.Tensor]:
    return [p.detach().clone() for p in model.parameters()]


def test_skorch() -> None:
    skorch = outside.package("skorch")

    def train() -> list[torch.Tensor]:
        net = skorch.NeuralNetClassifier(
            perceptron(), criterion=nn.CrossEntropyLoss, max_epochs=2, batch_size=8, verbose=0,
            train_split=None,
        )  # fmt: skip
        net.fit(X, Y)
        assert torch.equal(*(torch.as_tensor(net.predict_proba(X)) for _ in range(2)))
        return parameters(net.module_)

    repeats(train)


@pytest.mark.parametrize("checkpointed", [False, True])
def test_lightning(checkpointed: bool, tmp_path: Path) -> None:
    outside.torchvision()  # torchmetrics imports it
    lightning = outside.package("lightning")

    class Learns(lightning.LightningModule):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.model = perceptron()

        def training_step(self, batch: Any, _: int) -> torch.Tensor:
            x, y = batch
            if checkpointed:
                found = torch.utils.checkpoint.checkpoint(self.model, x, use_reentrant=False)
            else:
                found = self.model(x)
            return nn.functional.cross_entropy(found, y)

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), 0.1)

    def train() -> list[torch.Tensor]:
        model = Learns()
        trainer = lightning.Trainer(
            max_epochs=2, accelerator="cpu", logger=False, enable_checkpointing=False,
            enable_progress_bar=False, enable_model_summary=False, default_root_dir=tmp_path,
        )  # fmt: skip
        trainer.fit(model, torch.utils.data.DataLoader(DATA, 8))
        return parameters(model)

    repeats(train)


def test_accelerate() -> None:
    accelerate = outside.package("accelerate")

    def train() -> list[torch.Tensor]:
        accelerator = accelerate.Accelerator(cpu=True, gradient_accumulation_steps=2)
        plain, data = perceptron(), torch.utils.data.DataLoader(DATA, 8)
        model, optimizer, loader = accelerator.prepare(
            plain, torch.optim.SGD(plain.parameters(), 0.1), data
        )
        for inputs, labels in loader:
            with accelerator.accumulate(model):
                accelerator.backward(nn.functional.cross_entropy(model(inputs), labels))
                optimizer.step()
                optimizer.zero_grad()
        return parameters(accelerator.unwrap_model(model))

    repeats(train)


@pytest.mark.parametrize("reentrant", [False, True])
def test_trainer_with_gradient_checkpointing(reentrant: bool, tmp_path: Path) -> None:
    """Step by step the losses of the same training without checkpoints."""
    tf = outside.transformers()
    outside.package("accelerate")
    tokens = outside.batch("gpt2")["input_ids"][0]
    data = [{"input_ids": tokens, "labels": tokens}] * 16
    found = []
    for checkpointed in (False, True):
        with ft.enable():
            model, _ = make("gpt2")
            options = tf.TrainingArguments(
                output_dir=str(tmp_path), max_steps=4, per_device_train_batch_size=4, use_cpu=True,
                report_to=[], save_strategy="no", logging_steps=1, disable_tqdm=True, seed=1,
                gradient_checkpointing=checkpointed,
                gradient_checkpointing_kwargs={"use_reentrant": reentrant},
            )  # fmt: skip
            trainer = tf.Trainer(model, options, train_dataset=data)
            trainer.train()
            steps = [row for row in trainer.state.log_history if "loss" in row]
            found.append([row[name] for row in steps for name in ("loss", "grad_norm")])
    assert len(found[0]) == 8
    assert found[0] == pytest.approx(found[1], rel=1e-5)


@pytest.mark.parametrize("own", [False, True])
def test_peft_with_gradient_checkpointing(own: bool) -> None:
    """By `enable`, and by `replace` alone: the gradients are those without checkpoints."""
    peft = outside.package("peft")
    gradients = []
    for checkpointed in (False, True):
        model, batch = make("llama")
        lora = peft.LoraConfig(lora_dropout=0.3, target_modules=["q_proj", "v_proj"], r=4)
        adapted = peft.get_peft_model(model, lora).train()
        if checkpointed:
            adapted.enable_input_require_grads()
            adapted.gradient_checkpointing_enable({"use_reentrant": False})
        if own:
            report = ft.replace(adapted)
            assert any("lora_dropout" in name for name in report.replaced)
        else:
            repeats(lambda adapted=adapted, batch=batch: learned(adapted, **batch))
        with nullcontext() if own else ft.enable():
            gradients.append(seeded(learned, adapted, **batch))
    assert all(map(torch.allclose, *gradients))


@pytest.mark.parametrize("name", ["GATConv", "GATv2Conv", "TransformerConv", "SuperGATConv"])
def test_graphs(name: str) -> None:
    geometric = outside.package("torch_geometric.nn")
    edges = torch.randint(0, 12, (2, 60), generator=torch.Generator().manual_seed(2))
    layer = getattr(geometric, name)(6, 4, heads=2, dropout=0.4)

    def train() -> list[torch.Tensor]:
        layer.zero_grad(set_to_none=True)
        seeded(layer, X[:12], edges).square().sum().backward()
        return [p.grad for p in layer.parameters() if p.grad is not None]

    if name != "SuperGATConv":
        repeats(train)
    with ft.enable(bernoulli=False):  # SuperGATConv draws edges that are none
        assert all(map(torch.equal, train(), train()))
