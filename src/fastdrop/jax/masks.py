"""Element-wise dropout in JAX, and masks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax.numpy as jnp

from fastdrop._arrays import check_shape
from fastdrop._rates import check_mode
from fastdrop.variants import DROPOUT, DROPOUT_STANDARD

from ._call import RNG, Window, run

if TYPE_CHECKING:
    import jax

    from fastdrop._arrays import NoiseShape
    from fastdrop.functions.masks import Mode

__all__ = ["dropout", "dropout_mask"]


def dropout(
    x: Any,
    p: float | jax.Array = 0.5,
    training: bool = True,
    *,
    rng: RNG,
    noise_shape: NoiseShape | None = None,
    mode: Mode = "inverted",
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
        False evaluates: nothing is drawn, and `mode` says what is returned.
    rng : jax key, Key, int or None
        A key of JAX, typed or of uint32; its words are seed and stream: of two words w0, w1 the
        seed is ``w0 * 2**32 + w1``, the next two are the stream in the same way. With a `Key` or
        an integer the bits are those of `fastdrop.dropout`. None is for evaluation alone.
    noise_shape : sequence of int or None, optional
        As for `fastdrop.dropout`.
    mode : {"inverted", "standard"}, default "inverted"
        As for `fastdrop.dropout`; "standard" takes no traced p.
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
        It is compiled for another device than a CPU, or a length of `x` is a symbol.
    ImportError
        XLA refuses the handler, see `register`.

    Notes
    -----
    Source: Srivastava et al., "Dropout", JMLR 15 (2014), section 4.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> import fastdrop.jax
    >>> fastdrop.jax.dropout(jnp.ones(8), 0.5, rng=1).shape
    (8,)
    """
    variant = DROPOUT if check_mode(mode) == "inverted" else DROPOUT_STANDARD
    result: jax.Array = run(variant, (x,), p, training, rng, noise_shape, window=window)
    return result


def dropout_mask(
    shape: int | tuple[int, ...],
    p: float | jax.Array = 0.5,
    *,
    rng: RNG,
    window: Window = None,
) -> jax.Array:
    """Draw the mask that `dropout` would apply with the same `rng` and `p`: True is keep.

    Parameters
    ----------
    shape : int or tuple of int
        The mask's shape.
    p, rng, window
        As for `fastdrop.jax.dropout`.

    Returns
    -------
    jax.Array
        Of bools; with a `Key` or an integer those of `fastdrop.dropout_mask`.

    Raises
    ------
    TypeError, ValueError, OverflowError, NotImplementedError, ImportError
        As for `fastdrop.jax.dropout`, and for a shape that is none.

    Notes
    -----
    Source: Srivastava et al., "Dropout", JMLR 15 (2014), section 4.

    Examples
    --------
    >>> import fastdrop.jax
    >>> fastdrop.jax.dropout_mask((2, 4), 0.5, rng=1)
    Array([[False, False,  True, False],
           [False,  True, False, False]], dtype=bool)
    """
    lengths, _ = check_shape(shape)
    kept: jax.Array = run(DROPOUT, (jnp.ones(lengths, jnp.bfloat16),), p, True, rng, window=window)
    return kept != 0
