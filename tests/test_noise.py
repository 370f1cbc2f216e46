"""Gaussian dropout and noise: known answers, single words, and no noise."""

import numpy as np
import pytest
from support import number, records

import fastdrop
from fastdrop.backends.call import Call
from fastdrop.backends.numpy import functions


def test_numba_s_variates_are_the_reference_s_in_every_octave():
    """Also where few words lead to, so that the stream would hardly show it."""
    numba = pytest.importorskip("numba")
    from fastdrop.backends.numba.noise import normal

    words = np.concatenate([2 ** np.arange(32), 2 ** np.arange(32) - 1, [2**31 + 1]])
    words = np.concatenate([words, ~words & 0xFFFFFFFF, np.arange(0, 2**32, 9999991)])
    words = (words & 0xFFFFFFFF).astype(np.uint32)
    compiled = numba.njit(normal)
    halves = words.view("<i2").reshape(-1, 2)
    got = np.array([compiled(low, high) for low, high in halves], np.float32)
    np.testing.assert_array_equal(got, functions.normal(words))


def test_known_answers_of_single_words():
    words, expected = np.array([list(map(number, r)) for r in records("normal")], np.uint32).T
    assert words.size > 150
    np.testing.assert_array_equal(functions.normal(words).view(np.uint32), expected)


@pytest.mark.usefixtures("impl")
def test_known_answers_of_variates():
    lines = list(records("variates"))
    assert len(lines) > 5
    backend = fastdrop.backends.active()
    for seed, stream, offset, n, *expected in lines:
        z = np.full(number(n), -0.0, np.float32)  # added to it, +0.0 and -0.0 stay
        key = fastdrop.Key(number(seed), number(stream), number(offset))
        backend.run(Call("noise_add", "float32", (z,), (z,), (1.0,), key))
        assert z.view(np.uint32).tolist() == list(map(number, expected))
