"""The public functions on NumPy arrays; what each computes is declared in `fastdrop.variants`."""

from . import (
    activations,
    alpha,
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
from . import sparsity as _sparsity  # a function has the module's name
from .activations import *
from .alpha import *
from .blocks import *
from .channels import *
from .linear import *
from .masks import *
from .montecarlo import *
from .noise import *
from .norms import *
from .pairs import *
from .softmax import *
from .sparsity import *
from .weights import *

__all__: list[str] = []
__all__ += activations.__all__
__all__ += alpha.__all__
__all__ += blocks.__all__
__all__ += channels.__all__
__all__ += linear.__all__
__all__ += masks.__all__
__all__ += montecarlo.__all__
__all__ += noise.__all__
__all__ += norms.__all__
__all__ += pairs.__all__
__all__ += softmax.__all__
__all__ += _sparsity.__all__
__all__ += weights.__all__
