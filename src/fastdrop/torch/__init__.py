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

from . import _flops as _flops
from ._enable import disable, enable
from ._replace import Report, replace, restore
from .activations import bias_act_dropout
from .alpha import alpha_dropout, feature_alpha_dropout
from .attention import scaled_dot_product_attention
from .attention_interface import register_attention
from .blocks import drop_block1d, drop_block2d, drop_block3d
from .channels import drop_path, dropout1d, dropout2d, dropout3d, variational_dropout
from .linear import dropconnect_linear
from .masks import dropout
from .modules.activations import BiasActDropout
from .modules.alpha import AlphaDropout, FeatureAlphaDropout
from .modules.attention import MultiheadAttention
from .modules.blocks import DropBlock1d, DropBlock2d, DropBlock3d
from .modules.channels import Dropout1d, Dropout2d, Dropout3d, StochasticDepth, VariationalDropout
from .modules.linear import DropConnectLinear
from .modules.masks import Dropout
from .modules.noise import GaussianDropout, GaussianNoise
from .modules.pairs import DropoutAdd, Zoneout
from .modules.softmax import SoftmaxDropout
from .modules.weights import AttentionDropout, DropConnect, EmbeddingDropout
from .montecarlo import MonteCarloResult, mc_dropout
from .noise import gaussian_dropout, gaussian_noise
from .norms import max_norm_
from .pairs import dropout_add, zoneout
from .softmax import softmax_dropout
from .weights import attention_dropout, drop_connect, embedding_dropout

__all__ = [
    "AlphaDropout",
    "AttentionDropout",
    "BiasActDropout",
    "DropBlock1d",
    "DropBlock2d",
    "DropBlock3d",
    "DropConnect",
    "DropConnectLinear",
    "Dropout",
    "Dropout1d",
    "Dropout2d",
    "Dropout3d",
    "DropoutAdd",
    "EmbeddingDropout",
    "FeatureAlphaDropout",
    "GaussianDropout",
    "GaussianNoise",
    "MonteCarloResult",
    "MultiheadAttention",
    "Report",
    "SoftmaxDropout",
    "StochasticDepth",
    "VariationalDropout",
    "Zoneout",
    "alpha_dropout",
    "attention_dropout",
    "bias_act_dropout",
    "disable",
    "drop_block1d",
    "drop_block2d",
    "drop_block3d",
    "drop_connect",
    "drop_path",
    "dropconnect_linear",
    "dropout",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "dropout_add",
    "embedding_dropout",
    "enable",
    "feature_alpha_dropout",
    "gaussian_dropout",
    "gaussian_noise",
    "max_norm_",
    "mc_dropout",
    "register_attention",
    "replace",
    "restore",
    "scaled_dot_product_attention",
    "softmax_dropout",
    "variational_dropout",
    "zoneout",
]


def __dir__() -> list[str]:
    return sorted(__all__)
