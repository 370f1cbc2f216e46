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

from . import _enable, _replace, layers
from ._enable import *
from ._replace import *
from .layers import *

__all__: list[str] = []
__all__ += _enable.__all__
__all__ += _replace.__all__
__all__ += layers.__all__


def __dir__() -> list[str]:
    return sorted(__all__)
