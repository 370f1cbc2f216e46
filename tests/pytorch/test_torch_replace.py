"""`replace` and `restore`: what they change, what they cannot, and that the rest stays."""

import copy
import pickle

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from enabling import seeded  # noqa: E402
from torch import nn  # noqa: E402

import fastdrop.torch as ft  # noqa: E402


def drawn(model: nn.Module) -> str:
    """Who computes a model that drops half of three elements."""
    found = []
    for _ in range(20):
        before = torch.get_rng_state()
        y = model.train()(torch.ones(3))
        after = torch.get_rng_state()
        torch.set_rng_state(before)
        mask = ft.dropout(torch.ones(3), 0.5) == 0
        found.append(torch.equal(mask, y == 0))
        torch.set_rng_state(after)
    return "fastdrop" if all(found) else "PyTorch"


class Own(nn.Dropout):
    """A dropout of the user's."""


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.shared = nn.Dropout(0.1)
        self.again = self.shared
        self.body = nn.Sequential(
            nn.Dropout1d(0.2), nn.Dropout2d(0.3), nn.ModuleList([nn.Dropout3d(0.4, inplace=True)])
        )
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.5)
        self.lstm = nn.LSTM(4, 4, 2, dropout=0.6)
        self.own = Own(0.7)
        self.ours = ft.Dropout(0.8)
        self.plain = nn.LSTM(4, 4, 2)


TWINS = {
    "shared": nn.Dropout,
    "body.0": nn.Dropout1d,
    "body.1": nn.Dropout2d,
    "body.2.0": nn.Dropout3d,
    "layer.self_attn": nn.MultiheadAttention,
    "layer.dropout": nn.Dropout,
    "layer.dropout1": nn.Dropout,
    "layer.dropout2": nn.Dropout,
}


SHAPES = {
    nn.Dropout: (4, 6),
    nn.Dropout1d: (2, 6, 3),
    nn.Dropout2d: (2, 6, 3, 3),
    nn.Dropout3d: (2, 6, 3, 3, 3),
    nn.AlphaDropout: (4,),
    nn.FeatureAlphaDropout: (2, 3, 4),
}


def test_replace_and_restore() -> None:
    model = Net()
    model.shared.eval()
    text, state = repr(model), list(model.state_dict())
    modules = dict(model.named_modules())
    report = ft.replace(model)
    assert set(report.replaced) == set(TWINS)
    assert {name: why.split()[0] for name, why in report.left.items()} == {
        "lstm": "drops",
        "own": "is",
    }
    assert dict(model.named_modules()) == modules, "they are the same objects"
    for name, original in TWINS.items():
        assert type(modules[name]) is original
        if original in SHAPES:
            x, training = torch.ones(SHAPES[original]), modules[name].training
            function = getattr(ft, original.__name__.lower())
            wanted = seeded(function, x, modules[name].p, training)
            assert torch.equal(seeded(modules[name], x.clone()), wanted)
    assert model.again is model.shared
    assert not model.shared.training
    assert model.body[2][0].inplace
    assert repr(model) == text
    assert list(model.state_dict()) == state

    again = ft.replace(model)
    assert again.replaced == ()
    assert again.left == report.left

    assert set(ft.restore(model)) == set(TWINS)
    for name, original in TWINS.items():
        assert type(modules[name]) is original
        assert not [key for key in vars(modules[name]) if "fastdrop" in key]
    assert type(model.ours) is ft.Dropout
    assert ft.restore(model) == ()


def test_report_as_text() -> None:
    assert str(ft.replace(nn.Sequential(nn.Linear(2, 2)))) == "replaced:\n    none"
    lines = str(ft.replace(Net())).splitlines()
    assert lines[:2] == ["replaced:", "    shared"]
    assert "    lstm: drops between its layers inside PyTorch's operator" in lines


@pytest.mark.parametrize("module", [nn.Dropout(), nn.Dropout2d(), ft.Dropout(), Own()])
def test_a_model_that_is_a_dropout_module(module: nn.Module) -> None:
    kind = type(module)
    with pytest.raises(ValueError, match="model has to hold dropout modules, but got one"):
        ft.replace(module)
    assert type(module) is kind


@pytest.mark.parametrize("function", [ft.replace, ft.restore])
def test_what_is_no_module(function) -> None:
    with pytest.raises(TypeError, match=r"model has to be a torch\.nn\.Module, but got int"):
        function(3)


def test_copies_and_pickles_of_a_replaced_model() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5))
    ft.replace(model)
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert drawn(twin) == "fastdrop"
        twin[1].p = 0.0
        assert torch.equal(twin(torch.ones(3)), twin[0](torch.ones(3))), "it is a copy's own"
        assert drawn(model) == "fastdrop"
        twin[1].p = 0.5
        assert ft.restore(twin) == ("1",)
        assert drawn(twin) == "PyTorch"
        assert drawn(model) == "fastdrop"


def test_hooks_stay() -> None:
    model = nn.Sequential(nn.Dropout(0.5))
    seen = []
    model[0].register_forward_hook(lambda *_: seen.append(1))
    ft.replace(model)
    model(torch.ones(3))
    assert seen == [1]


@pytest.mark.parametrize("norm_first", [True, False])
def test_a_replaced_transformer_layer_computes_with_our_masks(norm_first: bool) -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.5, norm_first=norm_first)
    layer.self_attn.dropout = 0.0
    ft.replace(layer)
    x = torch.randn(5, 3, 8, requires_grad=True)
    torch.manual_seed(3)
    y = layer(x)
    y.sum().backward()
    torch.manual_seed(3)
    masks = [ft.dropout(torch.ones(n), 0.5) for n in ((5, 3, 8), (5, 3, 16), (5, 3, 8))]

    def feed(h: "torch.Tensor") -> "torch.Tensor":
        return layer.linear2(torch.relu(layer.linear1(h)) * masks[1]) * masks[2]

    def attend(h: "torch.Tensor") -> "torch.Tensor":
        return layer.self_attn(h, h, h, need_weights=False)[0] * masks[0]

    if norm_first:
        h = x + attend(layer.norm1(x))
        wanted = h + feed(layer.norm2(h))
    else:
        h = layer.norm1(x + attend(x))
        wanted = layer.norm2(h + feed(h))
    assert torch.allclose(y, wanted, atol=1e-5)
    assert torch.equal(layer.eval()(x), ft.restore(layer) and layer(x))


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("how", ["the object's class", "the class's method"])
def test_a_method_that_is_exchanged_later_runs(
    kind: type[nn.Module], how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in recipes for Monte Carlo dropout, which put another class or method there."""
    model = nn.Sequential(kind(0.5))
    ft.replace(model)

    def forward(_: nn.Module, x: torch.Tensor) -> torch.Tensor:
        return x * 5

    if how == "the object's class":
        model[0].__class__ = type("Exchanged", (kind,), {"forward": forward})
    else:
        monkeypatch.setattr(kind, "forward", forward)
    x = torch.ones(SHAPES[kind])
    for one in (model, copy.deepcopy(model)):
        assert torch.equal(one(x), x * 5)
    ft.restore(model)
    assert torch.equal(model(x), x * 5)
