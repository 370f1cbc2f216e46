"""Layers whose decisions are shared along axes."""

from __future__ import annotations

import numpy.typing as npt

from fastdrop import _arrays
from fastdrop._arrays import Array
from fastdrop._rng import RNGLike
from fastdrop._window import WindowLike, check_window
from fastdrop.decisions import DataFormat, PathMode, check_data_format, check_path_mode
from fastdrop.variants import (
    DROP_PATH,
    DROPOUT,
    DROPOUT1D,
    DROPOUT2D,
    DROPOUT3D,
    VARIATIONAL_DROPOUT,
)

from .base import Option
from .declared import MaskedLayer

__all__ = [
    "DropPath",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
    "VariationalDropout",
]


class _SpatialDropout(MaskedLayer):
    """Spatial dropout, with however many spatial axes."""

    data_format = Option(
        check_data_format,
        'Where the channels\' axis is: "channels_first" or "channels_last".',
        "channels_first",
    )

    def __init__(
        self, p: float = 0.5, *, data_format: DataFormat = "channels_first", rng: RNGLike = None
    ) -> None:
        self._configure(rng, p=p, data_format=data_format)


class SpatialDropout1D(_SpatialDropout):
    """Drop whole channels of sequences.

    See `fastdrop.dropout1d`. Source: Tompson et al., CVPR 2015, section 3.2.

    Parameters
    ----------
    p, rng
        As for `Dropout`; `p` is the probability of dropping a channel of a sample.
    data_format : {"channels_first", "channels_last"}, default "channels_first"
        Where the channels' axis is.

    Raises
    ------
    TypeError, ValueError
        As for `Dropout`; ValueError if `data_format` is unknown.

    Examples
    --------
    >>> import fastdrop
    >>> fastdrop.layers.SpatialDropout1D(0.5, rng=3)([[[1.0] * 3] * 2])
    array([[[0., 0., 0.],
            [2., 2., 2.]]])
    """

    _variant = DROPOUT1D


class SpatialDropout2D(_SpatialDropout):
    """Drop whole channels of images.

    See `fastdrop.dropout2d`. Source: as for `SpatialDropout1D`.

    Parameters
    ----------
    p, data_format, rng
        As for `SpatialDropout1D`, with the same errors.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop
    >>> layer = fastdrop.layers.SpatialDropout2D(0.5, data_format="channels_last", rng=3)
    >>> layer(np.ones((1, 1, 2, 3)))
    array([[[[0., 2., 2.],
             [0., 2., 2.]]]])
    >>> layer
    SpatialDropout2D(p=0.5, data_format='channels_last')
    """

    _variant = DROPOUT2D


class SpatialDropout3D(_SpatialDropout):
    """Drop whole channels of volumes.

    See `fastdrop.dropout3d`. Source: as for `SpatialDropout1D`.

    Parameters
    ----------
    p, data_format, rng
        As for `SpatialDropout1D`, with the same errors.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop
    >>> fastdrop.layers.SpatialDropout3D(0.5, rng=3)(np.ones((1, 3, 2, 2, 2)))[0, :, 0, 0, 0]
    array([0., 2., 2.])
    """

    _variant = DROPOUT3D


class VariationalDropout(MaskedLayer):
    """Drop features of sequences, the same ones in all time steps.

    A whole sequence goes through `forward`. A loop over time steps calls `step` instead, which
    holds its mask until `reset`: call that before each sequence. As the steps of a sequence share a
    mask, `backward` after the last of them is right for the gradient of each.

    See `fastdrop.variational_dropout`. Source: Gal and Ghahramani, NIPS 2016, section 4.

    Parameters
    ----------
    p, rng
        As for `Dropout`, with the same errors; `p` is the probability of dropping a feature of a
        sample, and a mask that is held keeps the one it was drawn with.
    time_axis : int, default 1
        The axis of the time steps in what `forward` takes; negative numbers count from the end.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop
    >>> layer = fastdrop.layers.VariationalDropout(0.5, rng=3)
    >>> x = np.ones((2, 3, 4))
    >>> layer(x)[0]
    array([[0., 2., 2., 0.],
           [0., 2., 2., 0.],
           [0., 2., 2., 0.]])

    The same one step at a time:

    >>> layer = fastdrop.layers.VariationalDropout(0.5, rng=3)
    >>> [layer.step(x[:, t])[0].tolist() for t in range(2)]
    [[0.0, 2.0, 2.0, 0.0], [0.0, 2.0, 2.0, 0.0]]
    >>> layer.reset()
    """

    _variant = VARIATIONAL_DROPOUT
    time_axis = Option(lambda n: _arrays.check_axis(n, "time_axis"), "The axis of time steps.", 1)

    def __init__(self, p: float = 0.5, *, time_axis: int = 1, rng: RNGLike = None) -> None:
        self._configure(rng, p=p, time_axis=time_axis)

    def step(self, x: npt.ArrayLike, *, window: WindowLike | None = None) -> Array:
        """Drop in one time step, with the mask that is held, or a new one after `reset`.

        Parameters
        ----------
        x : array_like
            One time step, such as (samples, features): a sequence without its time axis.
        window : pair of tuple of int, optional
            As for `forward`, of a time step: the same one until `reset`.

        Returns
        -------
        ndarray
            Of x's shape and dtype; evaluation returns `x` itself.

        Raises
        ------
        TypeError, ValueError
            A dtype that `fastdrop.dropout` does not take; `x` has another shape, or `window` is
            another, than that of the mask that is held.
        """
        array = _arrays.as_operand(x)
        memory, training = self._memory, self.training
        held = memory.held if training else None
        if held is not None and array.shape != held.shape:
            raise ValueError(
                f"x has to have the shape {held.shape} of the mask that is held until reset(), "
                f"but got {array.shape}"
            )
        part = None if window is None else check_window(window, array.shape)
        if held is not None and part != held.window:
            raise ValueError(
                f"window has to be that of the mask that is held until reset(), "
                f"{held.window and tuple(held.window)}, but got {window!r}"
            )
        # A time step has no time axis: each of its elements has a decision.
        y = self._compute((DROPOUT, (None,)), _arrays.itself(x, array), held=held, window=window)
        if training:
            memory.held = memory.last
        return y

    def reset(self) -> None:
        """Let go of the mask that is held: the next `step` draws a new one."""
        self._memory.held = None


class DropPath(MaskedLayer):
    """Stochastic depth: drop whole samples of a residual branch's output.

    See `fastdrop.drop_path`. Source: Huang et al., ECCV 2016, section 3.

    Parameters
    ----------
    p, rng
        As for `Dropout`; `p` is the probability of dropping a sample.
    mode : {"row", "batch"}, default "row"
        "row" decides for each sample, "batch" once.

    Raises
    ------
    TypeError, ValueError
        As for `Dropout`; ValueError if `mode` is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop
    >>> layer = fastdrop.layers.DropPath(0.5, rng=3)
    >>> h = np.ones((4, 2))
    >>> h + layer(3 * h)
    array([[1., 1.],
           [7., 7.],
           [7., 7.],
           [1., 1.]])
    """

    _variant = DROP_PATH
    mode = Option(
        check_path_mode, 'What is decided at once, a sample ("row") or all ("batch").', "row"
    )

    def __init__(self, p: float = 0.5, *, mode: PathMode = "row", rng: RNGLike = None) -> None:
        self._configure(rng, p=p, mode=mode)
