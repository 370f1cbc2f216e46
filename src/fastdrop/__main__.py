"""``python -m fastdrop``: what runs here, whether it is right, and how fast it is."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from . import _selfcheck, _throughput
from ._config import show_config


def _check() -> bool:
    """Print what the self-check finds; False where anything is wrong."""
    print(f"self-check: {len(_selfcheck.CASES)} calls, every dtype, against known answers")
    right = True
    for implementation in _selfcheck.implementations():
        mistakes = _selfcheck.mistakes(implementation)
        print(f"    {implementation!s:12}{'WRONG' if mistakes else 'right'}")
        for mistake in mistakes:
            print(f"        {mistake}")
        right = right and not mistakes
    return right


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"has to be a positive number, but got {text}")
    return value


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 1 where the self-check fails, else 0."""
    parser = argparse.ArgumentParser(
        prog="python -m fastdrop",
        description="Show the configuration, check every implementation, measure the throughput.",
    )
    parser.add_argument("--check-only", action="store_true", help="measure no throughput")
    parser.add_argument(
        "--seconds",
        type=_positive,
        default=10.0,
        help="how long to measure (default: %(default)s; every row is measured at least 3 times)",
    )
    options = parser.parse_args(arguments)
    show_config()
    print()
    if not _check():
        print("fastdrop computes wrong results here: please report it, with all of the above.")
        return 1
    if not options.check_only:
        print()
        print(_throughput.table(options.seconds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
