"""The linear layer whose connections are dropped."""

from __future__ import annotations

import math

import numpy.typing as npt

from fastdrop import _arrays
from fastdrop._arrays import Array
from fastdrop._rng import RNGLike
from fastdrop.functions import linear

from .base import PROBABILITY, Draw, Layer, Option

__all__ = ["DropConnectLinear"]


class DropConnectLinear(Layer):
    """A linear layer that drops weights, anew for each sample: DropConnect.

    Beside the key, the layer keeps the input of the last `forward`, not a copy of it: `backward`
    needs its values. See `fastdrop.dropconnect_linear`. Source: Wan et al., ICML 2013, section 3.

    Parameters
    ----------
    w : array_like
        Weights of shape (outputs, inputs): the attribute `w`, which is the caller's to train. The
        array is used as it is, not copied.
    bias : array_like, optional
        Of shape (outputs,) and w's dtype: the attribute `bias`.
    p, rng
        As for `Dropout`; `p` is the probability of dropping a weight.
    per_sample : bool, default True
        False draws one mask for all samples of a `forward`.

    Attributes
    ----------
    w, bias : ndarray
        What the layer multiplies with and adds. They may be changed in place, or assigned, between
        a `backward` and the next `forward`; `state_dict` does not save them.
    dw, db : ndarray or None
        The gradients with respect to `w` and `bias`, of the last `backward`.

    Raises
    ------
    TypeError, ValueError
        As for `Dropout`; TypeError for a dtype that `fastdrop.dropout` does not take, or two,
        ValueError if `w` has not two axes, or `bias` not one number for each output.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop
    >>> layer = fastdrop.layers.DropConnectLinear(np.ones((2, 4)), rng=1)
    >>> layer(np.ones((3, 4)))
    array([[2., 2.],
           [4., 4.],
           [4., 4.]])
    >>> dx = layer.backward(np.ones((3, 2)))
    >>> layer.w -= 0.1 * layer.dw
    """

    p = PROBABILITY
    per_sample = Option(
        lambda flag: _arrays.check_flag(flag, "per_sample"),
        "Whether each sample has a mask of its own.",
        True,
    )
    w: Array
    bias: Array | None
    dw: Array | None
    db: Array | None

    def __init__(
        self,
        w: npt.ArrayLike,
        bias: npt.ArrayLike | None = None,
        p: float = 0.5,
        *,
        per_sample: bool = True,
        rng: RNGLike = None,
    ) -> None:
        self.w = _arrays.as_operand(w, "w")
        _arrays.check_rank(self.w, 2, 2, "w")
        outputs = self.w.shape[:1]
        self.bias = None
        if bias is not None:
            self.bias = _arrays.as_operand_of(bias, self.w, outputs, "bias", "w")
        self.dw = self.db = None
        self._configure(rng, p=p, per_sample=per_sample)

    def _arguments(self) -> list[str]:
        return [f"<w of shape {self.w.shape}>", *super()._arguments()]

    def forward(self, x: npt.ArrayLike) -> Array:
        """Multiply with what is kept of the weights in training, and with all of them otherwise.

        Parameters
        ----------
        x : array_like
            Of shape (..., inputs) and w's dtype; errors as for `fastdrop.dropconnect_linear`.

        Returns
        -------
        ndarray
            A new array of shape (..., outputs).
        """
        array = _arrays.as_operand(x)
        weights = _arrays.as_weights(self.w, array)
        if self.bias is not None:
            _arrays.as_operand_of(self.bias, array, weights.shape[:1], "bias")
        p, training, each = self.p, self.training, self.per_sample
        key = None
        if training:
            samples = math.prod(array.shape[:-1])
            key = self.generator.reserve((samples if each else min(samples, 1)) * weights.size)
        y = linear.dropconnect_linear(
            array, weights, self.bias, p, training, per_sample=each, rng=key
        )
        self._memory.last = Draw(y.shape, p, key, (array,))
        return y

    def backward(self, dy: npt.ArrayLike) -> Array:
        """The gradients of the last `forward`: with respect to its input, and in `dw` and `db`.

        Parameters
        ----------
        dy : array_like
            The gradient with respect to its output, of the same shape and dtype.

        Returns
        -------
        ndarray
            The gradient with respect to the input, of its shape and dtype.

        Raises
        ------
        RuntimeError, TypeError, ValueError
            There was no `forward`; `dy` has another dtype, or another shape, than the output.
        """
        array, last = self._answered(dy)
        x, training = last.needed[0], last.key is not None
        dx, self.dw, self.db = linear.dropconnect_linear_backward(
            array, x, self.w, last.p, training, per_sample=self.per_sample, rng=last.key
        )
        return dx
