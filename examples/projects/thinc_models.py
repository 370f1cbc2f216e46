"""thinc, spaCy's library: its network for digits, and a tagger of the kind that spaCy trains.

The first is the project's example for MNIST with hidden layers of 512 units, on scikit-learn's
digits. The second embeds words by hashing and looks at their neighbours in four residual layers,
as spaCy's default `tok2vec` does, with its widths and its dropout of 0.1; its words are random,
and a word's tag depends on it alone.

    python -m examples.projects.thinc_models
"""

from __future__ import annotations

import cProfile
import pstats
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from thinc.api import (
    Adam,
    HashEmbed,
    Maxout,
    Model,
    Relu,
    Softmax,
    chain,
    clone,
    expand_window,
    fix_random_seed,
    get_current_ops,
    residual,
    with_array,
)

import fastdrop.thinc

from .common import SEED, Case, Step, main

Batch = Callable[[], tuple[Any, Any]]
WORDS, TAGS, SENTENCES, LENGTH = 5000, 17, 64, 20
PROFILED = 10


def digits(p: float, quick: bool) -> tuple[Model, Batch]:
    values, labels = load_digits(return_X_y=True)
    x = (values / 16).astype(np.float32)
    y = np.eye(10, dtype=np.float32)[labels]
    width = 32 if quick else 512
    model = chain(Relu(width, dropout=p), Relu(width, dropout=p), Softmax())
    model.initialize(x[:8], y[:8])
    rng = np.random.default_rng(SEED)

    def batch() -> tuple[Any, Any]:
        rows = rng.integers(len(x), size=128)
        return x[rows], y[rows]

    return model, batch


def tagger(p: float, quick: bool) -> tuple[Model, Batch]:
    width = 32 if quick else 96
    layer = chain(expand_window(1), Maxout(width, nP=3, normalize=True, dropout=p))
    model = chain(
        with_array(chain(HashEmbed(width, 2000, seed=SEED, column=0), clone(residual(layer), 4))),
        with_array(Softmax()),
    )
    rng = np.random.default_rng(SEED)
    tags = rng.integers(TAGS, size=WORDS)

    def batch() -> tuple[Any, Any]:
        words = rng.integers(WORDS, size=(SENTENCES, LENGTH))
        one_hot = np.eye(TAGS, dtype=np.float32)[tags[words]]
        return [row[:, None].astype(np.uint64) for row in words], list(one_hot)

    x, y = batch()
    model.initialize(x, y)
    return model, batch


def build(
    make: Callable[[float, bool], tuple[Model, Batch]], p: float, variant: str, quick: bool
) -> Step:
    fix_random_seed(SEED)
    model, batch = make(0.0 if variant == "none" else p, quick)
    optimizer = Adam(0.001)

    def step() -> float:
        """One update; half the squared error of the probabilities, for each answer."""
        x, y = batch()
        guess, backprop = model.begin_update(x)
        if isinstance(guess, list):
            count = sum(map(len, y))
            wrong = [(g - t) / count for g, t in zip(guess, y, strict=True)]
        else:
            count = len(y)
            wrong = (guess - y) / count
        backprop(wrong)
        model.finish_update(optimizer)
        parts = wrong if isinstance(wrong, list) else [wrong]
        return 0.5 * count * sum(float((part**2).sum()) for part in parts)

    return step


def share(step: Step) -> float:
    """What is spent in the functions of thinc's layer, forward and backward, by cProfile."""
    with cProfile.Profile() as profile:
        for _ in range(PROFILED):
            step()
    spent = 0.0
    stats = pstats.Stats(profile)
    for (path, _, name), (_, _, _, total, _) in stats.stats.items():  # type: ignore[attr-defined]
        if Path(path).parts[-2:] == ("layers", "dropout.py") and name in ("forward", "backprop"):
            spent += total
    return spent / stats.total_tt  # type: ignore[attr-defined]


assert get_current_ops().name == "numpy", "thinc computes with something else than NumPy"

CASES = (
    Case(
        "thinc, digits", "batch of 128, 2 x 512 units, p = 0.2",
        lambda *how: build(digits, 0.2, *how), fastdrop.thinc.enable, share, ("thinc", "numpy"),
    ),
    Case(
        "thinc, a tagger",
        f"{SENTENCES} sentences of {LENGTH} words, 4 layers of width 96, p = 0.1",
        lambda *how: build(tagger, 0.1, *how), fastdrop.thinc.enable, share, ("thinc", "numpy"),
    ),
)  # fmt: skip

if __name__ == "__main__":
    main(CASES, __doc__)
