"""Training that can be interrupted: after every epoch, all that the next one needs is on disk.

An epoch's order of images and its masks follow from seed and epoch alone, so that a run that was
interrupted ends with the bits of one that was not.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

import fastdrop
from examples.experiments.learning import Split
from examples.experiments.mlp import (
    Descent,
    Floats,
    Labels,
    Linear,
    Network,
    Shape,
    cross_entropy,
    error,
)

START_MOMENTUM = 0.5
RAMP = 0.2
"""The part of the epochs in which momentum grows to what it shall be."""
FINAL_RATE = 0.01
"""The last epoch's rate, relative to the first one's; it falls exponentially."""
SEEN = 10_000
"""Training images that the training error is taken on."""


@dataclass(frozen=True)
class Recipe(Shape):
    """A network and how it is trained; `momentum` is the final one."""

    hidden: tuple[int, ...] = (1024, 1024, 1024)
    epochs: int = 14
    batch: int = 100
    rate: float = 0.1
    momentum: float = 0.95
    max_norm: float | None = None

    def quick(self) -> Recipe:
        return replace(self, hidden=tuple(32 for _ in self.hidden), epochs=2)


@dataclass
class History:
    """Errors in per cent after each epoch, judged without dropout."""

    train: list[float]
    validation: list[float]
    seconds: float = 0.0
    """Of one core's time, in all runs that it took."""


def epochs_masks(network: Network, seed: int, epoch: int) -> None:
    """Let every layer draw from a stream that this epoch alone has."""
    drops = [layer for layer in network.layers if isinstance(layer, fastdrop.layers.Layer)]
    for place, layer in enumerate(drops):
        start = fastdrop.Generator(seed, epoch * len(drops) + place)
        layer.generator.state = start.state


def train_epoch(
    network: Network, descent: Descent, x: Floats, y: Labels, order: np.ndarray, recipe: Recipe
) -> None:
    """One pass over the images of `order`."""
    network.train()
    for start in range(0, len(order), recipe.batch):
        part = order[start : start + recipe.batch]
        network.backward(cross_entropy(network.forward(x[part]), y[part])[1])
        descent.step(network.parameters())
        if recipe.max_norm is not None:
            for layer in network.of(Linear):
                fastdrop.max_norm_(layer.weight, recipe.max_norm)


def judge(network: Network, x: Floats, y: Labels, batch: int = 1000) -> float:
    """The error, per cent."""
    network.eval()
    wrong = 0.0
    for start in range(0, len(y), batch):
        part = slice(start, start + batch)
        wrong += error(network.forward(x[part]), y[part]) * len(y[part])
    return wrong / len(y)


# --- checkpoints ----------------------------------------------------------------------------------


def write(path: Path, **arrays: np.ndarray) -> None:
    """Whole or not at all."""
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        np.savez(file, **arrays)
    os.replace(part, path)


def save(path: Path, network: Network, descent: Descent, epoch: int, history: History) -> None:
    arrays = {f"value {i}": value for i, value in enumerate(network.values())}
    arrays |= {f"velocity {i}": value for i, value in enumerate(descent.velocities)}
    told = json.dumps({"epoch": epoch, **asdict(history)})
    write(path, told=np.array(told), **arrays)


def restore(path: Path, network: Network, descent: Descent, history: History) -> int:
    """Go on from a checkpoint; how many epochs are done."""
    if not path.exists():
        return 0
    with np.load(path) as found:
        for i, value in enumerate(network.values()):
            value[...] = found[f"value {i}"]
        count = sum(name.startswith("velocity") for name in found.files)
        descent.velocities = [found[f"velocity {i}"] for i in range(count)]
        told = json.loads(str(found["told"]))
    history.train, history.validation = told["train"], told["validation"]
    history.seconds = told["seconds"]
    return int(told["epoch"])


def load_network(path: Path, recipe: Recipe, split: Split, seed: int) -> tuple[Network, History]:
    """A network that has been trained, and how it went."""
    network, history = Network(recipe, split.x.shape[1], split.outputs, seed), History([], [])
    if restore(path, network, Descent(0, 0), history) != recipe.epochs:
        raise ValueError(f"{path} has not been trained to its end")
    network.eval()
    return network, history


# --- training -------------------------------------------------------------------------------------


def train(recipe: Recipe, split: Split, seed: int, path: Path) -> Iterator[tuple[int, float]]:
    """Train to the end, from the checkpoint at `path` where there is one.

    Yields how many epochs are done, and the last one's error on the validation images, per cent.
    """
    network = Network(recipe, split.x.shape[1], split.outputs, seed)
    descent, history = Descent(recipe.rate, recipe.momentum), History([], [])
    done = restore(path, network, descent, history)
    for epoch in range(done, recipe.epochs):
        start = time.process_time()
        along = epoch / max(1, recipe.epochs - 1)
        grown = min(1.0, along / RAMP)
        descent.rate = np.float32(recipe.rate * FINAL_RATE**along)
        descent.momentum = np.float32(START_MOMENTUM + (recipe.momentum - START_MOMENTUM) * grown)
        epochs_masks(network, seed, epoch)
        order = np.random.default_rng([seed, 1, epoch]).permutation(len(split.y))
        with np.errstate(over="ignore", invalid="ignore"):  # a rate that is too large shows itself
            train_epoch(network, descent, split.x, split.y, order, recipe)
            history.train.append(judge(network, split.x[:SEEN], split.y[:SEEN]))
            history.validation.append(judge(network, split.x_validation, split.y_validation))
        history.seconds += time.process_time() - start
        save(path, network, descent, epoch + 1, history)
        yield epoch + 1, history.validation[-1]
