"""Threads that call something together, or while another one changes it."""

import itertools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

CALLERS = 8


def at_once(work: Callable[[int], Any], callers: int = CALLERS) -> list[Any]:
    """What ``work`` gives each caller; all of them begin together."""
    start = threading.Barrier(callers)

    def call(i: int) -> Any:
        start.wait(60)
        return work(i)

    with ThreadPoolExecutor(callers) as pool:
        return list(pool.map(call, range(callers)))


@contextmanager
def changing(change: Callable[[int], object]) -> Iterator[None]:
    """One more thread calls ``change`` with 0, 1, 2... for as long as this is entered."""
    stop = threading.Event()

    def keep_changing() -> None:
        for i in itertools.count():
            change(i)
            if stop.is_set():
                break

    with ThreadPoolExecutor(1) as pool:
        changer = pool.submit(keep_changing)
        try:
            yield
        finally:
            stop.set()
    changer.result()  # raises what went wrong
