"""Dropout for Keras on CPUs at the price of a multiplication, on NumPy, PyTorch and JAX.

>>> import fastdrop.keras
>>> import keras
>>> import numpy as np
>>> layer = fastdrop.keras.Dropout(0.5, seed=1)
>>> keras.ops.convert_to_numpy(layer(np.ones(8, "float32"), training=True))
array([0., 0., 2., 0., 0., 2., 0., 0.], dtype=float32)

`enable` lets Keras' own dropout be computed here, whoever calls it. The layers of this package are
subclasses of Keras' of the same names, and `replace` puts them into a model. One seed gives the
same masks on every backend.
"""

from ._enable import disable, enable
from ._replace import replace
from .layers import (
    AlphaDropout,
    Dropout,
    GaussianDropout,
    GaussianNoise,
    SpatialDropout1D,
    SpatialDropout2D,
    SpatialDropout3D,
)

__all__ = [
    "AlphaDropout",
    "Dropout",
    "GaussianDropout",
    "GaussianNoise",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
    "disable",
    "enable",
    "replace",
]


def __dir__() -> list[str]:
    return sorted(__all__)
