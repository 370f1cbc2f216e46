"""Train the paper's networks at their own size: hours on one core, interrupted whenever you like.

    python -m examples.paper --plan            how long would it take here?
    python -m examples.paper                   begin, or go on where it was interrupted
    python -m examples.paper --quick           seconds: shows that it runs, nothing more
    python -m examples.paper.document          tables and figures into the documentation

Data are four files of MNIST's format: Fashion-MNIST by default, as Debian's package
`dataset-fashion-mnist` ships it, or the folder that `--data` names. 10,000 of the 60,000 images for
training are for validation: learning rates are chosen on them, and no network learns from its own.
The test images judge. One core is used, or as many as `--processes` says. What is done is kept in
`--state`: a checkpoint after each epoch, a result for each network.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from examples.experiments.common import one_thread
from examples.experiments.mlp import Descent, Network

from . import data
from .plan import FIGURE_4, choices, finals
from .team import team
from .training import train_epoch

STATE, QUICK_STATE = Path("paper-state"), Path("paper-state-quick")


def choose(results: Sequence[dict]) -> dict[str, float]:
    """Each recipe's rate: the one with the smallest validation error."""
    best: dict[str, dict] = {}
    for one in results:
        if one["name"] not in best or one["validation"][-1] < best[one["name"]]["validation"][-1]:
            best[one["name"]] = one
    return {name: one["rate"] for name, one in best.items()}


def claim(state: Path, folder: Path, quick: bool) -> None:
    """Results of other data or of small networks must not be taken for these."""
    state.mkdir(parents=True, exist_ok=True)
    ours = {"data": str(folder.resolve()), "quick": quick}
    settings = state / "settings.json"
    if settings.exists():
        theirs = json.loads(settings.read_text("utf-8"))
        if theirs != ours:
            raise SystemExit(f"{state} has results of {theirs}, not of {ours}")
    else:
        settings.write_text(json.dumps(ours), "utf-8")


def run(
    folder: Path, state: Path, seeds: int, epochs: int, quick: bool, processes: int = 1
) -> None:
    """Choose, then compare."""
    tried = choices(quick)
    guess = finals(dict.fromkeys(FIGURE_4, 0.0), seeds, epochs, quick)
    total = sum(job.recipe.epochs for job in (*tried, *guess))
    with tqdm(total=total, unit=" epochs") as bar:

        def tell(what: str, epochs: int) -> None:
            bar.set_description(what, refresh=False)
            bar.update(epochs)

        with team(processes, folder, state, quick, tell) as carry:
            chosen = choose(carry(tried))
            carry(finals(chosen, seeds, epochs, quick))


def plan(images: data.Images, seeds: int, epochs: int, quick: bool, batches: int = 20) -> str:
    """Measure some batches of each kind of network: what would everything take, of one core?"""
    split = images.split(0, quick)
    jobs = [*choices(quick), *finals(dict.fromkeys(FIGURE_4, 0.01), seeds, epochs, quick)]
    seconds: dict[str, float] = {}
    for job in tqdm(jobs, unit=" networks", leave=False):
        if job.name in seconds:
            continue
        network = Network(job.recipe, split.x.shape[1], split.outputs, 0)
        descent = Descent(job.recipe.rate, job.recipe.momentum)
        order = np.arange(min(len(split.y), batches * job.recipe.batch))
        train_epoch(network, descent, split.x, split.y, order[: 2 * job.recipe.batch], job.recipe)
        start = time.process_time()
        train_epoch(network, descent, split.x, split.y, order, job.recipe)
        seconds[job.name] = (time.process_time() - start) * len(split.y) / len(order)
    lines = [f"  {name:<28} {value:6.1f} s an epoch" for name, value in seconds.items()]
    total = sum(seconds[job.name] * job.recipe.epochs for job in jobs)
    count = sum(job.recipe.epochs for job in jobs)
    return "\n".join(
        [
            *lines,
            f"{len(jobs)} networks, {count} epochs: {total / 3600:.1f} hours of one core's time",
        ]
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m examples.paper", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--data", type=Path, default=data.FASHION, help="folder (%(default)s)")
    parser.add_argument("--state", type=Path, help=f"folder ({STATE}, or {QUICK_STATE})")
    parser.add_argument("--seeds", type=int, default=3, help="at least 2 (%(default)s)")
    parser.add_argument("--epochs", type=int, default=14, help="of each network (%(default)s)")
    parser.add_argument("--processes", type=int, default=1, help="a core each (%(default)s)")
    parser.add_argument("--plan", action="store_true", help="train nothing: how long would it be?")
    parser.add_argument("--quick", action="store_true", help="some hundred images, small networks")
    options = parser.parse_args(arguments)
    if options.seeds < 2 or options.epochs < 1 or options.processes < 1:
        parser.error("--seeds has to be at least 2, --epochs and --processes at least 1")
    seeds = 2 if options.quick else options.seeds
    state = options.state or (QUICK_STATE if options.quick else STATE)
    if options.plan:
        with one_thread():
            images = data.load(options.data, options.quick)
            print(plan(images, seeds, options.epochs, options.quick))
        return
    claim(state, options.data, options.quick)
    run(options.data, state, seeds, options.epochs, options.quick, options.processes)
    print(f"Everything is trained. Results: {state}")
    if options.quick:
        print("A quick run says nothing about dropout: leave out --quick for that.")


if __name__ == "__main__":
    main()
