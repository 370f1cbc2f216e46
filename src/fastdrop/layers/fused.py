"""Layers of two inputs: what stands next to dropout is in the same pass."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy.typing as npt

from fastdrop import _arrays, fused
from fastdrop._arrays import Array
from fastdrop._bias import Activation, as_bias, check_activation
from fastdrop._rng import RNGLike
from fastdrop.activations import bias_act_dropout, bias_act_dropout_backward
from fastdrop.elementwise import dropout

from .base import Draw
from .configured import ConfiguredLayer, Option


class _PairLayer(ConfiguredLayer):
    """A layer that draws a decision for each element of two inputs of one shape."""

    def __init__(self, p: float = 0.5, *, rng: RNGLike = None) -> None:
        super().__init__(p, rng)

    def _draw(self, array: Array) -> Draw:
        key = self.generator.reserve(array.size) if self.training else None
        return Draw(array.shape, array.shape, self._p, key)


class DropoutAdd(_PairLayer):
    """Dropout of a sub-layer's output, and the addition to its input, in one pass.

    Parameters
    ----------
    p : float, default 0.5
        Probability of dropping an element, from 0 to 1. May be assigned later.
    rng : None, int, Key, Generator, numpy.random.SeedSequence or numpy.random.Generator
        What the layer draws from, as for `Dropout`.

    Raises
    ------
    TypeError
        An argument has the wrong type.
    ValueError
        `p` is outside [0, 1].

    Notes
    -----
    Source: Vaswani et al., "Attention Is All You Need", NIPS 2017, section 5.4. See
    `fastdrop.dropout_add`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop
    >>> layer = fastdrop.layers.DropoutAdd(0.5, rng=1)
    >>> layer(np.ones(6, np.float32), np.full(6, 10, np.float32))
    array([10., 10., 12., 10., 10., 12.], dtype=float32)
    >>> dx, d_residual = layer.backward(np.ones(6, np.float32))
    >>> dx
    array([0., 0., 2., 0., 0., 2.], dtype=float32)
    """

    def forward(self, x: npt.ArrayLike, residual: npt.ArrayLike) -> Array:
        """Drop in `x` in training, and add it to `residual`.

        Parameters
        ----------
        x, residual : array_like
            As for `fastdrop.dropout_add`.

        Returns
        -------
        ndarray
            A new array of their shape and dtype.

        Raises
        ------
        TypeError, ValueError
            As for `fastdrop.dropout_add`.
        """
        array = _arrays.as_operand(x)
        other = _arrays.as_operand_like(residual, array, "residual")
        draw = self._draw(array)
        y = fused.dropout_add(array, other, draw.p, draw.key is not None, rng=draw.key)
        self._memory.last = draw
        return y

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
        RuntimeError
            There was no `forward`.
        TypeError
            A dtype that `fastdrop.dropout` does not take.
        ValueError
            `dy` has another shape than the output.
        """
        array, last = self._answered(dy)
        return dropout(array, last.p, last.key is not None, rng=last.key), array


class Zoneout(_PairLayer):
    """Keep hidden units of the step before, instead of dropping them.

    Parameters
    ----------
    p : float, default 0.5
        Probability that a unit stays as it was, from 0 to 1. May be assigned later.
    rng : None, int, Key, Generator, numpy.random.SeedSequence or numpy.random.Generator
        What the layer draws from, as for `Dropout`.

    Raises
    ------
    TypeError
        An argument has the wrong type.
    ValueError
        `p` is outside [0, 1].

    Notes
    -----
    Source: Krueger et al., "Zoneout: Regularizing RNNs by Randomly Preserving Hidden
    Activations", ICLR 2017 (arXiv:1606.01305), section 3. See `fastdrop.zoneout`.

    Every `forward` draws anew, as the paper does at each time step; `backward` answers the last.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop
    >>> layer = fastdrop.layers.Zoneout(0.5, rng=1)
    >>> layer(np.ones(6, np.float32), np.zeros(6, np.float32))
    array([0., 0., 1., 0., 0., 1.], dtype=float32)
    >>> d_new, d_old = layer.backward(np.ones(6, np.float32))
    >>> d_old
    array([1., 1., 0., 1., 1., 0.], dtype=float32)
    """

    def forward(self, h_new: npt.ArrayLike, h_old: npt.ArrayLike) -> Array:
        """Choose between the two in training, and mix them otherwise.

        Parameters
        ----------
        h_new, h_old : array_like
            As for `fastdrop.zoneout`.

        Returns
        -------
        ndarray
            A new array of their shape and dtype.

        Raises
        ------
        TypeError, ValueError
            As for `fastdrop.zoneout`.
        """
        new = _arrays.as_operand(h_new, "h_new")
        old = _arrays.as_operand_like(h_old, new, "h_old", "h_new")
        draw = self._draw(new)
        y = fused.zoneout(new, old, draw.p, draw.key is not None, rng=draw.key)
        self._memory.last = draw
        return y

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
        RuntimeError
            There was no `forward`.
        TypeError
            A dtype that `fastdrop.dropout` does not take.
        ValueError
            `dy` has another shape than the output.
        """
        array, last = self._answered(dy)
        return fused.zoneout_backward(array, last.p, last.key is not None, rng=last.key)


class BiasActDropout(ConfiguredLayer):
    """Bias, activation and dropout in one pass, after the matrix product of a dense layer.

    Parameters
    ----------
    act : {"none", "relu", "gelu", "gelu_tanh", "silu"}, default "none"
        The activation. May be assigned later.
    p : float, default 0.5
        Probability of dropping an element, from 0 to 1. May be assigned later.
    rng : None, int, Key, Generator, numpy.random.SeedSequence or numpy.random.Generator
        What the layer draws from, as for `Dropout`.

    Raises
    ------
    TypeError
        An argument has the wrong type.
    ValueError
        `p` is outside [0, 1], or `act` unknown.

    Notes
    -----
    Source: Hendrycks and Gimpel, "Gaussian Error Linear Units (GELUs)", arXiv:1606.08415 (2016),
    section 2; Srivastava et al., "Dropout", JMLR 15 (2014), section 4. See
    `fastdrop.bias_act_dropout`.

    The layer keeps `x` and `bias`, not copies of them, for `backward`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop
    >>> layer = fastdrop.layers.BiasActDropout("relu", 0.5, rng=1)
    >>> x, bias = np.ones((2, 3), np.float32), np.array([1, -2, 1], np.float32)
    >>> layer(x, bias)
    array([[0., 0., 4.],
           [0., 0., 4.]], dtype=float32)
    >>> dx, dbias = layer.backward(np.ones((2, 3), np.float32))
    >>> dbias
    array([0., 0., 4.], dtype=float32)
    """

    _options: ClassVar[Mapping[str, Option]] = {"act": Option("none", check_activation)}

    def __init__(self, act: Activation = "none", p: float = 0.5, *, rng: RNGLike = None) -> None:
        super().__init__(p, rng, act=act)

    @property
    def act(self) -> Activation:
        """The activation; assigning checks it and holds from the next forward on."""
        act: Activation = self._values["act"]
        return act

    @act.setter
    def act(self, act: Activation) -> None:
        self._values["act"] = check_activation(act)

    def forward(self, x: npt.ArrayLike, bias: npt.ArrayLike | None = None) -> Array:
        """Add the bias, apply the activation, and drop in training.

        Parameters
        ----------
        x, bias : array_like
            As for `fastdrop.bias_act_dropout`.

        Returns
        -------
        ndarray
            A new array of x's shape and dtype.

        Raises
        ------
        TypeError, ValueError
            As for `fastdrop.bias_act_dropout`.
        """
        array = _arrays.as_operand(x)
        values = None if bias is None else as_bias(bias, array)
        key = self.generator.reserve(array.size) if self.training else None
        y = bias_act_dropout(array, values, self.act, self.p, key is not None, rng=key)
        needed = (array, values, self.act)
        self._memory.last = Draw(array.shape, array.shape, self.p, key, needed)
        return y

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
        RuntimeError
            There was no `forward`.
        TypeError
            `dy` has another dtype than the output.
        ValueError
            `dy` has another shape than the output.
        """
        array, last = self._answered(dy)
        x, bias, act = last.needed
        return bias_act_dropout_backward(
            array, x, bias, act, last.p, last.key is not None, rng=last.key
        )
