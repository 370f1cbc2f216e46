"""Layers for networks written in NumPy: objects that remember what backward needs.

A layer keeps no mask: `backward` draws it again from the key of the last `forward`, which takes
0 bytes an element.
"""

from .activations import BiasActDropout
from .alpha import AlphaDropout, FeatureAlphaDropout
from .base import Layer
from .blocks import DropBlock1D, DropBlock2D, DropBlock3D
from .channels import (
    DropPath,
    SpatialDropout1D,
    SpatialDropout2D,
    SpatialDropout3D,
    VariationalDropout,
)
from .linear import DropConnectLinear
from .masks import Dropout
from .noise import GaussianDropout, GaussianNoise
from .pairs import DropoutAdd, Zoneout
from .softmax import SoftmaxDropout
from .weights import AttentionDropout, DropConnect, EmbeddingDropout

__all__ = [
    "AlphaDropout",
    "AttentionDropout",
    "BiasActDropout",
    "DropBlock1D",
    "DropBlock2D",
    "DropBlock3D",
    "DropConnect",
    "DropConnectLinear",
    "DropPath",
    "Dropout",
    "DropoutAdd",
    "EmbeddingDropout",
    "FeatureAlphaDropout",
    "GaussianDropout",
    "GaussianNoise",
    "Layer",
    "SoftmaxDropout",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
    "VariationalDropout",
    "Zoneout",
]
