"""Keys and generators of fastdrop's random stream, version 1, in plain Python.

These are the readable twins of the compiled ``Key`` and ``Generator`` in ``fastdrop._core``: the
same names, values, errors and representation. They are used where the compiled module is absent.

The decision for an element depends only on ``(seed, stream, position)`` and on ``p``. A ``Key``
says where a range of positions begins; a ``Generator`` hands out ranges, each of which starts at
a block of 4096 positions.
"""

import os
import secrets
import threading
from typing import Any, Final, NoReturn, Self, final

from ._arrays import check_integer

G: Final = 0x9E3779B97F4A7C15
VERSION: Final = 1
BLOCK: Final = 4096

_END: Final = 2**64
_WORD: Final = _END - 1

# One lock for all generators: it is held for less than a microsecond, and a single lock can be
# taken around fork(), so that a child finds every generator whole, and then gets a lock of its own.
_lock = threading.Lock()


def _renew_lock() -> None:
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=lambda: _lock.acquire(),
        after_in_parent=lambda: _lock.release(),
        after_in_child=_renew_lock,
    )


def mix(z: int) -> int:
    """SplitMix64's finaliser: a bijection of 64-bit words in which every bit moves every other."""
    z &= _WORD
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _WORD
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _WORD
    return z ^ (z >> 31)


def child_stream(stream: int, i: int) -> int:
    """The stream of child number ``i`` (from 0) of ``stream``."""
    return mix(stream + (i + 1) * G)


def _integer(name: str, value: object) -> int:
    return check_integer(value, name)


def _count(n: object) -> int:
    count = _integer("n", n)
    if count < 0:
        raise ValueError(f"n has to be at least 0, but got {count}")
    return count


def _word(name: str, value: object, largest: int = _WORD) -> int:
    if type(value) is int and 0 <= value <= largest:  # the common case
        return value
    number = _integer(name, value)
    if not 0 <= number <= largest:
        raise ValueError(f"{name} has to be between 0 and 2**64 - 1, but got {number}")
    return number


def _entries(state: object, names: tuple[str, ...]) -> list[object]:
    """The named entries of a saved state, whose version has to be one that this code draws."""
    if not isinstance(state, dict):
        raise TypeError(f"state has to be a dict, but got {type(state).__name__}")
    for name in ("version", *names):
        if name not in state:
            raise ValueError(f"state has no entry {name!r}")
    if state["version"] != VERSION:
        raise ValueError(
            f"version {state['version']!r} of the random stream is unknown: "
            f"this fastdrop draws version {VERSION}"
        )
    return [state[name] for name in names]


@final
class Key:
    """A place in the random stream: where a range of positions begins. Immutable and hashable.

    The same key, `p` and shape always give the same mask: pass a key as ``rng=`` to draw a mask
    again, as the backward pass of dropout does.

    Parameters
    ----------
    seed : int
        From 0 to 2**64 - 1, as all three.
    stream, offset : int, default 0
        What separates independent users of one seed, and the position of the first element.

    Raises
    ------
    TypeError, ValueError
        An argument is not an integer (a bool is none), or not between 0 and 2**64 - 1.

    Examples
    --------
    >>> import fastdrop
    >>> key = fastdrop.Key(1, offset=4096)
    >>> key
    Key(seed=1, stream=0, offset=4096)
    >>> fastdrop.Key.from_state(key.state) == key
    True
    """

    __slots__ = ("_offset", "_seed", "_stream")

    _seed: int
    _stream: int
    _offset: int

    def __init__(self, seed: int, stream: int = 0, offset: int = 0) -> None:
        object.__setattr__(self, "_seed", _word("seed", seed))
        object.__setattr__(self, "_stream", _word("stream", stream))
        object.__setattr__(self, "_offset", _word("offset", offset))

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a Key is immutable: {name} cannot be set")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"a Key is immutable: {name} cannot be deleted")

    @property
    def seed(self) -> int:
        """The seed, 0..2**64-1."""
        return self._seed

    @property
    def stream(self) -> int:
        """The stream of the seed, 0..2**64-1."""
        return self._stream

    @property
    def offset(self) -> int:
        """The position of the first element, 0..2**64-1."""
        return self._offset

    @property
    def state(self) -> dict[str, int]:
        """The key as plain data."""
        words = {"seed": self._seed, "stream": self._stream, "offset": self._offset}
        return {"version": VERSION, **words}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The key that ``state`` was taken from."""
        seed, stream, offset = _entries(state, ("seed", "stream", "offset"))
        return cls(seed, stream, offset)  # type: ignore[arg-type]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Key):
            return NotImplemented
        return self.state == other.state

    def __hash__(self) -> int:
        return hash((self._seed, self._stream, self._offset))

    def __repr__(self) -> str:
        return f"Key(seed={self._seed}, stream={self._stream}, offset={self._offset})"

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self


@final
class Generator:
    """Hands out ranges of positions of one stream, and child streams.

    Pass it as ``rng=``: every training call reserves the positions that it needs, from a block
    of 4096 on, so that no two calls share any. `reserve` and `spawn` may be called from several
    threads at once. A forked child, a copy and a pickle go on from the same place, and draw the
    same masks: give each process a generator of its own with `spawn`.

    Parameters
    ----------
    seed : int, optional
        By default 64 bits of the system's randomness.
    stream, offset : int, default 0
        As for `Key`; the first range begins at the offset.

    Raises
    ------
    TypeError, ValueError
        As for `Key`.

    Examples
    --------
    >>> import fastdrop
    >>> generator = fastdrop.Generator(1)
    >>> generator.reserve(10)
    Key(seed=1, stream=0, offset=0)
    >>> generator
    Generator(seed=1, stream=0, offset=4096)
    >>> saved = generator.state
    >>> first = generator.reserve(10)
    >>> generator.state = saved
    >>> generator.reserve(10) == first
    True
    >>> len(generator.spawn(2))
    2
    """

    __slots__ = ("__weakref__", "_offset", "_seed", "_spawned", "_stream")

    def __init__(self, seed: int | None = None, stream: int = 0, offset: int = 0) -> None:
        self._seed = secrets.randbits(64) if seed is None else _word("seed", seed)
        self._stream = _word("stream", stream)
        self._offset = _word("offset", offset)
        self._spawned = 0

    @property
    def seed(self) -> int:
        """The seed, 0..2**64-1."""
        return self._seed

    @property
    def stream(self) -> int:
        """The stream of the seed, 0..2**64-1."""
        return self._stream

    @property
    def offset(self) -> int:
        """Where the next range begins; 2**64 once the stream is used up."""
        return self._offset

    @property
    def spawned(self) -> int:
        """How many children have been spawned."""
        return self._spawned

    def reserve(self, n: int) -> Key:
        """A key for ``n`` positions; the generator moves on to the next block after them."""
        n = _count(n)
        with _lock:
            start = self._offset
            if start + n > _END:
                raise OverflowError(f"{n} positions from offset {start} would pass 2**64")
            if n:
                self._offset = -(-(start + n) // BLOCK) * BLOCK
            seed, stream = self._seed, self._stream
        # An empty range at the very end has no position to name: it gets 0.
        return Key(seed, stream, start % _END)

    def spawn(self, n: int) -> list["Generator"]:
        """``n`` independent generators; a later call continues the count of children."""
        n = _count(n)
        with _lock:
            first = self._spawned
            if first + n > _WORD:
                raise OverflowError(f"{n} children after {first} would pass 2**64 - 1")
            self._spawned = first + n
            seed, stream = self._seed, self._stream
        return [Generator(seed, child_stream(stream, i)) for i in range(first, first + n)]

    @property
    def state(self) -> dict[str, int]:
        """The generator as plain data that ``json`` can write; set it to go back to it."""
        with _lock:
            return {
                "version": VERSION,
                "seed": self._seed,
                "stream": self._stream,
                "offset": self._offset,
                "spawned": self._spawned,
            }

    @state.setter
    def state(self, state: dict[str, Any]) -> None:
        entries = _entries(state, ("seed", "stream", "offset", "spawned"))
        seed, stream = _word("seed", entries[0]), _word("stream", entries[1])
        offset = _word("offset", entries[2], largest=_END)  # 2**64: used up
        spawned = _word("spawned", entries[3])
        with _lock:
            self._seed, self._stream, self._offset, self._spawned = seed, stream, offset, spawned

    def __repr__(self) -> str:
        now = self.state
        return f"Generator(seed={now['seed']}, stream={now['stream']}, offset={now['offset']})"

    def __copy__(self) -> "Generator":
        twin = Generator(0)
        twin.state = self.state
        return twin

    def __deepcopy__(self, memo: dict[int, Any]) -> "Generator":
        return self.__copy__()
