"""Decisions of one stream against each other: lags, triples, lengths of runs.

At p = 1/2 the decisions of pairs and triples are compared with xor, over all positions: for
independent fair bits these are independent fair bits. At p = 0.1 that is not so, and pairs and
triples are taken that have no element in common. A correlation of 0.0015 is found at p = 1/2, of
0.0026 at p = 0.1.
"""

import mistakes
import numpy as np
import pytest
from binomial import believe, cells, deviations, surprises
from masks import WORD, bools, count, shifted, to_words, words

from fastdrop import Key

# Words and more, the neighbourhood of the same place a block later, and 16 blocks later.
LAGS = (*range(1, 131), 4095, 4096, 4097, 65536)
SAMPLE = 2**26


def differing(drops: np.ndarray) -> tuple[np.ndarray, int]:
    """How many decisions differ from the one a lag later, for each lag, and of how many."""
    size = drops.size - max(LAGS) // WORD - 1
    counts = [count(drops[:size] ^ shifted(drops, lag, size)) for lag in LAGS]
    return np.array(counts), size * WORD


def both_dropped(drops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same for pairs (i, i + lag) with i // lag even, so that no two share an element."""
    counts, sizes = [], []
    for lag in LAGS:
        # After 2 * lag words, the pattern of the pairs' first elements begins again.
        period = 2 * lag
        groups = (drops.size - lag // WORD - 1) // period
        first = np.arange(period * WORD) // lag % 2 == 0
        pattern = to_words(first)
        pairs = drops[: groups * period] & shifted(drops, lag, groups * period)
        counts.append(count(pairs.reshape(groups, period) & pattern))
        sizes.append(groups * period * WORD // 2)
    return np.array(counts), np.array(sizes)


def test_no_correlation_at_any_lag():
    believe("lags at 0.5", *differing(words(SAMPLE, Key(31), 0.5)), 0.5, 7.5e-4)


def test_no_correlation_of_rare_drops():
    believe("lags at 0.1", *both_dropped(words(SAMPLE, Key(32), 0.1)), 0.01, 2.3e-4)


@pytest.mark.parametrize("mistake", [mistakes.lanes_by_xor, mistakes.lanes_by_addition])
def test_lags_find_lanes_seeded_without_the_mixer(mistake):
    assert surprises(*differing(mistake(2**11)), 0.5)


def test_lags_find_nothing_in_the_same_stream_with_the_mixer():
    believe("lags of the rebuilt stream", *differing(mistakes.right(2**11)), 0.5, 2.1e-3)


@pytest.mark.parametrize("lag", [65, 130, 4095, 65536])
def test_lags_find_elements_drawn_together(lag):
    drops, one_in_200 = bools(SAMPLE // 4, Key(33), 0.1), bools(SAMPLE // 4, Key(34), 1 / 200)
    together = np.flatnonzero(one_in_200[:-lag])
    drops[together + lag] = drops[together]
    assert surprises(*both_dropped(to_words(drops)), 0.01)


# (e, e + 64, e + 128): one lane's output in three successive steps, among which xorshift128+ has
# its linear relations. 64 elements are a word, so these are triples of words.


def triple_parity(drops: np.ndarray) -> tuple[int, int]:
    """How many of (e, e + 64, e + 128) are odd in number, and of how many triples."""
    return count(drops[:-2] ^ drops[1:-1] ^ drops[2:]), (drops.size - 2) * WORD


def test_triples_a_step_apart_are_independent():
    believe("triples at 0.5", *triple_parity(words(2**28, Key(35), 0.5)), 0.5, 3.4e-4)


def test_triples_of_rare_drops_are_independent():
    """All eight outcomes of triples that share no element."""
    p = 0.1
    drops = words(3 * 2**24, Key(36), p).reshape(-1, 3)
    n = drops.size // 3 * WORD
    outcomes = range(8)
    each = [[~drops[:, i], drops[:, i]] for i in range(3)]
    counts = [count(each[0][o & 1] & each[1][o >> 1 & 1] & each[2][o >> 2]) for o in outcomes]
    chances = np.array([p ** o.bit_count() * (1 - p) ** (3 - o.bit_count()) for o in outcomes])
    believe("triples at 0.1", np.array(counts), n, chances, deviations(n, chances, 12))


def test_triples_find_what_lags_do_not():
    """Each decision the xor of two before it, in one element of a thousand: pairs look random."""
    drops, some = bools(2**26, Key(37), 0.5), bools(2**26, Key(38), 1e-3)
    e = np.flatnonzero(some[:-128])
    drops[e + 128] = drops[e] ^ drops[e + 64]
    packed = to_words(drops)
    assert surprises(*triple_parity(packed), 0.5)
    believe("lags of a stream with triples", *differing(packed), 0.5, 7.5e-4)


RUN_SAMPLE = 2**23
LONGEST = 400


def runs_before(ends: np.ndarray, p: float) -> tuple[np.ndarray, int, np.ndarray]:
    """How many runs before an end have a length of each cell, of how many; the cells' chances.

    The run of drops after a keep (or at once) has length k, 0 too, with probability p**k (1 - p),
    whatever came before: the first so many runs are independent, and their number is fixed
    beforehand.
    """
    n = int(0.99 * RUN_SAMPLE * (1 - p))
    chances = p ** np.arange(LONGEST + 1) * (1 - p)
    chances[LONGEST] = p**LONGEST
    cell, chances = cells(chances, n, 2000)
    lengths = np.diff(np.flatnonzero(ends)[:n], prepend=-1) - 1
    assert lengths.size == n, "fewer runs than could be"
    return np.bincount(cell[np.minimum(lengths, LONGEST)], minlength=chances.size), n, chances


@pytest.mark.parametrize("p", [0.1, 0.5])
def test_lengths_of_runs(p):
    drops = bools(RUN_SAMPLE, Key(39), p)
    for name, ends, chance in (("drops", ~drops, p), ("keeps", drops, 1 - p)):
        counts, n, chances = runs_before(ends, chance)
        believe(f"runs of {name} {p}", counts, n, chances, deviations(n, chances, 13))


def test_lengths_of_runs_find_a_bias_to_change():
    """One element in 200 is the opposite of the one before, at the same rate of drops."""
    drops, some = bools(RUN_SAMPLE, Key(40), 0.5), bools(RUN_SAMPLE, Key(41), 1 / 200)
    e = np.flatnonzero(some[1:])
    drops[e + 1] = ~drops[e]
    assert surprises(*runs_before(~drops, 0.5))
