"""Layers of two inputs in one pass: residual addition and zoneout."""

from __future__ import annotations

import numpy.typing as npt

from fastdrop._arrays import Array
from fastdrop._rng import RNGLike
from fastdrop._window import WindowLike
from fastdrop.variants import DROPOUT_ADD, ZONEOUT

from .base import PROBABILITY
from .declared import VariantLayer

__all__ = ["DropoutAdd", "Zoneout"]


class _PairLayer(VariantLayer):
    """A layer of two inputs of one shape."""

    p = PROBABILITY

    def __init__(self, p: float = 0.5, *, rng: RNGLike = None) -> None:
        self._configure(rng, p=p)


class DropoutAdd(_PairLayer):
    """Dropout of a sub-layer's output, and the addition to its input, in one pass.

    See `fastdrop.dropout_add`. Source: Vaswani et al., NIPS 2017, section 5.4.

    Parameters
    ----------
    p, rng
        As for `Dropout`, with the same errors.

    Examples
    --------
    >>> import fastdrop
    >>> layer = fastdrop.layers.DropoutAdd(0.5, rng=1)
    >>> layer([1.0] * 6, [10.0] * 6)
    array([10., 10., 12., 10., 10., 12.])
    >>> dx, d_residual = layer.backward([1.0] * 6)
    >>> dx
    array([0., 0., 2., 0., 0., 2.])
    """

    _variant = DROPOUT_ADD

    def forward(
        self, x: npt.ArrayLike, residual: npt.ArrayLike, *, window: WindowLike | None = None
    ) -> Array:
        """Drop in `x` in training, and add it to `residual`.

        Parameters
        ----------
        x, residual, window
            As for `fastdrop.dropout_add`, with the same errors; `backward` follows the `window`.

        Returns
        -------
        ndarray
            A new array of their shape and dtype.
        """
        return self._compute(self._declared, x, residual, window=window)

    def backward(self, dy: npt.ArrayLike) -> tuple[Array, Array]:
        """The gradients with respect to `x` and `residual` of the last `forward`.

        Parameters
        ----------
        dy : array_like
            The gradient with respect to its output, of the same shape.

        Returns
        -------
        tuple of ndarray
            Of dy's shape and dtype; the second is `dy` itself, and after an evaluation both are.

        Raises
        ------
        RuntimeError, TypeError, ValueError
            No `forward`; a dtype that `fastdrop.dropout` does not take; not the output's shape.
        """
        return self._gradient(dy), self._answered(dy)[0]


class Zoneout(_PairLayer):
    """Keep hidden units of the step before, instead of dropping them.

    Every `forward` draws anew, as the paper does at each time step; `backward` answers the last.
    See `fastdrop.zoneout`. Source: Krueger et al., ICLR 2017, section 3.

    Parameters
    ----------
    p, rng
        As for `Dropout`, with the same errors; `p` is the probability that a unit stays as it was.

    Examples
    --------
    >>> import fastdrop
    >>> layer = fastdrop.layers.Zoneout(0.5, rng=1)
    >>> layer([1.0] * 6, [0.0] * 6)
    array([0., 0., 1., 0., 0., 1.])
    >>> d_new, d_old = layer.backward([1.0] * 6)
    >>> d_old
    array([1., 1., 0., 1., 1., 0.])
    """

    _variant = ZONEOUT

    def forward(
        self, h_new: npt.ArrayLike, h_old: npt.ArrayLike, *, window: WindowLike | None = None
    ) -> Array:
        """Choose between the two in training, and mix them otherwise.

        Parameters
        ----------
        h_new, h_old, window
            As for `fastdrop.zoneout`, with the same errors; `backward` follows the `window`.

        Returns
        -------
        ndarray
            A new array of their shape and dtype.
        """
        return self._compute(self._declared, h_new, h_old, window=window)

    def backward(self, dy: npt.ArrayLike) -> tuple[Array, Array]:
        """The gradients with respect to `h_new` and `h_old` of the last `forward`.

        Parameters
        ----------
        dy : array_like
            The gradient with respect to its output, of the same shape.

        Returns
        -------
        tuple of ndarray
            Two new arrays of dy's shape and dtype.

        Raises
        ------
        RuntimeError, TypeError, ValueError
            No `forward`; a dtype that `fastdrop.dropout` does not take; not the output's shape.
        """
        return self._gradient(dy)  # type: ignore[return-value]
