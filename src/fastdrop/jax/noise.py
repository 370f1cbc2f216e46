"""Alpha dropout and Gaussian noise in JAX."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastdrop.variants import ALPHA_DROPOUT, FEATURE_ALPHA_DROPOUT, GAUSSIAN_DROPOUT, GAUSSIAN_NOISE

from ._call import RNG, Window, run

if TYPE_CHECKING:
    import jax

__all__ = ["alpha_dropout", "feature_alpha_dropout", "gaussian_dropout", "gaussian_noise"]


def alpha_dropout(
    x: Any,
    p: float = 0.5,
    training: bool = True,
    *,
    rng: RNG,
    window: Window = None,
) -> jax.Array:
    """Dropout that keeps mean and variance: `fastdrop.alpha_dropout` of JAX's arrays.

    Parameters
    ----------
    x : array_like
        Of any shape. Dtypes as for `fastdrop.jax.dropout`.
    p, training, rng
        `p` is a Python number, which is compiled in; otherwise as for `fastdrop.alpha_dropout` and
        `fastdrop.jax.dropout`.
    window : (shape, start), optional
        As for `fastdrop.jax.dropout`.

    Returns
    -------
    jax.Array
        Of x's shape and dtype; with a `Key` or an integer the bits of `fastdrop.alpha_dropout`;
        evaluation returns `x`.

    Raises
    ------
    TypeError, ValueError, OverflowError
        As for `fastdrop.alpha_dropout`; `rng` is something else than `fastdrop.jax.dropout` takes.
    NotImplementedError, ImportError
        As for `fastdrop.jax.dropout`.

    Notes
    -----
    Source: Klambauer et al., "Self-Normalizing Neural Networks", NIPS 2017, section "Alpha
    dropout".

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> import numpy as np
    >>> import fastdrop.jax
    >>> x = jnp.ones((4, 6))
    >>> y = fastdrop.jax.alpha_dropout(x, 0.2, rng=1)
    >>> bool((y == fastdrop.alpha_dropout(np.asarray(x), 0.2, rng=1)).all())
    True
    """
    result: jax.Array = run(ALPHA_DROPOUT, (x,), p, training, rng, window=window)
    return result


def feature_alpha_dropout(
    x: Any,
    p: float = 0.5,
    training: bool = True,
    *,
    rng: RNG,
    window: Window = None,
) -> jax.Array:
    """The same of whole channels: `fastdrop.feature_alpha_dropout` of JAX's arrays.

    Parameters
    ----------
    x : array_like
        Of shape (samples, channels, ...). Dtypes as for `fastdrop.jax.dropout`.
    p, training, rng
        `p` is a Python number, which is compiled in; otherwise as for
        `fastdrop.feature_alpha_dropout` and `fastdrop.jax.dropout`.
    window : (shape, start), optional
        As for `fastdrop.jax.dropout`.

    Returns
    -------
    jax.Array
        Of x's shape and dtype; with a `Key` or an integer the bits of
        `fastdrop.feature_alpha_dropout`; evaluation returns `x`.

    Raises
    ------
    TypeError, ValueError, OverflowError
        As for `fastdrop.feature_alpha_dropout`; `rng` is something else than `fastdrop.jax.dropout`
        takes.
    NotImplementedError, ImportError
        As for `fastdrop.jax.dropout`.

    Notes
    -----
    Source: Klambauer et al., "Self-Normalizing Neural Networks", NIPS 2017, section "Alpha
    dropout".

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> import numpy as np
    >>> import fastdrop.jax
    >>> x = jnp.ones((4, 6, 2))
    >>> y = fastdrop.jax.feature_alpha_dropout(x, 0.2, rng=1)
    >>> bool((y == fastdrop.feature_alpha_dropout(np.asarray(x), 0.2, rng=1)).all())
    True
    """
    result: jax.Array = run(FEATURE_ALPHA_DROPOUT, (x,), p, training, rng, window=window)
    return result


def gaussian_dropout(
    x: Any,
    p: float = 0.5,
    training: bool = True,
    *,
    rng: RNG,
    window: Window = None,
) -> jax.Array:
    """Multiply with Gaussian noise of mean 1: `fastdrop.gaussian_dropout` of JAX's arrays.

    Parameters
    ----------
    x : array_like
        Of any shape. Dtypes as for `fastdrop.jax.dropout`.
    p, training, rng
        `p` is a Python number, which is compiled in; otherwise as for `fastdrop.gaussian_dropout`
        and `fastdrop.jax.dropout`.
    window : (shape, start), optional
        As for `fastdrop.jax.dropout`.

    Returns
    -------
    jax.Array
        Of x's shape and dtype; with a `Key` or an integer the bits of `fastdrop.gaussian_dropout`;
        evaluation returns `x`.

    Raises
    ------
    TypeError, ValueError, OverflowError
        As for `fastdrop.gaussian_dropout`; `rng` is something else than `fastdrop.jax.dropout`
        takes.
    NotImplementedError, ImportError
        As for `fastdrop.jax.dropout`.

    Notes
    -----
    Source: Srivastava et al., "Dropout", JMLR 15 (2014), section 10.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> import numpy as np
    >>> import fastdrop.jax
    >>> x = jnp.ones((4, 6))
    >>> y = fastdrop.jax.gaussian_dropout(x, 0.2, rng=1)
    >>> bool((y == fastdrop.gaussian_dropout(np.asarray(x), 0.2, rng=1)).all())
    True
    """
    result: jax.Array = run(GAUSSIAN_DROPOUT, (x,), p, training, rng, window=window)
    return result


def gaussian_noise(
    x: Any,
    std: float,
    training: bool = True,
    *,
    rng: RNG,
    window: Window = None,
) -> jax.Array:
    """Add Gaussian noise: `fastdrop.gaussian_noise` of JAX's arrays.

    Parameters
    ----------
    x : array_like
        Of any shape. Dtypes as for `fastdrop.jax.dropout`.
    std, training, rng
        `std` is as for `fastdrop.gaussian_noise`, and compiled in; the others are as for
        `fastdrop.jax.dropout`.
    window : (shape, start), optional
        As for `fastdrop.jax.dropout`.

    Returns
    -------
    jax.Array
        Of x's shape and dtype; with a `Key` or an integer the bits of `fastdrop.gaussian_noise`;
        evaluation returns `x`.

    Raises
    ------
    TypeError, ValueError, OverflowError
        As for `fastdrop.gaussian_noise`; `rng` is something else than `fastdrop.jax.dropout` takes.
    NotImplementedError, ImportError
        As for `fastdrop.jax.dropout`.

    Notes
    -----
    Source: Bishop, "Training with Noise is Equivalent to Tikhonov Regularization", Neural
    Computation 7 (1995).

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> import numpy as np
    >>> import fastdrop.jax
    >>> x = jnp.ones((4, 6))
    >>> y = fastdrop.jax.gaussian_noise(x, 1.0, rng=1)
    >>> bool((y == fastdrop.gaussian_noise(np.asarray(x), 1.0, rng=1)).all())
    True
    """
    result: jax.Array = run(GAUSSIAN_NOISE, (x,), std, training, rng, window=window)
    return result
