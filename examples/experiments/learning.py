"""Data, and training: a recipe says how a network is made and taught, a split on which images.

For every seed the data are cut anew, so that no result hangs on one cut; all recipes of a seed get
the same cut, the same initial weights (where their shapes agree) and the same order of images, so
that they can be compared seed by seed. Test images only judge. What has to be chosen (a strength,
when to stop) is chosen on images for validation, which nothing else uses.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn import datasets

import fastdrop

from .mlp import Descent, Floats, Labels, Linear, Network, Shape, cross_entropy, error

# How many are learned from: few, or there would be nothing that regularisation could improve.
# As many again are for validation.
TRAINING = {"digits": 300, "cancer": 60, "wine": 40}


@dataclass(frozen=True)
class Split:
    x: Floats
    y: Labels
    x_validation: Floats
    y_validation: Labels
    x_test: Floats
    y_test: Labels

    @property
    def outputs(self) -> int:
        """How many a network has to have: one a class, or one a number that is to be guessed."""
        return int(self.y_test.max()) + 1 if self.y_test.ndim == 1 else self.y_test.shape[1]


def load(name: str, seed: int) -> Split:
    """Cut one of scikit-learn's sets; "digits" lie in [0, 1], the others are standardised."""
    loaders = {"cancer": datasets.load_breast_cancer, "wine": datasets.load_wine}
    loader = loaders.get(name, datasets.load_digits)
    values, labels = loader(return_X_y=True)
    order = np.random.default_rng([seed, 2]).permutation(len(labels))
    n = TRAINING[name]
    if name == "digits":
        values = values / 16.0
    else:
        learn = values[order[:n]]
        values = (values - learn.mean(axis=0)) / learn.std(axis=0)
    x, y = values.astype(np.float32)[order], labels.astype(np.int64)[order]
    return Split(x[:n], y[:n], x[n : 2 * n], y[n : 2 * n], x[2 * n :], y[2 * n :])


@dataclass(frozen=True)
class Recipe(Shape):
    """A network's shape, and how it is trained."""

    epochs: int = 150
    batch: int = 50
    rate: float = 0.05
    momentum: float = 0.9
    l1: float = 0.0
    l2: float = 0.0
    """Penalties l1 |w| and l2 w²/2, summed over the weights; biases are free."""
    max_norm: float | None = None
    """The largest norm of the weights that come into a hidden unit."""
    stop_early: bool = False
    """Go back to the epoch whose validation loss was the lowest."""
    shifts: bool = False
    """Move every image by up to one pixel, anew each time it is seen."""


Loss = Callable[[Floats, NDArray], tuple[float, Floats]]
"""Of a network's outputs and what they should be: the mean loss, and its gradient."""


def train(recipe: Recipe, split: Split, seed: int, loss: Loss = cross_entropy) -> Network:
    """Teach a network; it comes back switched to evaluation."""
    network = Network(recipe, split.x.shape[1], split.outputs, seed)
    rng = np.random.default_rng([seed, 1])
    values = network.values()
    descent = Descent(recipe.rate, recipe.momentum)
    best = np.inf
    for _ in range(recipe.epochs):
        network.train()
        order = rng.permutation(len(split.y))
        for start in range(0, len(order), recipe.batch):
            part = order[start : start + recipe.batch]
            x = shifted(split.x[part], rng) if recipe.shifts else split.x[part]
            network.backward(loss(network.forward(x), split.y[part])[1])
            penalise(network, recipe)
            descent.step(network.parameters())
            if recipe.max_norm is not None:
                for layer in network.of(Linear)[:-1]:
                    fastdrop.max_norm_(layer.weight, recipe.max_norm)
        network.eval()
        if recipe.stop_early:
            found, _ = loss(network.forward(split.x_validation), split.y_validation)
            if found < best:
                best, kept = found, [value.copy() for value in values]
    if recipe.stop_early:
        for value, old in zip(values, kept, strict=True):
            value[...] = old
    return network


def penalise(network: Network, recipe: Recipe) -> None:
    """Add the penalties' gradients to those of the loss."""
    for layer in network.of(Linear):
        if recipe.l2:
            layer.weight_gradient += np.float32(recipe.l2) * layer.weight
        if recipe.l1:
            layer.weight_gradient += np.float32(recipe.l1) * np.sign(layer.weight)


def shifted(x: Floats, rng: np.random.Generator) -> Floats:
    """Move square images by -1, 0 or 1 pixels along both axes; what comes in is black."""
    side = round(x.shape[1] ** 0.5)
    padded = np.pad(x.reshape(-1, side, side), ((0, 0), (1, 1), (1, 1)))
    down, right = rng.integers(0, 3, (2, len(x), 1, 1))
    rows, columns = np.arange(side)[:, None], np.arange(side)[None, :]
    moved = padded[np.arange(len(x))[:, None, None], rows + down, columns + right]
    return moved.reshape(x.shape)


Measure = Callable[[Network, Split, int], object]
"""Numbers that say how good a trained network is; the seed is for what it may have to draw."""


def judged(network: Network, split: Split, _seed: int) -> float:
    """The test error."""
    return error(network.forward(split.x_test), split.y_test)


def both_errors(network: Network, split: Split, _seed: int) -> tuple[float, float]:
    """On the images for validation, and for the test."""
    validation = error(network.forward(split.x_validation), split.y_validation)
    return validation, error(network.forward(split.x_test), split.y_test)
