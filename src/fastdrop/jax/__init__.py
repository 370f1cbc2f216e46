"""Dropout for JAX on CPUs: one call of a compiled kernel, under every transformation of JAX.

Gradients, forward and reverse and of any order, draw the mask again: nothing is kept but the key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

try:
    from fastdrop import _core as _core
except ImportError as _error:
    raise ImportError(
        f"fastdrop.jax needs fastdrop's compiled core, which is not there: {_error}"
    ) from _error

from fastdrop.variants import DROPOUT

from ._call import RNG, Window, run
from ._registration import register

if TYPE_CHECKING:
    import jax

    from fastdrop._arrays import NoiseShape

__all__ = ["dropout", "register"]


def dropout(
    x: Any,
    p: float | jax.Array = 0.5,
    training: bool = True,
    *,
    rng: RNG,
    noise_shape: NoiseShape | None = None,
    window: Window = None,
) -> jax.Array:
    """Set each element to 0 with probability `p`, and divide the others by 1 - p.

    Parameters
    ----------
    x : array_like
        float16, bfloat16, float32 or float64, of any shape.
    p : float or scalar array, default 0.5
        Probability of dropping. A float is compiled in; an array may be traced, has no gradient,
        and is used as the float32 or float64 that it is.
    training : bool, default True
        False returns `x`.
    rng : jax key, Key, int or None
        A key of JAX, typed or of uint32; its words are seed and stream: of two words w0, w1 the
        seed is ``w0 * 2**32 + w1``, the next two are the stream in the same way. With a `Key` or
        an integer the bits are those of `fastdrop.dropout`. None is for evaluation alone.
    noise_shape : sequence of int or None, optional
        As for `fastdrop.dropout`.
    window : (shape, start), optional
        `x` is the part of an array of that shape that begins at `start`, whose integers may be
        traced, and gets that part of its mask: the shards of `jax.shard_map` as one device.

    Returns
    -------
    jax.Array
        Of x's shape and dtype.

    Raises
    ------
    TypeError
        `x` has another dtype, `rng` is something else.
    ValueError
        `p` outside [0, 1], `noise_shape` or `window` that do not fit.
    NotImplementedError
        It is compiled for another device than a CPU.
    ImportError
        XLA refuses the handler, see `register`.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> import fastdrop.jax
    >>> fastdrop.jax.dropout(jnp.ones(8), 0.5, rng=1).shape
    (8,)
    """
    result: jax.Array = run(DROPOUT, (x,), p, training, rng, noise_shape, window=window)
    return result
