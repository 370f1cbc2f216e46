"""Where masks come from: PyTorch's generators, fastdrop's, or a seed.

By default every training call draws one 63-bit number from PyTorch's default generator of the CPU,
which is the seed of the call's own stream: ``torch.manual_seed`` decides the masks, and
``torch.set_rng_state`` brings them back.
"""

from __future__ import annotations

import itertools
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeAlias, cast

import torch

import fastdrop
from fastdrop import stream as _stream
from fastdrop._rng import Key, resolve

RANGE: Final = 2**63 - 1
"""Seeds drawn from PyTorch are below this: as many as its int64 holds."""

_KEYS: Final = (Key, _stream.Key)
_GENERATORS: Final = (fastdrop.Generator, _stream.Generator)


class Source:
    """A generator with a number, by which a compiled graph can refer to it."""

    by_number: Final[weakref.WeakValueDictionary[int, Source]] = weakref.WeakValueDictionary()
    _numbers: Final = itertools.count(1)

    def __init__(self, generator: torch.Generator | fastdrop.Generator) -> None:
        self.generator = generator
        self.number = next(self._numbers)
        self.by_number[self.number] = self

    def __fx_create_arg__(self, tracer: Any) -> Any:
        """What `torch.fx` writes for it: an attribute of the traced model."""
        name = f"_fastdrop_source_{self.number}"
        setattr(tracer.root, name, self)
        return tracer.create_node("get_attr", name, (), {})

    def __reduce__(self) -> tuple[type[Source], tuple[Any]]:
        return Source, (self.generator,)  # a copy or a pickle gets a number of its own


AnyGenerator: TypeAlias = "torch.Generator | fastdrop.Generator | Source | None"
Seed: TypeAlias = "int | Key | None"
Words: TypeAlias = "tuple[int, int, int]"
"""Seed, stream and offset."""


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


class _Word(threading.local):
    """A number of each thread's own, for PyTorch to write to without making a tensor."""

    range = RANGE

    def __init__(self) -> None:
        with torch.inference_mode(False):
            self.tensor = torch.zeros((), dtype=torch.int64)
        self.address = self.tensor.data_ptr()

    def draw(self, generator: torch.Generator | None) -> int:
        """What ``torch.randint(RANGE, ())`` would be, at half its price."""
        return int(self.tensor.random_(0, RANGE, generator=generator).item())


WORD: Final = _Word()


def words_for(n: int, generator: AnyGenerator, seed: Seed) -> Words:
    """Where the mask of a call with `n` decisions begins. A generator moves on."""
    if generator is None:
        if seed is None:
            return WORD.draw(None), 0, 0
        if type(seed) is int and 0 <= seed < 2**64:
            return seed, 0, 0
        key = _key(seed, n)
        return key.seed, key.stream, key.offset
    if seed is not None:
        _check_one(generator)
    if isinstance(generator, Source):
        generator = generator.generator
    else:
        _check_generator(generator)
    if isinstance(generator, torch.Generator):
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
