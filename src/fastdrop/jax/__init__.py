"""Dropout for JAX on CPUs: one call of a compiled kernel, under every transformation of JAX.

Gradients, forward and reverse and of any order, draw the mask again: nothing is kept but the key.

Not here: DropBlock, which is no element-wise call, as its scale follows from how many elements are
kept; and what is an algorithm of its own (softmax and dropout in one
pass, products with a mask for each sample, max-norm, Monte Carlo dropout). The gradients that
`fastdrop` has functions for follow from `jax.grad`.
"""

from __future__ import annotations

try:
    from fastdrop import _core as _core
except ImportError as _error:
    raise ImportError(
        f"fastdrop.jax needs fastdrop's compiled core, which is not there: {_error}"
    ) from _error
try:
    import jax as _jax  # noqa: F401
except ImportError as _error:
    raise ImportError("fastdrop.jax needs JAX: pip install 'fastdrop-kernels[jax]'") from _error

from ._registration import register
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
    "register",
    "variational_dropout",
    "zoneout",
]
