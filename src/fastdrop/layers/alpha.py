"""Layers of alpha dropout."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from fastdrop import alpha, decisions
from fastdrop._arrays import Array
from fastdrop._rng import RNGLike

from .base import Draw
from .masked import MaskedLayer


class _AlphaDropout(MaskedLayer):
    """A layer with a function of its own for each of `forward` and `backward`."""

    _forward: ClassVar[Callable[..., Array]]
    _backward: ClassVar[Callable[..., Array]]

    def __init__(self, p: float = 0.5, *, rng: RNGLike = None) -> None:
        super().__init__(p, rng)

    def _applied(self, array: Array, draw: Draw, out: Array | None = None) -> Array:
        training = draw.key is not None
        return type(self)._forward(array, draw.p, training, rng=draw.key, out=out)

    def _gradient(self, dy: Array, draw: Draw) -> Array:
        return dy if draw.key is None else type(self)._backward(dy, draw.p, rng=draw.key)


class AlphaDropout(_AlphaDropout):
    """Dropout for networks of SELUs, which keeps mean 0 and variance 1.

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
    Source: Klambauer et al., "Self-Normalizing Neural Networks", NIPS 2017. See
    `fastdrop.alpha_dropout`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop
    >>> layer = fastdrop.layers.AlphaDropout(0.5, rng=1)
    >>> layer(np.zeros(4)).round(3)
    array([-0.779, -0.779,  0.779, -0.779])
    >>> layer.backward(np.ones(4)).round(3)
    array([0.   , 0.   , 0.886, 0.   ])
    """

    _forward = staticmethod(alpha.alpha_dropout)
    _backward = staticmethod(alpha.alpha_dropout_backward)

    def _mask_shape(self, x: Array) -> tuple[int, ...]:
        return x.shape


class FeatureAlphaDropout(_AlphaDropout):
    """Alpha dropout of whole channels.

    Parameters
    ----------
    p : float, default 0.5
        Probability of dropping a channel of a sample, from 0 to 1. May be assigned later.
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
    Source: Klambauer et al., "Self-Normalizing Neural Networks", NIPS 2017. See
    `fastdrop.feature_alpha_dropout`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop
    >>> layer = fastdrop.layers.FeatureAlphaDropout(0.5, rng=3)
    >>> layer(np.zeros((1, 3, 2))).round(3)
    array([[[-0.779, -0.779],
            [ 0.779,  0.779],
            [ 0.779,  0.779]]])
    """

    _forward = staticmethod(alpha.feature_alpha_dropout)
    _backward = staticmethod(alpha.feature_alpha_dropout_backward)

    def _mask_shape(self, x: Array) -> tuple[int, ...]:
        return decisions.feature_shape(x)
