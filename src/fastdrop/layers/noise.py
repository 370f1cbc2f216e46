"""Layers of Gaussian noise, multiplied and added."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fastdrop import _arrays, noise
from fastdrop._arrays import Array
from fastdrop._plan import check_deviation, check_noise_p
from fastdrop._rng import RNGLike

from .base import Draw, Layer
from .masked import MaskedLayer


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

    def __init__(self, p: float = 0.5, *, rng: RNGLike = None) -> None:
        super().__init__(p, rng)

    def _check_p(self, p: object) -> float:
        return check_noise_p(p)

    def _mask_shape(self, x: Array) -> tuple[int, ...]:
        return (*x.shape, 2)  # positions of the stream

    def _applied(self, array: Array, draw: Draw, out: Array | None = None) -> Array:
        return noise.gaussian_dropout(array, draw.p, draw.key is not None, rng=draw.key, out=out)


class GaussianNoise(Layer):
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

    _std: float

    def __init__(self, std: float, *, rng: RNGLike = None) -> None:
        self._apply(self._checked({"std": std}))
        super().__init__(rng)

    @property
    def std(self) -> float:
        """The standard deviation; assigning checks it and holds from the next forward on."""
        return self._std

    @std.setter
    def std(self, std: float) -> None:
        self._apply(self._checked({"std": std}))

    def forward(self, x: npt.ArrayLike) -> Array:
        """Add noise in training, and nothing otherwise.

        Parameters
        ----------
        x : array_like
            As for `fastdrop.gaussian_noise`.

        Returns
        -------
        ndarray
            A new array of x's shape and dtype; evaluation returns `x` itself.

        Raises
        ------
        TypeError
            A dtype that `fastdrop.dropout` does not take.
        ValueError
            `std` is not finite in float32, and x's dtype is not float64.
        """
        array = _arrays.as_operand(x)
        check_deviation(self._std, "std", _arrays.kind_of(array.dtype))
        y, key = None, None
        if self.training and array.size:  # memory is had before the generator moves
            y = np.empty(array.shape, array.dtype)
            key = self.generator.reserve(2 * array.size)
        x = _arrays.itself(x, array)
        y = noise.gaussian_noise(x, self._std, key is not None, rng=key, out=y)
        self._memory.last = Draw(array.shape, array.shape, 0.0, key)
        return y

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
        return self._answered(dy)[0]

    def _settings(self) -> dict[str, Any]:
        return {"std": self._std}

    def _checked(self, settings: dict[str, Any]) -> dict[str, Any]:
        return {"std": check_deviation(settings["std"], "std", "float64")}

    def _apply(self, settings: dict[str, Any]) -> None:
        self._std = settings["std"]

    def _arguments(self) -> list[str]:
        return [f"std={self._std}"]
