"""What all of Keras' layers that draw have in common: from a seed to a result.

A `SeedGenerator` of Keras holds two numbers of 32 bits: its seed, and how often it was called. They
are seed and stream of a key of fastdrop, so that a layer's masks follow from its seed alone,
whatever the backend; and no two calls share a mask. A module for each backend computes: `takes`
says for which tensors, `state_of` moves a generator on, and `draw` computes.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Final

import keras

from fastdrop._arrays import check_noise_shape
from fastdrop.variants import (
    ALPHA_DROPOUT,
    DROPOUT,
    GAUSSIAN_DROPOUT,
    GAUSSIAN_NOISE,
    Variant,
)

__all__ = ["ALPHA", "DROPOUT", "GAUSSIAN_DROPOUT", "GAUSSIAN_NOISE", "Variant", "drawn"]

# Alpha dropout has a `noise_shape` in Keras alone.
ALPHA: Final = dataclasses.replace(ALPHA_DROPOUT, decisions=DROPOUT.decisions)

_backend: Any
match keras.config.backend():
    case "numpy":
        from . import _numpy as _backend
    case "torch":
        from . import _torch as _backend
    case "jax":
        from . import _jax as _backend
    case _:
        _backend = None


def drawn(
    variant: Variant, inputs: Any, rate: float, noise_shape: Any = None, seed: Any = None
) -> Any:
    """A training call of a variant, or None, and nothing drawn, for what is left to Keras.

    That is: backends other than NumPy, PyTorch and JAX, devices other than the CPU, dtypes that are
    no floating-point numbers, and tensors without values, by which PyTorch finds shapes.
    """
    if isinstance(inputs, keras.Variable):
        inputs = inputs.value
    if _backend is None or not _backend.takes(inputs):
        return None
    own = tuple(inputs.shape)
    shape: tuple[int, ...] | None = None
    if noise_shape is not None:
        shape = check_noise_shape(noise_shape, own)
        if shape == own:
            shape = None
    return _backend.draw(variant, inputs, float(rate), shape, _backend.state_of(seed))
