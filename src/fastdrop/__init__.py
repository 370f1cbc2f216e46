"""Dropout for NumPy arrays at the price of a multiplication.

>>> import numpy as np
>>> import fastdrop
>>> x = np.ones(8, np.float32)
>>> y = fastdrop.dropout(x, 0.5, rng=fastdrop.Generator(1))
>>> sorted(set(y.tolist()))
[0.0, 2.0]
"""

import os as _os

from . import backends as _backends
from . import layers
from ._config import get_include, get_num_threads, set_num_threads, show_config
from ._rng import Generator, Key, default_generator, manual_seed
from .backends import backend, set_backend
from .functions.activations import bias_act_dropout, bias_act_dropout_backward
from .functions.alpha import (
    alpha_dropout,
    alpha_dropout_backward,
    feature_alpha_dropout,
    feature_alpha_dropout_backward,
)
from .functions.blocks import drop_block1d, drop_block2d, drop_block3d
from .functions.channels import drop_path, dropout1d, dropout2d, dropout3d, variational_dropout
from .functions.linear import dropconnect_linear, dropconnect_linear_backward
from .functions.masks import apply_mask, dropout, dropout_, dropout_mask
from .functions.montecarlo import MonteCarloResult, dropout_samples, mc_dropout
from .functions.noise import gaussian_dropout, gaussian_noise
from .functions.norms import max_norm_
from .functions.pairs import dropout_add, zoneout, zoneout_backward
from .functions.softmax import softmax_dropout, softmax_dropout_backward
from .functions.sparsity import Sparsity, sparsity
from .functions.weights import attention_dropout, drop_connect, embedding_dropout

__version__ = "0.1.0"

__all__ = [
    "Generator",
    "Key",
    "MonteCarloResult",
    "Sparsity",
    "alpha_dropout",
    "alpha_dropout_backward",
    "apply_mask",
    "attention_dropout",
    "backend",
    "bias_act_dropout",
    "bias_act_dropout_backward",
    "default_generator",
    "drop_block1d",
    "drop_block2d",
    "drop_block3d",
    "drop_connect",
    "drop_path",
    "dropconnect_linear",
    "dropconnect_linear_backward",
    "dropout",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "dropout_",
    "dropout_add",
    "dropout_mask",
    "dropout_samples",
    "embedding_dropout",
    "feature_alpha_dropout",
    "feature_alpha_dropout_backward",
    "gaussian_dropout",
    "gaussian_noise",
    "get_include",
    "get_num_threads",
    "layers",
    "manual_seed",
    "max_norm_",
    "mc_dropout",
    "set_backend",
    "set_num_threads",
    "show_config",
    "softmax_dropout",
    "softmax_dropout_backward",
    "sparsity",
    "variational_dropout",
    "zoneout",
    "zoneout_backward",
]

# Load the backend that was asked for: where it cannot run, fail at import, not at a later call.
if _os.environ.get(_backends.VARIABLE):
    _backends.active()


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
