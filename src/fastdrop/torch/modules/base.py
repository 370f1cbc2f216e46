"""What all modules share: their own generator, their state, and what tracers see of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any, ClassVar, Final, Self

from torch import Tensor, nn

from fastdrop._window import WindowLike
from fastdrop.torch._arguments import refuse
from fastdrop.torch._private import DropoutNd
from fastdrop.torch._seeding import AnyGenerator, Seed, Source, source_of

_EXTRA: Final = "_extra_state"  # nn.modules.module calls it so


class Leaf(nn.Module):
    """A module that `torch.fx` keeps whole, as it keeps PyTorch's.

    FX knows what to keep by the name of the Python module that an object is from. Traced through,
    a module would have its `training` of that moment for ever.
    """

    def __new__(cls, *_: Any, **__: Any) -> Self:
        """Also for what comes of copies and pickles; the class's own name stays what it is."""
        self = super().__new__(cls)
        self.__dict__["__module__"] = nn.Dropout.__module__
        return self


class Drops(Leaf):
    """A module that drops in training, and draws from PyTorch's generator or one of its own."""

    p: float
    # On the class, so that an object of PyTorch's class becomes one of ours as it is.
    _source: Source | None = None
    _own: bool = False
    _shown: ClassVar[tuple[str, ...]] = ("p",)

    def _start(
        self,
        p: float | None,
        generator: AnyGenerator,
        seed: Seed,
        *arguments: Any,
        **keywords: Any,
    ) -> None:
        """Check what all of these modules are made with, then make PyTorch's part, and keep it.

        In that order, because PyTorch's part may draw weights. What drops nothing has no p.
        """
        if p is not None and (p < 0 or p > 1 or p != p):
            refuse(p)
        source = source_of(generator, seed)
        super().__init__(*arguments, **keywords)
        if p is not None:
            self.p = p
        self._source = source
        self._own = source is not None

    def _save_to_state_dict(
        self, destination: dict[str, Any], prefix: str, keep_vars: bool
    ) -> None:
        """With where a generator of its own stands, under the name of PyTorch's extra state."""
        # Not by get_extra_state: PyTorch then has an entry for modules without a generator, too.
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if self._source is not None:
            destination[prefix + _EXTRA] = self._source.state

    def _load_from_state_dict(
        self,
        state_dict: Mapping[str, Any],
        prefix: str,
        local_metadata: Mapping[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        """With a generator's state, if there is one: PyTorch's checkpoints have none."""
        name = prefix + _EXTRA
        state = state_dict.get(name)
        if state is not None and self._source is not None:
            try:
                self._source.state = state
            except (TypeError, ValueError, RuntimeError) as error:
                error_msgs.append(f'"{name}": {error}')
        elif state is not None:
            unexpected_keys.append(name)  # this module has no generator of its own
        rest = {key: value for key, value in state_dict.items() if key != name}
        super()._load_from_state_dict(
            rest, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )

    def extra_repr(self) -> str:
        """The settings."""
        shown = [f"{name}={getattr(self, name)}" for name in self._shown]
        return ", ".join(filter(None, [super().extra_repr(), *shown]))


def forward_of(original: type[nn.Module]) -> Callable[..., Tensor]:
    """PyTorch's `forward` under a name of its own, which TorchScript needs to compile it."""
    forward = original.forward
    return FunctionType(forward.__code__, forward.__globals__, "_torch_forward")


class Simple(Drops, DropoutNd):
    """A module with PyTorch's parameters, and those that all of these have."""

    _shown = ()  # PyTorch shows them

    _function: ClassVar[Callable[..., Tensor]]
    _torch_forward: ClassVar[Callable[..., Tensor]]
    # Which branch of `_scripted` TorchScript compiles.
    __constants__ = ["p", "inplace", "_own"]  # noqa: RUF012 - as in PyTorch

    def __init__(
        self,
        p: float = 0.5,
        inplace: bool = False,
        *,
        generator: AnyGenerator = None,
        seed: Seed = None,
    ) -> None:
        """Make the module; see the class."""
        self._start(p, generator, seed, p, inplace)

    def _scripted(self: Any, input: Tensor) -> Tensor:
        # It compiles one branch, and knows no generators: PyTorch's error names the attribute.
        if self._own:
            return self._source(input)  # type: ignore[no-any-return]
        else:  # noqa: RET505 - what follows a branch is compiled too
            return self._torch_forward(input)  # type: ignore[no-any-return]

    def forward(self, input: Tensor, *, window: WindowLike | None = None) -> Tensor:
        """Drop in training; in evaluation return the input itself.

        With a `window`, `input` is a part of a larger tensor, as for the function.
        """
        return type(self)._function(
            input, self.p, self.training, self.inplace, generator=self._source, window=window
        )

    # TorchScript compiles the source of what is wrapped.
    forward.__wrapped__ = _scripted  # type: ignore[attr-defined]
