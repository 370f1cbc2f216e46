"""Dropout in JAX in one pass with a residual, or a recurrent state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastdrop.variants import DROPOUT_ADD, ZONEOUT

from ._call import RNG, Window, run

if TYPE_CHECKING:
    import jax

__all__ = ["dropout_add", "zoneout"]


def dropout_add(
    x: Any,
    residual: Any,
    p: float | jax.Array = 0.5,
    training: bool = True,
    *,
    rng: RNG,
    window: Window = None,
) -> jax.Array:
    """Add dropout of `x` to `residual`: `fastdrop.dropout_add` of JAX's arrays.

    Parameters
    ----------
    x : array_like
        Of any shape. Dtypes as for `fastdrop.jax.dropout`.
    residual : array_like
        Of x's shape and dtype.
    p, training, rng
        As for `fastdrop.jax.dropout`: p may be traced, and `rng` may be a key of JAX.
    window : (shape, start), optional
        As for `fastdrop.jax.dropout`.

    Returns
    -------
    jax.Array
        Of x's shape and dtype; with a `Key` or an integer the bits of `fastdrop.dropout_add`;
        evaluation returns ``x + residual``.

    Raises
    ------
    TypeError, ValueError, OverflowError
        As for `fastdrop.dropout_add`; `rng` is something else than `fastdrop.jax.dropout` takes.
    NotImplementedError, ImportError
        As for `fastdrop.jax.dropout`.

    Notes
    -----
    Source: Vaswani et al., "Attention Is All You Need", NIPS 2017, section 5.4.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> import numpy as np
    >>> import fastdrop.jax
    >>> x = jnp.ones((4, 6))
    >>> y = fastdrop.jax.dropout_add(x, 2 * x, 0.2, rng=1)
    >>> z = fastdrop.dropout_add(np.asarray(x), np.asarray(2 * x), 0.2, rng=1)
    >>> bool((y == z).all())
    True
    """
    result: jax.Array = run(DROPOUT_ADD, (x, residual), p, training, rng, window=window)
    return result


def zoneout(
    h_new: Any,
    h_old: Any,
    p: float | jax.Array = 0.5,
    training: bool = True,
    *,
    rng: RNG,
    window: Window = None,
) -> jax.Array:
    """Keep units of the step before: `fastdrop.zoneout` of JAX's arrays.

    Parameters
    ----------
    h_new : array_like
        Of any shape. Dtypes as for `fastdrop.jax.dropout`.
    h_old : array_like
        Of h_new's shape and dtype.
    p, training, rng
        As for `fastdrop.jax.dropout`: p may be traced, and `rng` may be a key of JAX.
    window : (shape, start), optional
        As for `fastdrop.jax.dropout`.

    Returns
    -------
    jax.Array
        Of h_new's shape and dtype; with a `Key` or an integer the bits of `fastdrop.zoneout`;
        evaluation returns ``(1 - p) * h_new + p * h_old``.

    Raises
    ------
    TypeError, ValueError, OverflowError
        As for `fastdrop.zoneout`; `rng` is something else than `fastdrop.jax.dropout` takes.
    NotImplementedError, ImportError
        As for `fastdrop.jax.dropout`.

    Notes
    -----
    Source: Krueger et al., "Zoneout: Regularizing RNNs by Randomly Preserving Hidden Activations",
    ICLR 2017, section 3.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> import numpy as np
    >>> import fastdrop.jax
    >>> x = jnp.ones((4, 6))
    >>> y = fastdrop.jax.zoneout(x, 2 * x, 0.2, rng=1)
    >>> z = fastdrop.zoneout(np.asarray(x), np.asarray(2 * x), 0.2, rng=1)
    >>> bool((y == z).all())
    True
    """
    result: jax.Array = run(ZONEOUT, (h_new, h_old), p, training, rng, window=window)
    return result
