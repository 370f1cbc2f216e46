"""Run experiments, and put their tables and figures into the documentation's page.

    python -m examples.experiments.document             all of them: about half an hour
    python -m examples.experiments.document rates       some

A table goes between the page's lines ``<!-- result: NAME -->`` and ``<!-- end -->``, a figure into
the folder of the page's name, as SVG. What the page says about them is written by hand: read it
again after a run.
"""

import argparse
import importlib
import re
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .common import Budget, machine, measured, save

PAGE = Path(__file__).parents[2] / "docs" / "experiments.md"
PLACES = re.compile(
    r"(?<=^<!-- result: )(\w+)( -->\n)(.*?)(?=^<!-- end -->$)", re.DOTALL | re.MULTILINE
)


def places(page: str) -> dict[str, str]:
    """The experiments that a page has a place for, and what stands there."""
    return {name: text for name, _, text in PLACES.findall(page)}


def put(page: str, name: str, text: str) -> str:
    """The page with another text in an experiment's place."""
    return PLACES.sub(lambda m: f"{m[1]}{m[2]}{text}\n" if m[1] == name else m[0], page)


def conditions(seeds: int, seconds: float) -> str:
    """What the numbers depend on, and how long they took."""
    about = machine(f"NumPy {np.__version__}")
    return f"*Seeds 0 to {seeds - 1}, {seconds:.0f} s of one core's time. {about}.*"


def document(name: str, budget: Budget, page: Path) -> None:
    """Run one experiment and write what came out."""
    experiment = importlib.import_module(f"{__package__}.{name}")
    start = time.process_time()
    result = measured(experiment.run, budget)
    words = conditions(budget.seeds, time.process_time() - start)
    figure = page.parent / page.stem / f"{name}.svg"
    figure.parent.mkdir(exist_ok=True)
    save(result.figure, figure)
    text = f"\n{result.table}\n\n{words}\n"
    # Read only now: another run may have written its own place in the meantime.
    page.write_text(put(page.read_text(encoding="utf-8"), name, text), encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Write experiments' results into a page.")
    parser.add_argument("names", nargs="*", help="which (all that the page has a place for)")
    parser.add_argument("--quick", action="store_true", help="to see that it runs")
    parser.add_argument("--page", type=Path, default=PAGE, help="default: %(default)s")
    options = parser.parse_args(arguments)
    known = places(options.page.read_text(encoding="utf-8"))
    if unknown := set(options.names) - known.keys():
        parser.error(f"{options.page} has no place for {', '.join(sorted(unknown))}")
    for name in options.names or known:
        document(name, Budget(quick=True, seeds=2) if options.quick else Budget(), options.page)
        print(name, flush=True)


if __name__ == "__main__":
    main()
