"""Measure projects, and put the table and the figure into the documentation's page.

    python -m examples.projects.document             all of them: about a quarter of an hour
    python -m examples.projects.document graphs      some; of the others what was measured stays

Each script runs in a process of its own and needs its project: ``pip install -e ".[projects]"``.
What was measured lies beside the page's figure as JSON. What the page says about it is written by
hand: read it again after a run.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from examples.experiments.common import BLUE, GREY, ORANGE, canvas, save
from examples.experiments.document import put

from .common import Measured, conditions, read, report

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "guide" / "projects.md"
SCRIPTS = ("graphs", "monte_carlo", "tabular", "language_models", "thinc_models", "droq")


def measure(script: str, output: Path, quick: bool) -> bool:
    """Run one script; whether it could be."""
    command = [sys.executable, "-m", f"{__package__}.{script}", "--output", str(output)]
    threads = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "BLIS")}
    done = subprocess.run(
        [*command, *(["--quick"] if quick else [])],
        cwd=ROOT, env={**os.environ, **threads}, check=False,
    )  # fmt: skip
    return done.returncode == 0


def gather(folder: Path) -> list[Measured]:
    """All that has been measured, from the largest gain to the smallest."""
    found = [one for path in folder.glob("*.json") for one in read(path)]
    return sorted(found, key=lambda one: one.ratio)


def draw(results: Sequence[Measured]) -> Figure:
    """Steps relative to the project's own."""
    figure, (axes,) = canvas(width=7.0, height=0.6 + 0.42 * len(results))
    for place, one in enumerate(results):
        limit = one.seconds["none"] / one.seconds["theirs"]
        axes.barh(place, 1, height=0.62, color=GREY, alpha=0.3)
        axes.barh(place, one.ratio, height=0.62, color=BLUE, alpha=0.85)
        axes.plot([one.quartiles[0], one.quartiles[1]], [place, place], color="black", lw=1.2)
        axes.plot([limit, limit], [place - 0.38, place + 0.38], color=ORANGE, lw=2)
    axes.set_yticks(range(len(results)), [one.name for one in results])
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(
        "step with fastdrop, relative to the project's own (grey); orange: without dropout"
    )
    return figure


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Write projects' results into a page.")
    parser.add_argument("names", nargs="*", help=f"which of {', '.join(SCRIPTS)} (all)")
    parser.add_argument("--quick", action="store_true", help="to see that it runs")
    parser.add_argument("--draw", action="store_true", help="measure nothing: what is there")
    parser.add_argument("--page", type=Path, default=PAGE, help="default: %(default)s")
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - set(SCRIPTS):
        parser.error(f"no project is called {', '.join(sorted(unknown))}")
    folder = options.page.parent / options.page.stem
    folder.mkdir(exist_ok=True)
    failed = []
    for name in () if options.draw else options.names or SCRIPTS:
        print(f"{name}:", flush=True)
        if not measure(name, folder / f"{name}.json", options.quick):
            failed.append(name)
    results = gather(folder)
    save(draw(results), folder / "steps.svg")
    text = f"\n{report(results)}\n\n{conditions(results)}\n"
    page = options.page.read_text(encoding="utf-8")
    options.page.write_text(put(page, "projects", text), encoding="utf-8")
    if failed:
        raise SystemExit(f"not measured anew: {', '.join(failed)}")


if __name__ == "__main__":
    main()
