"""Softmax with dropout as a layer."""

from __future__ import annotations

import numpy.typing as npt

from fastdrop import _arrays
from fastdrop._arrays import Array
from fastdrop._rates import check_factor
from fastdrop._rng import RNGLike
from fastdrop.functions import softmax

from .base import PROBABILITY, Draw, Layer, Option

__all__ = ["SoftmaxDropout"]


class SoftmaxDropout(Layer):
    """Softmax of attention's scores, and dropout of the weights, in one pass.

    `backward` computes the weights again from the scores of the last `forward`, which must not
    have changed in between: the layer keeps the caller's arrays, and no copies. See
    `fastdrop.softmax_dropout`. Source: Vaswani et al., NIPS 2017, section 3.2.1.

    Parameters
    ----------
    p, rng
        As for `Dropout`; `p` is the probability of dropping a weight.
    axis : int, default -1
        The axis that the weights sum to 1 along.
    scale : float, default 1.0
        What the scores are multiplied by.

    Raises
    ------
    TypeError, ValueError
        As for `Dropout`; ValueError if `scale` is not finite.

    Examples
    --------
    >>> import fastdrop
    >>> layer = fastdrop.layers.SoftmaxDropout(0.5, rng=3)
    >>> layer([[0.0] * 4])
    array([[0. , 0.5, 0.5, 0. ]])
    >>> layer.backward([[1.0, 2.0, 4.0, 8.0]])
    array([[-0.75,  0.25,  1.25, -0.75]])
    """

    p = PROBABILITY
    axis = Option(
        lambda axis: _arrays.check_axis(axis, "axis"),
        "The axis that the weights sum to 1 along.",
        -1,
    )
    scale = Option(
        lambda scale: check_factor(scale, "scale", "float64"),
        "What the scores are multiplied by.",
        1.0,
    )

    def __init__(
        self, p: float = 0.5, *, axis: int = -1, scale: float = 1.0, rng: RNGLike = None
    ) -> None:
        self._configure(rng, p=p, axis=axis, scale=scale)

    def forward(self, scores: npt.ArrayLike, mask: npt.ArrayLike | None = None) -> Array:
        """The weights, in training with dropout.

        Parameters
        ----------
        scores, mask : array_like
            As for `fastdrop.softmax_dropout`, with the same errors.

        Returns
        -------
        ndarray
            A new array of the scores' shape and dtype.
        """
        array = _arrays.as_operand(scores, "scores")
        seen = None if mask is None else _arrays.score_mask(mask, array)
        _arrays.axis_in(self.axis, array.shape, "axis", "scores")
        key = self.generator.reserve(array.size) if self.training else None
        draw = Draw(array.shape, self.p, key, (array, seen))
        y = softmax.softmax_dropout(
            array, draw.p, key is not None, axis=self.axis, mask=seen, scale=self.scale, rng=key
        )
        self._memory.last = draw
        return y

    def backward(self, dy: npt.ArrayLike) -> Array:
        """The gradient with respect to the scores of the last `forward`.

        Parameters
        ----------
        dy : array_like
            The gradient with respect to its output, of the same shape and dtype.

        Returns
        -------
        ndarray
            A new array of dy's shape and dtype.

        Raises
        ------
        RuntimeError, TypeError, ValueError
            There was no `forward`; `dy` has another dtype, or another shape, than the output.
        """
        gradient, last = self._answered(dy)
        scores, mask = last.needed
        return softmax.softmax_dropout_backward(
            gradient, scores, last.p, last.key is not None,
            axis=self.axis, mask=mask, scale=self.scale, rng=last.key,
        )  # fmt: skip
