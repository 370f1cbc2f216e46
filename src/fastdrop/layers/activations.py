"""The layer of bias, activation and dropout in one pass."""

from __future__ import annotations

import numpy.typing as npt

from fastdrop import _arrays
from fastdrop._arrays import Array
from fastdrop._bias import Activation, as_bias, check_activation
from fastdrop._rng import RNGLike
from fastdrop._window import WindowLike
from fastdrop.functions.activations import bias_act_dropout_backward
from fastdrop.variants import BIAS_ACT_DROPOUT

from .base import PROBABILITY, Assignable
from .declared import VariantLayer

__all__ = ["BiasActDropout"]


class BiasActDropout(VariantLayer):
    """Bias, activation and dropout in one pass, after the matrix product of a dense layer.

    The layer keeps `x` and `bias`, not copies of them, for `backward`. See
    `fastdrop.bias_act_dropout`. Source: Hendrycks and Gimpel, arXiv:1606.08415 (2016), section 2;
    Srivastava et al., JMLR 15 (2014), section 4.

    Parameters
    ----------
    act : {"none", "relu", "gelu", "gelu_tanh", "silu"}, default "none"
        The activation. May be assigned later.
    p, rng
        As for `Dropout`.

    Raises
    ------
    TypeError, ValueError
        As for `Dropout`; ValueError if `act` is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop
    >>> layer = fastdrop.layers.BiasActDropout("relu", 0.5, rng=1)
    >>> layer(np.ones((2, 3)), np.array([1.0, -2, 1]))
    array([[0., 0., 4.],
           [0., 0., 4.]])
    >>> dx, dbias = layer.backward(np.ones((2, 3)))
    >>> dbias
    array([0., 0., 4.])
    """

    _variant = BIAS_ACT_DROPOUT
    p = PROBABILITY
    act = Assignable(
        check_activation,
        "The activation; assigning checks it and holds from the next forward on.",
        "none",
    )

    def __init__(self, act: Activation = "none", p: float = 0.5, *, rng: RNGLike = None) -> None:
        self._configure(rng, p=p, act=act)

    def forward(
        self,
        x: npt.ArrayLike,
        bias: npt.ArrayLike | None = None,
        *,
        window: WindowLike | None = None,
    ) -> Array:
        """Add the bias, apply the activation, and drop in training.

        Parameters
        ----------
        x, bias, window
            As for `fastdrop.bias_act_dropout`, with the same errors; of a part of an array the
            part's features, and `backward` computes its gradient.

        Returns
        -------
        ndarray
            A new array of x's shape and dtype.
        """
        array = _arrays.as_operand(x)
        values = None if bias is None else as_bias(bias, array)
        return self._compute((self._variant, ()), array, act=(self.act, values), window=window)

    def backward(self, dy: npt.ArrayLike) -> tuple[Array, Array | None]:
        """The gradients with respect to `x` and `bias` of the last `forward`.

        Parameters
        ----------
        dy : array_like
            The gradient with respect to its output, of its shape and dtype.

        Returns
        -------
        tuple
            Two new arrays, of x's and of bias's shape; None for the second if there was no bias.

        Raises
        ------
        RuntimeError, TypeError, ValueError
            There was no `forward`; `dy` has another dtype, or another shape, than the output.
        """
        array, last = self._answered(dy)
        x, (act, bias) = last.needed
        training = last.key is not None
        return bias_act_dropout_backward(
            array, x, bias, act, last.p, training, rng=last.key, window=last.window
        )
