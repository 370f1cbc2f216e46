"""What ``rng=`` accepts, the default generator, and the generators of layers."""

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import fastdrop
from fastdrop import _rng

BLOCK = 4096
END = 2**64


def test_a_key_is_used_as_it_is_if_the_range_fits_and_a_generator_moves_on(twin):
    key = twin.Key(1, 2, END - 5)
    assert _rng.resolve(key, 5) is key
    with pytest.raises(OverflowError, match="6 positions from offset 18446744073709551611 would"):
        _rng.resolve(key, 6)
    generator = twin.Generator(1)
    assert [_rng.resolve(generator, 5).offset for _ in range(2)] == [0, BLOCK]


def test_integers_numpy_seeds_and_generators_give_a_key():
    assert _rng.resolve(5, 10) == _rng.Key(5)
    assert _rng.resolve(np.uint64(END - 1), 10) == _rng.Key(END - 1)
    with pytest.raises(ValueError, match="rng has to be between 0 and"):
        _rng.resolve(-1, 10)
    words = np.random.SeedSequence(3).generate_state(2, np.uint64).tolist()
    assert _rng.resolve(np.random.SeedSequence(3), 5) == _rng.Key(*words)
    source, again = np.random.default_rng(3), np.random.default_rng(3)
    key = _rng.Key(*again.integers(2**64, dtype=np.uint64, size=2).tolist())
    assert _rng.resolve(source, 5) == key
    assert _rng.resolve(source, 5) != key


def test_manual_seed_starts_the_default_generator_anew():
    generator = fastdrop.manual_seed(5)
    assert generator is fastdrop.default_generator()
    assert _rng.resolve(None, 10) == _rng.Key(5)
    generator.spawn(3)
    assert generator.offset == BLOCK
    fastdrop.manual_seed(np.int64(6))
    with pytest.raises(TypeError, match="seed has to be an integer, but got NoneType"):
        fastdrop.manual_seed(None)
    assert generator.state == _rng.Generator(6).state


def test_the_default_generator_can_be_another_one_in_a_context():
    outside = fastdrop.default_generator()
    inside = _rng.Generator(5)
    with _rng.use_default(inside) as given:
        assert given is inside
        assert fastdrop.default_generator() is inside
        assert _rng.resolve(None, 1) == _rng.Key(5)
        with ThreadPoolExecutor(1) as pool:
            seen = pool.submit(fastdrop.default_generator).result()
        with pytest.raises(RuntimeError), _rng.use_default(_rng.Generator(6)):
            raise RuntimeError
        assert fastdrop.default_generator() is inside
    assert fastdrop.default_generator() is outside
    # From Python 3.14 on a thread may start from its maker's context: the interpreter has a flag.
    assert seen is (inside if getattr(sys.flags, "thread_inherit_context", 0) else outside)


def test_a_layer_gets_a_generator_of_its_own():
    parent = _rng.Generator(5)
    assert _rng.as_generator(parent) is parent
    assert _rng.as_generator(7).state == _rng.Generator(7).state
    assert _rng.as_generator(_rng.Key(1, 2, 3)).state == _rng.Generator(1, 2, 3).state
    sequence, rng = np.random.SeedSequence(1), np.random.default_rng(1)
    assert _rng.as_generator(sequence).state == _rng.as_generator(sequence).state
    assert _rng.as_generator(rng).state != _rng.as_generator(rng).state
