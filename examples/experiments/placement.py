"""Which rate where: for the input, for the hidden layers, and for small and large networks."""

import numpy as np

from .common import Budget, Result, canvas, main, summary, table
from .learning import Recipe

INPUT, HIDDEN = (0.0, 0.1, 0.2, 0.4), (0.0, 0.25, 0.5, 0.75)
WIDTHS = (16, 64, 256)


def grid(axes, found, rows, columns, key, labels):
    """A table of means and spreads, and the same in colours; each row's best one is bold."""
    means = np.array([[found[key(a, b)].mean() for b in columns] for a in rows])
    lines = []
    for a, row in zip(rows, means, strict=True):
        cells = [summary(found[key(a, b)]) for b in columns]
        best = int(row.argmin())
        cells[best] = f"**{cells[best]}**"
        lines.append([a, *cells])
    axes.imshow(np.log(means), cmap="viridis_r", aspect="auto", interpolation="nearest")
    middle = (np.log(means).min() + np.log(means).max()) / 2
    for (row, column), mean in np.ndenumerate(means):
        colour = "white" if np.log(mean) > middle else "black"
        axes.text(column, row, f"{mean:.2f}", ha="center", va="center", color=colour)
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows)
    axes.set(ylabel=labels[0], xlabel=labels[1])
    axes.grid(visible=False)
    return table((f"{labels[0]} \\ {labels[1]}", *columns), lines)


def run(budget: Budget) -> Result:
    inputs, hidden, widths = budget.few(INPUT), budget.few(HIDDEN), budget.few(WIDTHS)
    recipes = {f"{a} {b}": Recipe(p_input=a, p_hidden=b)
               for a in inputs for b in hidden}  # fmt: skip
    recipes |= {f"{n} wide {b}": Recipe(hidden=(n, n), p_hidden=b) for n in widths for b in hidden}
    found = budget.trials(recipes)
    figure, (left, right) = canvas(2)
    by_layer = grid(left, found, inputs, hidden, "{} {}".format, ("p, input", "p, hidden layers"))
    by_width = grid(
        right, found, widths, hidden, "{} wide {}".format, ("units", "p, hidden layers")
    )
    words = "Test error in per cent, two hidden layers of 128 units:\n\n"
    between = "\n\nTwo hidden layers of several widths, input whole:\n\n"
    return Result(words + by_layer + between + by_width, figure)


if __name__ == "__main__":
    main(run, __doc__)
