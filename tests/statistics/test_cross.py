"""Masks that somebody uses side by side have nothing in common, at any shift within 64 elements.

Seeds next to each other or a bit apart, the same for streams, blocks, children of a generator,
layers of a network, successive calls. At p = 1/2 decisions are compared with xor; at p = 0.1 the
elements that both drop are counted. Two independent masks give independent pairs at either p.
"""

from collections.abc import Iterator
from itertools import pairwise

import mistakes
import numpy as np
import pytest
from binomial import believe, surprises
from masks import BLOCK, WORD, count, keep_to_words, shifted, to_words, words

import fastdrop
from fastdrop import Key, layers
from fastdrop._rng import use_default
from fastdrop.stream import child_stream

SAMPLE = 2**20
SHIFTS = range(WORD + 1)
ERRORS = {0.5: 6.5e-3, 0.1: 1.3e-3}  # of p: correlations of 0.013 and 0.015
Pair = tuple[np.ndarray, np.ndarray]

pytestmark = pytest.mark.usefixtures("on_fastest")


def in_common(one: np.ndarray, other: np.ndarray, p: float) -> list[int]:
    """What the two share at each shift of either against the other."""
    size = one.size - 1
    join = np.bitwise_xor if p == 0.5 else np.bitwise_and
    pairs = ((one, other), (other, one))
    return [count(join(a[:size], shifted(b, s, size))) for a, b in pairs for s in SHIFTS]


def sample_and_chance(words_each: int, p: float) -> tuple[int, float]:
    return (words_each - 1) * WORD, 0.5 if p == 0.5 else p * p


def believe_independent(name: str, pairs: Iterator[Pair], p: float) -> None:
    counts = [in_common(one, other, p) for one, other in pairs]
    n, chance = sample_and_chance(SAMPLE // WORD, p)
    believe(f"{name} {p}", np.array(counts), n, chance, ERRORS[p])


def of_keys(pairs: list[tuple[Key, Key]], p: float) -> Iterator[Pair]:
    return ((words(SAMPLE, one, p), words(SAMPLE, other, p)) for one, other in pairs)


@pytest.fixture(params=[0.5, 0.1])
def p(request) -> float:
    return request.param


def children() -> list[tuple[Key, Key]]:
    kids = fastdrop.Generator(62).spawn(9)
    family = [fastdrop.Generator(62), *kids, *kids[0].spawn(2), *kids[1].spawn(2)]
    keys = [Key(g.seed, g.stream) for g in family]
    assert keys[1].stream == child_stream(0, 0)
    # A child against the samples of its parent and of its sister, which are consecutive streams.
    samples = [Key(62, stream + i) for stream in (0, keys[2].stream) for i in range(1, 5)]
    return [*pairwise(keys), *((keys[1], sample) for sample in samples)]


NUMBERS = [(0, 1), (1, 2), (1000, 7), (2**40, 2**40 + 1), (2**63, 2)]
KEYS = {
    "seeds": [
        (Key(s, t), Key(other, t))
        for s, t in ((0, 0), (0x0123456789ABCDEF, 5))
        for other in ((s + 1) % 2**64, *(s ^ 2**i for i in range(64)))
    ],
    "streams": [
        (Key(s, t), Key(s, other))
        for s, t in ((0, 0), (12345, 0xFEDCBA9876543210))
        for other in (t + 1, t + 2, *(t ^ 2**i for i in range(64)))
    ],
    # What a stream made by ``seed + i`` or ``seed ^ i`` has in common.
    "seed against stream": [
        *((Key(s + 1, t), Key(s, t + 1)) for s, t in NUMBERS),
        *((Key(s, t), Key(t, s)) for s, t in NUMBERS),
        *((Key(s ^ 4, t), Key(s, t ^ 4)) for s, t in NUMBERS),
    ],
    "children": children(),
}


@pytest.mark.parametrize("name", KEYS)
def test_keys(name, p):
    believe_independent(name, of_keys(KEYS[name], p), p)


def alternate_blocks(distance: int, p: float) -> Pair:
    """Blocks so far apart, in two masks that have no block in common."""
    drops = words(2 * SAMPLE, Key(61), p).reshape(-1, 2, distance * BLOCK // WORD)
    return drops[:, 0].ravel(), drops[:, 1].ravel()


def test_blocks(p):
    pairs = [alternate_blocks(2**i, p) for i in range(9)]
    far = [(Key(61), Key(61, 0, 2**i * BLOCK)) for i in range(9, 52)]
    pairs += of_keys(far, p)
    believe_independent("blocks", iter(pairs), p)


def test_layers(p):
    """Of one network, in two passes: each layer against the next, and against its next pass."""
    x = np.ones(SAMPLE, np.float32)
    with use_default(fastdrop.Generator(63)):
        network = [layers.Dropout(p) for _ in range(6)]
        first, second = ([to_words(layer(x) == 0) for layer in network] for _ in range(2))
    pairs = [*pairwise(first), *zip(first, second, strict=True)]
    believe_independent("layers", iter(pairs), p)


def test_successive_calls(p):
    generator = fastdrop.Generator(64)

    def call() -> np.ndarray:
        # Ten elements more than are compared, so that calls do not end with a block.
        mask = fastdrop.dropout_mask(SAMPLE + 10, p, rng=generator, packed=True)
        return keep_to_words(mask[: SAMPLE // 8])

    calls = [call() for _ in range(9)]
    pairs = [*pairwise(calls), *zip(calls[:-2], calls[2:], strict=True)]
    believe_independent("calls", iter(pairs), p)


BLOCKS = SAMPLE // BLOCK
# As many comparisons as the largest test above has.
COMPARISONS = 2 * 66 * 2 * len(SHIFTS)


def found(one: np.ndarray, other: np.ndarray, p: float = 0.5) -> list[str]:
    n, chance = sample_and_chance(one.size, p)
    return surprises(np.array(in_common(one, other, p)), n, chance, COMPARISONS)


@pytest.mark.parametrize("shift", [1, 16, 63, 64])
@pytest.mark.parametrize("p", [0.5, 0.1])
def test_finds_a_shifted_mask(p, shift):
    mask = words(SAMPLE + BLOCK, Key(65), p)
    one, other = mask[: SAMPLE // WORD], shifted(mask, shift, SAMPLE // WORD)
    assert found(one, other, p)
    assert found(other, one, p)


@pytest.mark.parametrize("p", [0.5, 0.1])
def test_finds_a_part_in_common(p):
    one, other = words(SAMPLE, Key(66), p), words(SAMPLE, Key(67), p)
    other[::64] = one[::64]
    assert found(one, other, p)


@pytest.mark.parametrize(
    ("mistake", "one", "other"),
    [
        (mistakes.thread_by_shift, (1, 0), (1, 1)),
        (mistakes.stream_by_sum, (7, 1), (8, 0)),
        (mistakes.stream_by_state, (7, 0), (7, 1)),
    ],
)
def test_finds_mistakes_of_others(mistake, one, other):
    assert found(mistake(BLOCKS, *one), mistake(BLOCKS, *other))


def test_finds_nothing_in_rebuilt_streams_that_do_not_meet():
    one, other = mistakes.stream_by_sum(BLOCKS, 7, 0), mistakes.stream_by_sum(BLOCKS, 7, 1)
    n, chance = sample_and_chance(one.size, 0.5)
    believe("rebuilt streams", np.array(in_common(one, other, 0.5)), n, chance, ERRORS[0.5])
