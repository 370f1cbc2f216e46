"""Layers with arguments: checking, showing, assigning, saving and loading them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Final, Generic, Never, Self, TypeVar, overload

from fastdrop._rates import check_p
from fastdrop._rng import RNGLike

from .base import Layer

Value = TypeVar("Value")


class Option(Generic[Value]):
    """An argument of a layer's constructor, and the attribute that shows it."""

    def __init__(self, check: Callable[[Any], Value], doc: str, default: object = ...) -> None:
        self.check, self.default = check, default  # without a default, `repr` always shows it
        self.__doc__ = doc

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, layer: None, owner: type) -> Self: ...
    @overload
    def __get__(self, layer: ConfiguredLayer, owner: type) -> Value: ...
    def __get__(self, layer: ConfiguredLayer | None, owner: type) -> Self | Value:
        if layer is None:
            return self
        value: Value = layer._values[self.name]
        return value

    def __set__(self, layer: ConfiguredLayer, value: Never) -> None:
        raise AttributeError(f"{self.name} of {type(layer).__name__} is set when it is made")


class Assignable(Option[Value]):
    """An argument that may be assigned later: it is checked, and holds from the next forward on."""

    def __set__(self, layer: ConfiguredLayer, value: Value) -> None:
        layer._values[self.name] = self.check(value)


PROBABILITY: Final = Assignable(
    check_p, "Probability of dropping; assigning checks it and holds from the next forward on."
)


class ConfiguredLayer(Layer):
    """A layer whose arguments are the `Option` attributes of its class."""

    _options: ClassVar[dict[str, Option[Any]]]
    _values: dict[str, Any]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        members = {
            name: value for base in reversed(cls.__mro__) for name, value in vars(base).items()
        }
        cls._options = {name: v for name, v in members.items() if isinstance(v, Option)}

    def _configure(self, rng: RNGLike, **arguments: object) -> None:
        """What every constructor does: check all arguments, then take a generator."""
        self._apply(self._checked(arguments))
        Layer.__init__(self, rng)

    def _settings(self) -> dict[str, Any]:
        return {n: list(v) if isinstance(v, tuple) else v for n, v in self._values.items()}

    def _checked(self, settings: dict[str, Any]) -> dict[str, Any]:
        return {name: option.check(settings[name]) for name, option in self._options.items()}

    def _apply(self, settings: dict[str, Any]) -> None:
        self._values = settings

    def _arguments(self) -> list[str]:
        return [
            f"{name}={value!r}"
            for name, value in self._values.items()
            if value != self._options[name].default
        ]
