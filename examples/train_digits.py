"""Train a small network on handwritten digits, with and without dropout.

The network is a multi-layer perceptron written in NumPy, with fastdrop's layer for the dropout; the
other layers are those of experiments/mlp.py. The data are scikit-learn's 1,797 digits of 8 x 8
pixels: 900 of them train the network, the other 897 only judge it.

For every seed three networks start from the same weights and see the same images in the same
order, one epoch each in turn, so that whatever else the machine does slows all of them alike:

    none      no dropout
    fastdrop  fastdrop.layers.Dropout after both hidden layers
    NumPy     dropout by hand, as a NumPy programmer would write it

At the end come the test error of each (mean and spread over the seeds), the seconds that dropout
took, and a picture of the learning curves.

    python examples/train_digits.py             ten seeds: a few minutes
    python examples/train_digits.py --quick     some seconds: shows that it runs, nothing more

To try other settings, use --validate: it judges on 200 of the training images instead and leaves
the test part alone.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from experiments.mlp import (
    Descent,
    Floats,
    Labels,
    Layer,
    Linear,
    NumPyDropout,
    ReLU,
    cross_entropy,
    error,
)
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
from tqdm import tqdm

import fastdrop
from fastdrop import layers

Curve = NDArray[np.float64]

SPLIT_SEED = 0
TRAINING_IMAGES = 900
VALIDATION_IMAGES = 200
PIXELS, HIDDEN, CLASSES = 64, (512, 512), 10
BATCH = 100
LEARNING_RATE = 0.03
MOMENTUM = 0.9
JUDGE_EVERY = 5

VARIANTS = ("none", "fastdrop", "NumPy")


# --- data -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Digits:
    """Images to learn from and images to be judged on; the two never mix."""

    x: Floats
    y: Labels
    x_judge: Floats
    y_judge: Labels


def load(validate: bool) -> Digits:
    """Split the images, always in the same way; validate judges on some of the training part."""
    images, labels = load_digits(return_X_y=True)
    x = (images / 16.0).astype(np.float32)
    y = labels.astype(np.int64)
    order = np.random.default_rng(SPLIT_SEED).permutation(len(x))
    learn, judge = order[:TRAINING_IMAGES], order[TRAINING_IMAGES:]
    if validate:
        learn, judge = learn[:-VALIDATION_IMAGES], learn[-VALIDATION_IMAGES:]
    return Digits(x[learn], y[learn], x[judge], y[judge])


# --- the network ----------------------------------------------------------------------------------


DROPOUTS = (layers.Dropout, NumPyDropout)


class Network:
    """Linear, ReLU and perhaps dropout, per hidden layer; a linear layer on top."""

    def __init__(self, variant: str, p: float, seed: int) -> None:
        self.seconds = self.dropout_seconds = 0.0
        self.layers: list[Layer | layers.Dropout] = []
        rng = np.random.default_rng(seed)
        dropouts = dropout_layers(variant, p, seed)
        width = PIXELS
        for index, hidden in enumerate(HIDDEN):
            self.layers += [Linear(width, hidden, rng), ReLU(), *dropouts[index : index + 1]]
            width = hidden
        self.layers.append(Linear(width, CLASSES, rng))
        self.descent = Descent(LEARNING_RATE, MOMENTUM)

    def forward(self, x: Floats) -> Floats:
        for layer in self.layers:
            start = time.perf_counter()
            x = layer.forward(x)
            if isinstance(layer, DROPOUTS):
                self.dropout_seconds += time.perf_counter() - start
        return x

    def backward(self, gradient: Floats) -> None:
        for layer in reversed(self.layers):
            start = time.perf_counter()
            gradient = layer.backward(gradient)
            if isinstance(layer, DROPOUTS):
                self.dropout_seconds += time.perf_counter() - start

    def train_epoch(self, batches: Sequence[tuple[Floats, Labels]]) -> None:
        start = time.perf_counter()
        for layer in self.layers:
            layer.train()
        for x, y in batches:
            self.backward(cross_entropy(self.forward(x), y)[1])
            learned = [layer for layer in self.layers if isinstance(layer, Linear)]
            self.descent.step([pair for layer in learned for pair in layer.parameters()])
        self.seconds += time.perf_counter() - start

    def judge(self, x: Floats, y: Labels) -> tuple[float, float]:
        """Return the error in per cent, and the mean loss."""
        for layer in self.layers:
            layer.eval()
        scores = self.forward(x)
        return error(scores, y), cross_entropy(scores, y)[0]


def dropout_layers(variant: str, p: float, seed: int) -> Sequence[Layer | layers.Dropout]:
    """One dropout layer after each hidden layer, each with a stream of its own."""
    if variant == "fastdrop":
        return [layers.Dropout(p, rng=rng) for rng in fastdrop.Generator(seed).spawn(len(HIDDEN))]
    if variant == "NumPy":
        children = np.random.SeedSequence(seed).spawn(len(HIDDEN))
        return [NumPyDropout(p, np.random.default_rng(child)) for child in children]
    return []


# --- the experiment -------------------------------------------------------------------------------


class Record:
    """What the networks of one variant did: a row per seed, in the curves a column per judging."""

    def __init__(self, seeds: int, judgings: int) -> None:
        self.errors = np.zeros((seeds, judgings))
        self.losses = np.zeros((seeds, judgings))
        self.seconds = np.zeros(seeds)
        self.dropout_seconds = np.zeros(seeds)

    @property
    def final(self) -> Curve:
        """The errors after the last epoch: no network is judged at its best moment."""
        return self.errors[:, -1]


def judging_epochs(epochs: int) -> list[int]:
    """After which epochs the networks are judged: every few, and the last."""
    return [*range(JUDGE_EVERY, epochs, JUDGE_EVERY), epochs]


def run(data: Digits, seeds: int, epochs: int, p: float) -> dict[str, Record]:
    """Train every variant with every seed, and judge each on the way and at its end."""
    column = {epoch: index for index, epoch in enumerate(judging_epochs(epochs))}
    records = {variant: Record(seeds, len(column)) for variant in VARIANTS}
    bar = tqdm(total=seeds * epochs, unit="epoch", mininterval=0.5)
    for seed in range(seeds):
        networks = {variant: Network(variant, p, seed) for variant in VARIANTS}
        rng = np.random.default_rng([seed, 1])
        for epoch in range(1, epochs + 1):
            order = rng.permutation(len(data.y))
            parts = [order[i : i + BATCH] for i in range(0, len(order), BATCH)]
            batches = [(data.x[part], data.y[part]) for part in parts]
            for variant, network in networks.items():
                network.train_epoch(batches)
                if epoch in column:
                    place = seed, column[epoch]
                    records[variant].errors[place], _ = network.judge(data.x_judge, data.y_judge)
                    _, records[variant].losses[place] = network.judge(data.x, data.y)
            bar.update()
        for variant, network in networks.items():
            records[variant].seconds[seed] = network.seconds
            records[variant].dropout_seconds[seed] = network.dropout_seconds
    bar.close()
    return records


def spread(values: Curve) -> float:
    """Return the standard deviation over the seeds, nan for a single one."""
    return float(values.std(ddof=1)) if len(values) > 1 else math.nan


def verdict(without: Curve, with_dropout: Curve) -> str:
    """Compare seed by seed, because the networks of one seed began alike."""
    gains = without - with_dropout
    gain, error = float(gains.mean()), spread(gains) / math.sqrt(len(gains))
    finding = "No clear difference"
    if abs(gain) > 2 * error:
        finding = "Dropout helped" if gain > 0 else "Dropout hurt"
    return (
        f"{finding}: with dropout the mean error is {abs(gain):.2f} points "
        f"{'lower' if gain > 0 else 'higher'} (standard error {error:.2f}; "
        f"lower with {np.count_nonzero(gains > 0)} of {len(gains)} seeds)."
    )


def report(records: dict[str, Record], part: str, epochs: int, p: float) -> str:
    """Say in words and figures what came out."""
    none, ours, by_hand = (records[variant] for variant in VARIANTS)
    lines = [
        f"{part} error after {epochs} epochs, p = {p:g}: mean ± spread over {len(none.final)} seeds"
    ]
    for variant, record in records.items():
        lines.append(f"  {variant:<9} {record.final.mean():5.2f} % ± {spread(record.final):.2f}")
    lines.append(verdict(none.final, ours.final))
    plain = none.seconds.mean()
    lines.append(f"\nseconds in dropout per network, forward and backward; all else {plain:.2f} s")
    for variant in VARIANTS[1:]:
        seconds = records[variant].dropout_seconds.mean()
        lines.append(f"  {variant:<9} {seconds:7.3f} s   {100 * seconds / plain:5.1f} % on top")
    ratio = by_hand.dropout_seconds.sum() / ours.dropout_seconds.sum()
    lines.append(f"Dropout by hand took {ratio:.1f} times as long as fastdrop's.")
    return "\n".join(lines)


# --- the picture ----------------------------------------------------------------------------------

LOOKS = {"none": ("-", "#56606b"), "fastdrop": ("-", "#d1495b"), "NumPy": ("--", "#2e86ab")}


def plot(records: dict[str, Record], part: str, epochs: int, p: float, path: Path) -> None:
    """Draw the mean over the seeds, with a band of one standard deviation to each side."""
    x = judging_epochs(epochs)
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    highest = 0.0
    for variant, record in records.items():
        style, colour = LOOKS[variant]
        label = "no dropout" if variant == "none" else f"{variant}, p = {p:g}"
        mean, deviation = record.errors.mean(axis=0), record.errors.std(axis=0)
        left.plot(x, mean, style, color=colour, label=label)
        low, high = mean - deviation, mean + deviation
        left.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
        right.plot(x, record.losses.mean(axis=0), style, color=colour, label=label)
        # The first epochs would leave all the others at the foot of the picture.
        highest = max(highest, float(high[len(x) // 8 :].max()))
    seeds = len(records["none"].final)
    left.set(title=f"{part} error, mean and spread of {seeds} seeds", ylabel="per cent")
    left.set_ylim(0, 1.05 * highest + 0.01)
    right.set(title="training loss, dropout off", ylabel="cross-entropy", yscale="log")
    for axes in (left, right):
        axes.set_xlabel("epoch")
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
    figure.savefig(path, dpi=150)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Train on digits with and without dropout.")
    parser.add_argument("--seeds", type=int, default=10, help="default: %(default)s")
    parser.add_argument("--epochs", type=int, default=150, help="default: %(default)s")
    parser.add_argument("--p", type=float, default=0.5, help="chance of dropping (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="2 seeds of 10 epochs: does it run?")
    parser.add_argument("--validate", action="store_true", help="judge on training images held out")
    parser.add_argument(
        "--output", type=Path, default=Path("train_digits.png"), help="picture (%(default)s)"
    )
    options = parser.parse_args(arguments)
    if options.seeds < 1 or options.epochs < 1:
        parser.error("--seeds and --epochs have to be at least 1")
    if not 0.0 <= options.p < 1.0:
        parser.error(f"--p has to be at least 0 and below 1, but got {options.p:g}")
    if options.quick:
        options.seeds, options.epochs = 2, 10
    return options


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, report, draw."""
    options = parse(arguments)
    part = "validation" if options.validate else "test"
    start = time.perf_counter()
    # One thread each: at this size a second one gains little and blurs the comparison.
    fastdrop.set_num_threads(1)
    # Where Numba is the backend, it compiles here and not while the clock runs.
    fastdrop.dropout(np.zeros((BATCH, HIDDEN[0]), np.float32), options.p, rng=0)
    with threadpool_limits(limits=1):
        records = run(load(options.validate), options.seeds, options.epochs, options.p)
    print("\n" + report(records, part, options.epochs, options.p))
    if options.quick:
        print("\nA quick run says nothing about what dropout is worth: leave out --quick for that.")
    plot(records, part, options.epochs, options.p, options.output)
    print(f"\nLearning curves: {options.output} ({time.perf_counter() - start:.0f} s in all)")


if __name__ == "__main__":
    main()
