"""PyTorch modules: subclasses of PyTorch's own where it has them, and the family beyond."""

from . import (
    activations,
    alpha,
    attention,
    blocks,
    channels,
    linear,
    masks,
    noise,
    pairs,
    softmax,
    weights,
)
from .activations import *
from .alpha import *
from .attention import *
from .blocks import *
from .channels import *
from .linear import *
from .masks import *
from .noise import *
from .pairs import *
from .softmax import *
from .weights import *

__all__: list[str] = []
__all__ += activations.__all__
__all__ += alpha.__all__
__all__ += attention.__all__
__all__ += blocks.__all__
__all__ += channels.__all__
__all__ += linear.__all__
__all__ += masks.__all__
__all__ += noise.__all__
__all__ += pairs.__all__
__all__ += softmax.__all__
__all__ += weights.__all__
