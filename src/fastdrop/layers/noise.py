"""Layers of Gaussian noise, multiplicative and additive."""

from __future__ import annotations

import numpy.typing as npt

from fastdrop import _arrays
from fastdrop._arrays import Array
from fastdrop._rates import check_deviation, check_noise_p
from fastdrop._rng import RNGLike
from fastdrop._window import WindowLike
from fastdrop.variants import GAUSSIAN_DROPOUT, GAUSSIAN_NOISE

from .configured import PROBABILITY, Assignable
from .declared import MaskedLayer, VariantLayer

__all__ = ["GaussianDropout", "GaussianNoise"]


class GaussianDropout(MaskedLayer):
    """Multiplication with Gaussian noise that has dropout's variance.

    Parameters
    ----------
    p : float, default 0.5
        Probability of dropping of the dropout whose variance the noise has, from 0 to less than 1.
        May be assigned later.
    rng : None, int, Key, Generator, numpy.random.SeedSequence or numpy.random.Generator
        What the layer draws from, as for `Dropout`.

    Raises
    ------
    TypeError
        An argument has the wrong type.
    ValueError
        `p` is outside [0, 1).

    Notes
    -----
    Source: Srivastava et al., "Dropout", JMLR 15 (2014), section 10. See
    `fastdrop.gaussian_dropout`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop
    >>> layer = fastdrop.layers.GaussianDropout(0.2, rng=1)
    >>> layer(np.full(4, 2.0)).round(3)
    array([1.238, 1.962, 2.714, 1.291])
    >>> layer.backward(np.ones(4)).round(3)
    array([0.619, 0.981, 1.357, 0.646])
    """

    _variant = GAUSSIAN_DROPOUT
    p = Assignable(check_noise_p, str(PROBABILITY.__doc__))


class GaussianNoise(VariantLayer):
    """Addition of Gaussian noise.

    Parameters
    ----------
    std : float
        Standard deviation of the noise: finite, at least 0. May be assigned later.
    rng : None, int, Key, Generator, numpy.random.SeedSequence or numpy.random.Generator
        What the layer draws from, as for `Dropout`.

    Raises
    ------
    TypeError
        An argument has the wrong type.
    ValueError
        `std` is negative or not finite.

    Notes
    -----
    Source: Bishop, "Training with Noise is Equivalent to Tikhonov Regularization", Neural
    Computation 7 (1995). See `fastdrop.gaussian_noise`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop
    >>> layer = fastdrop.layers.GaussianNoise(0.5, rng=1)
    >>> layer(np.full(4, 2.0)).round(3)
    array([1.619, 1.981, 2.357, 1.646])
    >>> layer.backward(np.ones(4))
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
        x : array_like
            As for `fastdrop.gaussian_noise`.
        window : pair of tuple of int, optional
            As for the function: what is given is a part of a larger array. `backward` then
            computes the gradient of that part.

        Returns
        -------
        ndarray
            A new array of x's shape and dtype; evaluation returns `x` itself.

        Raises
        ------
        TypeError
            A dtype that `fastdrop.dropout` does not take.
        ValueError
            `std` is not finite in float32, and x's dtype is not float64; `window` as for
            `fastdrop.dropout`.
        """
        array = _arrays.as_operand(x)
        check_deviation(self.std, "std", _arrays.kind_of(array.dtype))
        return self._compute(self._declared, _arrays.itself(x, array), window=window)

    def backward(self, dy: npt.ArrayLike) -> Array:
        """The gradient with respect to the input of the last `forward`.

        Parameters
        ----------
        dy : array_like
            The gradient with respect to its output, of the same shape.

        Returns
        -------
        ndarray
            `dy` itself: the noise depends on nothing.

        Raises
        ------
        RuntimeError
            There was no `forward`.
        TypeError
            A dtype that `fastdrop.dropout` does not take.
        ValueError
            `dy` has another shape than the output.
        """
        gradient: Array = self._gradient(dy)
        return gradient
