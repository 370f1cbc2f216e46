"""Dropout before and after batch normalisation: the variance that normalisation learns shifts.

Batch normalisation evaluates with the variance that it saw in training. Dropout in front of it adds
variance in training only, so that evaluation normalises by too much (Li et al., "Understanding the
Disharmony between Dropout and Batch Normalization by Variance Shift", CVPR 2019). Measured is the
variance of what comes into the last normalisation, in evaluation, in units of the variance that it
remembers: 1 if nothing shifts. Training images, so that nothing else differs.
"""

import numpy as np

from .common import Budget, Result, bars, canvas, change, main, summary, table
from .learning import Recipe, judged
from .mlp import BatchNorm

AFTER = ("linear", "norm", "relu", "drop")
BEFORE = ("linear", "relu", "drop", "norm")

ORDERS = {
    "neither": Recipe(),
    "dropout alone": Recipe(p_hidden=0.5),
    "norm alone": Recipe(block=AFTER),
    "norm, relu, dropout": Recipe(block=AFTER, p_hidden=0.5),
    "relu, dropout, norm": Recipe(block=BEFORE, p_hidden=0.5),
    "dropout behind the last norm only": Recipe(block=AFTER, p_hidden=(0.0, 0.5)),
}


def measure(network, split, seed):
    """The test error, and the last normalisation's ratio of variances (1 where there is none)."""
    ratio = 1.0
    for layer, x, _ in network.trace(split.x):
        if isinstance(layer, BatchNorm):
            alive = layer.variance > layer.epsilon
            ratio = np.median(x.var(axis=0)[alive] / layer.variance[alive])
    return judged(network, split, seed), ratio


def run(budget: Budget) -> Result:
    found = budget.trials(ORDERS, measure)
    errors = {name: values[:, 0] for name, values in found.items()}
    ratios = {name: values[:, 1] for name, values in found.items() if "norm" in ORDERS[name].block}
    rows = [
        [
            name,
            summary(values),
            change(values, errors["neither"]),
            summary(ratios[name]) if name in ratios else "",
        ]
        for name, values in errors.items()
    ]
    figure, (left, right) = canvas(2)
    bars(left, errors)
    bars(right, ratios, "variance in evaluation / remembered")
    header = ("order in a hidden layer", "test error, %", "less neither", "ratio of variances")
    return Result(table(header, rows), figure)


if __name__ == "__main__":
    main(run, __doc__)
