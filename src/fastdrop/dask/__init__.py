"""Dropout of Dask arrays: the bits of the NumPy functions, for every chunking and scheduler.

A decision is a function of its position in the whole array, so that blocks can be computed anywhere
and in any order. Functions take a Dask array and give one, lazily.

>>> import dask.array as da
>>> import fastdrop.dask
>>> x = da.ones((1000, 1000), chunks=(300, 400))
>>> float(fastdrop.dask.dropout(x, 0.2, rng=1).mean().compute().round(2))
1.0
"""

try:
    import dask.array as _array  # noqa: F401
except ImportError as _error:
    raise ImportError("fastdrop.dask needs Dask: pip install 'fastdrop-kernels[dask]'") from _error

from . import activations, channels, masks, noise, pairs, weights
from .activations import *
from .channels import *
from .masks import *
from .noise import *
from .pairs import *
from .weights import *

__all__: list[str] = []
__all__ += activations.__all__
__all__ += channels.__all__
__all__ += masks.__all__
__all__ += noise.__all__
__all__ += pairs.__all__
__all__ += weights.__all__
