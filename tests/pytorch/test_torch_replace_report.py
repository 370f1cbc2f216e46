"""What `replace` reports with an example: draws that happen, by whom and where."""

import math
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
import outside  # noqa: E402
from enabling import seeded  # noqa: E402
from on_torch import left_alone, nothing_drawn  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812

import fastdrop.torch as ft  # noqa: E402


class Block(nn.Module):
    """Everything that draws, as module and as function."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(8)
        self.drop = nn.Dropout(0.5)
        self.unused = nn.Dropout(0.5)
        self.attention = nn.MultiheadAttention(8, 2, dropout=0.5, batch_first=True)
        self.lstm = nn.LSTM(8, 8, 2, dropout=0.5, batch_first=True)
        self.ours = ft.Dropout(0.5, seed=1)
        self.inner = Functional()

    def forward(self, x: "torch.Tensor") -> "torch.Tensor":
        x = self.drop(self.norm(x.flatten(0, 1)).view(x.shape))
        x = self.attention(x, x, x, need_weights=False)[0]
        x = self.ours(self.lstm(x)[0])
        return self.inner(F.alpha_dropout(x, 0.5, self.training))


class Functional(nn.Module):
    def forward(self, x: "torch.Tensor") -> "torch.Tensor":
        x = F.dropout(x, 0.5, self.training)
        return F.scaled_dot_product_attention(x, x, x, dropout_p=0.5 if self.training else 0.0)


X = torch.randn(3, 5, 8, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("example", [X, (X,), {"x": X}])
def test_draws_are_counted(example: Any) -> None:
    model = Block().eval()
    model.drop.train()
    own = model.ours._source.generator.state
    with left_alone(model), nothing_drawn():
        report = ft.replace(model, example=example)
    assert report.replaced == ("drop", "unused", "attention")
    assert report.left == {"lstm": "drops between its layers inside PyTorch's operator"}
    assert report.drawn is not None
    assert report.drawn.fastdrop == {
        "drop (Dropout)": X.numel(),
        "attention (MultiheadAttention)": 3 * 2 * 5 * 5,
        "ours (Dropout)": X.numel(),
    }
    assert report.drawn.pytorch == {
        "lstm (LSTM), lstm": X.numel(),
        "the model itself (Block), alpha_dropout": X.numel(),
        "inner (Functional), dropout": X.numel(),
        "inner (Functional), scaled_dot_product_attention": 3 * 5 * 5,
    }
    lines = str(report).splitlines()
    assert f"    by PyTorch: {sum(report.drawn.pytorch.values())} elements" in lines
    assert "        inner (Functional), dropout: 120" in lines
    assert model.ours._source.generator.state == own
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    assert ft.replace(model).drawn is None


def test_an_example_that_does_not_fit() -> None:
    model = Block().eval()
    for example, error in ((X[..., 1:], RuntimeError), ({"nothing_like_it": X}, TypeError)):
        with left_alone(model), nothing_drawn(), pytest.raises(error):
            ft.replace(model, example=example)
        assert ft.restore(model) == ()


def test_attention_under_a_mode_is_ours() -> None:
    """A default device is a mode, which is handed the function that was called."""
    attention, x = nn.MultiheadAttention(8, 2, dropout=0.5), torch.randn(4, 3, 8)
    ft.replace(nn.ModuleList([attention]))
    wanted, _ = seeded(attention, x, x, x, need_weights=False)
    with torch.device("cpu"):
        found, _ = seeded(attention, x, x, x, need_weights=False)
    assert torch.equal(found, wanted)


# --- modules of other libraries ------------------------------------------------------------------


def foreign(home: tuple[str, str], settings: dict[str, Any]) -> nn.Module:
    """A model with a module as another library has it, which need not be installed."""
    names = {"__module__": home[0], "__qualname__": home[1]}
    forward = lambda _, x: torch.full_like(x, 77.0)  # noqa: E731 - not called where it is ours
    return nn.Sequential(type(home[1], (nn.Module,), {"forward": forward, **names, **settings})())


DEPTH = ("torchvision.ops.stochastic_depth", "StochasticDepth")
PATH = ("timm.layers.drop", "DropPath")
BLOCK2 = ("torchvision.ops.drop_block", "DropBlock2d")
BLOCK3 = ("torchvision.ops.drop_block", "DropBlock3d")

BLOCKS = {"p": 0.3, "block_size": 3, "inplace": False}

SWAPPED = [
    (PATH, {"drop_prob": 0.3, "scale_by_keep": True}, (64, 3), lambda x: ft.drop_path(x, 0.3)),
    (DEPTH, {"p": 0.3, "mode": "row"}, (64, 3), lambda x: ft.drop_path(x, 0.3)),
    (DEPTH, {"p": 0.3, "mode": "batch"}, (64, 3), lambda x: ft.drop_path(x, 0.3, mode="batch")),
    (BLOCK2, BLOCKS, (4, 3, 9, 9), lambda x: ft.drop_block2d(x, 0.3, 3)),
    (BLOCK3, BLOCKS, (4, 3, 5, 5, 5), lambda x: ft.drop_block3d(x, 0.3, 3)),
]


@pytest.mark.parametrize(("home", "settings", "shape", "wanted"), SWAPPED)
def test_modules_of_other_libraries(home: Any, settings: Any, shape: Any, wanted: Any) -> None:
    model = foreign(home, settings)
    assert ft.replace(model).replaced == ("0",)
    x = torch.rand(shape) + 1
    assert torch.equal(seeded(model, x), seeded(wanted, x))
    assert (model(x.long()) == 77).all(), "what is not computed here is theirs"
    assert model(x.to("meta")).is_meta
    assert torch.equal(model.eval()(x), x)
    assert ft.restore(model) == ("0",)
    assert (model(x) == 77).all()


@pytest.mark.parametrize(
    ("home", "settings", "why"),
    [
        (PATH, {"drop_prob": 0.3, "scale_by_keep": False}, "does not scale what it keeps"),
        (PATH, {"drop_prob": 0.3}, "has no scale_by_keep: fastdrop.torch does not know this"),
        (BLOCK2, {**BLOCKS, "block_size": 4}, "has blocks of an even size"),
    ],
)
def test_modules_of_other_libraries_that_draw_otherwise(home: Any, settings: Any, why: str) -> None:
    model = foreign(home, settings)
    report = ft.replace(model)
    assert report.replaced == ()
    assert report.left["0"].startswith(why)
    assert (model(torch.ones(2, 2)) == 77).all()


@pytest.mark.outside
def test_timms_droppath_drops_as_before() -> None:
    model, x = nn.Sequential(outside.timm().layers.DropPath(0.3)), torch.ones(40000, 1)
    for change in (nn.Module.train, ft.replace):
        change(model)
        torch.manual_seed(1)
        y = model(x)
        assert torch.allclose(y[y != 0], torch.tensor(1 / 0.7))
        assert abs(float((y == 0).float().mean()) - 0.3) < 5 * math.sqrt(0.21 / 40000)
    assert ft.restore(model) == ("0",)


@pytest.mark.outside
@pytest.mark.parametrize("name", ["llama", "bert", "gpt2"])
def test_transformers(name: str) -> None:
    """What is known to stay with PyTorch: functions that Transformers calls."""
    model: Any = outside.model(name)
    ids = torch.randint(50, (2, 7))
    report = ft.replace(model, example={"input_ids": ids})
    assert report.drawn is not None
    weights = 2 * 2 * 2 * 7 * 7  # layers, batch, heads, query, key
    assert sum(report.drawn.pytorch.values()) == weights
    assert all("attention" in where for where in report.drawn.pytorch)
    assert (sum(report.drawn.fastdrop.values()) > 0) is (name != "llama")
