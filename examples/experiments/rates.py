"""Test error over the rate of dropping: the paper's figure 9.

Once with as many hidden units at every rate (so that fewer take part the more are dropped), and
once with more units at higher rates, so that as many take part at every rate: the paper's "fixed n"
and "fixed pn", where its p is the chance to keep.
"""

import numpy as np

from .common import BLUE, GREY, ORANGE, Budget, Result, band, canvas, main, summary, table
from .learning import Recipe
from .mlp import error

KEEP = (0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9, 1.0)
UNITS, TAKING_PART = 128, 32


def measure(network, split, _seed):
    """Training and test error, both without dropping."""
    return error(network.forward(split.x), split.y), error(
        network.forward(split.x_test), split.y_test
    )


def run(budget: Budget) -> Result:
    keeps = budget.few(KEEP)
    arms = {
        "n": dict.fromkeys(keeps, (UNITS, UNITS)),
        "pn": {keep: (round(TAKING_PART / keep),) * 2 for keep in keeps},
    }
    recipes = {
        f"{arm} {keep}": Recipe(hidden=hidden, p_hidden=round(1 - keep, 1))
        for arm, widths in arms.items()
        for keep, hidden in widths.items()
    }
    found = budget.trials(recipes, measure)
    rows = [
        [
            f"{1 - keep:.1f}",
            *(summary(found[f"{arm} {keep}"][:, part]) for arm in arms for part in (1, 0)),
            arms["pn"][keep][0],
        ]
        for keep in keeps
    ]
    figure, axes = canvas(2)
    titles = (f"{UNITS} units", f"{TAKING_PART} units taking part")
    for one, arm, title in zip(axes, arms, titles, strict=True):
        for part, label, colour in (
            (1, "test", BLUE if arm == "n" else ORANGE),
            (0, "training", GREY),
        ):
            values = np.stack([found[f"{arm} {keep}"][:, part] for keep in keeps], axis=1)
            band(one, [1 - keep for keep in keeps], values, label, colour)
        one.set(title=title, xlabel="chance of dropping p", ylabel="error, %", ylim=(0, None))
        one.legend(frameon=False)
    header = (
        "p", "test, fixed n", "training, fixed n", "test, fixed (1-p)n", "training, fixed (1-p)n",
        "its units",
    )  # fmt: skip
    return Result(table(header, rows), figure)


if __name__ == "__main__":
    main(run, __doc__)
