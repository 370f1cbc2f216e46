"""Dropout for Flax on CPUs, in the place of its own: `nnx.Dropout` and `linen.Dropout`.

They are subclasses of Flax's, and draw with the keys that Flax's would draw with: change an import.

>>> import jax.numpy as jnp
>>> from flax import nnx
>>> import fastdrop.flax
>>> layer = fastdrop.flax.nnx.Dropout(0.5, rngs=nnx.Rngs(0))
>>> layer(jnp.ones((2, 3))).shape
(2, 3)
"""

from __future__ import annotations

try:
    import flax as _flax  # noqa: F401
except ImportError as _error:
    raise ImportError("fastdrop.flax needs Flax: pip install 'fastdrop-kernels[flax]'") from _error

from . import linen, nnx

__all__ = ["linen", "nnx"]
