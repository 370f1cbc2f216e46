"""Tools that give modules other classes or wrap their `forward`, before `replace` and after it."""

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


class Doubled(nn.Module):
    def forward(self, x: "torch.Tensor") -> "torch.Tensor":
        return 2 * x


def parametrized(model: nn.Module) -> None:
    parametrize.register_parametrization(model[0], "in_proj_weight", Doubled())


def derived(model: nn.Module) -> None:
    """As `fully_shard` does: a class of the object's own, made in a file of PyTorch's."""
    names = {"__module__": "torch.distributed.fsdp._fully_shard._fully_shard"}
    for module in (model[0], model[1]):
        kind = type(module)
        module.__class__ = type(f"FSDP{kind.__name__}", (kind,), names)


def hooked(model: nn.Module) -> None:
    """As Accelerate does."""
    for module in (model[0], model[1]):
        module._old_forward = module.forward

        def forward(module: nn.Module, *arguments: Any, **keywords: Any) -> Any:
            return module._old_forward(*arguments, **keywords)

        module.forward = functools.update_wrapper(
            functools.partial(forward, module), module._old_forward
        )


def wrapped(model: nn.Module) -> None:
    """In a closure, of which nobody can tell what it calls."""
    for module in (model[0], model[1]):
        module.forward = functools.partial(lambda old, *x, **more: old(*x, **more), module.forward)


class Two(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.MultiheadAttention(8, 2, dropout=0.5), nn.Dropout(0.5))

    def forward(self, x: "torch.Tensor") -> "torch.Tensor":
        return self[1](self[0](x, x, x, need_weights=False)[0])


TOOLS = [parametrized, derived, hooked, wrapped]


@pytest.mark.parametrize("tool", TOOLS)
def test_replace_then_a_tool_then_restore(tool: Callable[[nn.Module], None]) -> None:
    x = torch.randn(4, 3, 8)
    torch.manual_seed(1)
    plain, model = Two(), Two()
    model.load_state_dict(plain.state_dict())
    ft.replace(model)
    ours = seeded(model, x)
    tool(plain), tool(model)
    if tool is not parametrized:
        assert torch.equal(seeded(model, x), ours)
    assert not torch.equal(seeded(model, x), seeded(plain, x))
    assert ft.restore(model) == ("0", "1")
    assert [type(m).__name__ for m in model] == [type(m).__name__ for m in plain]
    assert torch.equal(seeded(model, x), seeded(plain, x))
    assert ft.restore(model) == ()


@pytest.mark.parametrize("tool", TOOLS)
def test_a_tool_then_replace_then_restore(tool: Callable[[nn.Module], None]) -> None:
    x = torch.randn(4, 3, 8)
    torch.manual_seed(1)
    model = Two()
    tool(model)
    plain = seeded(model, x)
    report = ft.replace(model)
    if tool is wrapped:
        assert report.replaced == ()
        why = "has a forward that something else has put there: replace the model before"
        assert report.left == {"0": why, "1": why}
        assert torch.equal(seeded(model, x), plain)
    else:
        assert report.replaced == ("0", "1")
        assert report.left == {}
        assert not torch.equal(seeded(model, x), plain)
    ft.restore(model)
    assert torch.equal(seeded(model, x), plain)


def test_hooks_removed_before_restore() -> None:
    x = torch.randn(4, 3, 8)
    model = Two()
    plain = seeded(model, x)
    ft.replace(model)
    hooked(model)
    for module in model:
        module.forward = module._old_forward
        del module._old_forward
    assert not torch.equal(seeded(model, x), plain)
    assert ft.restore(model) == ("0", "1")
    assert torch.equal(seeded(model, x), plain)
    assert not [key for m in model for key in vars(m) if "fastdrop" in key or key == "forward"]


@pytest.mark.parametrize("before", [False, True])
def test_copies_and_pickles_of_a_hooked_model(before: bool) -> None:
    x = torch.randn(4, 3, 8)
    model = Two()
    if before:
        ft.replace(model)
    for module in model:
        module._old_forward = module.forward
        module.forward = functools.partial(kept, module)
    ft.replace(model)
    ours = seeded(model, x)
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(seeded(twin, x), ours)
        assert ft.restore(twin) == ("0", "1")
        assert not torch.equal(seeded(twin, x), ours)
    assert torch.equal(seeded(model, x), ours)


def kept(module: nn.Module, *arguments: Any, **keywords: Any) -> Any:
    return module._old_forward(*arguments, **keywords)


def test_restoring_a_shallow_copy_leaves_the_module() -> None:
    model = nn.Sequential(nn.Dropout(0.5))
    ft.replace(model)
    twin = nn.Sequential(copy.copy(model[0]))
    x = torch.ones(100)
    ours = seeded(model, x)
    assert ft.restore(twin) == ("0",)
    assert not torch.equal(seeded(twin, x), ours)
    assert torch.equal(seeded(model, x), ours)
    twin = nn.Sequential(copy.copy(model[0]))
    assert ft.replace(twin).replaced == ("0",)
    twin[0].p = 1.0
    assert not twin(x).any()
    assert torch.equal(seeded(model, x), ours)


@pytest.mark.outside
def test_accelerate() -> None:
    hooks = pytest.importorskip("accelerate.hooks", reason="Accelerate is not installed")
    x = torch.randn(4, 3, 8)
    for first in (False, True):
        model = Two()
        plain = seeded(model, x)
        if first:
            ft.replace(model)
        hooks.add_hook_to_module(model[0], hooks.ModelHook())
        hooks.add_hook_to_module(model[1], hooks.ModelHook())
        ft.replace(model)
        assert not torch.equal(seeded(model, x), plain)
        assert ft.restore(model) == ("0", "1")
        assert torch.equal(seeded(model, x), plain)
        hooks.remove_hook_from_submodules(model)
        assert torch.equal(seeded(model, x), plain)
