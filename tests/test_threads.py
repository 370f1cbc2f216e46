"""Threads: the setting, the same bits for every count, several callers at once, fork."""

import os
import threading
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from fresh import in_child, last_error, output

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


def usable_cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


# the setting


@pytest.mark.parametrize("n", [1, 2, 1024, np.int64(3)])
def test_setting(n: Any) -> None:
    assert fastdrop.set_num_threads(n) is None
    assert fastdrop.get_num_threads() == n
    assert fastdrop.show_config(mode="dicts")["threads"] == n


@pytest.mark.parametrize(
    ("n", "error", "words"),
    [
        (0, ValueError, "n has to be between 1 and 1024, but got 0"),
        (-1, ValueError, "n has to be between 1 and 1024, but got -1"),
        (1025, ValueError, "n has to be between 1 and 1024, but got 1025"),
        (2**70, ValueError, "n has to be between 1 and 1024, but got 1180591620717411303424"),
        (2.0, TypeError, "n has to be an integer, but got float"),
        ("2", TypeError, "n has to be an integer, but got str"),
        (None, TypeError, "n has to be an integer, but got NoneType"),
        (True, TypeError, "n has to be an integer, but got bool"),
        (np.True_, TypeError, "n has to be an integer, but got bool"),
    ],
)
def test_bad_setting(n: Any, error: type[Exception], words: str) -> None:
    fastdrop.set_num_threads(3)
    with pytest.raises(error, match=words):
        fastdrop.set_num_threads(n)
    assert fastdrop.get_num_threads() == 3


SHOW = "import fastdrop; print(fastdrop.get_num_threads())"


@pytest.mark.parametrize("text", ["1", "3", " 2 ", "+4", "1024"])
def test_the_environment_sets_it(text: str) -> None:
    assert output(SHOW, FASTDROP_NUM_THREADS=text) == str(int(text))


@pytest.mark.parametrize("variables", [{}, {"FASTDROP_NUM_THREADS": ""}], ids=["unset", "empty"])
def test_by_default_it_is_the_cpus_of_the_process(variables: dict[str, str]) -> None:
    assert output(SHOW, **variables) == str(min(usable_cpus(), 1024))


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity")
def test_the_default_follows_the_affinity() -> None:
    code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n" + SHOW
    assert output(code) == "1"


@pytest.mark.parametrize("text", ["0", "-2", "1025", "two", "1.5", "2 3", "0x2", "²", "+-1", "--1"])
def test_a_bad_environment_is_an_error_at_import(text: str) -> None:
    message = last_error("import fastdrop", FASTDROP_NUM_THREADS=text)
    assert message.startswith("ValueError: FASTDROP_NUM_THREADS has to be ")
    assert f"between 1 and 1024, but got {text!r}" in message


# The same in this process, where the coverage is measured.


def test_what_the_setting_starts_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTDROP_NUM_THREADS", "3")
    assert _config._initial_threads() == 3
    for text in ("two", "0"):
        monkeypatch.setenv("FASTDROP_NUM_THREADS", text)
        with pytest.raises(ValueError, match="FASTDROP_NUM_THREADS has to be"):
            _config._initial_threads()
    monkeypatch.delenv("FASTDROP_NUM_THREADS")
    monkeypatch.setattr(os, "cpu_count", lambda: 5000)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert _config._initial_threads() == 1024
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert _config._initial_threads() == 1


# the same bits


def results(n: int, seed: int = 1) -> list[int]:
    """Checksums of what the large calls give."""
    key = Key(seed, 2, 4_000)
    found = []
    for dtype in (np.float32, np.float64, np.float16):
        # At least the bytes from which several threads take part, in every dtype.
        x = np.resize(np.arange(1_000), n * 4 // np.dtype(dtype).itemsize).astype(dtype)
        found.append(fastdrop.dropout(x, 0.3, rng=key))
        found.append(fastdrop.dropout(x[::-1], 0.3, rng=key))
        found.append(fastdrop.dropout(x, 0.3, False, mode="standard"))
        fastdrop.dropout_(x, 0.3, rng=key)
        found.append(x)
    rows = np.ones((n // 1000, 1000), np.float64)
    found.append(fastdrop.dropout(rows, 0.3, rng=key, noise_shape=(None, 1)))
    found.append(fastdrop.dropout(rows, 0.3, rng=key, noise_shape=(1, None)))
    found.append(fastdrop.dropout(rows.T, 0.3, rng=key))
    for packed in (False, True):
        mask = fastdrop.dropout_mask(4 * n, 0.3, rng=key, packed=packed)
        found.append(mask)
        mask = fastdrop.dropout_mask(rows.shape, 0.3, rng=key, packed=packed)
        found.append(fastdrop.apply_mask(rows, mask, 0.3))
    return [zlib.crc32(np.ascontiguousarray(array)) for array in found]


def test_the_same_bits_for_every_count(impl: Any) -> None:
    if impl.name in ("numpy", "numba"):
        pytest.skip(f"the {impl.name} backend computes on one thread")
    fastdrop.set_num_threads(1)
    want = results(LARGE)
    for count in COUNTS[1:]:
        fastdrop.set_num_threads(count)
        assert results(LARGE) == want, count


# several callers


def test_callers_at_once_get_what_each_would_get_alone() -> None:
    fastdrop.set_num_threads(2)
    callers = 4
    start = threading.Barrier(callers)

    def draw(seed: int) -> int:
        x = np.ones(LARGE, np.float32)
        return zlib.crc32(fastdrop.dropout_(x, 0.5, rng=seed))

    def call(seed: int) -> set[int]:
        start.wait(60)
        return {draw(seed) for _ in range(10)}

    want = [{draw(seed)} for seed in range(callers)]
    with ThreadPoolExecutor(callers) as pool:
        assert list(pool.map(call, range(callers))) == want


def test_the_count_may_change_while_others_compute() -> None:
    x = np.ones(LARGE, np.float32)
    want = zlib.crc32(fastdrop.dropout(x, 0.5, rng=1))
    stop = threading.Event()

    def change() -> None:
        while not stop.is_set():
            for count in COUNTS:
                fastdrop.set_num_threads(count)

    changer = threading.Thread(target=change)
    changer.start()
    try:
        found = {zlib.crc32(fastdrop.dropout(x, 0.5, rng=1)) for _ in range(20)}
    finally:
        stop.set()
        changer.join()
    assert found == {want}


# fork


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


@needs_fork
def test_fork_after_parallel_work() -> None:
    fastdrop.set_num_threads(4)
    want = str(results(LARGE))  # the parent's pool has run
    assert in_child(lambda: results(LARGE)) == want
    assert in_child(lambda: in_child(lambda: results(LARGE))) == want  # and a grandchild
    assert str(results(LARGE)) == want  # the parent's pool still runs


@needs_fork
def test_fork_while_others_compute() -> None:
    fastdrop.set_num_threads(4)
    x = np.ones(LARGE, np.float32)
    want = zlib.crc32(fastdrop.dropout(x, 0.5, rng=1))
    stop = threading.Event()

    def compute() -> None:
        mine = np.ones(LARGE, np.float32)
        while not stop.is_set():
            fastdrop.dropout_(mine, 0.5)

    others = [threading.Thread(target=compute) for _ in range(2)]
    for other in others:
        other.start()
    try:
        for _ in range(10):
            assert in_child(lambda: zlib.crc32(fastdrop.dropout(x, 0.5, rng=1))) == str(want)
    finally:
        stop.set()
        for other in others:
            other.join()


@needs_fork
def test_a_child_inherits_the_default_generator_as_it_is() -> None:
    fastdrop.manual_seed(1)
    fastdrop.dropout_mask(10)
    x = np.ones(1_000, np.float32)

    def draw() -> int:
        return zlib.crc32(fastdrop.dropout(x))

    child = in_child(draw)
    assert child == str(draw())
    first, second = fastdrop.default_generator().spawn(2)
    layer = layers.Dropout(rng=first)
    assert in_child(lambda: zlib.crc32(layer(x))) != str(zlib.crc32(layers.Dropout(rng=second)(x)))
