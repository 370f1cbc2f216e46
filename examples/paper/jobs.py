"""A network to train, from its first epoch to its result on disk."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

from examples.experiments.averaging import averaged
from examples.experiments.learning import Split

from .data import Images
from .plan import AVERAGED, Job
from .training import judge, load_network, train

Tell = Callable[[str, int], object]
"""Hears what is trained, and how many more epochs are done."""
K = (1, 2, 5, 10, 20, 50, 100)
"""How many thinned networks are averaged."""


def carry_out(job: Job, images: Images, tell: Tell, state: Path, quick: bool) -> dict:
    """Train a network, unless that is done; what came out."""
    result = state / f"{job.file}.json"
    name = f"{job.name}, seed {job.seed}"
    if result.exists():
        tell(name, job.recipe.epochs)
        return dict(json.loads(result.read_text("utf-8")))
    split = images.split(job.seed, quick)
    checkpoint = state / f"{job.file}.npz"
    before = 0
    for done, validation in train(job.recipe, split, job.seed, checkpoint):
        tell(f"{name}, validation {validation:.2f} %", done - before)
        before = done
    tell(name, job.recipe.epochs - before)
    found = finished(job, checkpoint, split, quick)
    part = result.with_suffix(".part")
    part.write_text(json.dumps(found, indent=1), "utf-8")
    part.replace(result)
    checkpoint.unlink()
    return found


def finished(job: Job, checkpoint: Path, split: Split, quick: bool) -> dict:
    """Errors after each epoch, and on the test images after the last."""
    start = time.process_time()
    network, history = load_network(checkpoint, job.recipe, split, job.seed)
    found: dict = {
        "name": job.name, "seed": job.seed, "rate": job.recipe.rate,
        "epochs": job.recipe.epochs, "train": history.train, "validation": history.validation,
    }  # fmt: skip
    if not job.choosing:  # what is chosen must not see them
        found["test"] = judge(network, split.x_test, split.y_test)
    if job.name == AVERAGED and not job.choosing:
        ks = K[:3] if quick else K
        errors = averaged(network, split.x_test, split.y_test, ks, job.seed)
        found["averaged"] = dict(zip(map(str, ks), errors, strict=True))
    found["seconds"] = history.seconds + time.process_time() - start
    return found
