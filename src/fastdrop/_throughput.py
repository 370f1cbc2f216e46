"""How fast dropout runs here, beside what bounds it: the table of ``python -m fastdrop``.

The limit is ``np.multiply(x, s, out=x)``, which reads and writes the same memory. Speeds on a
machine that does other things too mean little on their own, so that everything is measured in
turn (A B C A B C ...) and the medians are compared. The benchmarks in ``bench/`` measure with the
same functions.
"""

from __future__ import annotations

import itertools
import platform
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from timeit import Timer
from typing import Any, NamedTuple

import numpy as np

from ._config import get_num_threads, set_num_threads
from ._rng import Generator
from ._selfcheck import Implementation, implementations, using
from .functions.masks import dropout

SIZES = {"64 K": 1 << 16, "1 M": 1 << 20, "16 M": 1 << 24}
P = 0.1

# Shorter samples would measure the clock's resolution rather than the call.
_SAMPLE_SECONDS = 3e-4

# Warm-up before each sample: at least so many calls and so long, at most so long. The row before
# left its own data in the caches, and three passes bring back this row's; on a virtual machine,
# choosing an instruction set (CPUID) empties the caches too. Without a warm-up, the row after
# NumPy's dropout by hand is half as fast.
_WARM_UP_CALLS = 4
_WARM_UP_SECONDS = 1e-3
_WARM_UP_AT_MOST = 1e-2


class Row(NamedTuple):
    """A statement to measure, and the implementation to measure it with."""

    label: str
    timer: Timer
    implementation: Implementation | None = None
    threads: int = 1


@contextmanager
def using_threads(n: int) -> Iterator[None]:
    """Use ``n`` threads inside a ``with`` statement, in the whole process."""
    before = get_num_threads()
    set_num_threads(n)
    try:
        yield
    finally:
        set_num_threads(before)


def cpu_name() -> str:
    """The processor's name, as well as it can be had."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _warm_up(row: Row) -> None:
    start = time.perf_counter()
    for calls in itertools.count(1):
        row.timer.timeit(1)
        spent = time.perf_counter() - start
        if spent > _WARM_UP_AT_MOST or (calls >= _WARM_UP_CALLS and spent > _WARM_UP_SECONDS):
            return


def _sample(row: Row, number: int) -> float:
    """Seconds per call, over ``number`` calls."""
    with ExitStack() as stack:
        if row.implementation is not None:
            stack.enter_context(using(row.implementation))
        stack.enter_context(using_threads(row.threads))
        _warm_up(row)
        return row.timer.timeit(number) / number


def _calls_per_sample(row: Row) -> int:
    number = 1
    while (seconds := _sample(row, number) * number) < _SAMPLE_SECONDS:
        number = max(2 * number, min(10 * number, int(number * _SAMPLE_SECONDS / (seconds + 1e-9))))
    return number


def samples(rows: Sequence[Row], seconds: float, least: int = 5) -> list[list[float]]:
    """Seconds per call of each row, sample after sample, the rows taken in turn.

    Measures for about ``seconds`` in all, and at least ``least`` samples of each row.
    """
    numbers = [_calls_per_sample(row) for row in rows]
    result: list[list[float]] = [[] for _ in rows]
    end = time.perf_counter() + seconds
    while len(result[-1]) < least or time.perf_counter() < end:
        for row, number, values in zip(rows, numbers, result, strict=True):
            values.append(_sample(row, number))
    return result


def medians(rows: Sequence[Row], seconds: float, least: int = 5) -> list[float]:
    """Median seconds per call of each row, the rows taken in turn."""
    return [statistics.median(values) for values in samples(rows, seconds, least)]


def dropout_by_hand(x: Any, p: float, rng: np.random.Generator) -> Any:
    """Dropout as a NumPy programmer writes it."""
    keep = rng.random(x.shape, dtype=np.float32) >= p
    return x * keep * np.float32(1 / (1 - p))


def namespace(n: int) -> dict[str, object]:
    """The names in the rows' statements: float32 arrays ``x`` and ``y`` of ``n``, and so on."""
    return {
        "np": np,
        "dropout": dropout,
        "by_hand": dropout_by_hand,
        "x": np.ones(n, np.float32),
        "y": np.ones(n, np.float32),
        # Not 1 / (1 - p): in place, over many calls, that would grow beyond float32.
        "s": np.float32(1.0),
        "p": P,
        "rng": Generator(1),
        "numpy_rng": np.random.default_rng(1),
    }


LIMIT = "np.multiply(x, s, out=x)"
COPY = "np.copyto(y, x)"
IN_PLACE = "dropout(x, p, out=x, rng=rng)"
OUT_OF_PLACE = "dropout(x, p, out=y, rng=rng)"
BY_HAND = "by_hand(x, p, numpy_rng)"


def _rows(names: Mapping[str, object], found: Sequence[Implementation], threads: int) -> list[Row]:
    def timer(statement: str) -> Timer:
        return Timer(statement, globals=dict(names))

    best = found[0]
    rows = [
        Row(f"limit: {LIMIT}", timer(LIMIT)),
        Row(f"copy: {COPY}", timer(COPY)),
        *(Row(f"fastdrop in place, {one}", timer(IN_PLACE), one) for one in found),
        Row(f"fastdrop out of place, {best}", timer(OUT_OF_PLACE), best),
    ]
    if threads > 1:
        label = f"fastdrop in place, {best}, {threads} threads"
        rows.append(Row(label, timer(IN_PLACE), best, threads))
    return [*rows, Row("NumPy by hand, out of place", timer(BY_HAND))]


def table(seconds: float = 10.0) -> str:
    """Measure for about ``seconds``, and set the speeds out as text."""
    found, threads = implementations(), get_num_threads()
    columns = []
    labels: list[str] = []
    for n in SIZES.values():
        rows = _rows(namespace(n), found, threads)
        labels = [row.label for row in rows]
        columns.append([n / t / 1e9 for t in medians(rows, seconds / len(SIZES), least=3)])
    width = max(map(len, labels)) + 2
    lines = [
        f"throughput on {cpu_name()}: float32, p = {P}, one thread unless said,",
        "in Gel/s (1e9 elements a second) and relative to the limit",
        "",
        " " * width + "".join(f"{size:>17}" for size in SIZES),
    ]
    for label, *speeds in zip(labels, *columns, strict=True):
        cells = (
            f"{v:9.3f}  ({v / column[0]:4.2f})" for v, column in zip(speeds, columns, strict=True)
        )
        lines.append(f"{label:<{width}}" + "".join(cells))
    return "\n".join(lines)
