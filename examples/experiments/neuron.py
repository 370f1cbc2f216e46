"""A neuron with 100 inputs of 1 and weights of 1, dropped with p = 40 %: the worked example.

Evaluated, it receives 100. Trained without scaling it receives 60 on average, and with inverted
dropout 60 / 0.6 = 100 again. This counts what it really receives, over many masks, and compares
with the binomial distribution: how many inputs are kept has mean n (1-p) and variance n p (1-p).
"""

import math

import numpy as np

import fastdrop

from .common import BLUE, GREY, ORANGE, Budget, Result, canvas, main, summary, table

INPUTS, P = 100, 0.4
MASKS = 20_000


def received(masks: int, training: bool, mode, seed: int):
    """What the neuron receives, once for each mask."""
    inputs = np.ones((masks, INPUTS), np.float32)
    weights = np.ones(INPUTS, np.float32)
    return fastdrop.dropout(inputs, P, training, mode=mode, rng=seed) @ weights


def run(budget: Budget) -> Result:
    masks = budget.number(MASKS, 2_000)
    deviation = math.sqrt(INPUTS * P * (1 - P))
    cases = {
        "training, no scaling": (True, "standard", INPUTS * (1 - P), deviation),
        "training, inverted": (True, "inverted", INPUTS, deviation / (1 - P)),
        "evaluation, inverted": (False, "inverted", INPUTS, 0.0),
        "evaluation, standard": (False, "standard", INPUTS * (1 - P), 0.0),
    }
    found, rows = {}, []
    for name, (training, mode, mean, expected) in cases.items():
        sums = [received(masks, training, mode, seed) for seed in range(budget.seeds)]
        found[name] = np.array(sums, np.float64)
        means, deviations = found[name].mean(axis=1), found[name].std(axis=1)
        rows.append([name, f"{mean:.0f}", summary(means, 3), f"{expected:.3f}",
                     summary(deviations, 3)])  # fmt: skip
    figure, (axes,) = canvas()
    for name, colour in zip(cases, (ORANGE, BLUE), strict=False):
        places, counts = np.unique(np.round(found[name], 3), return_counts=True)
        axes.plot(places, counts / found[name].size, ".", color=colour, label=name)
    axes.axvline(INPUTS, color=GREY, label="evaluation, inverted")
    axes.set(xlabel="what the neuron receives", ylabel="share of masks", ylim=(0, None))
    axes.legend(frameon=False)
    header = ("the neuron receives", "mean: expected", "found", "deviation: expected", "found")
    first = ", ".join(f"{value:.0f}" for value in found["training, no scaling"][0, :5])
    words = f"\n\n{masks:,} masks for each seed; the first five of seed 0 keep {first} inputs."
    return Result(table(header, rows) + words, figure)


if __name__ == "__main__":
    main(run, __doc__)
