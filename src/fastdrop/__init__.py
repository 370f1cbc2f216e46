"""Dropout for NumPy arrays at the price of a multiplication.

>>> import numpy as np
>>> import fastdrop
>>> x = np.ones(8, np.float32)
>>> y = fastdrop.dropout(x, 0.5, rng=fastdrop.Generator(1))
>>> sorted(set(y.tolist()))
[0.0, 2.0]
"""

import os as _os

from . import _config, layers
from . import backends as _backends
from . import functions as _functions
from ._config import *
from ._rng import Generator, Key, default_generator, manual_seed
from .backends import backend, set_backend
from .functions.activations import *
from .functions.alpha import *
from .functions.blocks import *
from .functions.channels import *
from .functions.linear import *
from .functions.masks import *
from .functions.montecarlo import *
from .functions.noise import *
from .functions.norms import *
from .functions.pairs import *
from .functions.softmax import *
from .functions.sparsity import *
from .functions.weights import *

__version__ = "0.1.0"

# Each module names what it has that is public: once, in its own list.
__all__ = [
    "Generator",
    "Key",
    "backend",
    "default_generator",
    "layers",
    "manual_seed",
    "set_backend",
]
__all__ += _config.__all__
__all__ += _functions.__all__

# Load the backend that was asked for: where it cannot run, fail at import, not at a later call.
if _os.environ.get(_backends.VARIABLE):
    _backends.active()


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
