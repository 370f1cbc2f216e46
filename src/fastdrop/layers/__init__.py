"""Layers for networks written in NumPy: objects that remember what backward needs.

A layer keeps no mask: `backward` draws it again from the key of the last `forward`, which takes
0 bytes an element.
"""

from . import (
    activations,
    alpha,
    base,
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
from .base import *
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
__all__ += base.__all__
__all__ += blocks.__all__
__all__ += channels.__all__
__all__ += linear.__all__
__all__ += masks.__all__
__all__ += noise.__all__
__all__ += pairs.__all__
__all__ += softmax.__all__
__all__ += weights.__all__
