"""Does a network know what it has not seen? Monte Carlo dropout on rotated digits.

A network that learned upright digits is shown the test images turned further and further. Its class
probabilities come once from the whole network and once from `fastdrop.mc_dropout` (Gal and
Ghahramani, ICML 2016, section 5.1.2 and figure 4, turn one digit). Entropy is the whole uncertainty
about the class, mutual information the part that is due to the network. The area under the curve
says how well they tell the whole network's wrong answers from its right ones: the chance that a
wrong one, picked at random, has more of it than a right one.
"""

import numpy as np
from scipy.ndimage import rotate
from sklearn.metrics import roc_auc_score

import fastdrop

from .common import BLUE, GREY, ORANGE, Budget, Result, band, canvas, main, summary, table
from .learning import Recipe
from .mlp import softmax

ANGLES = (0, 15, 30, 45, 60, 90, 120, 150, 180)


def entropy(probability):
    logarithms = np.log(np.maximum(probability, 1e-30))
    return -(probability * logarithms).sum(axis=1)


def turned(x, angle):
    images = rotate(x.reshape(-1, 8, 8), angle, axes=(2, 1), reshape=False, order=1)
    return np.clip(images, 0, 1).reshape(x.shape).astype(np.float32)


def run(budget: Budget) -> Result:
    angles = budget.few(ANGLES)
    samples = budget.number(50, 5)

    def measure(network, split, seed):
        """A row of the first table for each angle, and then the areas of the second one."""
        columns, wrong, doubts = [], [], []
        for angle in angles:
            x, rows = turned(split.x_test, angle), np.arange(len(split.y_test))
            whole = softmax(network.forward(x).astype(np.float64))
            drawn = fastdrop.mc_dropout(
                lambda x: softmax(network.forward(x)), x, samples, rng=seed, probabilities=True
            )
            both = whole, drawn.mean
            misses = [answer.argmax(axis=1) != split.y_test for answer in both]
            losses = [-np.log(np.maximum(p[rows, split.y_test], 1e-30)) for p in both]
            kinds = [entropy(whole), drawn.entropy, drawn.mutual_information]
            wholes = [100.0 * miss.mean() for miss in misses]
            commonest = 100.0 * np.bincount(whole.argmax(axis=1)).max() / len(whole)
            columns.append([commonest, *wholes, *(values.mean() for values in (*losses, *kinds))])
            wrong.append(misses[0])
            doubts.append(kinds)
        labels = np.concatenate(wrong)
        areas = [roc_auc_score(labels, np.concatenate(kind)) for kind in zip(*doubts, strict=True)]
        return [*np.ravel(columns), *areas]

    # The derivation as an approximate posterior has a prior on the weights, which is the penalty.
    recipe = Recipe(p_input=0.1, p_hidden=0.5, l2=1e-3, epochs=300)
    found = budget.trials({"dropout": recipe}, measure)["dropout"]
    areas, found = found[:, -3:], found[:, :-3].reshape(len(found), len(angles), -1)
    rows = [[f"{angle}°", *map(summary, found[:, place].T)] for place, angle in enumerate(angles)]
    header = (
        "turned by", "commonest answer, %", "error, whole network, %",
        "error, mean of samples, %", "loss, whole", "loss, samples",
        "entropy, whole", "entropy, samples", "mutual information",
    )  # fmt: skip
    names = ("entropy, whole network", "entropy, samples", "mutual information")
    second = table(
        ("all angles together", "area under the curve, wrong against right"),
        [[name, summary(area, 3)] for name, area in zip(names, areas.T, strict=True)],
    )
    figure, (left, right) = canvas(2)
    band(left, angles, found[:, :, 1], "whole network", GREY)
    band(left, angles, found[:, :, 2], f"mean of {samples} samples", BLUE)
    left.set(xlabel="turned by, degrees", ylabel="error, %")
    for part, name, colour in zip((5, 6, 7), names, (GREY, BLUE, ORANGE), strict=True):
        band(right, angles, found[:, :, part], name, colour)
    right.set(xlabel="turned by, degrees", ylabel="nats", ylim=(0, None))
    for axes in (left, right):
        axes.legend(frameon=False)
    return Result(f"{table(header, rows)}\n\n{second}", figure)


if __name__ == "__main__":
    main(run, __doc__)
