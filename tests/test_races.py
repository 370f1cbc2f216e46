"""Many threads at one generator, one default, one choice of backend.

Each test fails where a read or a write is seen half done. That alone finds only what happens to go
wrong, and an interpreter without a global lock shows more of it than one that has it.
"""

import copy
import itertools
import pickle
import re
import zlib
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from callers import CALLERS, at_once, changing
from fresh import output

import fastdrop
from fastdrop import backends, stream

BLOCK = 4096
ROUNDS = 200


def test_ranges_and_children_are_given_once(twin: SimpleNamespace) -> None:
    generator = twin.Generator(1, 2, 3)

    def take(caller: int) -> tuple[list[tuple[int, int]], list[int]]:
        ranges, children = [], []
        for n in range(1 + caller, 1 + caller + 100 * ROUNDS, 100):
            ranges.append((generator.reserve(n).offset, n))
            children += [child.stream for child in generator.spawn(n % 3)]
        return ranges, children

    found = at_once(take)
    ranges = sorted(itertools.chain.from_iterable(ranges for ranges, _ in found))
    position = 3
    for offset, n in ranges:
        assert offset == position
        position = -(-(offset + n) // BLOCK) * BLOCK
    children = sorted(itertools.chain.from_iterable(children for _, children in found))
    assert children == sorted(stream.child_stream(2, i) for i in range(len(children)))
    assert generator.state == twin.Generator(1, 2, position).state | {"spawned": len(children)}


WINDOW = 2**40  # positions, and children, that belong to a state
STATES = 1000


def state_of(i: int) -> dict[str, int]:
    """Every entry tells which state it is of."""
    i %= STATES
    return {"version": 1, "seed": i, "stream": i, "offset": i * WINDOW, "spawned": i * WINDOW}


def test_a_state_is_set_and_read_whole(twin: SimpleNamespace) -> None:
    generator = twin.Generator(0)

    def set_state(i: int) -> None:
        generator.state = state_of(i)

    def owner(seed: int, stream_number: int, offset: int) -> None:
        assert seed == stream_number == offset // WINDOW

    def read(_: int) -> int:
        for _ in range(ROUNDS):
            for n in (0, 1, 2 * BLOCK):
                key = generator.reserve(n)
                owner(key.seed, key.stream, key.offset)
            for plain in (generator, copy.copy(generator), pickle.loads(pickle.dumps(generator))):
                state = plain.state
                owner(state["seed"], state["stream"], state["offset"])
                assert state["spawned"] // WINDOW == state["seed"]
            shown = r"Generator\(seed=(\d+), stream=(\d+), offset=(\d+)\)"
            owner(*map(int, re.fullmatch(shown, repr(generator)).groups()))
            (child,) = generator.spawn(1)
            first = child.seed * WINDOW
            likely = range(first, first + CALLERS * ROUNDS)
            assert child.stream in map(stream.child_stream, itertools.repeat(child.seed), likely)
            assert max(generator.seed, generator.stream) < STATES
            assert max(generator.offset, generator.spawned) < STATES * WINDOW
        return ROUNDS

    with changing(set_state):
        assert at_once(read) == [ROUNDS] * CALLERS


def test_a_generator_that_is_used_up_is_so_for_all(twin: SimpleNamespace) -> None:
    left = CALLERS * ROUNDS // 2
    generator = twin.Generator(1, 0, 2**64 - left * BLOCK)

    def take(_: int) -> int:
        taken = 0
        for _ in range(ROUNDS):
            with suppress(OverflowError):
                generator.reserve(1)
                taken += 1
        return taken

    assert sum(at_once(take)) == left
    assert generator.offset == 2**64


@pytest.mark.parametrize("n", [1_000, 20_000], ids=["holding the lock", "releasing it"])
def test_calls_on_a_shared_generator_draw_different_masks(n: int) -> None:
    def draw(generator: fastdrop.Generator, times: int) -> list[int]:
        rows = np.ones((times, n), np.float32)
        return [zlib.crc32(fastdrop.dropout_(x, 0.5, rng=generator)) for x in rows]

    shared, alone = fastdrop.Generator(1), fastdrop.Generator(1)
    found = itertools.chain(*at_once(lambda _: draw(shared, 20)))
    assert sorted(found) == sorted(draw(alone, CALLERS * 20))
    assert shared.state == alone.state


def test_the_default_generator_may_be_seeded_while_others_draw() -> None:
    generator = fastdrop.default_generator()

    def draw(_: int) -> int:
        x = np.ones(1_000, np.float32)
        for _ in range(ROUNDS):
            assert set(np.unique(fastdrop.dropout(x, 0.5))) <= {0, 2}
            state = generator.state
            assert (state["stream"], state["offset"] % BLOCK) == (0, 0)
        return ROUNDS

    with changing(fastdrop.manual_seed):
        assert at_once(draw) == [ROUNDS] * CALLERS
    fastdrop.manual_seed(7)
    assert generator.state == fastdrop.Generator(7).state


def test_the_backend_may_change_while_others_compute() -> None:
    names = [name for name, reason in backends.available().items() if reason is None]
    x, key = np.linspace(-1, 1, 10_000, dtype=np.float32), fastdrop.Key(1, 2, 3)

    def draw(times: int) -> set[bytes]:
        return {fastdrop.dropout(x, 0.3, rng=key).tobytes() for _ in range(times)}

    want = draw(1)
    with (
        backends.backend(backends.name_of(backends.active())),  # to come back from it
        changing(lambda i: fastdrop.set_backend(names[i % len(names)])),
    ):
        assert at_once(lambda _: draw(20)) == [want] * CALLERS


def test_plans_are_made_by_many_at_once() -> None:
    x = np.ones(100, np.float32)

    def compute(_: int) -> list[bytes]:  # more probabilities than are remembered
        return [fastdrop.dropout(x, i / 1000, rng=1, mode="standard").tobytes() for i in range(999)]

    (first, *others) = at_once(compute)
    assert others == [first] * (CALLERS - 1)


FIRST_CALL = """
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
import numpy as np

start = threading.Barrier(8)
def call(_):
    start.wait(60)
    import fastdrop
    x = np.ones(1_100_000, np.float32)
    return fastdrop.dropout(x, 0.3, rng=1).tobytes()

warnings.simplefilter("error")
with ThreadPoolExecutor(8) as pool:
    print(len(set(pool.map(call, range(8)))))
"""


@pytest.mark.parametrize("name", backends.NAMES)
def test_the_first_calls_may_come_at_once(name: str) -> None:
    reason: Any = backends.available()[name]
    if reason is not None:
        pytest.skip(f"the {name} backend cannot run here: {reason}")
    assert output(FIRST_CALL, FASTDROP_BACKEND=name) == "1"
