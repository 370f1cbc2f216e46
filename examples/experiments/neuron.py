"""A neuron with 100 inputs of 1 and weights of 1, dropped with p = 40 %: the worked example.

Evaluated, it receives 100. Trained without scaling it receives 60 on average, and with inverted
dropout 60 / 0.6 = 100 again. This counts what it really receives, over many masks, and compares
with the binomial distribution: how many inputs are kept has mean n (1-p) and variance n p (1-p).
"""

import math

import numpy as np

import fastdrop

from .common import BLUE, GREY, ORANGE, Budget, Result, canvas, main, table

INPUTS, P = 100, 0.4


def run(budget: Budget) -> Result:
    masks = budget.number(100_000, 2_000)
    inputs = np.ones((masks, INPUTS), np.float32)
    weights = np.ones(INPUTS, np.float32)
    kept, scaled = (
        fastdrop.dropout(inputs, P, mode=mode, rng=1) @ weights for mode in ("standard", "inverted")
    )
    evaluated = {
        mode: float(fastdrop.dropout(inputs[:1], P, training=False, mode=mode)[0] @ weights)
        for mode in ("standard", "inverted")
    }
    deviation = math.sqrt(INPUTS * P * (1 - P))
    rows = [
        ["training, no scaling", INPUTS * (1 - P), kept, deviation],
        ["training, inverted", float(INPUTS), scaled, deviation / (1 - P)],
    ]
    lines = [
        [name, f"{mean:.0f}", f"{found.mean():.3f}", f"{expected:.2f}", f"{found.std():.2f}"]
        for name, mean, found, expected in rows
    ]
    lines += [
        [
            "evaluation, inverted or no dropout",
            f"{INPUTS}",
            f"{evaluated['inverted']:.3f}",
            "0",
            "0",
        ],
        [
            "evaluation, standard",
            f"{INPUTS * (1 - P):.0f}",
            f"{evaluated['standard']:.3f}",
            "0",
            "0",
        ],
    ]
    header = ("the neuron receives", "expected", "found", "deviation expected", "found")
    first = ", ".join(f"{value:.0f}" for value in kept[:5])
    words = f"\n\nThe first five masks keep {first} inputs ({masks:,} masks, seed 1)."
    return Result(table(header, lines) + words, draw(kept, scaled))


def draw(kept, scaled):
    figure, (axes,) = canvas()
    for values, label, colour in (
        (kept, "no scaling", ORANGE),
        (scaled, "inverted: times 1 / 0.6", BLUE),
    ):
        places, counts = np.unique(np.round(values, 3), return_counts=True)
        axes.plot(places, counts / len(values), ".", color=colour, label=label)
    axes.axvline(INPUTS, color=GREY, label="evaluation")
    axes.set(xlabel="what the neuron receives", ylabel="share of masks", ylim=(0, None))
    axes.legend(frameon=False)
    return figure


if __name__ == "__main__":
    main(run, __doc__)
