"""Keras' layers beside `fastdrop.keras`, in training, on the backend that KERAS_BACKEND names.

    KERAS_BACKEND=torch python -m bench.keras_layers            some minutes
    KERAS_BACKEND=jax python -m bench.keras_layers --quick      shows that it runs, nothing more

A call of a layer, seeded and unseeded, forward alone; on JAX it is compiled. One thread on NumPy
and PyTorch; JAX has its own. What is compared is measured in turn (A B A B ...) in one process.
"""

import argparse
import importlib
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

import fastdrop
import fastdrop.keras
from fastdrop._throughput import cpu_name

LAYERS: dict[str, tuple[str, dict[str, Any], int]] = {
    "Dropout, seeded": ("Dropout", {"rate": 0.1, "seed": 1}, 2),
    "Dropout": ("Dropout", {"rate": 0.1}, 2),
    "SpatialDropout1D": ("SpatialDropout1D", {"rate": 0.1}, 3),
    "SpatialDropout2D": ("SpatialDropout2D", {"rate": 0.1, "data_format": "channels_last"}, 4),
    "AlphaDropout": ("AlphaDropout", {"rate": 0.1}, 2),
    "GaussianDropout": ("GaussianDropout", {"rate": 0.1}, 2),
    "GaussianNoise": ("GaussianNoise", {"stddev": 0.1}, 2),
}
SHAPES = {
    "1 K": {2: (4, 256), 3: (4, 16, 16), 4: (4, 4, 4, 16)},
    "1 M": {2: (1024, 1024), 3: (16, 1024, 64), 4: (16, 32, 32, 64)},
}


def caller(layer: Any, x: Any) -> Callable[[], Any]:
    """A training call of the layer, with the state of its generator moved on."""
    if keras.config.backend() != "jax":
        return lambda: layer(x, training=True)
    jax = importlib.import_module("jax")

    def step(state: Any, x: Any) -> Any:
        return layer.stateless_call([], state, x, training=True)

    compiled = jax.jit(step)
    state = [variable.value for variable in layer.non_trainable_variables]
    states = [state or [layer.seed_generator.state.value]]

    def call() -> None:
        y, states[0] = compiled(states[0], x)
        y.block_until_ready()

    return call


def seconds(call: Callable[[], Any], number: int) -> float:
    start = time.perf_counter()
    for _ in range(number):
        call()
    return (time.perf_counter() - start) / number


def compare(quick: bool, rounds: int) -> None:
    print(f"{'':20}{'elements':>9}{'Keras':>12}{'fastdrop':>12}{'times':>8}")
    for what, (name, options, axes) in LAYERS.items():
        for size, shapes in SHAPES.items():
            x = keras.ops.ones(shapes[axes])
            modules = (keras.layers, fastdrop.keras)
            calls = [caller(getattr(module, name)(**options), x) for module in modules]
            for call in calls:
                seconds(call, 3)
            number = max(1, int((0.005 if quick else 0.05) / seconds(calls[0], 2)))
            told = [[seconds(call, number) for call in calls] for _ in range(rounds)]
            theirs, ours = map(statistics.median, zip(*told, strict=True))
            print(
                f"{what:20}{size:>9}{theirs * 1e6:9.0f} us{ours * 1e6:9.0f} us{theirs / ours:8.1f}",
                flush=True,
            )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int, help="how often each is measured")
    options = parser.parse_args(arguments)
    fastdrop.set_num_threads(1)
    if keras.config.backend() == "torch":
        importlib.import_module("torch").set_num_threads(1)
    print(
        f"{cpu_name()}, Keras {keras.__version__} on {keras.config.backend()}, NumPy "
        f"{np.__version__}, fastdrop {fastdrop.__version__}"
    )
    compare(options.quick, options.rounds or (2 if options.quick else 15))


if __name__ == "__main__":
    main()
