"""What all projects share: interleaved steps, medians, memory, what is told of them.

A case is a training or sampling step of somebody's code in three variants that start alike:

    none      nothing is dropped: the limit
    theirs    the project as it is
    fastdrop  the same with fastdrop switched on

They make one step each in turn, so that whatever else the machine does slows all of them alike.
What is given is the median step, and the median of the ratios within the rounds.
"""

from __future__ import annotations

import argparse
import ctypes
import datetime as dt
import json
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from importlib.metadata import version
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

from tqdm import tqdm

import fastdrop
from examples.experiments.common import machine, one_thread, table

VARIANTS = ("none", "theirs", "fastdrop")
ROUNDS, QUICK_ROUNDS, WARM_UP = range(9, 31), 3, 2
"""Of the full run as many as a minute has, within these bounds."""
SEED = 1

Step = Callable[[], float]
"""One step of a variant; it returns the loss, or another number that says it is right."""


@dataclass(frozen=True)
class Case:
    name: str
    what: str
    """Shapes, rates, the number that a step returns."""
    build: Callable[[str, bool], Step]
    """A variant's step; true asks for a small one that only shows that it runs."""
    switch: Callable[[], AbstractContextManager[object]]
    """What a user does to have fastdrop, for the time of a step."""
    share: Callable[[Step], float]
    """Dropout's part of a step by a profiler; nan where none says it."""
    packages: tuple[str, ...]


@dataclass(frozen=True)
class Measured:
    """What came out of a case; dictionaries are by variant."""

    name: str
    what: str
    seconds: dict[str, float]
    ratio: float
    """fastdrop's step to theirs."""
    quartiles: tuple[float, float]
    """Of that ratio over the rounds."""
    loss: dict[str, float]
    share: dict[str, float]
    memory: dict[str, float]
    """MiB that two steps take at most beyond what is there before them."""
    rounds: int
    date: str
    machine: str
    versions: dict[str, str]


# --- measuring ------------------------------------------------------------------------------------


def switched(case: Case, variant: str) -> AbstractContextManager[object]:
    return case.switch() if variant == "fastdrop" else nullcontext()


def measure(case: Case, quick: bool, memory: Mapping[str, float]) -> Measured:
    """Let the variants make their steps in turn."""
    fastdrop.manual_seed(SEED)
    steps = {variant: case.build(variant, quick) for variant in VARIANTS}
    seconds: dict[str, list[float]] = {variant: [] for variant in VARIANTS}
    losses: dict[str, list[float]] = {variant: [] for variant in VARIANTS}

    def run(rounds: int, what: str) -> float:
        """Seconds that a round took."""
        began = time.perf_counter()
        for _ in tqdm(range(rounds), unit=" rounds", desc=f"{case.name}, {what}"):
            for variant, step in steps.items():
                with switched(case, variant):
                    start = time.perf_counter()
                    losses[variant].append(step())
                    seconds[variant].append(time.perf_counter() - start)
        return (time.perf_counter() - began) / rounds

    run(WARM_UP - 1, "compiling what is compiled")
    round_takes = run(1, "warming up")
    fit = min(max(int(60 / round_takes), ROUNDS.start), ROUNDS.stop - 1)
    rounds = QUICK_ROUNDS if quick else fit
    run(rounds, "measured")
    timed = {variant: found[WARM_UP:] for variant, found in seconds.items()}
    ratios = [a / b for a, b in zip(timed["fastdrop"], timed["theirs"], strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    share = {}
    for variant in ("theirs", "fastdrop"):
        with switched(case, variant):
            share[variant] = case.share(steps[variant])
    return Measured(
        name=case.name,
        what="small, to see that it runs" if quick else case.what,
        seconds={variant: statistics.median(found) for variant, found in timed.items()},
        ratio=middle,
        quartiles=(low, high),
        loss={v: statistics.fmean(found[-(rounds // 3) :]) for v, found in losses.items()},
        share=share,
        memory=dict(memory),
        rounds=len(ratios),
        date=str(dt.datetime.now(tz=dt.UTC).date()),
        machine=f"one thread, {machine()}",
        versions={name: version(name) for name in case.packages},
    )


# --- memory ---------------------------------------------------------------------------------------


def memory_now(what: str) -> int:
    """VmRSS (now) or VmHWM (most since the mark was reset) of this process, in KiB; of Linux."""
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(what))


M_MMAP_THRESHOLD = -3
"""Of glibc's malloc.h."""


def peak(case: Case, variant: str, quick: bool, answer: Connection) -> None:
    """MiB that two steps take at most beyond what is there before them, and before anything ran."""
    # What is freed goes back to the system at once, or it would be used again unseen.
    if hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(M_MMAP_THRESHOLD, 1 << 16)
    with switched(case, variant):  # a small one first, for the code that it loads
        case.build(variant, True)()
    step = case.build(variant, quick)
    Path("/proc/self/clear_refs").write_text("5", "ascii")  # resets the high-water mark
    before = memory_now("VmRSS")
    with switched(case, variant):
        for _ in range(2):
            step()
    answer.send((memory_now("VmHWM") - before) / 1024)


def memory(case: Case, quick: bool) -> dict[str, float]:
    """The peaks of all variants, each in a process of its own; nan where the system does not tell.

    They are forks: imports are done, and no library has started threads yet.
    """
    if not Path("/proc/self/clear_refs").exists():
        return dict.fromkeys(VARIANTS, math.nan)
    fork, found = get_context("fork"), {}
    for variant in VARIANTS:
        answer, send = fork.Pipe(duplex=False)
        child = fork.Process(target=peak, args=(case, variant, quick, send))
        child.start()
        send.close()
        found[variant] = answer.recv()
        child.join()
    return found


# --- results --------------------------------------------------------------------------------------


def per_cent(share: float) -> str:
    return "" if math.isnan(share) else f"{100 * share:.0f} %"


def report(results: Sequence[Measured]) -> str:
    """The table, in Markdown."""
    header = (
        "", "dropout's share of a step", "step without any", "theirs", "fastdrop",
        "fastdrop / theirs", "peak MiB, theirs", "fastdrop", "loss, theirs", "fastdrop",
    )  # fmt: skip
    rows = []
    for one in results:
        times = [f"{1000 * one.seconds[variant]:.4g} ms" for variant in VARIANTS]
        low, high = one.quartiles
        rows.append(
            (
                one.name,
                per_cent(one.share["theirs"]),
                *times,
                f"{one.ratio:.2f} ({low:.2f} to {high:.2f})",
                *(f"{one.memory[variant]:.0f}" for variant in VARIANTS[1:]),
                *(f"{one.loss[variant]:.3f}" for variant in VARIANTS[1:]),
            )
        )
    return table(header, rows)


def conditions(results: Sequence[Measured]) -> str:
    """What was measured, where and when."""
    lines = [f"- {one.name}: {one.what}; {one.rounds} rounds" for one in results]
    dates = sorted({one.date for one in results})
    versions = {item for one in results for item in one.versions.items()}
    words = (
        " to ".join(sorted({dates[0], dates[-1]})),
        *sorted({one.machine for one in results}),
        ", ".join(" ".join(item) for item in sorted(versions)),
    )
    return "\n".join([*lines, "", f"*Measured {'; '.join(words)}.*"])


def read(path: Path) -> list[Measured]:
    """What `--output` wrote."""
    return [Measured(**one) for one in json.loads(path.read_text("utf-8"))]


def write(results: Sequence[Measured], path: Path) -> None:
    text = json.dumps([asdict(one) for one in results], indent=1)
    path.write_text(text + "\n", "utf-8")


# --- the command line -----------------------------------------------------------------------------


def main(cases: Sequence[Case], about: str | None, arguments: Sequence[str] | None = None) -> None:
    """Measure a project's cases, and say what came out."""
    parser = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="small, few steps: does it run?")
    parser.add_argument("--output", type=Path, help="a JSON file, for examples.projects.document")
    options = parser.parse_args(arguments)
    with one_thread():  # PyTorch and XLA limit their own: on_torch.py, droq.py
        peaks = [memory(case, options.quick) for case in cases]
        results = [
            measure(case, options.quick, peak) for case, peak in zip(cases, peaks, strict=True)
        ]
    print(f"{report(results)}\n\n{conditions(results)}")
    if options.quick:
        print("\nA quick run says nothing about speed: leave out --quick for that.")
    if options.output:
        write(results, options.output)
