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

from . import _registration, activations, channels, masks, noise, pairs, weights
from ._registration import *
from .activations import *
from .channels import *
from .masks import *
from .noise import *
from .pairs import *
from .weights import *

__all__: list[str] = []
__all__ += _registration.__all__
__all__ += activations.__all__
__all__ += channels.__all__
__all__ += masks.__all__
__all__ += noise.__all__
__all__ += pairs.__all__
__all__ += weights.__all__
