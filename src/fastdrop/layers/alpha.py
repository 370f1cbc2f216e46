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
        As for `Dropout`, with the same errors.

    Examples
    --------
    >>> import fastdrop
    >>> layer = fastdrop.layers.AlphaDropout(0.5, rng=1)
    >>> layer([0.0] * 4).round(3)
    array([-0.779, -0.779,  0.779, -0.779])
    >>> layer.backward([1.0] * 4).round(3)
    array([0.   , 0.   , 0.886, 0.   ])
    """

    _variant = ALPHA_DROPOUT


class FeatureAlphaDropout(MaskedLayer):
    """Alpha dropout of whole channels.

    See `fastdrop.feature_alpha_dropout`. Source: as for `AlphaDropout`.

    Parameters
    ----------
    p, rng
        As for `Dropout`, with the same errors; `p` is the probability of dropping a channel.

    Examples
    --------
    >>> import fastdrop
    >>> fastdrop.layers.FeatureAlphaDropout(0.5, rng=3)([[[0.0] * 2] * 3]).round(3)
    array([[[-0.779, -0.779],
            [ 0.779,  0.779],
            [ 0.779,  0.779]]])
    """

    _variant = FEATURE_ALPHA_DROPOUT
