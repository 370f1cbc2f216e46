"""What is drawn where Keras runs on JAX."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fastdrop._arrays import KINDS
from fastdrop.jax._call import has_known_lengths, run
from fastdrop.variants import Variant

from ._private import draw_seed

__all__ = ["draw", "state_of", "takes"]


def takes(x: object) -> bool:
    """Whether `x` is an array that is computed here, or stands for one in a trace.

    Where a trace will be compiled for is not known in it, and an array of NumPy, which
    `keras.random.dropout` hands on as it is, goes where JAX puts it: JAX's default backend decides.
    Of arrays with unknown lengths, by which Keras finds shapes, nothing is computed.
    """
    if not isinstance(x, jax.Array | np.ndarray) or x.dtype.name not in KINDS:
        return False
    if not has_known_lengths(x):
        return False
    if isinstance(x, jax.core.Tracer | np.ndarray):
        return jax.default_backend() == "cpu"
    return all(device.platform == "cpu" for device in x.devices())


def state_of(seed: Any) -> Any:
    """Two numbers, as Keras draws them, which takes them for a seed as they are."""
    return seed if isinstance(seed, jax.Array) else draw_seed(seed)


def draw(variant: Variant, x: Any, p: float, shape: tuple[int, ...] | None, state: Any) -> Any:
    """A training call at a state of Keras' generators; `shape` is that of the decisions."""
    seed, stream = state
    # As `fastdrop.jax` reads four words: those of the seed and of the stream, the higher one first.
    zero = jnp.zeros_like(seed)
    words = jnp.stack([zero, seed, zero, stream])
    option = () if variant.decisions is None else (shape,)
    return run(variant, (x,), p, True, words, *option)
