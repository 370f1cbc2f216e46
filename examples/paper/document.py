"""Tables and figures of what `python -m examples.paper` has trained, into the documentation's page.

    python -m examples.paper.document --state paper-state

Only seeds that are complete are shown. A table goes between the page's lines ``<!-- result: NAME
-->`` and ``<!-- end -->``, a figure into the folder of the page's name.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from examples.experiments.averaging import compared
from examples.experiments.common import (
    BLUE,
    GREY,
    ORANGE,
    RED,
    VIOLET,
    Result,
    band,
    canvas,
    change,
    machine,
    save,
    summary,
    table,
)
from examples.experiments.document import places, put

from .__main__ import STATE
from .plan import AVERAGED, BASE, DROP_RATES, DROPS, FIGURE_4, FIGURE_9, RECIPES, TABLE_10

PAGE = Path(__file__).parents[2] / "docs" / "paper.md"


class Results:
    """What was found of each recipe, seed by seed."""

    def __init__(self, state: Path) -> None:
        found = [json.loads(path.read_text("utf-8")) for path in state.glob("final-*.json")]
        self.by_seed: dict[int, dict[str, dict]] = {}
        for one in found:
            self.by_seed.setdefault(one["seed"], {})[one["name"]] = one
        self.seeds = sorted(
            s for s, names in self.by_seed.items() if names.keys() >= RECIPES.keys()
        )
        if len(self.seeds) < 2:
            raise SystemExit(f"{state} has {len(self.seeds)} complete seeds, and two are needed")
        if len({one["epochs"] for one in found}) > 1:
            raise SystemExit(f"{state} has results after different numbers of epochs")

    def of(self, name: str, what: Callable[[dict], object]) -> np.ndarray:
        """A row for each seed."""
        return np.asarray([what(self.by_seed[seed][name]) for seed in self.seeds], float)

    def test(self, name: str) -> np.ndarray:
        return self.of(name, lambda one: one["test"])

    def rate(self, name: str) -> str:
        return f"{self.by_seed[self.seeds[0]][name]['rate']:g}"

    def conditions(self) -> str:
        every = [one for seed in self.seeds for one in self.by_seed[seed].values()]
        hours = sum(one["seconds"] for one in every) / 3600
        return (
            f"*Seeds {self.seeds[0]} to {self.seeds[-1]}, {every[0]['epochs']} epochs, {hours:.1f} "
            f"hours of one core's time. {machine(f'NumPy {np.__version__}')}.*"
        )


def networks(results: Results) -> Result:
    """Without dropout, with it, with max-norm: the paper's table 2 and figure 4."""
    rows = []
    figure, axes = canvas(2)
    colours = (GREY, BLUE, ORANGE)
    for place, name in enumerate(FIGURE_4):
        plain = "logistic" if name.startswith("logistic") else "ReLU"
        test = results.test(name)
        rows.append(
            (
                name, results.rate(name), summary(results.of(name, lambda one: one["train"][-1])),
                summary(test), "" if name == plain else change(test, results.test(plain)),
            )
        )  # fmt: skip
        curves = results.of(name, lambda one: one["validation"])
        one = axes[place // 3]
        epochs = range(1, curves.shape[1] + 1)
        band(one, epochs, curves, name.partition(", ")[2] or "no dropout", colours[place % 3])
        one.set(title=plain, xlabel="epoch", ylabel="validation error, %")
    lowest = min(results.of(name, lambda one: min(one["validation"])).min() for name in FIGURE_4)
    for one in axes:
        one.set_ylim(lowest - 0.5, lowest + 10)
        one.legend(frameon=False)
    header = ("network", "learning rate", "training error, %", "test error, %", "less no dropout's")
    return Result(table(header, rows), figure)


def noise(results: Results) -> Result:
    """Bernoulli or Gaussian: table 10."""
    bernoulli, gaussian = (results.test(name) for name in TABLE_10)
    rows = [
        ("Bernoulli", results.rate("Bernoulli"), summary(bernoulli), ""),
        ("Gaussian", results.rate("Gaussian"), summary(gaussian), change(gaussian, bernoulli)),
    ]
    figure, (axes,) = canvas()
    for name, colour in zip(TABLE_10, (BLUE, ORANGE), strict=True):
        curves = results.of(name, lambda one: one["validation"])
        band(axes, range(1, curves.shape[1] + 1), curves, name, colour)
    axes.set(xlabel="epoch", ylabel="validation error, %")
    axes.legend(frameon=False)
    header = ("noise", "learning rate", "test error, %", "less Bernoulli's")
    return Result(table(header, rows), figure)


def averaging(results: Results) -> Result:
    """The mean of k thinned networks, or one with scaled weights: figure 11."""
    whole = results.test(AVERAGED)
    ks = [int(k) for k in results.by_seed[results.seeds[0]][AVERAGED]["averaged"]]
    means = results.of(AVERAGED, lambda one: list(one["averaged"].values()))
    return compared(ks, whole, means)


def rates(results: Results) -> Result:
    """The error over p: figure 9."""
    names = [BASE if p == DROPS["p_hidden"] else f"p = {p}" for p in DROP_RATES]
    assert set(names) - {BASE} == set(FIGURE_9)
    test = np.stack([results.test(name) for name in names], axis=1)
    train = np.stack([results.of(name, lambda one: one["train"][-1]) for name in names], axis=1)
    rows = [
        (f"{p:g}", summary(a), summary(b))
        for p, a, b in zip(DROP_RATES, train.T, test.T, strict=True)
    ]
    figure, (axes,) = canvas()
    band(axes, DROP_RATES, test, "test", RED)
    band(axes, DROP_RATES, train, "training", VIOLET)
    axes.set(xlabel="p of hidden units", ylabel="error, %")
    axes.legend(frameon=False)
    return Result(table(("p", "training error, %", "test error, %"), rows), figure)


PARTS = {"networks": networks, "noise": noise, "averaging": averaging, "rates": rates}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Write the paper's results into a page.")
    parser.add_argument("--state", type=Path, default=STATE, help="folder (%(default)s)")
    parser.add_argument("--page", type=Path, default=PAGE, help="default: %(default)s")
    options = parser.parse_args(arguments)
    results = Results(options.state)
    text = options.page.read_text(encoding="utf-8")
    if missing := PARTS.keys() - places(text).keys():
        parser.error(f"{options.page} has no place for {', '.join(sorted(missing))}")
    folder = options.page.parent / options.page.stem
    folder.mkdir(exist_ok=True)
    for name, part in PARTS.items():
        result = part(results)
        save(result.figure, folder / f"{name}.svg")
        about = (part.__doc__ or "").partition(":")[0]
        shown = f"![{about}]({options.page.stem}/{name}.svg)\n\n{result.table}"
        text = put(text, name, f"\n{shown}\n\n{results.conditions()}\n")
    options.page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
