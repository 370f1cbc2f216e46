"""Layers for networks written in NumPy: objects that remember what backward needs.

A layer keeps no mask: `backward` draws it again from the key of the last `forward`, which takes
0 bytes an element.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any, NamedTuple, Self

import numpy.typing as npt

from . import _arrays
from ._arrays import Array, NoiseShape
from ._front import dropout
from ._plan import check_mode, check_p
from ._rng import Generator, Key, RNGLike, as_generator
from .elementwise import Mode
from .stream import VERSION

__all__ = ["Dropout", "Layer"]


class Layer(ABC):
    """Base of the layers: the training switch, the generator, saving and loading.

    A subclass defines `forward` and `backward`, what it saves beside the generator
    (`_settings`), how it checks and takes that back (`_checked`, `_apply`), and what its
    `repr` shows (`_arguments`).

    Parameters
    ----------
    rng : None, int, Key, Generator, numpy.random.SeedSequence or numpy.random.Generator
        What the layer draws from. None gives it a stream of its own, a child of the default
        generator; a `fastdrop.Generator` is used as it is; anything else starts a generator.

    Examples
    --------
    >>> import fastdrop
    >>> isinstance(fastdrop.layers.Dropout(0.5), fastdrop.layers.Layer)
    True
    """

    def __init__(self, rng: RNGLike = None) -> None:
        self._generator = as_generator(rng)
        self._training = True

    @property
    def training(self) -> bool:
        """Whether `forward` trains; change it with `train` and `eval`."""
        return self._training

    @property
    def generator(self) -> Generator:
        """The generator that the layer draws from."""
        return self._generator

    def train(self, mode: bool = True) -> Self:
        """Switch to training (or, with False, to evaluation) and return the layer."""
        self._training = _arrays.check_flag(mode, "mode")
        return self

    def eval(self) -> Self:
        """Switch to evaluation and return the layer."""
        return self.train(False)

    @abstractmethod
    def forward(self, x: npt.ArrayLike) -> Array:
        """The layer's output for `x`."""

    @abstractmethod
    def backward(self, dy: npt.ArrayLike) -> Array:
        """The gradient with respect to the input of the last `forward`."""

    def __call__(self, x: npt.ArrayLike) -> Array:
        """The same as `forward`."""
        return self.forward(x)

    @abstractmethod
    def _settings(self) -> dict[str, Any]:
        """What is saved beside the generator, as data that json can write."""

    @abstractmethod
    def _checked(self, settings: dict[str, Any]) -> dict[str, Any]:
        """`settings` as the layer holds them; raises what is wrong with them."""

    @abstractmethod
    def _apply(self, settings: dict[str, Any]) -> None:
        """Take over checked settings; cannot fail."""

    @abstractmethod
    def _arguments(self) -> list[str]:
        """The constructor's arguments for `repr`: all without a default, and the changed ones."""

    def state_dict(self) -> dict[str, Any]:
        """The layer's settings and generator as plain data that `json` can write.

        Returns
        -------
        dict
            With "type", the "version" of the random stream, the layer's arguments, and the
            "generator". Whether the layer trains, and what `backward` needs, are not in it.
        """
        return {
            "type": type(self).__name__,
            "version": VERSION,
            **self._settings(),
            "generator": self._generator.state,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to what `state_dict` saved. Everything is checked before anything changes.

        Raises
        ------
        TypeError
            `state` is not a dict, or an entry has the wrong type.
        ValueError
            Entries are missing or unknown, belong to another kind of layer or another version
            of the stream, or hold impossible values.
        """
        if not isinstance(state, dict):
            raise TypeError(f"state has to be a dict, but got {type(state).__name__}")
        expected = self.state_dict().keys()
        if state.keys() != expected:
            raise ValueError(
                f"state has to have the entries {', '.join(expected)}, "
                f"but got {', '.join(map(str, state)) or 'none'}"
            )
        for name, value in (("type", type(self).__name__), ("version", VERSION)):
            if state[name] != value:
                raise ValueError(f"state has to have {name} {value!r}, but got {state[name]!r}")
        settings = self._checked(state)
        self._generator.state = state["generator"]  # checks all of it before it changes
        self._apply(settings)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self._arguments())})"


class _Forward(NamedTuple):
    """What backward needs of the last forward. No key: it was an evaluation."""

    shape: tuple[int, ...]
    p: float
    key: Key | None


class Dropout(Layer):
    """Dropout as a layer with `forward` and `backward`.

    Parameters
    ----------
    p : float, default 0.5
        Probability of dropping an element, from 0 to 1. May be assigned later.
    mode : {"inverted", "standard"}, default "inverted"
        As in `fastdrop.dropout`.
    noise_shape : tuple of int or None, optional
        Shape of the mask, as in `fastdrop.dropout`.
    rng : None, int, Key, Generator, numpy.random.SeedSequence or numpy.random.Generator
        What the layer draws from. None gives it a stream of its own, a child of the default
        generator; a `fastdrop.Generator` is used as it is; anything else starts a generator.

    Raises
    ------
    TypeError
        An argument has the wrong type.
    ValueError
        `p` is outside [0, 1], `mode` unknown, or a length in `noise_shape` negative.

    Notes
    -----
    Source: Srivastava et al., "Dropout", JMLR 15 (2014), section 4 (model) and section 5.1
    (backpropagation through the thinned network).

    `backward` answers the last `forward`, so that each place in a network needs a layer of its
    own. Assigning `p` between the two does not change the gradient.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop
    >>> layer = fastdrop.layers.Dropout(0.5, rng=1)
    >>> x = np.ones((2, 4), np.float32)
    >>> y = layer(x)
    >>> dx = layer.backward(np.ones_like(y))
    >>> bool(np.all(dx == y))
    True
    >>> layer.eval()(x) is x
    True
    >>> layer
    Dropout(p=0.5)
    """

    def __init__(
        self,
        p: float = 0.5,
        *,
        mode: Mode = "inverted",
        noise_shape: NoiseShape | None = None,
        rng: RNGLike = None,
    ) -> None:
        self._p = check_p(p)
        self._mode: Mode = check_mode(mode)
        self._noise_shape = _arrays.noise_shape_form(noise_shape)
        self._last: _Forward | None = None
        super().__init__(rng)

    @property
    def p(self) -> float:
        """Probability of dropping; assigning checks it and holds from the next forward on."""
        return self._p

    @p.setter
    def p(self, p: float) -> None:
        self._p = check_p(p)

    @property
    def mode(self) -> Mode:
        """What training and evaluation compute: "inverted" or "standard"."""
        return self._mode

    @property
    def noise_shape(self) -> tuple[int | None, ...] | None:
        """Shape of the mask, or None for the input's."""
        return self._noise_shape

    def forward(self, x: npt.ArrayLike) -> Array:
        """Drop in training, and evaluate otherwise.

        Parameters
        ----------
        x : array_like
            As for `fastdrop.dropout`.

        Returns
        -------
        ndarray
            Of x's shape and dtype; inverted evaluation returns `x` itself.

        Raises
        ------
        TypeError
            A dtype that `fastdrop.dropout` does not take.
        ValueError
            `noise_shape` does not broadcast to x's shape.
        """
        array = _arrays.as_input(x)
        _arrays.kind_of(array.dtype)
        noise_shape, mode = self._noise_shape, self._mode
        mask_shape = _arrays.check_noise_shape(noise_shape, array.shape)
        key = None
        if self._training:
            key = self._generator.reserve(math.prod(mask_shape) if array.size else 0)
        y = dropout(array, self._p, self._training, rng=key, noise_shape=noise_shape, mode=mode)
        self._last = _Forward(array.shape, self._p, key)
        return y

    def backward(self, dy: npt.ArrayLike) -> Array:
        """The gradient with respect to the input of the last `forward`.

        Parameters
        ----------
        dy : array_like
            The gradient with respect to its output, of the same shape; any dtype that
            `fastdrop.dropout` takes.

        Returns
        -------
        ndarray
            Of dy's shape and dtype; after an inverted evaluation, `dy` itself.

        Raises
        ------
        RuntimeError
            There was no `forward`.
        TypeError
            A dtype that `fastdrop.dropout` does not take.
        ValueError
            `dy` has another shape than the output.
        """
        last = self._last
        if last is None:
            raise RuntimeError("backward has to come after forward, but there was no forward")
        array = _arrays.as_input(dy, "dy")
        _arrays.kind_of(array.dtype, "dy")
        if array.shape != last.shape:
            raise ValueError(
                f"dy has to have the shape of forward's output {last.shape}, but got {array.shape}"
            )
        return dropout(
            array,
            last.p,
            last.key is not None,
            rng=last.key,
            noise_shape=self._noise_shape,
            mode=self._mode,
        )

    def _settings(self) -> dict[str, Any]:
        noise_shape = None if self._noise_shape is None else list(self._noise_shape)
        return {"p": self._p, "mode": self._mode, "noise_shape": noise_shape}

    def _checked(self, settings: dict[str, Any]) -> dict[str, Any]:
        return {
            "p": check_p(settings["p"]),
            "mode": check_mode(settings["mode"]),
            "noise_shape": _arrays.noise_shape_form(settings["noise_shape"]),
        }

    def _apply(self, settings: dict[str, Any]) -> None:
        self._p = settings["p"]
        self._mode = settings["mode"]
        self._noise_shape = settings["noise_shape"]
        self._last = None

    def _arguments(self) -> list[str]:
        arguments = [f"p={self._p}"]
        if self._mode != "inverted":
            arguments.append(f"mode={self._mode!r}")
        if self._noise_shape is not None:
            arguments.append(f"noise_shape={self._noise_shape}")
        return arguments
