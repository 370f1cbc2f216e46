"""Networks trained apart and averaged, against the one network that dropout trains.

Dropout is said to train many thinned networks at the price of one. So: how many networks, each
trained by itself from weights of its own and averaged, are worth one trained with dropout? And are
networks trained with dropout worth averaging?
"""

import numpy as np

from .common import BLUE, GREY, ORANGE, Budget, Result, band, canvas, change, main, summary, table
from .learning import Recipe, load, train
from .mlp import softmax

MEMBERS = 10


def run(budget: Budget) -> Result:
    members = budget.number(MEMBERS, 2)
    recipes = {"none": Recipe(), "dropout": Recipe(p_input=0.1, p_hidden=0.5)}
    found = {name: np.zeros((budget.seeds, members)) for name in recipes}
    for seed in budget.each_seed(len(recipes) * members):
        split = load("digits", seed)
        for name, recipe in recipes.items():
            total = np.zeros((len(split.y_test), split.outputs))
            for k in range(members):
                # Seeds of which no two networks of one cut of the data share any.
                network = train(budget.shrink(recipe), split, 1000 * (seed + 1) + k)
                total += softmax(network.forward(split.x_test))
                wrong = total.argmax(axis=1) != split.y_test
                found[name][seed, k] = 100.0 * wrong.mean()
    none, dropout = found["none"], found["dropout"]
    base = dropout[:, 0]
    rows = [
        [k + 1, summary(none[:, k]), change(none[:, k], base), summary(dropout[:, k]),
         change(dropout[:, k], base)]
        for k in range(members)
        if k + 1 in (1, 2, 3, 5, members)
    ]  # fmt: skip
    figure, (axes,) = canvas()
    ks = range(1, members + 1)
    band(axes, ks, none, "trained without dropout", ORANGE)
    band(axes, ks, dropout, "trained with dropout", BLUE)
    axes.axhline(base.mean(), color=GREY, ls="--", label="one network with dropout")
    axes.set(xlabel="networks averaged", ylabel="test error, %")
    axes.legend(frameon=False)
    header = (
        "networks", "without dropout, %", "less one with dropout", "with dropout, %",
        "less one with dropout",
    )  # fmt: skip
    return Result(table(header, rows), figure)


if __name__ == "__main__":
    main(run, __doc__)
