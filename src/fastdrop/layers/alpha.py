"""Layers of alpha dropout."""

from fastdrop.variants import ALPHA_DROPOUT, FEATURE_ALPHA_DROPOUT

from .declared import MaskedLayer

__all__ = ["AlphaDropout", "FeatureAlphaDropout"]


class AlphaDropout(MaskedLayer):
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

    _variant = ALPHA_DROPOUT


class FeatureAlphaDropout(MaskedLayer):
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

    _variant = FEATURE_ALPHA_DROPOUT
