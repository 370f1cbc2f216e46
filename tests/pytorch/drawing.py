"""All functions and modules of fastdrop.torch that draw, as calls of one tensor of shape (4, 4)."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import torch
from cases import PLAIN
from torch import nn

import fastdrop.torch as ft

Call = Callable[..., Any]


def finite(y: torch.Tensor) -> torch.Tensor:
    """With 0 for what is dropped to -inf, whose differences are no numbers."""
    return torch.nan_to_num(y, neginf=0.0)


FUNCTIONS: dict[str, Call] = {
    "dropout": lambda x, p=0.5, **k: ft.dropout(x, p, **k),
    "dropout1d": lambda x, p=0.5, **k: ft.dropout1d(x, p, **k),
    "dropout2d": lambda x, p=0.5, **k: ft.dropout2d(x[None, None], p, **k),
    "dropout3d": lambda x, p=0.5, **k: ft.dropout3d(x[None, None, None], p, **k),
    **{
        variant.function: lambda x, p=0.5, name=variant.function, **k: getattr(ft, name)(
            x, p, True, **k
        )
        for variant in PLAIN
    },
    "feature_alpha_dropout": lambda x, p=0.5, **k: ft.feature_alpha_dropout(x, p, True, **k),
    "gaussian_noise": lambda x, p=0.5, **k: ft.gaussian_noise(x, p, **k),
    "drop_block1d": lambda x, p=0.3, **k: ft.drop_block1d(x, p, 2, **k),
    "drop_block2d": lambda x, p=0.3, **k: ft.drop_block2d(x[None], p, 2, **k),
    "drop_block3d": lambda x, p=0.3, **k: ft.drop_block3d(x[None, None], p, 2, **k),
    "drop_path": lambda x, p=0.5, **k: ft.drop_path(x, p, **k),
    "drop_path batch": lambda x, p=0.5, **k: ft.drop_path(x, p, mode="batch", **k),
    "variational_dropout": lambda x, p=0.5, **k: ft.variational_dropout(x, p, **k),
    "embedding_dropout": lambda x, p=0.5, **k: ft.embedding_dropout(x, p, **k),
    "zoneout": lambda x, p=0.5, **k: ft.zoneout(x, x * 2, p, **k),
    "dropout_add": lambda x, p=0.5, **k: ft.dropout_add(x, x, p, **k),
    **{
        f"bias_act_dropout {act}": lambda x, p=0.5, act=act, **k: ft.bias_act_dropout(
            x, x[0], act, p, **k
        )
        for act in ("none", "relu", "gelu", "gelu_tanh", "silu")
    },
    "softmax_dropout": lambda x, p=0.5, **k: ft.softmax_dropout(x, p, **k),
    "softmax_dropout dim 0": lambda x, p=0.5, **k: ft.softmax_dropout(x, p, dim=0, **k),
    "dropconnect_linear": lambda x, p=0.5, **k: ft.dropconnect_linear(x, x, None, p, **k),
    "dropconnect_linear shared": lambda x, p=0.5, **k: ft.dropconnect_linear(
        x, x, None, p, per_sample=False, **k
    ),
}

INPLACE = {
    name: FUNCTIONS[name]
    for name in FUNCTIONS
    if "inplace" in inspect.signature(getattr(ft, name.split()[0])).parameters
}
"""Those that take ``inplace=True``."""


class _On(nn.Module):
    """A module that gets a tensor of shape (4, 4) in the shape that it takes."""

    def __init__(self, module: nn.Module, prepare: Call) -> None:
        super().__init__()
        self.module = module
        self.prepare = prepare

    def forward(self, x: "torch.Tensor") -> "torch.Tensor":
        return self.module(*self.prepare(x))


def _on(make: Call, prepare: Call = lambda x: (x,)) -> Call:
    return lambda **k: _On(make(**k), prepare)


MODULES: dict[str, Call] = {
    "Dropout": _on(lambda **k: ft.Dropout(0.5, **k)),
    "Dropout1d": _on(lambda **k: ft.Dropout1d(0.5, **k)),
    "Dropout2d": _on(lambda **k: ft.Dropout2d(0.5, **k), lambda x: (x[None, None],)),
    "Dropout3d": _on(lambda **k: ft.Dropout3d(0.5, **k), lambda x: (x[None, None, None],)),
    **{
        str(variant.layer): _on(functools.partial(getattr(ft, str(variant.layer)), 0.5))
        for variant in PLAIN
    },
    "FeatureAlphaDropout": _on(lambda **k: ft.FeatureAlphaDropout(0.5, **k)),
    "GaussianNoise": _on(lambda **k: ft.GaussianNoise(0.5, **k)),
    "DropBlock1d": _on(lambda **k: ft.DropBlock1d(0.3, 2, **k)),
    "DropBlock2d": _on(lambda **k: ft.DropBlock2d(0.3, 2, **k), lambda x: (x[None],)),
    "DropBlock3d": _on(lambda **k: ft.DropBlock3d(0.3, 2, **k), lambda x: (x[None, None],)),
    "StochasticDepth": _on(lambda **k: ft.StochasticDepth(0.5, **k)),
    "VariationalDropout": _on(lambda **k: ft.VariationalDropout(0.5, **k)),
    "Zoneout": _on(lambda **k: ft.Zoneout(0.5, **k), lambda x: (x, x * 2)),
    "DropoutAdd": _on(lambda **k: ft.DropoutAdd(0.5, **k), lambda x: (x, x * 2)),
    "BiasActDropout": _on(lambda **k: ft.BiasActDropout("gelu", 0.5, **k), lambda x: (x, x[0])),
    "SoftmaxDropout": _on(lambda **k: ft.SoftmaxDropout(0.5, **k)),
    "DropConnectLinear": _on(lambda **k: ft.DropConnectLinear(4, 4, **k)),
}
