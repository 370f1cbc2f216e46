"""High learning rates and momentum, and what max-norm does about them.

The paper's advice (appendix A): dropout's gradients cancel each other, so learn 10 to 100 times as
fast, with momentum of 0.95 to 0.99; and keep the norm of what comes into each hidden unit below c,
so that the weights cannot explode (its section 5.1; c = 3 to 4 there). `fastdrop.max_norm_` does.
"""

import numpy as np

from .common import BLUE, GREY, Budget, Result, canvas, main, summary, table
from .learning import Recipe

RATES = (0.02, 0.05, 0.2, 0.5)
MOMENTA = (0.9, 0.97)
LIMITS = (None, 3.0)
EPOCHS = 75


def run(budget: Budget) -> Result:
    rates = budget.few(RATES)
    recipes = {
        f"{momentum} {limit} {rate}": Recipe(
            p_input=0.1, p_hidden=0.5, epochs=EPOCHS, rate=rate, momentum=momentum, max_norm=limit
        )
        for momentum in MOMENTA
        for limit in LIMITS
        for rate in rates
    }
    # Where learning explodes, it is the result, and no reason for warnings.
    with np.errstate(all="ignore"):
        found = budget.trials(recipes)
    rows = []
    figure, axes = canvas(len(MOMENTA))
    for one, momentum in zip(axes, MOMENTA, strict=True):
        for limit, colour in zip(LIMITS, (GREY, BLUE), strict=True):
            values = [found[f"{momentum} {limit} {rate}"] for rate in rates]
            label = f"max-norm, c = {limit:g}" if limit else "no limit"
            rows.append([f"momentum {momentum:g}, {label}", *map(summary, values)])
            for row, rate in zip(values, rates, strict=True):
                one.plot([rate] * len(row), row, "o", ms=3, alpha=0.4, mew=0, color=colour)
            one.plot(rates, [row.mean() for row in values], color=colour, label=label)
        one.set(title=f"momentum {momentum:g}", xlabel="learning rate", ylabel="test error, %",
                xscale="log", yscale="log")  # fmt: skip
        one.legend(frameon=False)
    header = ("test error, %, at a learning rate of", *(f"{rate:g}" for rate in rates))
    return Result(table(header, rows), figure)


if __name__ == "__main__":
    main(run, __doc__)
