"""What dropout costs in the paper's own network: seconds an epoch, on one core.

    python -m examples.paper.benchmark              some minutes
    python -m examples.paper.benchmark --document   and into the documentation's page

784-1024-1024-1024-10, rectified linear units, dropout of 0.2 on inputs and 0.5 on hidden units,
batches of 100. In NumPy without dropout, with fastdrop, and by hand (a float for each element, a
mask that is kept); in PyTorch without, with its own, and with `fastdrop.torch.enable()`. They train
a few batches each in turn; an epoch is the 50,000 images of the experiments.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

import fastdrop.torch
from examples.experiments.common import machine, one_thread, table
from examples.experiments.document import put
from examples.experiments.mlp import Descent, Network, NumPyDropout

from . import data
from .document import PAGE
from .plan import FIGURE_4
from .training import Recipe, train_epoch

EPOCH = 50_000
Batches = Callable[[int], None]
"""Train as many batches."""


def numpy_variant(recipe: Recipe, images: data.Images) -> Batches:
    network = Network(recipe, images.x.shape[1], 10, 0)
    descent = Descent(0.01, 0.9)

    def train(count: int) -> None:
        order = np.arange(count * recipe.batch) % len(images.y)
        train_epoch(network, descent, images.x, images.y, order, recipe)

    return train


def torch_variant(recipe: Recipe, images: data.Images, drops: bool, ours: bool) -> Batches:
    torch.manual_seed(0)
    widths = [images.x.shape[1], *recipe.hidden]
    parts: list[nn.Module] = [nn.Dropout(recipe.p_input)] if drops else []
    for before, after in itertools.pairwise(widths):
        parts += [nn.Linear(before, after), nn.ReLU()]
        parts += [nn.Dropout(0.5)] if drops else []
    model = nn.Sequential(*parts, nn.Linear(widths[-1], 10))
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9)
    x, y = torch.from_numpy(images.x), torch.from_numpy(images.y)

    def train(count: int) -> None:
        with fastdrop.torch.enable() if ours else nullcontext():
            for number in range(count):
                first = number * recipe.batch % (len(y) - recipe.batch)
                part = slice(first, first + recipe.batch)
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(x[part]), y[part]).backward()
                optimizer.step()

    return train


def variants(images: data.Images, quick: bool) -> dict[str, Batches]:
    plain, drops = FIGURE_4["ReLU"], FIGURE_4["ReLU, dropout"]
    if quick:
        plain, drops = plain.quick(), drops.quick()
    by_hand = Recipe(
        hidden=drops.hidden, p_input=drops.p_input, p_hidden=drops.p_hidden,
        dropout=lambda p, rng: NumPyDropout(p, np.random.default_rng(rng.seed)),
    )  # fmt: skip
    return {
        "NumPy, no dropout": numpy_variant(plain, images),
        "NumPy, fastdrop": numpy_variant(drops, images),
        "NumPy, by hand": numpy_variant(by_hand, images),
        "PyTorch, no dropout": torch_variant(plain, images, drops=False, ours=False),
        "PyTorch, fastdrop": torch_variant(drops, images, drops=True, ours=True),
        "PyTorch, its own": torch_variant(drops, images, drops=True, ours=False),
    }


def measure(images: data.Images, quick: bool, rounds: int) -> dict[str, list[float]]:
    """Seconds an epoch of every variant, round by round."""
    batches, count = variants(images, quick), 2 if quick else 10
    seconds: dict[str, list[float]] = {name: [] for name in batches}
    for train in batches.values():
        train(2)
    for _ in tqdm(range(rounds), unit=" rounds"):
        for name, train in batches.items():
            start = time.perf_counter()
            train(count)
            taken = time.perf_counter() - start
            seconds[name].append(taken / count * EPOCH / FIGURE_4["ReLU"].batch)
    return seconds


def report(seconds: dict[str, list[float]]) -> str:
    """The table; what dropout adds is the median over the rounds."""
    rows = []
    for name, found in seconds.items():
        library = name.partition(",")[0]
        plain = seconds[f"{library}, no dropout"]
        more = statistics.median(a / b - 1 for a, b in zip(found, plain, strict=True))
        added = "" if name.endswith("no dropout") else f"{100 * more:.1f} %"
        rows.append((name, f"{statistics.median(found):.1f}", f"{min(found):.1f}", added))
    return table(("", "s an epoch, median", "least", "more than without dropout"), rows)


def conditions(rounds: int) -> str:
    about = machine(f"NumPy {np.__version__}", f"PyTorch {torch.__version__}")
    return f"*Medians of {rounds} interleaved rounds of 10 batches, one thread. {about}.*"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=data.FASHION, help="folder (%(default)s)")
    parser.add_argument("--rounds", type=int, default=15, help="default: %(default)s")
    parser.add_argument("--quick", action="store_true", help="small networks: does it run?")
    parser.add_argument("--document", action="store_true", help="write it into the page")
    parser.add_argument("--page", type=Path, default=PAGE, help="default: %(default)s")
    options = parser.parse_args(arguments)
    images = data.load(options.data, options.quick)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with one_thread():
            seconds = measure(images, options.quick, options.rounds)
    finally:
        torch.set_num_threads(threads)
    text = f"{report(seconds)}\n\n{conditions(options.rounds)}"
    print(text)
    if options.quick:
        print("\nA quick run says nothing about speed: leave out --quick for that.")
    if options.document:
        page = options.page.read_text(encoding="utf-8")
        options.page.write_text(put(page, "cost", f"\n{text}\n"), encoding="utf-8")


if __name__ == "__main__":
    main()
