"""One module of PyTorch's, computed here: the object gets a `forward`, and keeps its class.

Tools know PyTorch's modules by what they are: FX keeps a class of ``torch.nn`` as a leaf,
quantization maps exact classes to others, `parametrize` and `fully_shard` give the object a class
derived from its own, TorchScript compiles the source of `forward`. Another class in the object's
place loses all of them; a changed `torch.nn.Dropout.forward` would concern every model of the
process. So the object keeps its class, and a method that stands in its ``__dict__`` is found before
the class's, where PyTorch, `torch.compile` and other tools look for `forward` anyway.

It is a real bound method: copies of the module bind it to themselves, and compiled code takes it
for the same in every module, where any other callable would be compiled once for each. TorchScript
compiles PyTorch's own source, which ``__wrapped__`` leads to, so that a compiled module can be
saved and loaded without fastdrop.
"""

from __future__ import annotations

from collections.abc import Callable
from types import MethodType
from typing import Any, Final

from torch import Tensor, nn

from . import alpha, blocks, channels, masks
from ._bridge import taken
from .modules import attention

MARK: Final = "_fastdrop_replaced"
"""Where in a module's ``__dict__`` its `Swap` stands."""

# How a wrapped `forward` is kept by Accelerate, whose hooks are on every module of a large model.
_KEPT: Final = "_old_forward"


def _as_it_was(module: nn.Module, *arguments: Any, **keywords: Any) -> Any:
    """For who holds our method of a module that has been restored: other tools wrap it."""
    return type(module).forward(module, *arguments, **keywords)


def _holds(module: nn.Module) -> bool:
    """Whether it is still a module that we know.

    Recipes for Monte Carlo dropout exchange its class, or the class's method: theirs has to run.
    """
    mark = module.__dict__.get(MARK)
    return mark is not None and type(module).forward is mark.forward


def _dropout(self: Any, input: Tensor) -> Any:
    if _holds(self):
        return masks.dropout(input, self.p, self.training, self.inplace)
    return _as_it_was(self, input)


def _dropout1d(self: Any, input: Tensor) -> Any:
    if _holds(self):
        return channels.dropout1d(input, self.p, self.training, self.inplace)
    return _as_it_was(self, input)


def _dropout2d(self: Any, input: Tensor) -> Any:
    if _holds(self):
        return channels.dropout2d(input, self.p, self.training, self.inplace)
    return _as_it_was(self, input)


def _dropout3d(self: Any, input: Tensor) -> Any:
    if _holds(self):
        return channels.dropout3d(input, self.p, self.training, self.inplace)
    return _as_it_was(self, input)


def _alpha_dropout(self: Any, input: Tensor) -> Any:
    if _holds(self):
        return alpha.alpha_dropout(input, self.p, self.training)
    return _as_it_was(self, input)


def _feature_alpha_dropout(self: Any, input: Tensor) -> Any:
    if _holds(self):
        return alpha.feature_alpha_dropout(input, self.p, self.training)
    return _as_it_was(self, input)


def _attention(self: Any, *arguments: Any, **keywords: Any) -> Any:
    if _holds(self):
        return attention.attend(self, *arguments, **keywords)
    return _as_it_was(self, *arguments, **keywords)


KNOWN: Final[dict[type[nn.Module], Callable[..., Any]]] = {
    original: attention.standing_in(function, original)
    for original, function in (
        (nn.Dropout, _dropout),
        (nn.Dropout1d, _dropout1d),
        (nn.Dropout2d, _dropout2d),
        (nn.Dropout3d, _dropout3d),
        (nn.AlphaDropout, _alpha_dropout),
        (nn.FeatureAlphaDropout, _feature_alpha_dropout),
        (nn.MultiheadAttention, _attention),
    )
}
"""What is computed here, by the exact class of PyTorch's."""

_FORWARDS: Final = {original: original.forward for original in KNOWN}


def _drop_path(self: Any, x: Tensor) -> Any:
    if _holds(self) and self.scale_by_keep and taken(x):
        return channels.drop_path(x, self.drop_prob, self.training)
    return _as_it_was(self, x)


def _stochastic_depth(self: Any, input: Tensor) -> Any:
    if _holds(self) and taken(input):
        return channels.drop_path(input, self.p, self.training, mode=self.mode)
    return _as_it_was(self, input)


def _drop_block2d(self: Any, input: Tensor) -> Any:
    if _holds(self) and self.block_size % 2 and taken(input):
        return blocks.drop_block2d(input, self.p, self.block_size, self.training, self.inplace)
    return _as_it_was(self, input)


def _drop_block3d(self: Any, input: Tensor) -> Any:
    if _holds(self) and self.block_size % 2 and taken(input):
        return blocks.drop_block3d(input, self.p, self.block_size, self.training, self.inplace)
    return _as_it_was(self, input)


_FOREIGN: Final[dict[tuple[str, str], tuple[Callable[..., Any], tuple[str, ...]]]] = {
    ("timm.layers.drop", "DropPath"): (_drop_path, ("drop_prob", "scale_by_keep")),
    ("torchvision.ops.stochastic_depth", "StochasticDepth"): (_stochastic_depth, ("p", "mode")),
    ("torchvision.ops.drop_block", "DropBlock2d"): (_drop_block2d, ("p", "block_size", "inplace")),
    ("torchvision.ops.drop_block", "DropBlock3d"): (_drop_block3d, ("p", "block_size", "inplace")),
}
"""Modules of other libraries that draw what one of ours draws, by where their classes are from, and
the attributes that they say it by. timm's DropBlock is none of them: its blocks reach over the
borders, and its scale is another."""


def _differs(module: nn.Module) -> str | None:
    """Why a module of another library, as it is set, does not draw what one of ours draws."""
    for name in _FOREIGN.get((type(module).__module__, type(module).__qualname__), ((), ()))[1]:
        if not hasattr(module, name):
            return f"has no {name}: fastdrop.torch does not know this version of it"
    if getattr(module, "scale_by_keep", True) is not True:
        return "does not scale what it keeps"
    if not isinstance(module, nn.MultiheadAttention) and getattr(module, "block_size", 1) % 2 == 0:
        return "has blocks of an even size, which end elsewhere"
    return None


def known(kind: type[nn.Module]) -> type[nn.Module] | None:
    """Which of PyTorch's modules an object of this class is.

    A class that a tool of PyTorch's has derived for one object (`parametrize`, `fully_shard`) is
    the one that it was derived from; a subclass of the user's is none.
    """
    for original in kind.__mro__:
        foreign = _FOREIGN.get((original.__module__, original.__qualname__))
        if foreign is not None and original not in KNOWN:
            KNOWN[original] = attention.standing_in(foreign[0], original)
            _FORWARDS[original] = vars(original)["forward"]
        if original in KNOWN:
            derived = kind is original or kind.__module__.startswith("torch.")
            return original if derived and kind.forward is _FORWARDS[original] else None
        if original.__module__.partition(".")[0] != "torch":
            return None
    return None


class Swap:
    """What `replace` leaves on a module: it brings our method to copies and pickles of it.

    A bound method is pickled as the attribute `forward` of its module, which is looked up while
    the module is still empty. A `Swap` stands before the method in the module's ``__dict__``, so
    that it is made anew before that, and puts the method there.
    """

    def __init__(self, module: nn.Module, key: str = "forward") -> None:
        original = known(type(module))
        if original is None:
            raise TypeError(
                f"module has to be of a class that fastdrop.torch knows, but got {type(module)}"
            )
        self.module = module
        self.forward = _FORWARDS[original]
        self.method = MethodType(KNOWN[original], module)
        state = module.__dict__
        state.pop(key, None)
        state[MARK] = self
        state[key] = self.method

    def __reduce__(self) -> tuple[Any, ...]:
        if not _holds(self.module):  # a copy has nothing of ours to run either
            return type(None), ()
        return Swap, (self.module,)


def swap(module: nn.Module) -> str | None:
    """Let a module that is `known` be computed here; why not, where it cannot be."""
    original = known(type(module))
    forward = module.__dict__.get("forward")
    if original is not None and (why := _differs(module)) is not None:
        return why
    if original is None:
        return f"is of a class of its own, {type(module).__name__}, which may do something else"
    if forward is None or _is_ours(forward):
        Swap(module)
        return None
    kept = module.__dict__.get(_KEPT)
    if isinstance(kept, MethodType) and (_is_ours(kept) or kept.__func__ is _FORWARDS[original]):
        Swap(module, _KEPT)
        return None
    return "has a forward that something else has put there: replace the model before"


def is_swapped(module: nn.Module) -> bool:
    """Whether `module` itself is computed here: a shallow copy has the mark of another module."""
    mark = module.__dict__.get(MARK)
    return isinstance(mark, Swap) and mark.module is module


def unswap(module: nn.Module) -> bool:
    """Give a module back to PyTorch, whatever has been done to it meanwhile."""
    if module.__dict__.pop(MARK, None) is None:
        return False
    for key, value in list(module.__dict__.items()):
        if key == "forward" and _is_ours(value):
            del module.__dict__[key]
        elif _is_ours(value):
            module.__dict__[key] = MethodType(type(module).forward, module)
    return True


def _is_ours(value: object) -> bool:
    return isinstance(value, MethodType) and value.__func__ in KNOWN.values()
