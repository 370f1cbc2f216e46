"""Private names of PyTorch: listed in one file, used from there, replaced where they are gone."""

import ast
import re
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from fresh import loaded

torch = pytest.importorskip("torch")

import fastdrop.torch as ft  # noqa: E402 - only where there is PyTorch
from fastdrop.torch import _private, _recompute  # noqa: E402

PACKAGE = Path(_private.__file__).parent


def is_private(path: str) -> bool:
    return any(part.startswith("_") and not part.startswith("__") for part in path.split("."))


def private_names(source: str) -> Iterator[str]:
    """Every private name of PyTorch's modules that a module imports or reads."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Attribute):
            names = [re.sub("^nn\\.", "torch.nn.", ast.unparse(node))]
        else:
            continue
        yield from (n for n in names if n.partition(".")[0] == "torch" and is_private(n))


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("from torch._C import _x", ["torch._C._x"]),
        ("from torch.nn import _x, y", ["torch.nn._x"]),
        ("import torch._dynamo", ["torch._dynamo"]),
        ("torch.autograd.forward_ad._current_level", ["torch.autograd.forward_ad._current_level"]),
        ("nn.modules.dropout._DropoutNd", ["torch.nn.modules.dropout._DropoutNd"]),
        ("from ._private import forward_ad\nself._x\ntorch.nn.Dropout.__mro__", []),
    ],
)
def test_the_finder(source: str, found: list[str]) -> None:
    assert list(private_names(source)) == found


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.name)
def test_private_names_are_used_from_one_file(path: Path) -> None:
    found = set(private_names(path.read_text(encoding="utf-8")))
    assert bool(found) == (path.name == "_private.py"), found


def test_every_listed_name_is_used() -> None:
    imported = {
        alias.name
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.level and node.module == "_private"
        for alias in node.names
    }
    assert imported == set(_private.__all__)


def reload_without(monkeypatch: pytest.MonkeyPatch, module: str, name: str) -> ModuleType:
    """`_private` as it would be if PyTorch had no such name."""
    monkeypatch.delattr(sys.modules[module], name)
    return loaded(Path(_private.__file__), "_private_again")


def test_transforms_and_traces_without_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch._C, "_are_functorch_transforms_active")
    again = reload_without(monkeypatch, "torch._C", "_get_tracing_state")
    monkeypatch.undo()  # tracing needs the name itself
    seen = []

    def f(x: torch.Tensor) -> torch.Tensor:
        both = again, _private
        seen.extend((one.transforms_active(), bool(one.get_tracing_state())) for one in both)
        return x.sum()

    assert again.transforms_active is not _private.transforms_active
    f(torch.ones(3))
    torch.func.vmap(f)(torch.ones(2, 3))
    torch.func.grad(f)(torch.ones(3))
    torch.jit.trace(f, torch.ones(3), check_trace=False)
    plain, transformed, traced = (False, False), (True, False), (False, True)
    assert seen == [plain] * 2 + [transformed] * 4 + [traced] * 2


def test_dead_wrappers_without_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    again = reload_without(monkeypatch, "torch._functorch.utils", "unwrap_dead_wrappers")
    dead: list[Any] = []
    torch.func.grad(lambda x: dead.append(x) or x.sum())(torch.ones(3))
    for unwrap in (again.unwrap_dead_wrappers, _private.unwrap_dead_wrappers):
        alive, number = unwrap((*dead, 1))
        assert number == 1
        assert alive is not dead[0]
        assert torch.equal(alive, torch.ones(3))


def test_versions_and_legacy_batches_without_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    x, again = torch.ones(3), reload_without(monkeypatch, "torch._C", "_increment_version")
    monkeypatch.undo()
    again.increment_version((x,))
    assert x._version == 1
    again = reload_without(monkeypatch, "torch._C._functorch", "is_legacy_batchedtensor")
    assert again.is_legacy_batchedtensor(x) is False


@pytest.mark.parametrize("name", ["_len_torch_dispatch_stack", "_len_torch_function_stack"])
def test_what_nothing_replaces_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    with pytest.raises(ImportError, match=rf"PyTorch {torch.__version__.split('+')[0]}.*{name}"):
        reload_without(monkeypatch, "torch._C", name)


@pytest.mark.parametrize("names", ["", "_checkpoint_hook", "checkpoint _checkpoint_impl"])
def test_checkpoints_that_are_built_otherwise(names: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An own generator would draw another mask in the backward pass: that is an error then."""
    with monkeypatch.context() as without:
        for name in names.split():
            without.delattr(torch.utils.checkpoint, name, raising=False)
        known = _private.knows_checkpoints()
    assert known == (not names)
    monkeypatch.setattr(_recompute, "_KNOWN", known)
    x = torch.ones(16, requires_grad=True)
    for own in ({}, {"seed": 1}, {"generator": torch.Generator()}):
        drop = ft.Dropout(0.5, **own)
        error = pytest.raises(NotImplementedError, match=r"inside of torch\.utils\.checkpoint")
        with nullcontext() if known or not own else error:
            torch.utils.checkpoint.checkpoint(drop, x, use_reentrant=False).sum().backward()
