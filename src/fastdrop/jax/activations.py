"""Dropout in JAX in one pass with bias and activation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastdrop.variants import BIAS_ACT_DROPOUT

from ._call import RNG, Window, run

if TYPE_CHECKING:
    import jax

    from fastdrop._bias import Activation

__all__ = ["bias_act_dropout"]


def bias_act_dropout(
    x: Any,
    bias: Any = None,
    act: Activation = "none",
    p: float | jax.Array = 0.5,
    training: bool = True,
    *,
    rng: RNG,
    window: Window = None,
) -> jax.Array:
    """Add a bias, activate, drop: `fastdrop.bias_act_dropout` of JAX's arrays.

    Parameters
    ----------
    x : array_like
        Of any shape; with a bias of at least one axis. Dtypes as for `fastdrop.jax.dropout`.
    bias : array_like, optional
        Of the length of x's last axis, and x's dtype.
    act : {"none", "relu", "gelu", "gelu_tanh", "silu"}, default "none"
        The activation.
    p, training, rng
        As for `fastdrop.jax.dropout`: p may be traced, and `rng` may be a key of JAX.
    window : (shape, start), optional
        As for `fastdrop.jax.dropout`.

    Returns
    -------
    jax.Array
        Of x's shape and dtype; with a `Key` or an integer the bits of `fastdrop.bias_act_dropout`;
        evaluation returns ``act(x + bias)``.

    Raises
    ------
    TypeError, ValueError, OverflowError
        As for `fastdrop.bias_act_dropout`; `rng` is something else than `fastdrop.jax.dropout`
        takes.
    NotImplementedError, ImportError
        As for `fastdrop.jax.dropout`.

    Notes
    -----
    Source: Hendrycks and Gimpel, "Gaussian Error Linear Units (GELUs)", arXiv:1606.08415 (2016).

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> import numpy as np
    >>> import fastdrop.jax
    >>> x = jnp.ones((4, 6))
    >>> y = fastdrop.jax.bias_act_dropout(x, None, "gelu", 0.2, rng=1)
    >>> z = fastdrop.bias_act_dropout(np.asarray(x), None, "gelu", 0.2, rng=1)
    >>> bool((y == z).all())
    True
    """
    result: jax.Array = run(
        BIAS_ACT_DROPOUT, (x,), p, training, rng, act=(act, bias), window=window
    )
    return result
