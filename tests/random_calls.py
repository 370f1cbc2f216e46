"""Random calls of everything public: most small, some far too large for the memory there is.

    python random_calls.py CALLS SEED

lets the process have only a little more address space than it has, calls, and prints as JSON what
the calls gave and what they left behind. `test_memory.py` reads it.
"""

import collections
import copy
import functools
import gc
import inspect
import json
import pickle
import random
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import fastdrop
from fastdrop import Generator, Key, layers

SPARE = 64 << 20  # bytes that it may take beyond what it has
RATES = 40  # so many that no cache of rates is filled in passing, and few enough to fill it
PRODUCT = {"dy": (5, 3), "x": (5, 7), "w": (3, 7)}  # shapes that belong together
EXPECTED = (MemoryError, TypeError, ValueError, OverflowError)
NOT_CALLED = {
    # None of them handles an array, and a backend that is loaded takes memory for good.
    "backend": "loads a backend",
    "set_backend": "loads a backend",
    "show_config": "loads every backend",
    "MonteCarloResult": "plain data that mc_dropout returns",
    "Sparsity": "plain data that sparsity returns",
    "Layer": "the base of the others",
}


def pages(field: int) -> int:
    """Bytes of the process: 0 for all of its address space, 1 for what is resident."""
    return int(Path("/proc/self/statm").read_text().split()[field]) * resource.getpagesize()


class Caller:
    """Makes up calls; what they may hold on to for ever are its arrays and nothing else."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.generator = Generator(seed)
        self.rates = [0.0, 1.0, np.float32(0.25), *(self.random.random() for _ in range(RATES))]
        self.buffers = [bytearray(64 * 1024) for _ in range(4)]
        dtypes = [np.float32, np.float64, np.float16, np.int32]
        self.arrays = [np.frombuffer(b, d) for b, d in zip(self.buffers, dtypes, strict=True)]
        shapes = [
            (5, 7),
            (3, 4, 5),
            (2, 3, 4, 5),
            (2, 3, 2, 3, 2),
            (),
            (0, 3),
            (300, 70),
            (70_000,),
        ]
        self.arrays += [np.ones(s, d) for d in (np.float32, np.float16) for s in shapes]
        self.arrays[4].flags.writeable = False
        self.outcomes: dict[str, collections.Counter[str]] = {}

    def often(self, percent: int) -> bool:
        return self.random.randrange(100) < percent

    def too_much(self) -> int:
        return 2 ** self.random.randrange(26, 45)

    def array(self) -> Any:
        if self.often(5):  # no memory of its own, but the result would need it
            shape = self.random.choice([(), (2,), (2, 3), (1, 2, 3)])
            return np.broadcast_to(np.float32(1), (*shape, self.too_much()))
        if self.often(3):
            return self.random.choice([[1.0, 2.0], "no array", None, np.ones(3, np.complex64)])
        array = self.random.choice(self.arrays)
        if array.ndim and self.often(30):
            array = self.random.choice([array[..., ::2], array[..., ::-1], array.T])
        return array if self.often(70) else array.copy()

    def rng(self) -> Any:
        seed = self.random.randrange(1000)
        return self.random.choice(
            [None, seed, Key(seed), self.generator, Generator(seed), np.random.SeedSequence(seed)]
            + [np.random.default_rng(seed), Key(1, 2, 2**64 - 5), "no rng"] * self.often(10)
        )

    def p(self) -> Any:
        if self.often(5):
            return self.random.choice([1.5, -0.1, float("nan"), "half", None, True])
        return self.random.choice(self.rates)

    def shape(self) -> Any:
        if self.often(5):
            return self.too_much()
        return self.random.choice([0, 1, 1000, 70_000, (), (3, 5), (2, 0, 3), (300, 70), -1, 1.5])

    def mask(self, x: Any) -> Any:
        shape = np.shape(x)
        if isinstance(x, np.ndarray) and x.size <= 100_000 and self.often(90):
            packed = self.often(50)
            return fastdrop.dropout_mask(shape, 0.5, rng=1, packed=packed)
        return self.random.choice([np.ones(3, bool), np.ones(3), np.broadcast_to(True, shape)])

    def argument(self, parameter: inspect.Parameter, x: Any) -> Any:
        """Something for one parameter; `parameter.empty` where its default will do."""
        name, choice = parameter.name, self.random.choice
        made: dict[str, Callable[[], Any]] = {
            "p": self.p,
            "std": self.p,
            "rng": self.rng,
            "shape": self.shape,
            "mask": lambda: self.mask(x),
            "fn": lambda: lambda a, rng: fastdrop.dropout(a, 0.5, rng=rng),
            "samples": lambda: self.too_much() if self.often(5) else self.random.randrange(1, 4),
            **dict.fromkeys(("n", "seed", "block_size"), lambda: self.random.randrange(1, 5)),
            "c": lambda: choice([0.0, 0.5, 3, float("inf"), -1, "no limit"]),
            **dict.fromkeys(("training", "packed"), lambda: self.often(80)),
        }
        if name in made:
            return made[name]()
        if name == "out" and self.often(20):
            return choice([x, self.array()])
        if name == "noise_shape" and self.often(30):
            return tuple(choice([1, n, None]) for n in np.shape(x))
        if parameter.default is parameter.empty:
            return x if self.often(90) else self.array()
        return parameter.empty

    def arguments(self, function: Callable[..., Any], x: Any) -> dict[str, Any]:
        parameters = inspect.signature(function).parameters.values()
        chosen = {q.name: self.argument(q, x) for q in parameters if q.name != "self"}
        if "per_sample" in chosen:
            fitting = {name: np.ones(PRODUCT[name], np.float32) for name in PRODUCT.keys() & chosen}
            chosen |= {name: array for name, array in fitting.items() if self.often(90)}
        if "fn" in chosen:  # called for every sample
            chosen["samples"] = self.random.randrange(1, 4)
        return {name: v for name, v in chosen.items() if v is not inspect.Parameter.empty}

    def layer(self, kind: type) -> None:
        layer = kind(**self.arguments(kind, None))
        linear = kind is layers.DropConnectLinear and self.often(90)
        x = np.ones(PRODUCT["x"], np.float32) if linear else self.array()
        layer.backward(layer.forward(**self.arguments(kind.forward, x)))
        layer.load_state_dict(layer.state_dict())

    def key(self) -> None:
        key = Key(self.random.randrange(2**64), self.shape(), 3)
        assert pickle.loads(pickle.dumps(key)) == Key.from_state(key.state) == copy.copy(key)

    def generators(self) -> None:
        generator = copy.copy(self.generator)
        generator.spawn(self.random.randrange(5))
        generator.reserve(self.too_much())
        generator.state = self.random.choice([self.generator.state, {"version": 2}])
        pickle.loads(pickle.dumps(generator))

    def surface(self) -> dict[str, Callable[[], Any]]:
        """Every public name with a call of it."""

        def call(name: str) -> None:
            called = getattr(fastdrop, name)
            called(**self.arguments(called, self.array()))

        names = {n for n in fastdrop.__all__ if callable(getattr(fastdrop, n))} - set(NOT_CALLED)
        calls: dict[str, Callable[[], Any]] = {n: functools.partial(call, n) for n in names}
        for name in set(layers.__all__) - set(NOT_CALLED):
            calls[f"layers.{name}"] = functools.partial(self.layer, getattr(layers, name))
        return calls | {"Key": self.key, "Generator": self.generators}

    def run(self, calls: int) -> None:
        surface = self.surface()
        names = sorted(surface)
        for _ in range(calls):
            name, outcome = self.random.choice(names), "returned"
            try:
                with np.errstate(all="ignore"):
                    surface[name]()
            except EXPECTED as error:
                outcome = type(error).__name__
            self.outcomes.setdefault(name, collections.Counter())[outcome] += 1

    def references(self) -> list[int]:
        gc.collect()
        return [sys.getrefcount(array) for array in self.arrays]

    def resizable(self) -> bool:
        """Whether nobody holds the memory of the arrays any more, once they are gone."""
        self.arrays.clear()
        for buffer in self.buffers:
            buffer.append(0)  # BufferError while it is exported
        return True


def forget() -> None:
    """Empty the caches of functions, which are bounded but fill for longer than is counted."""
    for value in gc.get_objects():
        if isinstance(value, functools._lru_cache_wrapper):
            value.cache_clear()


def main(calls: int, seed: int) -> None:
    fastdrop.set_num_threads(2)
    fastdrop.dropout_(np.ones(3_000_000, np.float32), 0.5)  # starts the helper
    limit = pages(0) + SPARE
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    caller = Caller(seed)
    caller.run(calls)  # warms up: caches, free lists, imports on first use
    references = caller.references()
    forget()
    blocks, resident = sys.getallocatedblocks(), pages(1)
    caller.run(calls)
    same = caller.references() == references
    forget()
    report = {
        "outcomes": caller.outcomes,
        "references are the same": same,
        "blocks": sys.getallocatedblocks() - blocks,
        "bytes": pages(1) - resident,
        "resizable": caller.resizable(),
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
