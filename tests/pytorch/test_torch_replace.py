"""`replace` and `restore`: what they change, what they cannot, and that the rest stays.

Also with tools that give modules other classes or wrap their `forward`, before and after.
"""

import copy
import functools
import pickle
from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from enabling import seeded  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn.utils import parametrize  # noqa: E402

import fastdrop.torch as ft  # noqa: E402


def is_ours(model: nn.Module) -> bool:
    """Who computes a model that drops half of a hundred elements."""
    x = torch.ones(100)
    return torch.equal(seeded(model.train(), x) == 0, seeded(ft.dropout, x, 0.5) == 0)


class Own(nn.Dropout):
    """A dropout of the user's."""


SHAPES = {
    nn.Dropout: (4, 6),
    nn.Dropout1d: (2, 6, 3),
    nn.Dropout2d: (2, 6, 3, 3),
    nn.Dropout3d: (2, 6, 3, 3, 3),
    nn.AlphaDropout: (4,),
    nn.FeatureAlphaDropout: (2, 3, 4),
}
TWINS = {
    **{f"body.{kind.__name__}": kind for kind in SHAPES},
    **dict.fromkeys(("shared", "layer.dropout", "layer.dropout1", "layer.dropout2"), nn.Dropout),
    "layer.self_attn": nn.MultiheadAttention,
}


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.shared = self.again = nn.Dropout(0.1, inplace=True)
        self.body = nn.ModuleDict({kind.__name__: kind(0.3) for kind in SHAPES})
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.5)
        self.lstm = nn.LSTM(4, 4, 2, dropout=0.6)
        self.own = Own(0.7)
        self.ours = ft.Dropout(0.8)
        self.plain = nn.LSTM(4, 4, 2)


def test_replace_and_restore() -> None:
    model, seen = Net(), []
    model.shared.eval()
    model.shared.register_forward_hook(lambda *_: seen.append(1))
    text, state = repr(model), list(model.state_dict())
    modules = dict(model.named_modules())
    report = ft.replace(model)
    assert set(report.replaced) == set(TWINS)
    why = {name: words.split()[0] for name, words in report.left.items()}
    assert why == {"lstm": "drops", "own": "is"}
    assert dict(model.named_modules()) == modules, "they are the same objects"
    for name, original in TWINS.items():
        assert type(modules[name]) is original
        if original in SHAPES:
            x, module = torch.ones(SHAPES[original]), modules[name]
            ours = getattr(ft, original.__name__)(module.p).train(module.training)
            assert torch.equal(seeded(module, x.clone()), seeded(ours, x))
    assert seen == [1], "hooks stay"
    assert model.again is model.shared
    assert not model.shared.training
    assert model.shared.inplace
    assert repr(model) == text
    assert list(model.state_dict()) == state
    again = ft.replace(model)
    assert (again.replaced, again.left) == ((), report.left)
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


def test_what_is_no_model() -> None:
    for module in (nn.Dropout(), nn.Dropout2d(), ft.Dropout(), Own()):
        with pytest.raises(ValueError, match="model has to hold dropout modules, but got one"):
            ft.replace(module)
        assert "forward" not in vars(module)
    for function in (ft.replace, ft.restore):
        with pytest.raises(TypeError, match=r"model has to be a torch\.nn\.Module, but got int"):
            function(3)


def test_copies_and_pickles_of_a_replaced_model() -> None:
    model = nn.Sequential(nn.Linear(100, 100), nn.Dropout(0.5))
    ft.replace(model)
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert is_ours(twin)
        twin[1].p = 0.0
        assert torch.equal(twin(torch.ones(100)), twin[0](torch.ones(100))), "it is a copy's own"
        assert is_ours(model)
        twin[1].p = 0.5
        assert ft.restore(twin) == ("1",)
        assert not is_ours(twin)
        assert is_ours(model)


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("how", ["the object's class", "the class's method"])
def test_a_method_that_is_exchanged_later_runs(
    kind: type[nn.Module], how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in recipes for Monte Carlo dropout, which put another class or method there."""
    model, forward = nn.Sequential(kind(0.5)), lambda _, x: x * 5
    ft.replace(model)
    if how == "the object's class":
        model[0].__class__ = type("Exchanged", (kind,), {"forward": forward})
    else:
        monkeypatch.setattr(kind, "forward", forward)
    x = torch.ones(SHAPES[kind])
    for one in (model, copy.deepcopy(model)):
        assert torch.equal(one(x), x * 5)
    ft.restore(model)
    assert torch.equal(model(x), x * 5)


# --- beside other tools --------------------------------------------------------------------------


def parametrized(model: nn.Module) -> None:
    parametrize.register_parametrization(model[0], "in_proj_weight", nn.Tanh())


def derived(model: nn.Module) -> None:
    """As `fully_shard` does: a class of the object's own, made in a file of PyTorch's."""
    names = {"__module__": "torch.distributed.fsdp._fully_shard._fully_shard"}
    for module in model:
        kind = type(module)
        module.__class__ = type(f"FSDP{kind.__name__}", (kind,), names)


def kept(module: nn.Module, *arguments: Any, **keywords: Any) -> Any:
    return module._old_forward(*arguments, **keywords)


def hooked(model: nn.Module, named: bool = True) -> None:
    """As Accelerate does."""
    for module in model:
        module._old_forward = module.forward
        module.forward = functools.partial(kept, module)
        if named:
            functools.update_wrapper(module.forward, module._old_forward)


def wrapped(model: nn.Module) -> None:
    """In a closure, of which nobody can tell what it calls."""
    for module in model:
        module.forward = functools.partial(lambda old, *x, **more: old(*x, **more), module.forward)


class Two(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.MultiheadAttention(8, 2, dropout=0.5), nn.Dropout(0.5))

    def forward(self, x: "torch.Tensor") -> "torch.Tensor":
        return self[1](self[0](x, x, x, need_weights=False)[0])


def accelerated(model: nn.Module) -> None:
    hooks = pytest.importorskip("accelerate.hooks", reason="Accelerate is not installed")
    for module in model:
        hooks.add_hook_to_module(module, hooks.ModelHook())


outside = pytest.param(accelerated, marks=pytest.mark.outside)
X = torch.randn(4, 3, 8)


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("tool", [parametrized, derived, hooked, wrapped, outside])
def test_a_tool_before_and_after_replace(tool: Callable[[nn.Module], None], first: bool) -> None:
    plain, model = Two(), Two()
    model.load_state_dict(plain.state_dict())
    if first:
        tool(plain), tool(model)
    report, why = ft.replace(model), {}
    if first and tool is wrapped:
        words = "has a forward that something else has put there: replace the model before"
        why = dict.fromkeys(("0", "1"), words)
    assert report.replaced == (() if why else ("0", "1"))
    assert report.left == why
    if not first:
        ours = seeded(model, X)
        tool(plain), tool(model)
        assert torch.equal(seeded(model, X), ours) or tool is parametrized
    assert torch.equal(seeded(model, X), seeded(plain, X)) == bool(why)
    assert ft.restore(model) == report.replaced
    assert [type(m).__name__ for m in model] == [type(m).__name__ for m in plain]
    assert torch.equal(seeded(model, X), seeded(plain, X))
    assert ft.restore(model) == ()


def test_hooks_removed_before_restore() -> None:
    model = Two()
    plain = seeded(model, X)
    ft.replace(model)
    hooked(model)
    for module in model:
        module.forward = module._old_forward
        del module._old_forward
    assert not torch.equal(seeded(model, X), plain)
    assert ft.restore(model) == ("0", "1")
    assert torch.equal(seeded(model, X), plain)
    assert not [key for m in model for key in vars(m) if "fastdrop" in key or key == "forward"]


@pytest.mark.parametrize("before", [False, True])
def test_copies_and_pickles_of_a_hooked_model(before: bool) -> None:
    model = Two()
    if before:
        ft.replace(model)
    hooked(model, named=False)
    ft.replace(model)
    ours = seeded(model, X)
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(seeded(twin, X), ours)
        assert ft.restore(twin) == ("0", "1")
        assert not torch.equal(seeded(twin, X), ours)
    assert torch.equal(seeded(model, X), ours)


def test_restoring_a_shallow_copy_leaves_the_module() -> None:
    model = nn.Sequential(nn.Dropout(0.5))
    ft.replace(model)
    twin = nn.Sequential(copy.copy(model[0]))
    assert ft.restore(twin) == ("0",)
    assert not is_ours(twin)
    assert is_ours(model)
    twin = nn.Sequential(copy.copy(model[0]))
    assert ft.replace(twin).replaced == ("0",)
    twin[0].p = 1.0
    assert not twin(torch.ones(100)).any()
    assert is_ours(model)
