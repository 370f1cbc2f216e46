"""Keras' layers, computed here.

Each is a subclass of the layer of its name in Keras, with its arguments, its configuration and its
seed generator. Only `call` is another, and in training alone.
"""

from __future__ import annotations

from typing import Any, ClassVar

import keras

from ._draw import ALPHA, DROPOUT, GAUSSIAN_DROPOUT, GAUSSIAN_NOISE, Variant, drawn

__all__ = [
    "AlphaDropout",
    "Dropout",
    "GaussianDropout",
    "GaussianNoise",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
]


class _Drawing:
    """The call of all layers; what is not computed here is Keras'."""

    _variant: ClassVar[Variant]
    rate: float
    seed_generator: Any

    def _decisions(self, inputs: Any) -> Any:  # noqa: ARG002
        """The shape of the decisions; None for one for each element."""
        return None

    def _drawn(self, inputs: Any) -> Any:
        """The result of a training call; None where Keras has to compute it."""
        if self.rate == 1:
            return keras.ops.zeros_like(inputs)
        if self.rate == 0:
            return None
        shape = self._decisions(inputs)
        return drawn(self._variant, inputs, self.rate, shape, self.seed_generator)

    def call(self, inputs: Any, training: bool = False) -> Any:
        y = self._drawn(inputs) if training else None
        return super().call(inputs, training=training) if y is None else y  # type: ignore[misc]


class _Shaped(_Drawing):
    """With the `noise_shape` that the layer was given."""

    noise_shape: tuple[int | None, ...] | None

    def _decisions(self, inputs: Any) -> Any:  # noqa: ARG002
        return self.noise_shape


class _Spatial(_Drawing):
    """With a decision for each sample and channel."""

    _variant = DROPOUT
    data_format: str = "channels_last"

    def _decisions(self, inputs: Any) -> Any:
        samples, *lengths = keras.ops.shape(inputs)
        ones = (1,) * (len(lengths) - 1)
        if self.data_format == "channels_first":
            return (samples, lengths[0], *ones)
        return (samples, *ones, lengths[-1])


@keras.saving.register_keras_serializable("fastdrop")
class Dropout(_Shaped, keras.layers.Dropout):
    """Set elements to zero at random in training, and scale the others: Keras' `Dropout`.

    Parameters
    ----------
    rate : float
        Probability of dropping an element, from 0 to 1.
    noise_shape : sequence of int or None, optional
        Shape of the mask, broadcastable to that of the inputs; None in an axis stands for its
        length. Elements along an axis of length 1 are dropped together.
    seed : int, optional
        The same seed gives the same masks, call by call, on every backend. By default Keras draws
        one, which ``keras.utils.set_random_seed`` decides.
    **kwargs
        As for every layer of Keras: `name`, `dtype` and others.

    Raises
    ------
    ValueError
        `rate` outside [0, 1], or a `noise_shape` that is none.

    Notes
    -----
    Source: Srivastava et al., "Dropout", JMLR 15 (2014), section 4, in the inverted form of section
    10. Call n, from 0 on, gives the bits of ``fastdrop.dropout(x, rate, rng=Key(seed, n))``.

    Examples
    --------
    >>> import fastdrop.keras
    >>> import keras
    >>> import numpy as np
    >>> layer = fastdrop.keras.Dropout(0.5, seed=1)
    >>> keras.ops.convert_to_numpy(layer(np.ones(8, "float32"), training=True))
    array([0., 0., 2., 0., 0., 2., 0., 0.], dtype=float32)
    """

    _variant = DROPOUT


@keras.saving.register_keras_serializable("fastdrop")
class SpatialDropout1D(_Spatial, keras.layers.SpatialDropout1D):
    """Drop whole channels of sequences in training: Keras' `SpatialDropout1D`.

    Inputs have the shape (samples, timesteps, channels).

    Parameters
    ----------
    rate, seed
        As for `Dropout`; the mask takes one position for each sample and channel.
    name, dtype
        As for every layer of Keras.

    Raises
    ------
    ValueError
        `rate` outside [0, 1]; when it is called, inputs that have not 3 axes.

    Notes
    -----
    Source: Tompson et al., "Efficient Object Localization Using Convolutional Networks", CVPR 2015,
    section 3.2.

    Examples
    --------
    >>> import fastdrop.keras
    >>> import keras
    >>> import numpy as np
    >>> layer = fastdrop.keras.SpatialDropout1D(0.5, seed=3)
    >>> keras.ops.convert_to_numpy(layer(np.ones((1, 3, 4), "float32"), training=True))[0]
    array([[0., 2., 2., 0.],
           [0., 2., 2., 0.],
           [0., 2., 2., 0.]], dtype=float32)
    """


@keras.saving.register_keras_serializable("fastdrop")
class SpatialDropout2D(_Spatial, keras.layers.SpatialDropout2D):
    """Drop whole channels of images in training: Keras' `SpatialDropout2D`.

    Inputs have the shape (samples, rows, columns, channels), or (samples, channels, rows, columns).

    Parameters
    ----------
    rate, seed
        As for `Dropout`; the mask takes one position for each sample and channel.
    data_format : {"channels_last", "channels_first"}, optional
        Where the channels' axis is; by default as ``keras.config.image_data_format()`` says.
    name, dtype
        As for every layer of Keras.

    Raises
    ------
    ValueError
        `rate` outside [0, 1]; an unknown `data_format`; when it is called, inputs that have not 4
        axes.

    Notes
    -----
    Source: Tompson et al., "Efficient Object Localization Using Convolutional Networks", CVPR 2015,
    section 3.2.

    Examples
    --------
    >>> import fastdrop.keras
    >>> import keras
    >>> import numpy as np
    >>> layer = fastdrop.keras.SpatialDropout2D(0.5, "channels_last", seed=3)
    >>> y = keras.ops.convert_to_numpy(layer(np.ones((2, 4, 4, 3), "float32"), training=True))
    >>> y[:, 0, 0]
    array([[0., 2., 2.],
           [0., 0., 0.]], dtype=float32)
    >>> bool(np.all(y == y[:, :1, :1]))
    True
    """


@keras.saving.register_keras_serializable("fastdrop")
class SpatialDropout3D(_Spatial, keras.layers.SpatialDropout3D):
    """Drop whole channels of volumes in training: Keras' `SpatialDropout3D`.

    Inputs have the shape (samples, depth, rows, columns, channels), or (samples, channels, depth,
    rows, columns).

    Parameters
    ----------
    rate, seed, data_format, name, dtype
        As for `SpatialDropout2D`.

    Raises
    ------
    ValueError
        `rate` outside [0, 1]; an unknown `data_format`; when it is called, inputs that have not 5
        axes.

    Notes
    -----
    Source: Tompson et al., "Efficient Object Localization Using Convolutional Networks", CVPR 2015,
    section 3.2, on volumes.

    Examples
    --------
    >>> import fastdrop.keras
    >>> import keras
    >>> import numpy as np
    >>> layer = fastdrop.keras.SpatialDropout3D(0.5, "channels_first", seed=3)
    >>> y = keras.ops.convert_to_numpy(layer(np.ones((2, 3, 4, 4, 4), "float32"), training=True))
    >>> y[:, :, 0, 0, 0]
    array([[0., 2., 2.],
           [0., 0., 0.]], dtype=float32)
    """


@keras.saving.register_keras_serializable("fastdrop")
class AlphaDropout(_Shaped, keras.layers.AlphaDropout):
    """Set elements to SELU's negative saturation in training: Keras' `AlphaDropout`.

    An affine map of all elements then gives the result the mean and variance that the inputs have,
    where these are 0 and 1.

    Parameters
    ----------
    rate, noise_shape, seed, **kwargs
        As for `Dropout`.

    Raises
    ------
    ValueError
        `rate` outside [0, 1].

    Notes
    -----
    Source: Klambauer et al., "Self-Normalizing Neural Networks", NIPS 2017, section "Alpha
    dropout"; the formula is that of `fastdrop.alpha_dropout`, and so are the bits for one key. With
    rate 1, where Keras divides by zero, all elements are 0.

    Examples
    --------
    >>> import fastdrop.keras
    >>> import keras
    >>> import numpy as np
    >>> layer = fastdrop.keras.AlphaDropout(0.5, seed=1)
    >>> y = keras.ops.convert_to_numpy(layer(np.zeros(6, "float32"), training=True))
    >>> y.round(3)
    array([-0.779, -0.779,  0.779, -0.779, -0.779,  0.779], dtype=float32)
    """

    _variant = ALPHA


@keras.saving.register_keras_serializable("fastdrop")
class GaussianDropout(_Drawing, keras.layers.GaussianDropout):
    """Multiply with Gaussian noise of mean 1 in training: Keras' `GaussianDropout`.

    The noise has the variance of dropout's mask, rate / (1 - rate).

    Parameters
    ----------
    rate : float
        Probability of dropping of the dropout whose variance the noise has: from 0 to 1.
    seed, **kwargs
        As for `Dropout`; the noise takes two positions of the stream for each element.

    Raises
    ------
    ValueError
        `rate` outside [0, 1].

    Notes
    -----
    Source: Srivastava et al., "Dropout", JMLR 15 (2014), section 10; the formula is that of
    `fastdrop.gaussian_dropout`, and so are the bits for one key. With rate 1, where Keras divides
    by zero, all elements are 0.

    Examples
    --------
    >>> import fastdrop.keras
    >>> import keras
    >>> import numpy as np
    >>> layer = fastdrop.keras.GaussianDropout(0.2, seed=1)
    >>> keras.ops.convert_to_numpy(layer(np.ones(4, "float32"), training=True)).round(3)
    array([0.619, 0.981, 1.357, 0.646], dtype=float32)
    """

    _variant = GAUSSIAN_DROPOUT


@keras.saving.register_keras_serializable("fastdrop")
class GaussianNoise(_Drawing, keras.layers.GaussianNoise):
    """Add Gaussian noise of mean 0 in training: Keras' `GaussianNoise`.

    Parameters
    ----------
    stddev : float
        Standard deviation of the noise, from 0 to 1.
    seed, **kwargs
        As for `Dropout`; the noise takes two positions of the stream for each element.

    Raises
    ------
    ValueError
        `stddev` outside [0, 1].

    Notes
    -----
    Source: Bishop, "Training with Noise is Equivalent to Tikhonov Regularization", Neural
    Computation 7 (1995); the formula is that of `fastdrop.gaussian_noise`, and so are the bits for
    one key.

    Examples
    --------
    >>> import fastdrop.keras
    >>> import keras
    >>> import numpy as np
    >>> layer = fastdrop.keras.GaussianNoise(0.5, seed=1)
    >>> keras.ops.convert_to_numpy(layer(np.zeros(4, "float32"), training=True)).round(3)
    array([-0.381, -0.019,  0.357, -0.354], dtype=float32)
    """

    _variant = GAUSSIAN_NOISE

    def _drawn(self, inputs: Any) -> Any:
        if self.stddev == 0:
            return None
        return drawn(self._variant, inputs, self.stddev, None, self.seed_generator)
