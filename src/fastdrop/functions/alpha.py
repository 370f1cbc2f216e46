"""Alpha dropout: for networks of SELUs, whose activations keep their mean and variance."""

from __future__ import annotations

import numpy.typing as npt

from fastdrop._arrays import Array
from fastdrop._rng import RNGLike
from fastdrop._window import WindowLike
from fastdrop.pipeline import run
from fastdrop.variants import (
    ALPHA_DROPOUT,
    ALPHA_DROPOUT_BACKWARD,
    FEATURE_ALPHA_DROPOUT,
    FEATURE_ALPHA_DROPOUT_BACKWARD,
)

__all__ = [
    "alpha_dropout",
    "alpha_dropout_backward",
    "feature_alpha_dropout",
    "feature_alpha_dropout_backward",
]


def alpha_dropout(
    x: npt.ArrayLike,
    p: float = 0.5,
    training: bool = True,
    *,
    rng: RNGLike = None,
    out: Array | None = None,
    window: WindowLike | None = None,
) -> Array:
    """Set elements of `x` to SELU's negative saturation at random, and restore mean and variance.

    Each element is dropped with probability `p`, on its own: it becomes alpha' =
    -1.7580993408473766, to which SELU tends for large negative input. An affine map of all elements
    then makes the result's mean 0 and variance 1 where x's are: a kept element becomes ``a x + b``
    and a dropped one ``a alpha' + b``, with ``a = ((1 - p) (1 + p alpha'^2))^(-1/2)`` and
    ``b = -a alpha' p``. The gradient, `alpha_dropout_backward`, has another form.

    Parameters
    ----------
    x, p, training, rng, out, window
        As for `dropout`, and the decisions too: with the same key they are those of `dropout_mask`.

    Returns
    -------
    ndarray
        `out`, or an array of x's shape and dtype (+0.0 for p = 1); evaluation returns `x` itself.

    Raises
    ------
    TypeError, ValueError, OverflowError
        As for `dropout`.

    Notes
    -----
    Source: Klambauer, Unterthiner, Mayr and Hochreiter, "Self-Normalizing Neural Networks", NIPS
    2017, section "Alpha dropout". The paper writes q for the probability of keeping, 1 - p.
    The constants are computed in float64, each operation rounded. For float32 and 16-bit arrays a
    and b are rounded to float32; then product and sum are rounded each, and, for 16-bit floats, the
    sum once more to the dtype. ``a alpha' + b`` is computed in float64 and rounded to the dtype.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop
    >>> x = np.random.default_rng(1).standard_normal(100_000, np.float32)
    >>> y = fastdrop.alpha_dropout(x, 0.2, rng=1)
    >>> print(f"{abs(y.mean()):.2f} {y.std():.2f}")
    0.00 1.00
    """
    return run(ALPHA_DROPOUT, (x,), p, training, rng, out, window)


def feature_alpha_dropout(
    x: npt.ArrayLike,
    p: float = 0.5,
    training: bool = True,
    *,
    rng: RNGLike = None,
    out: Array | None = None,
    window: WindowLike | None = None,
) -> Array:
    """Apply `alpha_dropout` to whole channels: all elements of one are dropped together, or kept.

    The gradient, `feature_alpha_dropout_backward`, has another form. Source: Klambauer et al., NIPS
    2017, section "Alpha dropout" (see `alpha_dropout`), with the decisions of `dropout2d`.

    Parameters
    ----------
    x, p, training, rng, out, window
        As for `dropout`, with an `x` of (samples, channels, ...); the mask takes one position for
        each sample and channel.

    Returns
    -------
    ndarray
        As for `alpha_dropout`.

    Raises
    ------
    TypeError, ValueError, OverflowError
        As for `dropout`; ValueError if `x` has fewer than 2 axes.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop
    >>> fastdrop.feature_alpha_dropout(np.ones((2, 3, 4, 4)), 0.5, rng=3)[:, :, 0, 0].round(3)
    array([[-0.779,  1.666,  1.666],
           [-0.779, -0.779, -0.779]])
    """
    return run(FEATURE_ALPHA_DROPOUT, (x,), p, training, rng, out, window)


def alpha_dropout_backward(
    dy: npt.ArrayLike,
    p: float = 0.5,
    training: bool = True,
    *,
    rng: RNGLike,
    out: Array | None = None,
    window: WindowLike | None = None,
) -> Array:
    """The gradient of `alpha_dropout` with respect to `x`: ``a dy`` where it kept, else +0.0.

    Source: Klambauer et al., NIPS 2017, section "Alpha dropout": the derivative of its affine map.

    Parameters
    ----------
    dy : array_like
        The gradient with respect to the result of `alpha_dropout`. Dtypes as for `dropout`.
    p, training, rng, out, window
        What `alpha_dropout` was called with, its key as `rng` (an int, a `Key`, a `SeedSequence`);
        but `out` is where the gradient goes, as for `dropout`.

    Returns
    -------
    ndarray
        `out`, or an array of dy's shape and dtype; of an evaluation, `dy` itself.

    Raises
    ------
    TypeError, ValueError, OverflowError
        As for `dropout`; TypeError if `rng` gives another mask in every call.

    Examples
    --------
    >>> import fastdrop
    >>> fastdrop.alpha_dropout_backward([1.0] * 6, 0.5, rng=1).round(3)
    array([0.   , 0.   , 0.886, 0.   , 0.   , 0.886])
    """
    return run(ALPHA_DROPOUT_BACKWARD, (dy,), p, training, rng, out, window)


def feature_alpha_dropout_backward(
    dy: npt.ArrayLike,
    p: float = 0.5,
    training: bool = True,
    *,
    rng: RNGLike,
    out: Array | None = None,
    window: WindowLike | None = None,
) -> Array:
    """The gradient of `feature_alpha_dropout` with respect to `x`.

    Source: Klambauer et al., NIPS 2017, section "Alpha dropout": the derivative of its affine map.

    Parameters
    ----------
    dy, p, training, rng, out, window
        As for `alpha_dropout_backward`, but of `feature_alpha_dropout`.

    Returns
    -------
    ndarray
        As for `alpha_dropout_backward`.

    Raises
    ------
    TypeError, ValueError, OverflowError
        As for `alpha_dropout_backward`; ValueError if `dy` has fewer than 2 axes.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop
    >>> fastdrop.feature_alpha_dropout_backward(np.ones((2, 3, 4)), 0.5, rng=3)[:, :, 0].round(3)
    array([[0.   , 0.886, 0.886],
           [0.   , 0.   , 0.   ]])
    """
    return run(FEATURE_ALPHA_DROPOUT_BACKWARD, (dy,), p, training, rng, out, window)
