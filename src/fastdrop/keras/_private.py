"""All of Keras that fastdrop uses and that is not public, looked at in one place.

Keras has no public way to say what dropout is: its layers, attention, the cells of its recurrent
layers and `keras.random.dropout` call ``keras.src.backend.random.dropout``, the function of the
backend in use. `Replaced` sets another one there, and finds out whether Keras really calls it:
where a version of Keras does not, an error says so.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Final

import keras

__all__ = ["PROBE", "Functional", "Replaced", "draw_seed"]

try:
    # The random functions of the backend in use.
    from keras.src.backend import random as _random

    # The class of models that are graphs of layers.
    from keras.src.models.functional import Functional

    # From an int, a SeedGenerator or None to two numbers; a SeedGenerator moves on.
    from keras.src.random.seed_generator import draw_seed
except ImportError as error:
    raise ImportError(
        f"fastdrop.keras is written for Keras 3.15, and Keras {keras.__version__} lacks a part of "
        f"it that is not public: {error}"
    ) from error

PROBE: Final = SimpleNamespace(shape=())
"""What `Replaced` hands to Keras in place of a tensor: the function that is set returns it."""

_ARGUMENTS: Final = ("inputs", "rate", "noise_shape", "seed")


class Replaced:
    """Another function in the place of the backend's dropout.

    `make` is given Keras' function and returns the new one, which takes the same arguments and
    returns `PROBE` where its input is `PROBE`.

    Raises
    ------
    RuntimeError
        This version of Keras has another function there, or does not call it; it is as before.
    """

    def __init__(self, make: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
        self._before = getattr(_random, "dropout", None)
        if self._before is None or _arguments(self._before) != _ARGUMENTS:
            raise _other(f"takes {_arguments(self._before)} and not {_ARGUMENTS}")
        self._ours = make(self._before)
        _random.dropout = self._ours
        for who, call in _CALLERS.items():
            try:
                reached = call() is PROBE
            except Exception as error:
                self.end()
                raise _other(f"is not what {who} calls") from error
            if not reached:
                self.end()
                raise _other(f"is not what {who} calls")

    def end(self) -> None:
        """Put back what was there, unless somebody has set a function of theirs over ours."""
        if _random.dropout is self._ours:
            _random.dropout = self._before


def _arguments(function: object) -> tuple[str, ...]:
    return tuple(inspect.signature(function).parameters) if callable(function) else ()


def _layer() -> Any:
    layer = SimpleNamespace(rate=0.5, noise_shape=None, seed_generator=0)
    return keras.layers.Dropout.call(layer, PROBE, training=True)


_CALLERS: Final[dict[str, Callable[[], Any]]] = {
    "keras.random.dropout": lambda: keras.random.dropout(PROBE, 0.5, seed=0),
    "keras.layers.Dropout": _layer,
}


def _other(what: str) -> RuntimeError:
    return RuntimeError(
        f"keras.src.backend.random.dropout of Keras {keras.__version__} {what}: fastdrop.keras."
        "enable() is written for Keras 3.15 and cannot be used with this version"
    )
