"""What all experiments share: seeds, tables, figures, the command line."""

from __future__ import annotations

import argparse
import math
import platform
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
from tqdm import tqdm

import fastdrop
from fastdrop._throughput import cpu_name, using_threads

from .learning import Measure, Recipe, judged, load, train

Values = NDArray[np.float64]
"""A row per seed."""

GREY, BLUE, ORANGE, GREEN, RED, VIOLET = (
    "#8a8a8a", "#1f6fb4", "#d9730d", "#2e8b57", "#c0392b", "#7d5ba6",
)  # fmt: skip


@dataclass(frozen=True)
class Budget:
    """How much may be spent: everything, or just enough to see that it runs."""

    quick: bool = False
    seeds: int = 5

    def few(self, many: Sequence) -> Sequence:
        """All values of a grid, or its ends."""
        return [many[0], many[-1]] if self.quick else many

    def number(self, full: int, quick: int) -> int:
        return quick if self.quick else full

    def shrink(self, recipe: Recipe) -> Recipe:
        if not self.quick:
            return recipe
        return replace(recipe, epochs=2, hidden=tuple(min(n, 32) for n in recipe.hidden))

    def trials(
        self,
        recipes: Mapping[str, Recipe],
        measure: Measure = judged,
        data: str = "digits",
    ) -> dict[str, Values]:
        """Train every recipe with every seed, and measure each network."""
        found: dict[str, list] = {name: [] for name in recipes}
        for seed in self.each_seed(len(recipes)):
            split = load(data, seed)
            for name, recipe in recipes.items():
                network = train(self.shrink(recipe), split, seed)
                found[name].append(measure(network, split, seed))
        return {name: np.asarray(values, float) for name, values in found.items()}

    def each_seed(self, networks: int = 1) -> Iterable[int]:
        return tqdm(range(self.seeds), unit=f" seed of {networks} networks", leave=False)


@dataclass(frozen=True)
class Result:
    table: str
    """One or several in Markdown, and what has to be said with them."""
    figure: Figure


# --- numbers --------------------------------------------------------------------------------------


def spread(values: Values) -> float:
    """The standard deviation over the seeds."""
    return float(values.std(axis=0, ddof=1))


def summary(values: Values, digits: int = 2) -> str:
    """Mean and spread."""
    return f"{values.mean():.{digits}f} ± {spread(values):.{digits}f}"


def change(values: Values, base: Values, digits: int = 2) -> str:
    """The mean difference from another recipe, seed by seed, and its standard error."""
    difference = values - base
    error = spread(difference) / math.sqrt(len(difference))
    return f"{difference.mean():+.{digits}f} ± {error:.{digits}f}"


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """In Markdown; the first column is text, the others are numbers."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


# --- figures --------------------------------------------------------------------------------------


def canvas(columns: int = 1, width: float = 5.0, height: float = 3.4) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(width * columns, height), layout="constrained")
    axes = list(figure.subplots(1, columns, squeeze=False)[0])
    for one in axes:
        one.grid(alpha=0.25)
        one.spines[["top", "right"]].set_visible(False)
    return figure, axes


def band(axes: Axes, x: Sequence[float], values: Values, label: str, colour: str) -> None:
    """A curve of means with the spread around it; a column of `values` for each x."""
    mean, deviation = values.mean(axis=0), values.std(axis=0, ddof=1)
    axes.plot(x, mean, "o-", ms=3, color=colour, label=label)
    low, high = mean - deviation, mean + deviation
    axes.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)


def bars(axes: Axes, errors: Mapping[str, Values], label: str = "test error, %") -> None:
    """A point for each seed, and a line at their mean; the first recipe is the one in grey."""
    for place, values in enumerate(errors.values()):
        colour = BLUE if place else GREY
        axes.plot(values, [place] * len(values), "o", ms=4, alpha=0.5, mew=0, color=colour)
        axes.plot([values.mean()] * 2, [place - 0.3, place + 0.3], lw=2, color=colour)
    axes.set_yticks(range(len(errors)), list(errors))
    axes.invert_yaxis()
    axes.set_xlabel(label)


def save(figure: Figure, path: Path) -> None:
    """The same numbers give the same file."""
    with mpl.rc_context({"svg.hashsalt": "fastdrop", "svg.fonttype": "none"}):
        figure.savefig(path, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else None)


# --- the command line -----------------------------------------------------------------------------


def main(
    run: Callable[[Budget], Result],
    about: str | None,
    arguments: Sequence[str] | None = None,
) -> None:
    parser = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="2 seeds, a few steps: does it run?")
    parser.add_argument("--seeds", type=int, default=5, help="at least 2 (%(default)s)")
    name = sys.modules[run.__module__].__file__ or ""
    parser.add_argument(
        "--output", type=Path, default=Path(Path(name).stem + ".svg"), help="figure (%(default)s)"
    )
    options = parser.parse_args(arguments)
    if options.seeds < 2:
        parser.error(f"--seeds has to be at least 2, but got {options.seeds}")
    start = time.perf_counter()
    result = measured(run, Budget(options.quick, 2 if options.quick else options.seeds))
    print(result.table)
    if options.quick:
        print("\nA quick run says nothing about dropout: leave out --quick for that.")
    save(result.figure, options.output)
    print(f"\nFigure: {options.output} ({time.perf_counter() - start:.0f} s in all)")


def measured(run: Callable[[Budget], Result], budget: Budget) -> Result:
    """Run on one thread: at these sizes a second one gains little."""
    with one_thread():
        return run(budget)


# --- the machine ----------------------------------------------------------------------------------


@contextmanager
def one_thread() -> Iterator[None]:
    """Of fastdrop and of the libraries that NumPy computes with."""
    with using_threads(1), threadpool_limits(limits=1):
        yield


def machine(*libraries: str) -> str:
    """What numbers depend on; of the libraries, give names and versions."""
    backend = fastdrop.show_config(mode="dicts")["backend"]
    on = backend["details"].get("isa") or backend["active"]
    parts = (cpu_name(), f"Python {platform.python_version()}", *libraries)
    return ", ".join([*parts, f"fastdrop {fastdrop.__version__} on {on}"])
