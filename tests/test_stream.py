"""Keys and generators: the two twins, compiled and in Python, are to behave the same."""

import copy
import itertools
import json
import os
import pickle
from contextlib import contextmanager

import make_known_answers
import numpy as np
import pytest
from callers import changing
from fresh import in_child
from oracle import COEFFICIENTS
from support import KNOWN_ANSWERS, core_or_skip, number, records

from fastdrop import _rng, stream

BLOCK = 4096
END = 2**64
PROTOCOLS = range(2, pickle.HIGHEST_PROTOCOL + 1)


@pytest.mark.skipif(
    not COEFFICIENTS.exists(), reason="an installed fastdrop is tested apart from its repository"
)
def test_known_answers_are_those_of_the_definition():
    assert KNOWN_ANSWERS.read_text(encoding="ascii") == make_known_answers.text()


def test_mix_and_child_stream_give_the_known_answers():
    for z, result in records("mix"):
        assert stream.mix(number(z)) == number(result)
    for parent, i, result in records("child"):
        assert stream.child_stream(number(parent), number(i)) == number(result)
    assert stream.mix(END + 5) == stream.mix(5)


def test_key_holds_three_numbers(twin):
    assert repr(twin.Key(1, 2, 3)) == "Key(seed=1, stream=2, offset=3)"
    assert twin.Key(1) == twin.Key(seed=1, stream=0, offset=0)
    for given in ((END - 1,) * 3, (np.uint64(END - 1), np.int8(2), np.int64(3))):
        key = twin.Key(*given)
        assert (key.seed, key.stream, key.offset) == given
        assert [type(n) for n in (key.seed, key.stream, key.offset)] == [int] * 3


def test_key_is_equal_and_hashes_by_value_and_has_no_order(twin):
    key = twin.Key(1, 2, 3)
    for other in (twin.Key(0, 2, 3), twin.Key(1, 0, 3), twin.Key(1, 2, 0), (1, 2, 3), None):
        assert key != other
    assert key == twin.Key(1, 2, 3)
    assert len({key, twin.Key(1, 2, 3), twin.Key(1, 2, 4)}) == 2
    with pytest.raises(TypeError):
        twin.Key(1) < twin.Key(2)  # noqa: B015


def test_key_is_immutable(twin):
    key = twin.Key(1, 2, 3)
    for name in ("seed", "stream", "offset", "state", "something"):
        with pytest.raises(AttributeError):
            setattr(key, name, 5)
        with pytest.raises(AttributeError):
            delattr(key, name)
    assert key == twin.Key(1, 2, 3)


def test_key_goes_through_copies_pickle_and_json(twin):
    key = twin.Key(END - 1, 2, 3)
    assert copy.copy(key) == key
    assert copy.deepcopy([key]) == [key]
    for protocol in PROTOCOLS:
        assert repr(pickle.loads(pickle.dumps(key, protocol))) == repr(key)
    assert key.state == {"version": 1, "seed": END - 1, "stream": 2, "offset": 3}
    assert twin.Key.from_state(json.loads(json.dumps(key.state))) == key


# --- Bad numbers and states -------------------------------------------------------------------


@contextmanager
def refused(error, message):
    with pytest.raises(error) as caught:
        yield
    assert str(caught.value) == message


NO_WORDS = [
    *((n, ValueError, f"between 0 and 2**64 - 1, but got {n}") for n in (-1, END, END + 1, 10**30)),
    (np.int64(-3), ValueError, "between 0 and 2**64 - 1, but got -3"),
    (1.0, TypeError, "an integer, but got float"),
    (True, TypeError, "an integer, but got bool"),
    (np.True_, TypeError, "an integer, but got bool"),
    ("1", TypeError, "an integer, but got str"),
]
FIELDS = ("seed", "stream", "offset")


def test_bad_numbers_are_refused(twin):
    for kind, name, (value, error, words) in itertools.product(
        (twin.Key, twin.Generator), FIELDS, NO_WORDS
    ):
        with refused(error, f"{name} has to be {words}"):
            kind(**{"seed": 1, name: value})
    with refused(TypeError, "seed has to be an integer, but got NoneType"):
        twin.Key(None)
    with pytest.raises(TypeError):
        twin.Key()


GOOD_STATE = {"version": 1, "seed": 5, "stream": 6, "offset": 7, "spawned": 8}
UNKNOWN = "version {!r} of the random stream is unknown: this fastdrop draws version 1"
BAD_STATES = [
    ([], TypeError, "state has to be a dict, but got list"),
    ({"seed": 1}, ValueError, "state has no entry 'version'"),
    ({"version": 1, "seed": 5, "stream": 6}, ValueError, "state has no entry 'offset'"),
    *((GOOD_STATE | {"version": v}, ValueError, UNKNOWN.format(v)) for v in (2, "1")),
    *(
        (GOOD_STATE | {name: value}, error, f"{name} has to be {words}")
        for name, (value, error, words) in itertools.product(FIELDS, NO_WORDS)
        if name != "offset" or value is not END  # used up
    ),
]


def test_bad_states_are_refused_before_anything_changes(twin):
    generator = twin.Generator(1, 2, 3)
    for state, error, message in BAD_STATES:
        with refused(error, message):
            twin.Key.from_state(state)
        with refused(error, message):
            generator.state = state
    for spawned in (-1, END, True, None):
        with pytest.raises((TypeError, ValueError), match=r"^spawned has to be "):
            generator.state = GOOD_STATE | {"spawned": spawned}
    assert generator.state == twin.Generator(1, 2, 3).state


def test_generator_starts_where_it_is_told_and_is_moved_only_by_its_methods_and_state(twin):
    generator = twin.Generator(1, 2, 3)
    for name in (*FIELDS, "spawned"):
        with pytest.raises(AttributeError):
            setattr(generator, name, 5)
    assert (generator.seed, generator.stream, generator.offset, generator.spawned) == (1, 2, 3, 0)
    assert repr(generator) == "Generator(seed=1, stream=2, offset=3)"
    assert repr(twin.Generator(seed=1)) == "Generator(seed=1, stream=0, offset=0)"


def test_generators_without_a_seed_differ(twin):
    seeds = {twin.Generator().seed for _ in range(20)}
    assert len(seeds) == 20
    assert max(seeds) >= 2**60  # all 64 bits are drawn: false once in 2**80


@pytest.mark.parametrize("start", [0, 1, 4095, 4096, 4097, 2**63 + 5, END - 3 * BLOCK])
@pytest.mark.parametrize("n", [0, 1, 2, 4095, 4096, 4097, 8192, 2 * BLOCK])
def test_reserve_moves_to_the_next_block(twin, start, n):
    generator, other = twin.Generator(1, 2, start), twin.Generator(1, 2, start)
    assert generator.reserve(n) == other.reserve(n=np.uint64(n)) == twin.Key(1, 2, start)
    end = -(-(start + n) // BLOCK) * BLOCK if n else start
    assert generator.offset == other.offset == end
    assert generator.reserve(np.int64(0)).offset == end % END


def test_counts_that_are_refused_move_nothing(twin):
    generator = twin.Generator(1, 2, END - 5)
    for method in (generator.reserve, generator.spawn):
        with refused(ValueError, "n has to be at least 0, but got -1"):
            method(-1)
        for n, came in ((1.0, "float"), (True, "bool"), (None, "NoneType")):
            with refused(TypeError, f"n has to be an integer, but got {came}"):
                method(n)
    for n in (6, 4096, 2**63, END - 1, END + 5, 10**30):
        with refused(OverflowError, f"{n} positions from offset {END - 5} would pass 2**64"):
            generator.reserve(n)
    assert generator.state == twin.Generator(1, 2, END - 5).state


@pytest.mark.parametrize("n", [1, 4, 5])
def test_the_last_block_can_be_used_once(twin, n):
    generator = twin.Generator(1, 2, END - 5)
    assert generator.reserve(n) == twin.Key(1, 2, END - 5)
    for used_up in (generator, copy.copy(generator), pickle.loads(pickle.dumps(generator))):
        assert used_up.offset == END
        assert used_up.state["offset"] == END
        with refused(OverflowError, f"1 positions from offset {END} would pass 2**64"):
            used_up.reserve(1)
        assert used_up.reserve(0).offset == 0
        assert used_up.offset == END
    whole = twin.Generator(1)
    assert whole.reserve(END - 1) == twin.Key(1)
    assert whole.offset == END


def test_children_continue_the_count(twin):
    generator = twin.Generator(7, 8, 9)
    children = generator.spawn(2) + generator.spawn(0) + generator.spawn(np.int64(1))
    assert [child.stream for child in children] == [stream.child_stream(8, i) for i in range(3)]
    assert all((child.seed, child.offset, child.spawned) == (7, 0, 0) for child in children)
    assert all(type(child) is twin.Generator for child in children)
    assert (generator.spawned, generator.offset) == (3, 9)


def test_more_children_than_the_count_holds_are_refused(twin):
    generator = twin.Generator(7)
    generator.state = generator.state | {"spawned": END - 2}
    (last,) = generator.spawn(1)
    assert last.stream == stream.child_stream(0, END - 2)
    for n in (1, END, 10**30):
        with refused(OverflowError, f"{n} children after {END - 1} would pass 2**64 - 1"):
            generator.spawn(n)
    assert generator.spawned == END - 1


def test_generator_goes_back_to_a_saved_state(twin):
    generator = twin.Generator(1, 2, 3)
    generator.reserve(10)
    generator.spawn(2)
    saved = json.loads(json.dumps(generator.state))
    assert saved == {"version": 1, "seed": 1, "stream": 2, "offset": BLOCK, "spawned": 2}
    key = generator.reserve(1)
    other = twin.Generator(99)
    other.state = saved
    assert other.reserve(1) == key
    generator.state = saved
    assert generator.reserve(1) == key


def test_copies_go_their_own_way(twin):
    generator = twin.Generator(1, 2, 3)
    generator.spawn(1)
    copies = [copy.copy(generator), copy.deepcopy(generator)]
    copies += [pickle.loads(pickle.dumps(generator, protocol)) for protocol in PROTOCOLS]
    assert all(other.state == generator.state for other in copies)
    assert all(type(other) is twin.Generator for other in copies[:2])
    generator.reserve(1)
    assert all(other.offset == 3 for other in copies)


def test_a_pickle_does_not_say_which_twin_wrote_it():
    core = core_or_skip()
    for kind in ("Key", "Generator"):
        written = [pickle.dumps(getattr(module, kind)(1, 2, 3)) for module in (stream, core)]
        assert written[0] == written[1]
        assert b"_core" not in written[0]
        assert type(pickle.loads(written[0])) is getattr(_rng, kind)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_never_inherits_a_locked_generator():
    generator = stream.Generator(1)
    with changing(lambda _: generator.reserve(1)):
        assert {in_child(lambda: generator.reserve(1).seed) for _ in range(20)} == {"1"}
