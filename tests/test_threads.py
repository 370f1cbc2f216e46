"""Threads: the setting, the same bits for every count, several callers at once, fork."""

import os
import re
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from callers import at_once, changing
from fresh import in_child, last_error, output
from support import by_threads

import fastdrop
from fastdrop import Key, _config, layers

# Enough bytes for the pool to be used, and no multiple of anything.
LARGE = 1_054_321
COUNTS = (1, 2, 3, 16)


@pytest.fixture(autouse=True)
def threads_as_before() -> Iterator[None]:
    before = fastdrop.get_num_threads()
    yield
    fastdrop.set_num_threads(before)


def test_setting() -> None:
    for n in (1, 2, 1024, np.int64(3)):
        assert fastdrop.set_num_threads(n) is None
        assert fastdrop.get_num_threads() == n
        assert fastdrop.show_config(mode="dicts")["threads"] == n
    for n in (0, -1, 1025, 2**70):
        with pytest.raises(ValueError, match=f"n has to be between 1 and 1024, but got {n}"):
            fastdrop.set_num_threads(n)
    for n in (2.0, "2", None, True, np.True_):
        with pytest.raises(TypeError, match=f"n has to be an integer, but got {type(n).__name__}"):
            fastdrop.set_num_threads(n)
    assert fastdrop.get_num_threads() == 3


SHOW = "import fastdrop; print(fastdrop.get_num_threads())"


def test_the_environment_sets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert output(SHOW, FASTDROP_NUM_THREADS="3") == "3"
    for text in ("1", "3", " 2 ", "+4", "1024"):
        monkeypatch.setenv("FASTDROP_NUM_THREADS", text)
        assert _config._initial_threads() == int(text)


def test_by_default_it_is_the_cpus_of_the_process() -> None:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    for variables in ({}, {"FASTDROP_NUM_THREADS": ""}):
        assert output(SHOW, **variables) == str(min(usable or 1, 1024))


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity")
def test_the_default_follows_the_affinity() -> None:
    code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n" + SHOW
    assert output(code) == "1"


def test_a_bad_environment_is_an_error_at_import(monkeypatch: pytest.MonkeyPatch) -> None:
    words = "FASTDROP_NUM_THREADS has to be .*between 1 and 1024, but got {}"
    message = last_error("import fastdrop", FASTDROP_NUM_THREADS="two")
    assert re.fullmatch(f"ValueError: {words.format(repr('two'))}.*", message)
    for text in ("0", "-2", "1025", "two", "1.5", "2 3", "0x2", "²", "+-1", "--1"):
        monkeypatch.setenv("FASTDROP_NUM_THREADS", text)
        with pytest.raises(ValueError, match=words.format(re.escape(repr(text)))):
            _config._initial_threads()


def test_the_default_has_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FASTDROP_NUM_THREADS", raising=False)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    for cpus, threads in ((5000, 1024), (None, 1)):
        monkeypatch.setattr(os, "cpu_count", lambda cpus=cpus: cpus)
        assert _config._initial_threads() == threads


def results(n: int, seed: int = 1) -> list[int]:
    """Checksums of what the large calls give."""
    key = Key(seed, 2, 4_000)
    found = []
    for dtype in (np.float32, np.float64, np.float16):
        # At least the bytes from which several threads take part, in every dtype.
        x = np.resize(np.arange(1_000), n * 4 // np.dtype(dtype).itemsize).astype(dtype)
        found += [fastdrop.dropout(y, 0.3, rng=key) for y in (x, x[::-1])]
        found.append(fastdrop.dropout(x, 0.3, False, mode="standard"))
        found.append(fastdrop.dropout_(x, 0.3, rng=key))
    rows = np.ones((n // 1000, 1000), np.float64)
    for noise_shape in ((None, 1), (1, None)):
        found.append(fastdrop.dropout(rows, 0.3, rng=key, noise_shape=noise_shape))
    found.append(fastdrop.dropout(rows.T, 0.3, rng=key))
    for packed in (False, True):
        found.append(fastdrop.dropout_mask(4 * n, 0.3, rng=key, packed=packed))
        mask = fastdrop.dropout_mask(rows.shape, 0.3, rng=key, packed=packed)
        found.append(fastdrop.apply_mask(rows, mask, 0.3))
    return [zlib.crc32(np.ascontiguousarray(array)) for array in found]


def test_the_same_bits_for_every_count(impl: Any) -> None:
    if impl.name in ("numpy", "numba"):
        pytest.skip(f"the {impl.name} backend computes on one thread")
    first, *others = by_threads(lambda: results(LARGE), COUNTS)
    assert others == [first] * len(others)


def draw(seed: int) -> int:
    return zlib.crc32(fastdrop.dropout_(np.ones(LARGE, np.float32), 0.5, rng=seed))


def test_callers_at_once_get_what_each_would_get_alone() -> None:
    fastdrop.set_num_threads(2)
    want = [{draw(seed)} for seed in range(4)]
    assert at_once(lambda seed: {draw(seed) for _ in range(10)}, 4) == want


def test_the_count_may_change_while_others_compute() -> None:
    want = {draw(1)}
    with changing(lambda i: fastdrop.set_num_threads(COUNTS[i % len(COUNTS)])):
        assert {draw(1) for _ in range(20)} == want


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


@needs_fork
def test_fork_after_parallel_work_and_in_the_middle_of_it() -> None:
    fastdrop.set_num_threads(4)
    want = str(results(LARGE))  # the parent's pool has run
    assert in_child(lambda: results(LARGE)) == want
    assert in_child(lambda: in_child(lambda: results(LARGE))) == want  # and a grandchild
    assert str(results(LARGE)) == want  # the parent's pool still runs
    want = str(draw(1))
    with changing(draw), changing(draw):
        assert {in_child(lambda: draw(1)) for _ in range(10)} == {want}


@needs_fork
def test_a_child_inherits_the_default_generator_as_it_is() -> None:
    fastdrop.manual_seed(1)
    fastdrop.dropout_mask(10)
    x = np.ones(1_000, np.float32)

    assert in_child(lambda: zlib.crc32(fastdrop.dropout(x))) == str(zlib.crc32(fastdrop.dropout(x)))
    first, second = fastdrop.default_generator().spawn(2)
    layer = layers.Dropout(rng=first)
    assert in_child(lambda: zlib.crc32(layer(x))) != str(zlib.crc32(layers.Dropout(rng=second)(x)))
