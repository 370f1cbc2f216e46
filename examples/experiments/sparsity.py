"""How sparse hidden units become, and what they look for: the paper's figures 7 and 8.

As there, an autoencoder with one hidden layer of 256 rectified units, here on digits of 8 x 8
pixels; and beside it the classifier of the other experiments, whose first layer is looked at.
Activations are those of the whole network for test images, nothing dropped; dropout is inverted.
"""

from dataclasses import replace

import numpy as np

import fastdrop

from .common import BLUE, GREY, Budget, Result, canvas, main, summary, table
from .learning import Recipe, load, train
from .mlp import Linear, ReLU, cross_entropy, error, squared_error

NETWORKS = {
    "autoencoder": (Recipe(hidden=(256,), epochs=400, rate=0.02), squared_error),
    "classifier": (Recipe(hidden=(256, 256), epochs=75), cross_entropy),
}
P = 0.5
BINS = 30


def hidden(network, x):
    """What the first hidden layer answers."""
    return next(y for layer, _, y in network.trace(x) if isinstance(layer, ReLU))


def run(budget: Budget) -> Result:
    rows = []
    figure, axes = canvas(4, width=3.2)
    for (name, (recipe, loss)), one in zip(NETWORKS.items(), axes[:2], strict=True):
        for p, colour in ((0.0, GREY), (P, BLUE)):
            zeros, means, results, answers = [], [], [], []
            for seed in budget.each_seed():
                split = load("digits", seed)
                if loss is squared_error:
                    split = replace(
                        split, y=split.x, y_validation=split.x_validation, y_test=split.x_test
                    )
                network = train(budget.shrink(replace(recipe, p_hidden=p)), split, seed, loss)
                answers.append(hidden(network, split.x_test))
                zeros.append(100.0 * fastdrop.sparsity(answers[-1]).fraction)
                means.append(answers[-1].mean())
                outputs = network.forward(split.x_test)
                judge = error if loss is cross_entropy else squared_loss
                results.append(judge(outputs, split.y_test))
            rows.append([f"{name}, {f'p = {p:g}' if p else 'no dropout'}",
                         *(summary(np.array(v)) for v in (zeros, means, results))])  # fmt: skip
            label = f"p = {p:g}" if p else "no dropout"
            histogram(one, np.concatenate(answers), label, colour)
            if loss is squared_error:
                features(axes[3 if p else 2], network, label)
        one.set(title=name, xlabel="activation", ylabel="share of activations", yscale="log")
        one.minorticks_off()
        one.legend(frameon=False)
    header = (
        "network", "activations that are 0, %", "mean activation", "test: error, % or squared error"
    )  # fmt: skip
    return Result(table(header, rows), figure)


def squared_loss(outputs, x):
    return squared_error(outputs, x)[0]


def histogram(axes, answers, label, colour):
    found = fastdrop.sparsity(answers, bins=BINS)
    axes.stairs(found.counts / answers.size, found.edges, color=colour, label=label)


def features(axes, network, label):
    """What comes into the units with the largest weights, as images."""
    weight = network.of(Linear)[0].weight
    largest = np.argsort(-np.linalg.norm(weight, axis=1))[:24]
    images = np.pad(weight[largest].reshape(4, 6, 8, 8), ((0, 0), (0, 0), (0, 1), (0, 1)))
    limit = np.abs(images).max()
    image = images.transpose(0, 2, 1, 3).reshape(36, 54)
    axes.imshow(image, cmap="gray", vmin=-limit, vmax=limit, interpolation="none")
    axes.set(title=f"features, {label}", xticks=[], yticks=[])
    axes.grid(visible=False)


if __name__ == "__main__":
    main(run, __doc__)
