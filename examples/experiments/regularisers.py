"""Dropout beside other ways to keep a network from overfitting: the paper's table 9 and more.

Where a way has a strength, it is chosen by the error on images for validation, which no network
learned from; what is reported is the error on the test images.
"""

from .common import Budget, Result, bars, canvas, change, main, summary, table
from .learning import Recipe, both_errors

NORM = ("linear", "norm", "relu", "drop")
DROPOUT = {"p_input": 0.1, "p_hidden": 0.5}
L2, L1, NORMS = (3e-4, 1e-3, 3e-3), (1e-4, 3e-4, 1e-3), (1.5, 2.0, 3.0)

WAYS: dict[str, dict[str, Recipe]] = {
    "none": {"": Recipe()},
    "L2": {f"{s:g}": Recipe(l2=s) for s in L2},
    "L1": {f"{s:g}": Recipe(l1=s) for s in L1},
    "L1 + L2": {f"{a:g}, {b:g}": Recipe(l1=a, l2=b) for a, b in zip(L1, L2, strict=True)},
    "max-norm": {f"{c:g}": Recipe(max_norm=c) for c in NORMS},
    "early stopping": {"": Recipe(stop_early=True)},
    "batch normalisation": {"": Recipe(block=NORM)},
    "shifted images": {"": Recipe(shifts=True)},
    "dropout": {"": Recipe(**DROPOUT)},
    "dropout + L2": {f"{s:g}": Recipe(**DROPOUT, l2=s) for s in L2},
    "dropout + max-norm": {f"{c:g}": Recipe(**DROPOUT, max_norm=c) for c in NORMS},
    "dropout + early stopping": {"": Recipe(**DROPOUT, stop_early=True)},
    "dropout + batch normalisation": {"": Recipe(**DROPOUT, block=NORM)},
    "dropout + shifted images": {"": Recipe(**DROPOUT, shifts=True)},
}


def run(budget: Budget) -> Result:
    recipes = {
        f"{way} {strength}": recipe
        for way, strengths in WAYS.items()
        for strength, recipe in strengths.items()
    }
    found = budget.trials(recipes, both_errors)
    errors, rows = {}, []
    for way, strengths in WAYS.items():
        best = min(strengths, key=lambda strength: found[f"{way} {strength}"][:, 0].mean())
        errors[way] = found[f"{way} {best}"][:, 1]
        rows.append([way, best, summary(errors[way]), change(errors[way], errors["none"])])
    figure, (axes,) = canvas(width=6.5, height=4.2)
    bars(axes, errors)
    return Result(table(("way", "strength", "test error, %", "less none"), rows), figure)


if __name__ == "__main__":
    main(run, __doc__)
