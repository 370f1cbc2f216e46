"""Other projects with `enable`: all that they draw for dropout is drawn here.

Tiny models with random weights, made of configurations: nothing is loaded.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
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


DRAWING = ("bernoulli", "aten::rand_like", "aten::rand", "uniform", "native_dropout")
SEEDING = "aten::random_"


def left(function: Callable[[], Any]) -> list[str]:
    """The operators by which PyTorch itself drew in a call, but for seeds of masks."""
    with torch.profiler.profile() as profile:
        function()
    names = {event.name for event in profile.events()} - {SEEDING}
    return [name for name in names if any(drawing in name for drawing in DRAWING)]


def make(name: str, attention: str = "sdpa") -> tuple[Any, dict[str, Any]]:
    return outside.model(name, attention).train(), outside.batch(name, padded=name == "bert")


def repeats(train: Callable[[], list[torch.Tensor]]) -> None:
    """The same twice, drawn here; other numbers without `enable`."""
    with ft.enable(bernoulli=False):
        first = seeded(train)
        assert left(lambda: seeded(train)) == []
        assert all(map(torch.equal, first, seeded(train)))
    assert not all(map(torch.equal, first, seeded(train)))
    assert all(x.isfinite().all() for x in first)


def learned(model: Any, **given: Any) -> list[torch.Tensor]:
    """The loss of a model of Transformers, and the gradients."""
    model.zero_grad(set_to_none=True)
    loss = model(**given).loss
    loss.backward()
    return [loss.detach(), *(p.grad for p in model.parameters() if p.grad is not None)]


every = pytest.mark.parametrize("name", outside.MODELS)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@every
def test_transformers_draws_nothing_itself(name: str, attention: str) -> None:
    model, batch = make(name, attention)
    repeats(lambda: learned(model, **batch))


def test_what_is_counted_is_drawn_by_pytorch_otherwise() -> None:
    model, batch = make("bert")
    assert left(lambda: model(**batch)) == ["aten::bernoulli_"]


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@every
def test_losses_are_those_of_pytorch_up_to_chance(name: str, attention: str) -> None:
    """Over 60 seeds each: the means differ by less than five standard errors."""
    model, batch = make(name, attention)

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


@pytest.mark.parametrize("name", ["bert", "gpt2", "llama"])
def test_gradient_checkpointing_of_transformers(name: str) -> None:
    """Masks are drawn again as they were: the gradients are those without it, to the bit."""
    model, batch = make(name)
    with ft.enable():
        plain = seeded(learned, model, **batch)
        model.gradient_checkpointing_enable({"use_reentrant": False})
        assert all(map(torch.equal, plain, seeded(learned, model, **batch)))


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
