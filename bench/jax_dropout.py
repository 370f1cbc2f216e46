"""JAX's dropout and Flax's beside `fastdrop.jax`, compiled: ``python -m bench.jax_dropout``.

It takes about a minute; with ``--quick`` some seconds, to see that it runs. One thread, float32,
p = 0.1, a key as an argument; all are called in turn (A B C A B C ...), and medians are compared.
"""

import argparse
import sys
from collections.abc import Sequence
from statistics import median
from timeit import Timer

import numpy as np

from fastdrop._throughput import Row, cpu_name, samples

from .machine import versions
from .measure import names_for
from .peers import PEERS, MissingError
from .plot import size_text
from .report import table

SIZES = (16, 1 << 10, 1 << 16, 1 << 20, 1 << 24)
OURS = "fastdrop.jax"
WHO = (OURS, "JAX", "Flax")


def measured(n: int, seconds: float) -> dict[str, float]:
    """Seconds of a call on `n` elements, of all that are installed."""
    x = names_for(n, np.dtype(np.float32))["x"]
    assert isinstance(x, np.ndarray)
    rows = []
    for peer in PEERS:
        if peer.who in WHO:
            try:
                rows.append(Row(peer.who, Timer(peer.statement, globals=peer.extend(x))))
            except MissingError as error:
                print(f"not measured: {peer.who}: {error}", file=sys.stderr)
    found = samples(rows, seconds, 3) if rows else []
    return {row.label: median(times) for row, times in zip(rows, found, strict=True)}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.jax_dropout",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="short measurements, no large array")
    options = parser.parse_args(arguments)
    have = [f"{name} {version}" for name, version in versions().items() if version]
    print(f"{cpu_name()}, {', '.join(have)}\n")
    lines = []
    for n in SIZES[:-1] if options.quick else SIZES:
        found = measured(n, 0.3 if options.quick else 12)
        ours = found.get(OURS)
        times = [f"{found[who] * 1e6:.3g}" if who in found else "" for who in WHO]
        ratios = [f"{found[who] / ours:.3g}" if ours and who in found else "" for who in WHO[1:]]
        lines.append([size_text(n), *times, *ratios])
    heads = [f"{who}, µs" for who in WHO] + [f"{who} / {OURS}" for who in WHO[1:]]
    print(table(["elements", *heads], lines))


if __name__ == "__main__":
    main()
