"""Layers of alpha dropout."""

from fastdrop.variants import ALPHA_DROPOUT, FEATURE_ALPHA_DROPOUT

from .declared import MaskedLayer

__all__ = ["AlphaDropout", "FeatureAlphaDropout"]


class AlphaDropout(MaskedLayer):
    """Dropout for networks of SELUs, which keeps mean 0 and variance 1.

    See `fastdrop.alpha_dropout`. Source: Klambauer et al., NIPS 2017, section "Alpha dropout".

    Parameters
    ----------
    p, rng
        As for `Dropout`.

    Raises
    ------
    TypeError, ValueError
        As for `Dropout`.

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

    See `fastdrop.feature_alpha_dropout`. Source: as for `AlphaDropout`.

    Parameters
    ----------
    p, rng
        As for `Dropout`; `p` is the probability of dropping a channel of a sample.

    Raises
    ------
    TypeError, ValueError
        As for `Dropout`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop
    >>> fastdrop.layers.FeatureAlphaDropout(0.5, rng=3)(np.zeros((1, 3, 2))).round(3)
    array([[[-0.779, -0.779],
            [ 0.779,  0.779],
            [ 0.779,  0.779]]])
    """

    _variant = FEATURE_ALPHA_DROPOUT
