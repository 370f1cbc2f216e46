"""Dropout for Flax NNX."""

from __future__ import annotations

from typing import Any

import jax
from flax import nnx

from ._draw import drawn

__all__ = ["Dropout"]


class Dropout(nnx.Dropout):
    """`flax.nnx.Dropout`, drawn by fastdrop on CPUs.

    Arguments, streams of keys and what they count, `deterministic`, `nnx.view` and everything else
    are Flax's; for the same key the mask is another.

    Parameters
    ----------
    rate : float
        Probability of dropping.
    broadcast_dims : sequence of int, default ()
        Dimensions along which one decision is shared.
    deterministic : bool or None, default False
        True returns the inputs; None has to be decided in each call.
    rng_collection : str, default "dropout"
        The stream of `rngs` that keys come from.
    rngs : nnx.Rngs, nnx.RngStream or None
        Where keys come from; None asks for them in each call.

    Raises
    ------
    TypeError
        In a call: inputs that are not float16, bfloat16, float32 or float64; and where Flax raises.
    ValueError
        In a call: a rate outside [0, 1], which Flax takes; and where Flax raises.
    NotImplementedError
        A call is compiled for another device than a CPU: use Flax's class there.

    Notes
    -----
    Source: Srivastava et al., "Dropout", JMLR 15 (2014), section 4.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from flax import nnx
    >>> import fastdrop.flax
    >>> layer = fastdrop.flax.nnx.Dropout(0.5, rngs=nnx.Rngs(0))
    >>> x = jnp.ones((2, 1000))
    >>> float(layer(x).max())
    2.0
    >>> layer.eval()
    >>> layer(x) is x
    True
    """

    def __call__(
        self,
        inputs: Any,
        *,
        deterministic: bool | None = None,
        rngs: nnx.Rngs | nnx.RngStream | jax.Array | None = None,
    ) -> jax.Array:
        """Drop elements of the inputs, as `flax.nnx.Dropout` does.

        `deterministic` and `rngs` take precedence over those of the constructor.
        """
        decided = self.deterministic if deterministic is None else deterministic
        stream = self.rngs if rngs is None else rngs
        if decided is not None and not decided and self.rate not in (0.0, 1.0):
            key = None
            if isinstance(stream, nnx.Rngs):
                key = stream[self.rng_collection]()
            elif isinstance(stream, nnx.RngStream):
                key = stream()
            elif isinstance(stream, jax.Array):
                key = stream
            if key is not None:
                result: jax.Array = drawn(inputs, self.rate, key, self.broadcast_dims)
                return result
        # Nothing is drawn, or an argument is missing, which Flax says.
        unchanged: jax.Array = super().__call__(inputs, deterministic=deterministic, rngs=rngs)
        return unchanged
