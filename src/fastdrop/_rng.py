"""Which Key and Generator are in use, the default generator, and what ``rng=`` accepts."""

import copyreg
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from fastdrop import stream
from fastdrop._convert import type_name

if TYPE_CHECKING:
    from fastdrop.stream import Generator as Generator
    from fastdrop.stream import Key as Key
else:
    try:
        from fastdrop._core import Generator, Key
    except ImportError:
        from fastdrop.stream import Generator, Key

RNGLike: TypeAlias = (
    "int | np.integer[Any] | Key | Generator | np.random.SeedSequence | np.random.Generator | None"
)

# Both twins are accepted wherever one is: they mean the same.
_KEYS = (Key, stream.Key)
_GENERATORS = (Generator, stream.Generator)

_default = Generator()
_override: ContextVar[Generator | None] = ContextVar("fastdrop_default_generator", default=None)


def default_generator() -> Generator:
    """Return the generator that ``rng=None`` draws from.

    It starts from 64 bits of the system's randomness; `manual_seed` makes it repeatable. A
    forked child inherits it as it is and draws its parent's masks, as the workers of a data loader
    do: seed it anew in each, or give each a child of its own with ``spawn``.

    Returns
    -------
    Generator
        The generator itself, not a copy.

    Examples
    --------
    >>> import fastdrop
    >>> fastdrop.default_generator() is fastdrop.default_generator()
    True
    """
    return _override.get() or _default


def manual_seed(seed: int) -> Generator:
    """Start the default generator anew from `seed`.

    Parameters
    ----------
    seed : int
        From 0 to 2**64 - 1.

    Returns
    -------
    Generator
        The default generator: the same object as before, at stream 0 and offset 0.

    Raises
    ------
    TypeError, ValueError
        `seed` is not an integer, or not between 0 and 2**64 - 1.

    Examples
    --------
    >>> import fastdrop
    >>> fastdrop.manual_seed(1)
    Generator(seed=1, stream=0, offset=0)
    """
    generator = default_generator()
    generator.state = Generator(Key(seed).seed).state  # a key refuses None, a generator does not
    return generator


@contextmanager
def use_default(generator: Generator) -> Iterator[Generator]:
    """Make ``generator`` the default one, for this thread or asynchronous task only."""
    token = _override.set(generator)
    try:
        yield generator
    finally:
        _override.reset(token)


def resolve(rng: RNGLike, n: int) -> Key:
    """The key for ``n`` positions that ``rng`` stands for. A generator moves on."""
    if rng is None:
        return default_generator().reserve(n)
    if isinstance(rng, _GENERATORS):
        return rng.reserve(n)
    if isinstance(rng, _KEYS):
        if rng.offset + n > 2**64:
            raise OverflowError(f"{n} positions from offset {rng.offset} would pass 2**64")
        return rng
    if isinstance(rng, (int, np.integer)) and not isinstance(rng, bool):
        if not 0 <= rng < 2**64:
            raise ValueError(f"rng has to be between 0 and 2**64 - 1 as a seed, but got {rng}")
        return Key(int(rng))
    if isinstance(rng, np.random.SeedSequence):
        return Key(*rng.generate_state(2, np.uint64).tolist())
    if isinstance(rng, np.random.Generator):
        return Key(*rng.integers(0, 2**64, size=2, dtype=np.uint64).tolist())
    raise TypeError(
        "rng has to be None, an integer seed, a fastdrop Key or Generator, or a NumPy "
        f"SeedSequence or Generator, but got {type_name(rng)}"
    )


def check_unused(rng: RNGLike) -> None:
    """Check an ``rng`` that nothing is drawn from. NumPy's two would move: their type is enough."""
    if rng is not None and not isinstance(rng, (np.random.Generator, np.random.SeedSequence)):
        resolve(rng, 0)


def check_repeatable(rng: RNGLike) -> None:
    """Check that ``rng`` gives the same key in every call, as a gradient needs it."""
    if rng is None or isinstance(rng, (*_GENERATORS, np.random.Generator)):
        raise TypeError(
            "rng has to be what gave the forward pass its mask, a Key or a seed, "
            f"but got {type(rng).__name__}"
        )


def as_generator(rng: RNGLike) -> Generator:
    """The generator that a layer keeps: a child of the default one where ``rng`` is None."""
    if rng is None:
        return default_generator().spawn(1)[0]
    if isinstance(rng, _GENERATORS):
        return rng
    key = resolve(rng, 0)
    return Generator(key.seed, key.stream, key.offset)


# Pickles name these two functions, not a class: they can be read where _core is absent.
def _restore_key(state: dict[str, Any]) -> Key:
    return Key.from_state(state)


def _restore_generator(state: dict[str, Any]) -> Generator:
    generator = Generator(0)
    generator.state = state
    return generator


# Registered here, or the classes would have to import this module, which imports them.
for _key in _KEYS:
    copyreg.pickle(_key, lambda key: (_restore_key, (key.state,)))
for _generator in _GENERATORS:
    copyreg.pickle(_generator, lambda generator: (_restore_generator, (generator.state,)))
