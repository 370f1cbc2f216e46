"""Several threads beside one, alone and with competition: ``python -m bench.threads``.

`dropout` in place and out of place, and one long row in softmax and `max_norm_`, in float32: how
many times as fast all threads are as one, on an idle machine, and while one process for each core
but one computes too. Times are means, not medians: what a call loses now and then because a helper
has to wait for a processor counts. All is measured in turn (A B A B ...). No ratio should be below
0.95.
"""

import argparse
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from timeit import Timer

import numpy as np

import fastdrop
from fastdrop._selfcheck import implementations
from fastdrop._throughput import IN_PLACE, OUT_OF_PLACE, Row, cpu_name, samples

from .measure import QUICK, names_for
from .variants import falling_limits

SIZES = {"512 K": 1 << 19, "1 M": 1 << 20, "2 M": 1 << 21, "4 M": 1 << 22, "16 M": 1 << 24}
SIZES |= {} if QUICK else {"64 M": 1 << 26}

WAYS = {"in place": IN_PLACE, "out of place": OUT_OF_PLACE}
ROWS = {
    "`softmax_dropout`, one row": "fastdrop.softmax_dropout(x[None], p, rng=rng, out=y[None])",
    "`max_norm_`, one row": "fastdrop.max_norm_(x[None], next(limits))",
}
CASES = [
    *((what, size, way) for what, way in WAYS.items() for size in SIZES),
    *((what, "16 M", way) for what, way in ROWS.items()),
]
"""What is shared out, of how many elements, and the call."""

RIVAL = "while True: pass"


@contextmanager
def competition(processes: int) -> Iterator[None]:
    """Processes that keep a core busy each."""
    rivals = [subprocess.Popen([sys.executable, "-c", RIVAL]) for _ in range(processes)]
    try:
        yield
    finally:
        for rival in rivals:
            rival.kill()
            rival.wait()


def speedup(statement: str, n: int, threads: int, seconds: float) -> float:
    """How many times as fast so many threads are as one."""
    names = {**names_for(n, np.dtype(np.float32)), "limits": falling_limits()}
    one = implementations()[0]
    rows = [Row(str(k), Timer(statement, globals=names), one, k) for k in (1, threads)]
    alone, together = map(statistics.fmean, samples(rows, seconds, least=3))
    return alone / together


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.threads", description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0, help="for each figure (%(default)s)")
    options = parser.parse_args(arguments)
    threads = fastdrop.get_num_threads()
    if threads == 1:
        parser.exit(message="one thread is all there is here\n")
    print(f"{cpu_name()}, {threads} threads, fastdrop {fastdrop.__version__}\n")
    print("| | elements | idle | busy |")
    print("|---|---|---:|---:|")
    for what, size, statement in CASES:
        figures = []
        for rivals in (0, threads - 1):
            with competition(rivals):
                figures.append(speedup(statement, SIZES[size], threads, options.seconds))
        print(f"| {what} | {size} | {figures[0]:.2f} | {figures[1]:.2f} |", flush=True)


if __name__ == "__main__":
    main()
