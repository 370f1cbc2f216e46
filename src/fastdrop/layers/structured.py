"""Layers whose decisions are shared along axes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy.typing as npt

from fastdrop import _arrays, decisions
from fastdrop._arrays import Array
from fastdrop._rng import RNGLike
from fastdrop.decisions import DataFormat, PathMode

from .configured import Option
from .masked import MaskedLayer


class _SpatialDropout(MaskedLayer):
    """Spatial dropout with so many spatial axes."""

    _axes: ClassVar[int]
    _options: ClassVar[Mapping[str, Option]] = {
        "data_format": Option("channels_first", decisions.check_data_format)
    }

    def __init__(
        self,
        p: float = 0.5,
        *,
        data_format: DataFormat = "channels_first",
        rng: RNGLike = None,
    ) -> None:
        super().__init__(p, rng, data_format=data_format)

    @property
    def data_format(self) -> DataFormat:
        """Where the channels' axis is: "channels_first" or "channels_last"."""
        data_format: DataFormat = self._values["data_format"]
        return data_format

    def _mask_shape(self, x: Array) -> tuple[int, ...]:
        return decisions.spatial_shape(x, self._axes, self.data_format)


class SpatialDropout1D(_SpatialDropout):
    """Drop whole channels of sequences.

    Parameters
    ----------
    p : float, default 0.5
        Probability of dropping a channel of a sample, from 0 to 1. May be assigned later.
    data_format : {"channels_first", "channels_last"}, default "channels_first"
        Where the channels' axis is.
    rng : None, int, Key, Generator, numpy.random.SeedSequence or numpy.random.Generator
        What the layer draws from, as for `Dropout`.

    Raises
    ------
    TypeError
        An argument has the wrong type.
    ValueError
        `p` is outside [0, 1], or `data_format` unknown.

    Notes
    -----
    Source: Tompson et al., "Efficient Object Localization Using Convolutional Networks", CVPR
    2015, section 3.2. See `fastdrop.dropout1d`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop
    >>> layer = fastdrop.layers.SpatialDropout1D(0.5, rng=3)
    >>> layer(np.ones((1, 2, 3), np.float32))
    array([[[0., 0., 0.],
            [2., 2., 2.]]], dtype=float32)
    """

    _axes = 1


class SpatialDropout2D(_SpatialDropout):
    """Drop whole channels of images.

    Parameters
    ----------
    p : float, default 0.5
        Probability of dropping a channel of a sample, from 0 to 1. May be assigned later.
    data_format : {"channels_first", "channels_last"}, default "channels_first"
        Where the channels' axis is.
    rng : None, int, Key, Generator, numpy.random.SeedSequence or numpy.random.Generator
        What the layer draws from, as for `Dropout`.

    Raises
    ------
    TypeError
        An argument has the wrong type.
    ValueError
        `p` is outside [0, 1], or `data_format` unknown.

    Notes
    -----
    Source: Tompson et al., "Efficient Object Localization Using Convolutional Networks", CVPR
    2015, section 3.2. See `fastdrop.dropout2d`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop
    >>> layer = fastdrop.layers.SpatialDropout2D(0.5, data_format="channels_last", rng=3)
    >>> layer(np.ones((1, 1, 2, 3), np.float32))
    array([[[[0., 2., 2.],
             [0., 2., 2.]]]], dtype=float32)
    >>> layer
    SpatialDropout2D(p=0.5, data_format='channels_last')
    """

    _axes = 2


class SpatialDropout3D(_SpatialDropout):
    """Drop whole channels of volumes.

    Parameters
    ----------
    p : float, default 0.5
        Probability of dropping a channel of a sample, from 0 to 1. May be assigned later.
    data_format : {"channels_first", "channels_last"}, default "channels_first"
        Where the channels' axis is.
    rng : None, int, Key, Generator, numpy.random.SeedSequence or numpy.random.Generator
        What the layer draws from, as for `Dropout`.

    Raises
    ------
    TypeError
        An argument has the wrong type.
    ValueError
        `p` is outside [0, 1], or `data_format` unknown.

    Notes
    -----
    Source: Tompson et al., "Efficient Object Localization Using Convolutional Networks", CVPR
    2015, section 3.2. See `fastdrop.dropout3d`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop
    >>> layer = fastdrop.layers.SpatialDropout3D(0.5, rng=3)
    >>> y = layer(np.ones((1, 3, 2, 2, 2), np.float32))
    >>> y[0, :, 0, 0, 0]
    array([0., 2., 2.], dtype=float32)
    """

    _axes = 3


class VariationalDropout(MaskedLayer):
    """Drop features of sequences, the same ones in all time steps.

    A whole sequence goes through `forward`. A loop over time steps calls `step` instead, which
    holds its mask until `reset`: call that before each sequence.

    Parameters
    ----------
    p : float, default 0.5
        Probability of dropping a feature of a sample, from 0 to 1. May be assigned later; a
        mask that is held keeps the one it was drawn with.
    time_axis : int, default 1
        The axis of the time steps in what `forward` takes; negative numbers count from the end.
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
    Source: Gal and Ghahramani, "A Theoretically Grounded Application of Dropout in Recurrent
    Neural Networks", NIPS 2016, section 4. See `fastdrop.variational_dropout`.

    As the steps of a sequence share a mask, `backward` after the last of them is right for the
    gradient of each.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop
    >>> layer = fastdrop.layers.VariationalDropout(0.5, rng=3)
    >>> x = np.ones((2, 3, 4), np.float32)
    >>> layer(x)[0]
    array([[0., 2., 2., 0.],
           [0., 2., 2., 0.],
           [0., 2., 2., 0.]], dtype=float32)

    The same one step at a time:

    >>> layer = fastdrop.layers.VariationalDropout(0.5, rng=3)
    >>> [layer.step(x[:, t])[0].tolist() for t in range(2)]
    [[0.0, 2.0, 2.0, 0.0], [0.0, 2.0, 2.0, 0.0]]
    >>> layer.reset()
    """

    _options: ClassVar[Mapping[str, Option]] = {
        "time_axis": Option(1, lambda axis: _arrays.check_axis(axis, "time_axis"))
    }

    def __init__(self, p: float = 0.5, *, time_axis: int = 1, rng: RNGLike = None) -> None:
        super().__init__(p, rng, time_axis=time_axis)

    @property
    def time_axis(self) -> int:
        """The axis of the time steps."""
        time_axis: int = self._values["time_axis"]
        return time_axis

    def _mask_shape(self, x: Array) -> tuple[int, ...]:
        return decisions.variational_shape(x, self.time_axis)

    def step(self, x: npt.ArrayLike) -> Array:
        """Drop in one time step, with the mask that is held, or a new one after `reset`.

        Parameters
        ----------
        x : array_like
            One time step, such as (samples, features): a sequence without its time axis.

        Returns
        -------
        ndarray
            Of x's shape and dtype; evaluation returns `x` itself.

        Raises
        ------
        TypeError
            A dtype that `fastdrop.dropout` does not take.
        ValueError
            `x` has another shape than the mask that is held.
        """
        array = _arrays.as_operand(x)
        memory = self._memory
        draw = memory.held
        if self.training and draw is not None and array.shape != draw.shape:
            raise ValueError(
                f"x has to have the shape {draw.shape} of the mask that is held until reset(), "
                f"but got {array.shape}"
            )
        y = self._result(array)
        if draw is None or not self.training:
            draw = self._draw(array, array.shape)
        y = self._applied(_arrays.itself(x, array), draw, y)
        memory.last = draw
        if self.training:
            memory.held = draw
        return y

    def reset(self) -> None:
        """Let go of the mask that is held: the next `step` draws a new one."""
        self._memory.held = None


class DropPath(MaskedLayer):
    """Stochastic depth: drop whole samples of a residual branch's output.

    Parameters
    ----------
    p : float, default 0.5
        Probability of dropping a sample, from 0 to 1. May be assigned later.
    mode : {"row", "batch"}, default "row"
        "row" decides for each sample, "batch" once.
    rng : None, int, Key, Generator, numpy.random.SeedSequence or numpy.random.Generator
        What the layer draws from, as for `Dropout`.

    Raises
    ------
    TypeError
        An argument has the wrong type.
    ValueError
        `p` is outside [0, 1], or `mode` unknown.

    Notes
    -----
    Source: Huang et al., "Deep Networks with Stochastic Depth", ECCV 2016, section 3. See
    `fastdrop.drop_path`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop
    >>> layer = fastdrop.layers.DropPath(0.5, rng=3)
    >>> h = np.ones((4, 2), np.float32)
    >>> h + layer(3 * h)
    array([[1., 1.],
           [7., 7.],
           [7., 7.],
           [1., 1.]], dtype=float32)
    """

    _options: ClassVar[Mapping[str, Option]] = {"mode": Option("row", decisions.check_path_mode)}

    def __init__(self, p: float = 0.5, *, mode: PathMode = "row", rng: RNGLike = None) -> None:
        super().__init__(p, rng, mode=mode)

    @property
    def mode(self) -> PathMode:
        """What is decided at once, a sample ("row") or all of them ("batch")."""
        mode: PathMode = self._values["mode"]
        return mode

    def _mask_shape(self, x: Array) -> tuple[int, ...]:
        return decisions.path_shape(x, self.mode)


class EmbeddingDropout(MaskedLayer):
    """Drop whole rows of an embedding table: `forward` gives the table to use in this step.

    Parameters
    ----------
    p : float, default 0.5
        Probability of dropping a row, from 0 to 1. May be assigned later.
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
    Source: Merity, Keskar and Socher, "Regularizing and Optimizing LSTM Language Models", ICLR
    2018, section 4.3. See `fastdrop.embedding_dropout`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop
    >>> layer = fastdrop.layers.EmbeddingDropout(0.5, rng=3)
    >>> words = np.array([1, 3, 1])
    >>> layer(np.ones((4, 2), np.float32))[words]
    array([[2., 2.],
           [0., 0.],
           [2., 2.]], dtype=float32)
    """

    _argument = "table"

    def __init__(self, p: float = 0.5, *, rng: RNGLike = None) -> None:
        super().__init__(p, rng)

    def _mask_shape(self, x: Array) -> tuple[int, ...]:
        return decisions.row_shape(x)
