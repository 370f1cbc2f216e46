"""A race between two threads, planted to see that ThreadSanitizer ends it with an error.

``released``: both write one array while neither holds Python's lock. ``held``: both set what the
compiled module has one of, which nothing but Python's lock keeps in order.
"""

import sys
import threading
from types import SimpleNamespace

import numpy as np

import fastdrop
from fastdrop import _core

x = np.ones(100_000, np.float32)
key = fastdrop.Key(1, 0, 0)
names = {name: name for name in ("float32", "float64", "float16", "bfloat16")}
pytorch = SimpleNamespace(types=(), watched=(), threads=int, grad_enabled=bool)
for name in ("new", "touched", "modes", "idle", "quiet", "forward_ad"):
    setattr(pytorch, name, None)
races = {
    "released": lambda: fastdrop.dropout_(x, 0.5, rng=key),
    "held": lambda: _core.bind_tensors(None, names, pytorch),
}
race = races[sys.argv[1]]


def often() -> None:
    for _ in range(100):
        race()


threads = [threading.Thread(target=often) for _ in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
