"""Gaussian noise, multiplicative and additive."""

from __future__ import annotations

import numpy.typing as npt

from fastdrop._arrays import Array
from fastdrop._rng import RNGLike
from fastdrop._window import WindowLike
from fastdrop.pipeline import run
from fastdrop.variants import GAUSSIAN_DROPOUT, GAUSSIAN_NOISE

__all__ = ["gaussian_dropout", "gaussian_noise"]


def gaussian_dropout(
    x: npt.ArrayLike,
    p: float = 0.5,
    training: bool = True,
    *,
    rng: RNGLike = None,
    out: Array | None = None,
    window: WindowLike | None = None,
) -> Array:
    """Multiply with Gaussian noise of mean 1: ``x * (1 + sigma * z)``, sigma = sqrt(p / (1 - p)).

    z is a standard normal variate, another one for each element. The noise has the mean and the
    variance of what `dropout` multiplies with, m / (1 - p), so that nothing is scaled in
    evaluation. No element is set to 0. `gaussian_noise` adds the same noise. The gradient is the
    same call with the same `Key` on ``dy``.

    Parameters
    ----------
    x, training, rng, out, window
        As for `dropout`; but an element takes two positions of the stream.
    p : float, default 0.5
        Probability of dropping of the `dropout` whose variance the noise has, from 0 to below 1.

    Returns
    -------
    ndarray
        `out`, or a new array of x's shape and dtype; evaluation returns `x` itself.

    Raises
    ------
    TypeError, ValueError, OverflowError
        As for `dropout`; ValueError if `p` is 1.

    Notes
    -----
    Source: Srivastava et al., "Dropout", JMLR 15 (2014), section 10. Its p is the probability of
    keeping; with p that of dropping, its sigma**2 = (1 - p) / p is p / (1 - p).
    z is within 3.6e-6 of the normal distribution's quantile of 32 random bits, ``|z| <= 6.23``, and
    a float32 for every dtype of `x`. sigma is computed in float64. sigma and z, their product, the
    sum and the product with `x` are each rounded in float32 (for float64 arrays in float64, where
    z's 24 significant digits stay as they are), and the result, for 16-bit floats, once more to
    the dtype. Element i is made of positions offset + 2 i and offset + 2 i + 1.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop
    >>> y = fastdrop.gaussian_dropout(np.ones(1_000_000), 0.2, rng=1)
    >>> print(y[:4].round(3), f"{y.mean():.3f} {y.var():.2f}")
    [0.619 0.981 1.357 0.646] 1.000 0.25
    """
    return run(GAUSSIAN_DROPOUT, (x,), p, training, rng, out, window)


def gaussian_noise(
    x: npt.ArrayLike,
    std: float,
    training: bool = True,
    *,
    rng: RNGLike = None,
    out: Array | None = None,
    window: WindowLike | None = None,
) -> Array:
    """Add Gaussian noise: ``x + std * z``, with the z of `gaussian_dropout` for the same key.

    The gradient is ``dy`` itself. Source: Bishop, "Training with Noise is Equivalent to Tikhonov
    Regularization", Neural Computation 7 (1995); Keras' layer ``GaussianNoise``. Rounding is as for
    `gaussian_dropout`.

    Parameters
    ----------
    x, training, rng, out, window
        As for `gaussian_dropout`.
    std : float
        Standard deviation of the noise: finite, at least 0.

    Returns
    -------
    ndarray
        As for `gaussian_dropout`.

    Raises
    ------
    TypeError, ValueError, OverflowError
        As for `dropout`; TypeError if `std` is no real number, ValueError if it is negative, or not
        finite in float32 (for float64 arrays in float64).

    Examples
    --------
    >>> import fastdrop
    >>> fastdrop.gaussian_noise([0.0] * 4, 1, rng=1).round(3)
    array([-0.762, -0.038,  0.714, -0.709])
    """
    return run(GAUSSIAN_NOISE, (x,), std, training, rng, out, window)
