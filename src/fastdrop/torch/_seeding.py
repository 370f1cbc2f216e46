"""Where masks come from: PyTorch's generators, fastdrop's, or a seed.

By default every training call draws one 63-bit number from PyTorch's default generator of the CPU,
which is the seed of the call's own stream: ``torch.manual_seed`` decides the masks, and
``torch.set_rng_state`` brings them back.
"""

from __future__ import annotations

import secrets
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeAlias, cast

import torch

import fastdrop
from fastdrop import stream as _stream
from fastdrop._rng import Key, resolve

from . import _recompute
from ._private import DisableFuncTorch, DisableTorchDispatch, DisableTorchFunction
from ._recompute import Words as Words

RANGE: Final = 2**63 - 1
"""Seeds drawn from PyTorch are below this: as many as its int64 holds."""

_KEYS: Final = (Key, _stream.Key)
_GENERATORS: Final = (fastdrop.Generator, _stream.Generator)


_WORDS: Final = ("version", "seed", "stream", "offset", "spawned")
"""The parts of the state of a `fastdrop.Generator`, in their order in a tensor."""


def signed(word: int) -> int:
    """How PyTorch's int64 holds 64 bits."""
    return word - 2**64 if word >= 2**63 else word


class Source:
    """A generator with a number, by which a graph can refer to it.

    The numbers are random, so that a graph that comes from another process names none of this one.
    """

    by_number: Final[weakref.WeakValueDictionary[int, Source]] = weakref.WeakValueDictionary()
    _in_graphs: Final[dict[int, Source]] = {}

    def __init__(self, generator: torch.Generator | fastdrop.Generator) -> None:
        self.generator = generator
        self.number = secrets.randbits(62) + 1
        self.by_number[self.number] = self

    def __fx_create_arg__(self, tracer: Any) -> Any:
        """What `torch.fx` writes for it: an attribute of the traced model."""
        name = f"_fastdrop_source_{self.number}"
        setattr(tracer.root, name, self)
        return tracer.create_node("get_attr", name, (), {})

    def __reduce__(self) -> tuple[type[Source], tuple[Any]]:
        return Source, (self.generator,)  # a copy or a pickle gets a number of its own

    @property
    def state(self) -> torch.Tensor:
        """Where the generator stands, as a tensor of its own."""
        if isinstance(self.generator, torch.Generator):
            return self.generator.get_state()
        words = [self.generator.state[name] for name in _WORDS]
        # As 64-bit words, the lower one first: an offset may be 2**64.
        return torch.tensor(
            [signed(part) for word in words for part in (word % 2**64, word >> 64)],
            dtype=torch.int64,
            device="cpu",
        )

    @state.setter
    def state(self, state: object) -> None:
        if not isinstance(state, torch.Tensor):
            raise TypeError(f"the state has to be a tensor, but got {type(state).__name__}")
        expected = self.state
        if state.dtype != expected.dtype or state.shape != expected.shape:
            raise ValueError(
                f"the state of a {type(self.generator).__name__} has to be of dtype "
                f"{expected.dtype} and shape {tuple(expected.shape)}, but got {state.dtype} and "
                f"{tuple(state.shape)}: it is of another kind of generator"
            )
        if isinstance(self.generator, torch.Generator):
            self.generator.set_state(state.cpu())
        else:
            parts = [part % 2**64 for part in state.tolist()]
            words = [low + (high << 64) for low, high in zip(*[iter(parts)] * 2, strict=True)]
            self.generator.state = dict(zip(_WORDS, words, strict=True))

    @classmethod
    def in_graph(cls, number: int) -> Source:
        """The source of that number, which lives from now on, as a graph refers to it."""
        source = cls.by_number.get(number)
        if source is None:
            raise RuntimeError(
                "this graph draws from a generator of the process that traced it, which is not in "
                "this one: trace the module again here, or let it draw from PyTorch's default "
                "generator"
            )
        return cls._in_graphs.setdefault(number, source)

    @classmethod
    def of(cls, generator: torch.Generator | fastdrop.Generator | Source) -> Source:
        """The source that stands for a generator in graphs."""
        if isinstance(generator, Source):
            return generator
        for source in cls._in_graphs.values():
            if source.generator is generator:
                return source
        source = cls(generator)
        return cls.in_graph(source.number)


AnyGenerator: TypeAlias = "torch.Generator | fastdrop.Generator | Source | None"
Seed: TypeAlias = "int | Key | None"


def source_of(generator: AnyGenerator, seed: Seed) -> Source | None:
    """What a module draws from: None is PyTorch's default generator."""
    if seed is not None:
        _check_one(generator)
        key = _key(seed, 0)
        generator = fastdrop.Generator(key.seed, key.stream, key.offset)
    if generator is None or isinstance(generator, Source):
        return generator
    _check_generator(generator)
    return Source(generator)


def _check_one(generator: AnyGenerator) -> None:
    if generator is not None:
        raise ValueError("only one of generator and seed has to be given, but got both")


def _check_generator(generator: object) -> None:
    if not isinstance(generator, (torch.Generator, *_GENERATORS)):
        raise TypeError(
            "generator has to be a torch.Generator or a fastdrop.Generator, "
            f"but got {type(generator).__name__}"
        )


def _key(seed: Seed, n: int) -> Key:
    return resolve(seed if isinstance(seed, _KEYS) else Key(cast("int", seed)), n)


@contextmanager
def untouched() -> Iterator[None]:
    """Let PyTorch make tensors as it is told, whatever modes and transforms are on."""
    with (
        torch.inference_mode(False),
        DisableTorchFunction(),
        DisableTorchDispatch(),
        DisableFuncTorch(),
    ):
        yield


class _Word(threading.local):
    """A number of each thread's own, for PyTorch to write to without making a tensor."""

    range = RANGE

    def __init__(self) -> None:
        with untouched():
            self.tensor = torch.zeros((), dtype=torch.int64, device="cpu")
            self.address = self.tensor.data_ptr()

    def draw(self, generator: torch.Generator | None) -> int:
        """What ``torch.randint(RANGE, ())`` would be, at half its price."""
        return int(self.tensor.random_(0, RANGE, generator=generator).item())


WORD: Final = _Word()


def words_for(n: int, generator: AnyGenerator, seed: Seed, site: int = -1) -> Words:
    """Where the mask of a call with `n` decisions begins. A generator moves on.

    `site` is the call's place in a traced graph.
    """
    if seed is not None:
        if generator is not None:
            _check_one(generator)
        if type(seed) is int and 0 <= seed < 2**64:
            return seed, 0, 0
        key = _key(seed, n)
        return key.seed, key.stream, key.offset
    if generator is None and site < 0:
        return WORD.draw(None), 0, 0
    if isinstance(generator, Source):
        generator = generator.generator
    elif generator is not None:
        _check_generator(generator)
    who = (id(generator), site)
    words = _recompute.again(who, by_default=generator is None)
    if words is None:
        words = _drawn(n, generator)
        _recompute.note(who, words)
    return words


def _drawn(n: int, generator: torch.Generator | fastdrop.Generator | None) -> Words:
    if generator is None or isinstance(generator, torch.Generator):
        return WORD.draw(generator), 0, 0
    key = generator.reserve(n)
    return key.seed, key.stream, key.offset


@contextmanager
def forked(seed: int) -> Iterator[None]:
    """Let PyTorch's default generator of the CPU start from `seed`, and put it back at the end."""
    word = Key(seed).seed  # checked
    before = torch.default_generator.get_state()
    torch.default_generator.manual_seed(word if word < 2**63 else word - 2**64)
    try:
        yield
    finally:
        torch.default_generator.set_state(before)
