"""What a model draws in a forward pass: how many elements, by whom, and in which modules."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from ._private import TorchDispatchMode
from ._seeding import Source


@dataclass(frozen=True)
class Drawn:
    """Elements that were drawn in one training pass; ``str`` gives them as lines of text.

    Parameters
    ----------
    fastdrop : dict of str to int
        By fastdrop: the name and class of each module that drew, and how many elements.
    pytorch : dict of str to int
        By PyTorch's operators, with the function that the module called.
    """

    fastdrop: dict[str, int] = field(default_factory=dict)
    pytorch: dict[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        lines = ["drawn in one training pass:"]
        for name, drawn in (("fastdrop", self.fastdrop), ("PyTorch", self.pytorch)):
            lines.append(f"    by {name}: {sum(drawn.values())} elements")
            lines += [f"        {where}: {count}" for where, count in drawn.items()]
        return "\n".join(lines)


class _Where:
    """Which module is running, and which function it called."""

    def __init__(self, model: nn.Module) -> None:
        self.modules: list[str] = [f"the model itself ({type(model).__name__})"]
        self.functions: list[str] = []

    def label(self) -> str:
        function = f", {self.functions[0]}" if self.functions else ""
        return f"{self.modules[-1]}{function}"

    @contextmanager
    def followed(self, model: nn.Module) -> Iterator[None]:
        handles = []
        for name, module in model.named_modules():
            if not name or isinstance(module, torch.jit.ScriptModule):
                continue
            label = f"{name} ({type(module).__name__})"
            handles += [
                module.register_forward_pre_hook(
                    lambda *_, label=label: self.modules.append(label)
                ),
                module.register_forward_hook(
                    lambda *_: self.modules.pop() and None, always_call=True
                ),
            ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


class _Functions(TorchFunctionMode):
    """Notes the function that a module called, which operators do not tell."""

    def __init__(self, where: _Where) -> None:
        super().__init__()
        self._where = where

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        del types
        self._where.functions.append(getattr(function, "__name__", str(function)))
        try:
            return function(*args, **(kwargs or {}))
        finally:
            self._where.functions.pop()


class _Operators(TorchDispatchMode):
    """Counts what operators draw."""

    def __init__(self, where: _Where, drawn: Drawn) -> None:
        super().__init__()
        self._where, self._drawn = where, drawn

    def __torch_dispatch__(
        self, operator: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        del types
        result = operator(*args, **(kwargs or {}))
        ours = _decisions(operator, args)
        if ours is not None:
            label = self._where.modules[-1]
            self._drawn.fastdrop[label] = self._drawn.fastdrop.get(label, 0) + ours
        elif (
            operator.namespace != "fastdrop" and torch.Tag.nondeterministic_seeded in operator.tags
        ):
            first = result[0] if isinstance(result, tuple) else result
            label = self._where.label()
            count = self._drawn.pytorch.get(label, 0) + first.numel()
            self._drawn.pytorch[label] = count
        return result


def _draws(operator: Any) -> bool:
    """Whether an operator of PyTorch's draws."""
    return operator.namespace != "fastdrop" and (torch.Tag.nondeterministic_seeded in operator.tags)


def _decisions(operator: Any, args: Any) -> int | None:
    """How many decisions an operator of ours makes; None for any other operator."""
    if operator.namespace != "fastdrop":
        return None
    given = dict(zip((a.name for a in operator._schema.arguments), args, strict=False))
    if "query" in given:
        query, key = given["query"].shape, given["key"].shape
        return math.prod(query[:-1]) * int(key[-2])
    if "x" in given:
        form = given.get("form")
        return math.prod(given["x"].shape if form is None else form)
    return None


@contextmanager
def _as_before(model: nn.Module) -> Iterator[None]:
    """Modes, buffers and generators are put back."""
    modes = [(m, m.training) for m in model.modules() if hasattr(m, "training")]
    buffers = [(buffer, buffer.detach().clone()) for buffer in model.buffers()]
    generators = [torch.default_generator]
    ours = []
    for module in model.modules():
        source = getattr(module, "_source", None)
        if isinstance(source, Source):
            if isinstance(source.generator, torch.Generator):
                generators.append(source.generator)
            else:
                ours.append((source.generator, source.generator.state))
    states = [(generator, generator.get_state()) for generator in generators]
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
        with torch.no_grad():
            for buffer, values in buffers:
                buffer.copy_(values)
        for generator, state in states:
            generator.set_state(state)
        for own, place in ours:
            own.state = place


def profile(model: nn.Module, example: Any) -> Drawn:
    """What `model` draws in training for `example`; afterwards it is as before."""
    where, drawn = _Where(model), Drawn()
    args = example if isinstance(example, tuple) else ()
    kwargs = example if isinstance(example, dict) else {}
    if not isinstance(example, tuple | dict):
        args = (example,)
    with _as_before(model), where.followed(model), torch.no_grad():
        model.train()
        with _Functions(where), _Operators(where, drawn):
            model(*args, **kwargs)
    return drawn
