"""Dropout for PyTorch on CPUs at the price of a multiplication.

>>> import torch
>>> import fastdrop.torch
>>> drop = fastdrop.torch.Dropout(0.5, seed=1)
>>> drop(torch.ones(8))
tensor([0., 0., 2., 0., 0., 2., 0., 0.])

`enable` lets PyTorch's own operators be computed here, whoever calls them. The functions and
modules of this package have PyTorch's names, signatures, errors and warnings. Under
`torch.compile`, a `generator` has to be a module's and not a call's, a `seed` has to be an int, and
`torch.func.grad` does not go together with it.
"""

from . import (
    _enable,
    _replace,
    activations,
    alpha,
    attention,
    attention_interface,
    blocks,
    channels,
    linear,
    masks,
    montecarlo,
    noise,
    norms,
    pairs,
    softmax,
    weights,
)
from . import _flops as _flops
from . import modules as _modules
from ._enable import *
from ._replace import *
from .activations import *
from .alpha import *
from .attention import *
from .attention_interface import *
from .blocks import *
from .channels import *
from .linear import *
from .masks import *
from .modules.activations import *
from .modules.alpha import *
from .modules.attention import *
from .modules.blocks import *
from .modules.channels import *
from .modules.linear import *
from .modules.masks import *
from .modules.noise import *
from .modules.pairs import *
from .modules.softmax import *
from .modules.weights import *
from .montecarlo import *
from .noise import *
from .norms import *
from .pairs import *
from .softmax import *
from .weights import *

# Each module names what it has that is public: once, in its own list.
__all__: list[str] = []
__all__ += _enable.__all__
__all__ += _modules.__all__
__all__ += _replace.__all__
__all__ += activations.__all__
__all__ += alpha.__all__
__all__ += attention.__all__
__all__ += attention_interface.__all__
__all__ += blocks.__all__
__all__ += channels.__all__
__all__ += linear.__all__
__all__ += masks.__all__
__all__ += montecarlo.__all__
__all__ += noise.__all__
__all__ += norms.__all__
__all__ += pairs.__all__
__all__ += softmax.__all__
__all__ += weights.__all__


def __dir__() -> list[str]:
    return sorted(__all__)
