# --- Keys and generators: the compiled twins of those in stream.py ---------------------------------

@cython.final
cdef class Key:
    """A place in the random stream: where a range of positions begins. Immutable and hashable.

    The same key, `p` and shape always give the same mask: pass a key as ``rng=`` to draw a mask
    again, as the backward pass of dropout does.

    Parameters
    ----------
    seed : int
        From 0 to 2**64 - 1.
    stream : int, default 0
        Separates independent users of one seed, from 0 to 2**64 - 1.
    offset : int, default 0
        The position of the first element, from 0 to 2**64 - 1.

    Raises
    ------
    TypeError
        An argument is not an integer (a bool is none).
    ValueError
        An argument is not between 0 and 2**64 - 1.

    Examples
    --------
    >>> import fastdrop
    >>> key = fastdrop.Key(1, offset=4096)
    >>> key
    Key(seed=1, stream=0, offset=4096)
    >>> a = fastdrop.dropout_mask(1000, 0.5, rng=key)
    >>> b = fastdrop.dropout_mask(1000, 0.5, rng=key)
    >>> bool((a == b).all())
    True
    >>> fastdrop.Key.from_state(key.state) == key
    True
    """

    # Set in __cinit__ alone, which runs once: that makes it immutable.
    cdef fd_key key

    def __cinit__(self, seed, stream=0, offset=0):
        self.key.seed = _stream._word("seed", seed)
        self.key.stream = _stream._word("stream", stream)
        self.key.offset = _stream._word("offset", offset)

    @property
    def seed(self):
        """The seed, 0..2**64-1."""
        return self.key.seed

    @property
    def stream(self):
        """The stream of the seed, 0..2**64-1."""
        return self.key.stream

    @property
    def offset(self):
        """The position of the first element, 0..2**64-1."""
        return self.key.offset

    @property
    def state(self):
        """The key as plain data."""
        return {
            "version": _stream.VERSION,
            "seed": self.key.seed,
            "stream": self.key.stream,
            "offset": self.key.offset,
        }

    @classmethod
    def from_state(cls, state):
        """The key that ``state`` was taken from."""
        return cls(*_stream._entries(state, ("seed", "stream", "offset")))

    def __eq__(self, other):
        if type(other) is not Key:
            return NotImplemented
        cdef Key key = <Key>other
        return (self.key.seed == key.key.seed and self.key.stream == key.key.stream
                and self.key.offset == key.key.offset)

    def __hash__(self):
        return hash((self.key.seed, self.key.stream, self.key.offset))

    def __repr__(self):
        return f"Key(seed={self.key.seed}, stream={self.key.stream}, offset={self.key.offset})"

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self


# The first position of a generator is `next_block * 4096 + within`: a number that also holds 2**64,
# where the stream is used up.
cdef struct generator_state:
    uint64_t seed, stream, spawned, next_block, within


cdef object _offset(const generator_state *state):
    return (int(state.next_block) << 12) + int(state.within)


@cython.final
cdef class Generator:
    """Hands out ranges of positions of one stream, and child streams.

    Pass it as ``rng=``: every training call reserves the positions that it needs, from a block
    of 4096 on, so that no two calls share any. `reserve` and `spawn` may be called from several
    threads at once. A forked child, a copy and a pickle go on from the same place, and draw the
    same masks: give each process a generator of its own with `spawn`.

    Parameters
    ----------
    seed : int, optional
        From 0 to 2**64 - 1. By default 64 bits of the system's randomness.
    stream : int, default 0
        Separates independent users of one seed, from 0 to 2**64 - 1.
    offset : int, default 0
        Where the first range begins, from 0 to 2**64 - 1.

    Raises
    ------
    TypeError
        An argument is not an integer (a bool is none).
    ValueError
        An argument is not between 0 and 2**64 - 1.

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

    # Read and written in critical sections alone, and whole: without a global lock, another thread
    # may be at any place of any method.
    cdef generator_state _state
    cdef object __weakref__

    def __init__(self, seed=None, stream=0, offset=0):
        seed = _stream.secrets.randbits(64) if seed is None else _stream._word("seed", seed)
        stream = _stream._word("stream", stream)
        offset = _stream._word("offset", offset)
        self._set(seed, stream, offset, 0)

    cdef int _set(self, seed, stream, offset, spawned) except -1:
        cdef generator_state state
        state.seed, state.stream, state.spawned = seed, stream, spawned
        state.next_block, state.within = offset >> 12, offset & 4095
        with cython.critical_section(self):
            self._state = state
        return 0

    cdef generator_state _get(self) noexcept:
        cdef generator_state state
        with cython.critical_section(self):
            state = self._state
        return state

    cdef bint _take(self, uint64_t n, fd_key *key) noexcept:
        """Reserves n >= 1 positions; False, and nothing moved, where they would pass 2**64."""
        cdef bint fits
        with cython.critical_section(self):
            key.seed = self._state.seed
            key.stream = self._state.stream
            key.offset = (self._state.next_block << 12) + self._state.within
            fits = self._state.next_block >> 52 == 0 and n - 1 <= UINT64_MAX - key.offset
            if fits:
                self._state.next_block = ((key.offset + (n - 1)) >> 12) + 1
                self._state.within = 0
        return fits

    @property
    def seed(self):
        """The seed, 0..2**64-1."""
        return self._get().seed

    @property
    def stream(self):
        """The stream of the seed, 0..2**64-1."""
        return self._get().stream

    @property
    def offset(self):
        """Where the next range begins; 2**64 once the stream is used up."""
        cdef generator_state state = self._get()
        return _offset(&state)

    @property
    def spawned(self):
        """How many children have been spawned."""
        return self._get().spawned

    def reserve(self, n):
        """A key for ``n`` positions; the generator moves on to the next block after them."""
        cdef fd_key key
        cdef generator_state state
        count = _stream._integer("n", n)
        if count < 0:
            raise ValueError(f"n has to be at least 0, but got {count}")
        if count == 0:
            state = self._get()
            return Key(state.seed, state.stream, _offset(&state) % 2**64)
        if count > UINT64_MAX or not self._take(count, &key):
            raise OverflowError(f"{count} positions from offset {self.offset} would pass 2**64")
        return Key(key.seed, key.stream, key.offset)

    def spawn(self, n):
        """``n`` independent generators; a later call continues the count of children."""
        cdef uint64_t first, seed, stream
        cdef bint fits
        count = _stream._integer("n", n)
        if count < 0:
            raise ValueError(f"n has to be at least 0, but got {count}")
        with cython.critical_section(self):
            first = self._state.spawned
            seed = self._state.seed
            stream = self._state.stream
            fits = count <= UINT64_MAX - first
            if fits:
                self._state.spawned = first + <uint64_t>count
        if not fits:
            raise OverflowError(f"{count} children after {first} would pass 2**64 - 1")
        return [
            Generator(seed, _stream.child_stream(stream, i)) for i in range(first, first + count)
        ]

    @property
    def state(self):
        """The generator as plain data that ``json`` can write; set it to go back to it."""
        cdef generator_state state = self._get()
        return {
            "version": _stream.VERSION,
            "seed": state.seed,
            "stream": state.stream,
            "offset": _offset(&state),
            "spawned": state.spawned,
        }

    @state.setter
    def state(self, state):
        seed, stream, offset, spawned = _stream._entries(
            state, ("seed", "stream", "offset", "spawned")
        )
        seed, stream = _stream._word("seed", seed), _stream._word("stream", stream)
        offset = _stream._word("offset", offset, 2**64)  # 2**64: used up
        self._set(seed, stream, offset, _stream._word("spawned", spawned))

    def __repr__(self):
        cdef generator_state state = self._get()
        return f"Generator(seed={state.seed}, stream={state.stream}, offset={_offset(&state)})"

    def __copy__(self):
        twin = Generator(0)
        twin.state = self.state
        return twin

    def __deepcopy__(self, memo):
        return self.__copy__()
