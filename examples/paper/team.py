"""Networks trained by several processes, a core each.

Each network follows from its recipe and seed alone, so that how many processes there are, and
which of them trains it, changes no result.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from queue import Empty

from examples.experiments.common import one_thread

from . import data
from .jobs import Tell, carry_out
from .plan import Job

Carry = Callable[[Sequence[Job]], list[dict]]

_work: Callable[[Job], dict]


@contextmanager
def team(size: int, folder: Path, state: Path, quick: bool, tell: Tell) -> Iterator[Carry]:
    """A function that has jobs carried out, by this process or by `size` others."""
    if size == 1:
        images = data.load(folder, quick)
        with one_thread():
            yield lambda jobs: [carry_out(job, images, tell, state, quick) for job in jobs]
        return
    # Processes that are forked after threads were started may hang.
    context = multiprocessing.get_context("spawn")
    told: multiprocessing.Queue = context.Queue()
    with ProcessPoolExecutor(size, context, _begin, (folder, state, quick, told)) as pool:

        def carry(jobs: Sequence[Job]) -> list[dict]:
            results = [pool.submit(_one, job) for job in jobs]
            waiting = set(results)
            while waiting:
                waiting = wait(waiting, timeout=0.2).not_done
                for told_one in _heard(told):
                    tell(*told_one)
            return [result.result() for result in results]

        try:
            yield carry
        except BaseException:  # not even those that wait shall be trained
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _heard(told: multiprocessing.Queue) -> Iterator[tuple[str, int]]:
    """What has been told by now."""
    while True:
        try:
            yield told.get_nowait()
        except Empty:
            return


def _begin(folder: Path, state: Path, quick: bool, told: multiprocessing.Queue) -> None:
    """In each of the processes."""
    global _work
    images = data.load(folder, quick)

    def tell(what: str, epochs: int) -> None:
        told.put((what, epochs))

    def on_one_core(job: Job) -> dict:
        with one_thread():
            return carry_out(job, images, tell, state, quick)

    _work = on_one_core


def _one(job: Job) -> dict:
    return _work(job)
