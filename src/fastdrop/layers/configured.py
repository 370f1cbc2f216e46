"""Layers with a probability and further arguments: checking, assigning, saving, showing them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple

from fastdrop._plan import check_p
from fastdrop._rng import RNGLike

from .base import Layer


class Option(NamedTuple):
    """An argument of a layer's constructor beside `p`."""

    default: object
    check: Callable[[Any], object]


class ConfiguredLayer(Layer):
    """A layer with `p`, and the arguments that a subclass lists in `_options`."""

    _options: ClassVar[Mapping[str, Option]] = {}

    _p: float
    _values: dict[str, Any]

    def __init__(self, p: float, rng: RNGLike, **options: object) -> None:
        self._apply(self._checked({"p": p, **options}))
        super().__init__(rng)

    @property
    def p(self) -> float:
        """Probability of dropping; assigning checks it and holds from the next forward on."""
        return self._p

    @p.setter
    def p(self, p: float) -> None:
        self._p = self._check_p(p)

    def _check_p(self, p: object) -> float:
        """`p`, if the layer takes it."""
        return check_p(p)

    def _settings(self) -> dict[str, Any]:
        settings: dict[str, Any] = {"p": self._p}
        for name, value in self._values.items():
            settings[name] = list(value) if isinstance(value, tuple) else value
        return settings

    def _checked(self, settings: dict[str, Any]) -> dict[str, Any]:
        checked: dict[str, Any] = {"p": self._check_p(settings["p"])}
        for name, option in self._options.items():
            checked[name] = option.check(settings[name])
        return checked

    def _apply(self, settings: dict[str, Any]) -> None:
        self._p = settings["p"]
        self._values = {name: settings[name] for name in self._options}

    def _arguments(self) -> list[str]:
        changed = (
            f"{name}={value!r}"
            for name, value in self._values.items()
            if value != self._options[name].default
        )
        return [f"p={self._p}", *changed]
