"""Averaging k networks with units dropped, or one with scaled weights: the paper's figure 11.

The exact prediction of a network trained with dropout would be the average over all its thinned
networks. The whole network, with dropout off, approximates it; so does the mean of k thinned ones,
drawn by `fastdrop.mc_dropout`. How many does it take until they agree?
"""

from collections.abc import Sequence

import numpy as np

import fastdrop

from .common import BLUE, GREY, Budget, Result, Values, band, canvas, change, main, summary, table
from .learning import Recipe
from .mlp import softmax

K = (1, 2, 5, 10, 20, 50, 100, 200)


def sampled(network, x, samples: int, seed: int) -> list:
    """The class probabilities that thinned networks give, one after another."""
    found = []

    def answer(x):
        found.append(softmax(network.forward(x)))
        return found[-1]

    fastdrop.mc_dropout(answer, x, samples, rng=seed, probabilities=True)
    return found


def wrong(probability, labels) -> float:
    return 100.0 * float(np.mean(probability.argmax(axis=1) != labels))


def averaged(network, x, labels, ks: Sequence[int], seed: int) -> list[float]:
    """The error of the mean of the first k thinned networks, for every k."""
    means = np.cumsum(sampled(network, x, ks[-1], seed), axis=0, dtype=np.float64)
    return [wrong(means[k - 1] / k, labels) for k in ks]


def run(budget: Budget) -> Result:
    ks = budget.few(K[: budget.number(len(K), 3)])

    def measure(network, split, seed):
        """Weight scaling first, then the means."""
        whole = wrong(network.forward(split.x_test), split.y_test)
        return [whole, *averaged(network, split.x_test, split.y_test, ks, seed)]

    recipe = Recipe(hidden=(256, 256), p_input=0.2, p_hidden=0.5, epochs=300)
    found = budget.trials({"dropout": recipe}, measure)["dropout"]
    return compared(ks, found[:, 0], found[:, 1:])


def compared(ks: Sequence[int], whole: Values, means: Values) -> Result:
    """Errors with scaled weights beside those of means of k networks."""
    rows = [["weight scaling", summary(whole), ""]]
    for k, values in zip(ks, means.T, strict=True):
        rows.append([f"mean of {k}", summary(values), change(values, whole)])
    figure, (axes,) = canvas()
    band(axes, ks, means, "mean of k thinned networks", BLUE)
    axes.axhline(whole.mean(), color=GREY, label="weight scaling")
    low, high = whole.mean() - whole.std(ddof=1), whole.mean() + whole.std(ddof=1)
    axes.axhspan(low, high, color=GREY, alpha=0.15, linewidth=0)
    axes.set(xscale="log", xlabel="k", ylabel="test error, %")
    axes.legend(frameon=False)
    header = ("prediction", "test error, %", "less weight scaling's")
    return Result(table(header, rows), figure)


if __name__ == "__main__":
    main(run, __doc__)
