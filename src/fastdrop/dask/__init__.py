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

from .activations import bias_act_dropout
from .channels import drop_path, dropout1d, dropout2d, dropout3d, variational_dropout
from .masks import dropout, dropout_mask
from .noise import alpha_dropout, feature_alpha_dropout, gaussian_dropout, gaussian_noise
from .pairs import dropout_add, zoneout
from .weights import attention_dropout, drop_connect, embedding_dropout

__all__ = [
    "alpha_dropout",
    "attention_dropout",
    "bias_act_dropout",
    "drop_connect",
    "drop_path",
    "dropout",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "dropout_add",
    "dropout_mask",
    "embedding_dropout",
    "feature_alpha_dropout",
    "gaussian_dropout",
    "gaussian_noise",
    "variational_dropout",
    "zoneout",
]
