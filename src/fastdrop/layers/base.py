"""The base class of layers, their arguments, and the context of Monte Carlo dropout."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Final, Generic, NamedTuple, Never, Self, TypeVar, overload

import numpy.typing as npt

from fastdrop import _arrays
from fastdrop._arrays import Array
from fastdrop._rates import check_p
from fastdrop._rng import Generator, Key, RNGLike, as_generator
from fastdrop._window import Window
from fastdrop.stream import VERSION

__all__ = ["Layer"]

Value = TypeVar("Value")


class Draw(NamedTuple):
    """A call of `forward` by the key of its mask. No key: it was an evaluation."""

    shape: tuple[int, ...]
    """Of the output."""
    p: float
    key: Key | None
    needed: tuple[Any, ...]
    """What else `backward` needs: the variant, or the caller's arrays where it reads them again."""
    window: Window | None = None
    """Where the output lies in a larger array."""


@dataclass(slots=True)
class Memory:
    """A layer's memory of its calls."""

    last: Draw | None = None
    """The last `forward`, which `backward` answers."""
    held: Draw | None = None
    """The mask that the next time step uses."""


@dataclass(frozen=True, slots=True)
class _Sampling:
    """One sample of Monte Carlo dropout: what every layer uses while it is drawn.

    A layer's own generator, switch and memory stay untouched: nothing has to be restored after an
    exception, and other threads do not notice.
    """

    generator: Generator
    memories: dict[int, tuple[Layer, Memory]] = field(default_factory=dict)

    def memory_of(self, layer: Layer) -> Memory:
        # The layer is kept too: another one must not get its id before the sample is done.
        return self.memories.setdefault(id(layer), (layer, Memory()))[1]


_sampling: ContextVar[_Sampling | None] = ContextVar("fastdrop_sampling", default=None)


@contextmanager
def sampling(generator: Generator) -> Iterator[None]:
    """Let all layers train and draw from ``generator``, in this thread or asynchronous task."""
    token = _sampling.set(_Sampling(generator))
    try:
        yield
    finally:
        _sampling.reset(token)


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
    def __get__(self, layer: Layer, owner: type) -> Value: ...
    def __get__(self, layer: Layer | None, owner: type) -> Self | Value:
        if layer is None:
            return self
        value: Value = layer._values[self.name]
        return value

    def __set__(self, layer: Layer, value: Never) -> None:
        raise AttributeError(f"{self.name} of {type(layer).__name__} is set when it is made")


class Assignable(Option[Value]):
    """An argument that may be assigned later: it is checked, and holds from the next forward on."""

    def __set__(self, layer: Layer, value: Value) -> None:
        layer._values[self.name] = self.check(value)


PROBABILITY: Final = Assignable(
    check_p, "Probability of dropping; assigning checks it and holds from the next forward on."
)


class Layer(ABC):
    """Base of the layers: the training switch, the generator, saving and loading.

    A subclass defines `forward` and `backward`, and its arguments as `Option` attributes, which are
    checked (`_configure`), saved and shown here. It asks `training` and `generator`, which
    `fastdrop.mc_dropout` answers for every layer while it draws a sample.

    Parameters
    ----------
    rng : None, int, Key, Generator, numpy.random.SeedSequence or numpy.random.Generator
        What the layer draws from. None gives it a stream of its own, a child of the default
        generator; a `fastdrop.Generator` is used as it is; anything else starts a generator.

    Notes
    -----
    A copy by `copy.deepcopy` or `pickle`, and the layer as a forked process inherits it, go on from
    the same place of the same stream: **they draw the masks that the layer itself draws**. Where
    several are at work, give each a stream of its own with
    ``other.generator.state = layer.generator.spawn(1)[0].state``. `copy.copy` shares the generator,
    so that each mask goes to one of the two.

    `forward` and `backward` of one layer are for one thread at a time: `backward` answers the last
    `forward`. The generator may be shared between threads.

    Examples
    --------
    >>> import fastdrop
    >>> isinstance(fastdrop.layers.Dropout(0.5), fastdrop.layers.Layer)
    True
    """

    _options: ClassVar[dict[str, Option[Any]]]
    _values: dict[str, Any]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        members = {
            name: value for base in reversed(cls.__mro__) for name, value in vars(base).items()
        }
        cls._options = {name: v for name, v in members.items() if isinstance(v, Option)}

    def __init__(self, rng: RNGLike = None) -> None:
        self._values = {}
        self._own_generator = as_generator(rng)
        self._own_memory = Memory()
        self._trains = True

    def _configure(self, rng: RNGLike, **arguments: object) -> None:
        """What every constructor does: check all arguments, then take a generator."""
        values = self._checked(arguments)
        Layer.__init__(self, rng)
        self._apply(values)

    @property
    def training(self) -> bool:
        """Whether `forward` trains; change it with `train` and `eval`."""
        return self._trains or _sampling.get() is not None

    @property
    def generator(self) -> Generator:
        """The generator that the layer draws from."""
        context = _sampling.get()
        return self._own_generator if context is None else context.generator

    @property
    def _memory(self) -> Memory:
        context = _sampling.get()
        return self._own_memory if context is None else context.memory_of(self)

    def _answered(self, dy: npt.ArrayLike) -> tuple[Array, Draw]:
        """A gradient that `backward` was given, and the `forward` that it is for."""
        last = self._memory.last
        if last is None:
            raise RuntimeError("backward has to come after forward, but there was no forward")
        array = _arrays.as_operand(dy, "dy")
        if array.shape != last.shape:
            raise ValueError(
                f"dy has to have the shape of forward's output {last.shape}, but got {array.shape}"
            )
        return _arrays.itself(dy, array), last

    def __copy__(self) -> Self:
        # The copies have separate memories: `backward` of each answers its own last forward.
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__, _own_memory=replace(self._own_memory))
        return twin

    def train(self, mode: bool = True) -> Self:
        """Switch to training (or, with False, to evaluation) and return the layer."""
        self._trains = _arrays.check_flag(mode, "mode")
        return self

    def eval(self) -> Self:
        """Switch to evaluation and return the layer."""
        return self.train(False)

    @abstractmethod
    def forward(self, *inputs: Any, **keywords: Any) -> Array:
        """The layer's output for its input or inputs."""

    @abstractmethod
    def backward(self, dy: npt.ArrayLike) -> Array | tuple[Array | None, ...]:
        """The gradient with respect to the input, or each input, of the last `forward`."""

    def __call__(self, *inputs: Any, **keywords: Any) -> Array:
        """The same as `forward`."""
        return self.forward(*inputs, **keywords)

    def _settings(self) -> dict[str, Any]:
        """What is saved beside the generator, as data that json can write."""
        return {n: list(v) if isinstance(v, tuple) else v for n, v in self._values.items()}

    def _checked(self, settings: dict[str, Any]) -> dict[str, Any]:
        """`settings` as the layer holds them; raises what is wrong with them."""
        return {name: option.check(settings[name]) for name, option in self._options.items()}

    def _apply(self, settings: dict[str, Any]) -> None:
        """Take over checked settings; cannot fail."""
        self._values = settings

    def _arguments(self) -> list[str]:
        """The constructor's arguments for `repr`: all without a default, and the changed ones."""
        return [
            f"{name}={value!r}"
            for name, value in self._values.items()
            if value != self._options[name].default
        ]

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
            "generator": self._own_generator.state,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to what `state_dict` saved. Everything is checked before anything changes.

        Raises
        ------
        TypeError, ValueError
            `state` is not a dict, or an entry has the wrong type; entries are missing or unknown,
            belong to another kind of layer or version of the stream, or hold impossible values.
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
        self._own_generator.state = state["generator"]  # checks all of it before it changes
        self._own_memory = Memory()
        self._apply(settings)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self._arguments())})"
