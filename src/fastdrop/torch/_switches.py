"""Which modules of a model `mc_dropout` lets train, so that dropout is on and nothing else is.

A module's own `training` is asked for by its own code alone, and its children have their own: it
can be on in a block that calls ``F.dropout(x, p, self.training)`` while the batch normalisation
inside the block evaluates.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import CodeType, FunctionType
from typing import Any, Final

import torch
from torch import fx, nn

from ._private import DropoutNd
from .modules.base import Drops

_DROPS: Final = re.compile(r"drop|stochastic_?depth", re.IGNORECASE)
_DRAWS: Final = ("bernoulli", "bernoulli_")


@dataclass(frozen=True)
class Switches:
    """The modules to let train, by what is known of them.

    Parameters
    ----------
    certain : dict of str to Module
        They differ in training by dropout, and by nothing else.
    likely : dict of str to Module
        Their code asks for `training` and speaks of dropout. It may do something else besides.
    off : dict of str to str
        Modules whose dropout is off for good, and why.
    """

    certain: dict[str, nn.Module]
    likely: dict[str, nn.Module]
    off: dict[str, str]


def switches(model: nn.Module) -> Switches:
    """What is found in `model`."""
    found = Switches({}, {}, {})
    graphs: list[str] = []  # names of modules whose inner ones are parts of their graph
    for name, module in model.named_modules():
        label = f"{name or 'the model itself'} ({_kind(module)})"
        if _drops(module):
            found.certain[label] = module
        elif isinstance(module, torch.jit.ScriptModule):
            if _asks_when_compiled(module):
                found.certain[label] = module
            if not any(name.startswith(outer) for outer in graphs):
                graphs.append(f"{name}." if name else "")
                if _is_off_when_compiled(module):
                    found.off[label] = "was traced or frozen in evaluation: do that in training"
        elif isinstance(module, fx.GraphModule):
            if _is_off_when_traced(module):
                found.off[label] = "was traced in evaluation: do that in training"
        elif _asks(type(module)):
            found.likely[label] = module
    return found


def _kind(module: nn.Module) -> str:
    return getattr(module, "original_name", type(module).__name__)


def _drops(module: nn.Module) -> bool:
    """Whether a module of PyTorch's or ours drops.

    Transformer layers belong to them: in evaluation they take a fused operator without dropout in
    place of their modules.
    """
    if isinstance(module, torch.jit.ScriptModule):
        return False
    if isinstance(module, nn.MultiheadAttention | nn.RNNBase):
        return module.dropout > 0
    return isinstance(module, (DropoutNd, Drops, nn.TransformerEncoderLayer))


def _asks(kind: type[nn.Module]) -> bool:
    """Whether the classes that say what a module does speak of `training` and of dropout.

    By what names their methods use: libraries have modules for stochastic depth and DropBlock of
    their own, and attention passes a probability on to a function. A class may leave parts of its
    `forward` to those that are derived from it.
    """
    home = next((c for c in kind.__mro__ if "forward" in vars(c)), nn.Module)
    if home.__module__.startswith("torch.nn."):
        return False
    names: set[str] = set()
    for speaking in kind.__mro__[: kind.__mro__.index(home) + 1]:
        for member in vars(speaking).values():
            function = inspect.unwrap(member) if callable(member) else None
            if isinstance(function, FunctionType) and function.__name__ != "__init__":
                names.update(_names(function.__code__))
    if "training" not in names:
        return False
    return any(_DROPS.search(name) or name in _DRAWS for name in (kind.__name__, *names))


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _asks_when_compiled(module: torch.jit.ScriptModule) -> bool:
    if not hasattr(module, "graph"):
        return False
    text = str(module.graph)
    return 'GetAttr[name="training"]' in text and _DROPS.search(text) is not None


def _is_off_when_compiled(module: torch.jit.ScriptModule) -> bool:
    if not hasattr(module, "inlined_graph"):
        return False
    graph: Any = module.inlined_graph
    for node in graph.findAllNodes("aten::dropout") + graph.findAllNodes("aten::feature_dropout"):
        if node.inputsAt(2).toIValue() is False:
            return True
    return False


def _is_off_when_traced(module: fx.GraphModule) -> bool:
    for node in module.graph.nodes:
        drops = node.op == "call_function" and _DROPS.search(getattr(node.target, "__name__", ""))
        if drops and False in (node.kwargs.get("training"), *node.args[2:3]):
            return True
    return False


@contextmanager
def training(model: nn.Module, found: Switches) -> Iterator[Callable[[], None]]:
    """What was found trains, everything else evaluates; afterwards all of it as it was.

    What is yielded turns those off that only likely drop.
    """
    # A frozen module has no such attribute any more.
    before = [(m, m.training) for m in model.modules() if hasattr(m, "training")]
    on = {id(module) for module in (*found.certain.values(), *found.likely.values())}

    def without_likely() -> None:
        for module in found.likely.values():
            module.training = False

    try:
        for module, _ in before:
            module.training = id(module) in on
        yield without_likely
    finally:
        for module, state in before:
            module.training = state


def drawn_state(model: nn.Module) -> list[Any]:
    """Where the generators stand that `model` may draw from: it is another one after a draw."""
    states: list[Any] = [torch.default_generator.get_state().numpy().tobytes()]
    if torch.cuda.is_initialized():
        states += [state.numpy().tobytes() for state in torch.cuda.get_rng_state_all()]
    for module in model.modules():
        source = getattr(module, "_source", None) if isinstance(module, Drops) else None
        if source is not None:
            generator = source.generator
            if isinstance(generator, torch.Generator):
                states.append(generator.get_state().numpy().tobytes())
            else:
                states.append(generator.state)
    return states


class Undo:
    """What a first run of a model may have changed, to run it again as if it had not been run."""

    def __init__(self, found: Switches) -> None:
        self._generator = torch.default_generator.get_state()
        self._buffers = [
            (buffer, buffer._version, buffer.clone())
            for module in found.likely.values()
            for buffer in module._buffers.values()
            if buffer is not None
        ]

    def needed(self) -> bool:
        """Whether a module that only likely drops has written to its buffers."""
        return any(buffer._version != version for buffer, version, _ in self._buffers)

    def __call__(self) -> None:
        """Put all of it back."""
        torch.default_generator.set_state(self._generator)
        for buffer, _, values in self._buffers:
            buffer.copy_(values)
