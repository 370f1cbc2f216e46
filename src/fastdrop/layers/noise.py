"""Layers of Gaussian noise, multiplicative and additive."""

from __future__ import annotations

import numpy.typing as npt

from fastdrop import _arrays
from fastdrop._arrays import Array
from fastdrop._rates import check_deviation, check_noise_p
from fastdrop._rng import RNGLike
from fastdrop._window import WindowLike
from fastdrop.variants import GAUSSIAN_DROPOUT, GAUSSIAN_NOISE

from .base import PROBABILITY, Assignable
from .declared import MaskedLayer, WholeLayer

__all__ = ["GaussianDropout", "GaussianNoise"]


class GaussianDropout(MaskedLayer):
    """Multiplication with Gaussian noise that has dropout's variance.

    See `fastdrop.gaussian_dropout`. Source: Srivastava et al., JMLR 15 (2014), section 10.

    Parameters
    ----------
    p : float, default 0.5
        As for `fastdrop.gaussian_dropout`. May be assigned later.
    rng
        As for `Dropout`.

    Raises
    ------
    TypeError, ValueError
        As for `Dropout`; ValueError if `p` is 1.

    Examples
    --------
    >>> import fastdrop
    >>> layer = fastdrop.layers.GaussianDropout(0.2, rng=1)
    >>> layer([2.0] * 4).round(3)
    array([1.238, 1.962, 2.714, 1.291])
    >>> layer.backward([1.0] * 4).round(3)
    array([0.619, 0.981, 1.357, 0.646])
    """

    _variant = GAUSSIAN_DROPOUT
    p = Assignable(check_noise_p, str(PROBABILITY.__doc__))


class GaussianNoise(WholeLayer):
    """Addition of Gaussian noise; the gradient is `dy` itself, as the noise depends on nothing.

    See `fastdrop.gaussian_noise`. Source: Bishop, "Training with Noise is Equivalent to Tikhonov
    Regularization", Neural Computation 7 (1995).

    Parameters
    ----------
    std : float
        Standard deviation of the noise: finite, at least 0. May be assigned later.
    rng
        As for `Dropout`.

    Raises
    ------
    TypeError, ValueError
        As for `Dropout`; ValueError if `std` is negative or not finite.

    Examples
    --------
    >>> import fastdrop
    >>> layer = fastdrop.layers.GaussianNoise(0.5, rng=1)
    >>> layer([2.0] * 4).round(3)
    array([1.619, 1.981, 2.357, 1.646])
    >>> layer.backward([1.0] * 4)
    array([1., 1., 1., 1.])
    """

    _variant = GAUSSIAN_NOISE
    _strength = "std"
    std = Assignable(
        lambda std: check_deviation(std, "std", "float64"),
        "The standard deviation; assigning checks it and holds from the next forward on.",
    )

    def __init__(self, std: float, *, rng: RNGLike = None) -> None:
        self._configure(rng, std=std)

    def forward(self, x: npt.ArrayLike, *, window: WindowLike | None = None) -> Array:
        """Add noise in training, and nothing otherwise.

        Parameters
        ----------
        x, window
            As for `fastdrop.gaussian_noise`, with the same errors.

        Returns
        -------
        ndarray
            A new array of x's shape and dtype; evaluation returns `x` itself.
        """
        array = _arrays.as_operand(x)
        check_deviation(self.std, "std", _arrays.kind_of(array.dtype))
        return self._compute(self._declared, _arrays.itself(x, array), window=window)
