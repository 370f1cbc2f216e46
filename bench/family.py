"""The family beside its limits and PyTorch's way, as a table: ``python -m bench.family``.

Ours writes into a given array, PyTorch returns a new one, as its users write it; float32, one
thread, p = 0.1. What is in one row is measured in turn (A B C A B C ...), and medians make the
ratios. The limit is NumPy's multiplication over as much memory; where two arrays are read, NumPy's
addition; for a product of matrices, NumPy's product without any mask.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from timeit import Timer

import numpy as np

import fastdrop
from fastdrop._selfcheck import Implementation, implementations
from fastdrop._throughput import Row, cpu_name, medians

from .peers import MissingError, torch_family_names, version_of
from .variants import Case, family, names_for, work

HEAD = "| function | what is measured | Gel/s | of the limit | times PyTorch's way |"


def measured(case: Case, one: Implementation, seconds: float) -> tuple[float, float, float | None]:
    """Seconds of a call: ours, the limit's, and PyTorch's where it has a way and is there."""
    names = names_for(case)
    rows = [
        Row("ours", Timer(case.call("y"), globals=names), one),
        Row("limit", Timer(case.limit.format("y"), globals=names)),
    ]
    if case.torch is not None:
        try:
            names |= torch_family_names(names)
            rows.append(Row("PyTorch", Timer(case.torch, globals=names)))
        except MissingError as error:
            print(f"PyTorch is not measured: {error}", file=sys.stderr)
    ours, limit, *theirs = medians(rows, seconds, least=3)
    return ours, limit, theirs[0] if theirs else None


def short(value: float) -> str:
    """Two digits, and all that stand before the point."""
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"


def line(case: Case, one: Implementation, seconds: float) -> str:
    """A row of the table."""
    ours, limit, theirs = measured(case, one, seconds)
    cells = [
        f"`{case.function}`",
        case.what,
        short(work(case) / ours / 1e9),
        short(limit / ours),
        "" if theirs is None else short(theirs / ours),
    ]
    return f"| {' | '.join(cells)} |"


def table(one: Implementation, seconds: float) -> Iterator[str]:
    """The table, a line at a time."""
    yield HEAD
    yield "|---|---|---:|---:|---:|"
    for case in family():
        yield line(case, one, seconds)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.family", description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0, help="for each row (%(default)s)")
    options = parser.parse_args(arguments)
    one = implementations()[0]
    versions = f"fastdrop {fastdrop.__version__}, NumPy {np.__version__}, {version_of('torch')}"
    print(f"{cpu_name()}, {one}, {versions}\n")
    for text in table(one, options.seconds):
        print(text, flush=True)


if __name__ == "__main__":
    main()
