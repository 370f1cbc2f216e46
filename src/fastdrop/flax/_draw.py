"""What a layer of Flax drops, with a key that it has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from fastdrop.jax import dropout


def drawn(inputs: Any, rate: Any, key: Any, broadcast_dims: Sequence[int]) -> Any:
    """Dropout with one decision along each of the dimensions that are named."""
    x = jnp.asarray(inputs)
    shape = list(x.shape)
    for axis in broadcast_dims:
        shape[axis] = 1
    return dropout(x, rate, rng=key, noise_shape=shape if broadcast_dims else None)
