"""The layer of plain dropout."""

from __future__ import annotations

from typing import Any

from fastdrop import _arrays
from fastdrop._arrays import NoiseShape
from fastdrop._rates import check_mode
from fastdrop._rng import RNGLike
from fastdrop.functions.masks import Mode
from fastdrop.variants import DROPOUT, DROPOUT_STANDARD

from .base import Option
from .declared import MaskedLayer

__all__ = ["Dropout"]


class Dropout(MaskedLayer):
    """Dropout as a layer with `forward` and `backward`.

    `backward` answers the last `forward`, so that each place in a network needs a layer of its
    own. Assigning `p` between the two does not change the gradient.

    Parameters
    ----------
    p : float, default 0.5
        Probability of dropping an element, from 0 to 1. May be assigned later.
    mode, noise_shape
        As in `fastdrop.dropout`.
    rng : None, int, Key, Generator, numpy.random.SeedSequence or numpy.random.Generator
        What the layer draws from. None gives it a stream of its own, a child of the default
        generator; a `fastdrop.Generator` is used as it is; anything else starts a generator.

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type; `p` is outside [0, 1], `mode` unknown, or a length in
        `noise_shape` negative.

    Notes
    -----
    Source: Srivastava et al., "Dropout", JMLR 15 (2014), section 4 (model) and section 5.1
    (backpropagation through the thinned network).

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop
    >>> layer = fastdrop.layers.Dropout(0.5, rng=1)
    >>> layer
    Dropout(p=0.5)
    >>> x = np.ones((2, 4), np.float32)
    >>> bool(np.all(layer(x) == layer.backward(x)))
    True
    >>> layer.eval()(x) is x
    True
    """

    _variant = DROPOUT
    mode = Option(check_mode, 'What is computed, "inverted" or "standard".', "inverted")
    noise_shape = Option(
        _arrays.noise_shape_form, "Shape of the mask, or None for the input's.", None
    )

    def __init__(
        self,
        p: float = 0.5,
        *,
        mode: Mode = "inverted",
        noise_shape: NoiseShape | None = None,
        rng: RNGLike = None,
    ) -> None:
        self._configure(rng, p=p, mode=mode, noise_shape=noise_shape)

    def _apply(self, settings: dict[str, Any]) -> None:
        super()._apply(settings)
        variant = self._variant if self.mode == "inverted" else DROPOUT_STANDARD
        self._declared = variant, (self.noise_shape,)
