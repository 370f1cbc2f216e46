"""Dropout for Flax Linen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import flax.linen as nn
import jax.numpy as jnp

from ._draw import drawn

if TYPE_CHECKING:
    import jax

__all__ = ["Dropout"]


class Dropout(nn.Dropout):
    """`flax.linen.Dropout`, drawn by fastdrop on CPUs.

    Attributes, names of modules, keys and `deterministic` are Flax's; for the same key the mask is
    another.

    Parameters
    ----------
    rate : float
        Probability of dropping.
    broadcast_dims : sequence of int, default ()
        Dimensions along which one decision is shared.
    deterministic : bool or None, default None
        True returns the inputs; None has to be decided in each call.
    rng_collection : str, default "dropout"
        What keys are drawn from: ``apply(..., rngs={"dropout": key})``.

    Raises
    ------
    TypeError
        In a call: inputs that are not float16, bfloat16, float32 or float64.
    ValueError
        In a call: a rate outside [0, 1], which Flax takes; and where Flax raises.
    NotImplementedError
        A call is compiled for another device than a CPU: use Flax's class there.

    Notes
    -----
    Source: Srivastava et al., "Dropout", JMLR 15 (2014), section 4.

    Examples
    --------
    >>> import jax
    >>> import jax.numpy as jnp
    >>> import fastdrop.flax
    >>> layer = fastdrop.flax.linen.Dropout(0.5, deterministic=False)
    >>> y = layer.apply({}, jnp.ones((2, 1000)), rngs={"dropout": jax.random.key(1)})
    >>> float(y.max())
    2.0
    """

    @nn.compact
    def __call__(
        self, inputs: Any, deterministic: bool | None = None, rng: jax.Array | None = None
    ) -> jax.Array:
        """Drop elements of the inputs, as `flax.linen.Dropout` does.

        `deterministic` is given here or to the constructor; `rng` is a key to draw with, instead of
        one of the module's.
        """
        decided = nn.merge_param("deterministic", self.deterministic, deterministic)
        if decided or self.rate == 0.0:
            unchanged: jax.Array = inputs
            return unchanged
        if self.rate == 1.0:
            return jnp.zeros_like(inputs)
        key = self.make_rng(self.rng_collection) if rng is None else rng
        result: jax.Array = drawn(inputs, self.rate, key, self.broadcast_dims)
        return result
