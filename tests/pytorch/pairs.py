"""Variants of several operands, as cases for tests: on tensors, and on the same arrays."""

from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

import fastdrop
import fastdrop.torch as ft

KEY = fastdrop.Key(5, 6, 7)
SEVERAL = {
    "zoneout": (2, {}),
    "dropout_add": (2, {}),
    **{
        f"bias_act_dropout {act}": (1, {"act": act})
        for act in ("none", "relu", "gelu", "gelu_tanh", "silu")
    },
}
"""The number of operands of the input's shape, and options."""


class Case(NamedTuple):
    """A function on tensors and on arrays, with a bias where it takes one."""

    name: str
    keywords: dict[str, Any]
    operands: tuple[torch.Tensor, ...]

    def torch(self, *operands: Any, **more: Any) -> torch.Tensor:
        keywords = {"p": 0.4, "seed": KEY, **self.keywords, **more}
        return getattr(ft, self.name)(*(operands or self.operands), **keywords)

    def numpy(self, *, training: bool = True) -> np.ndarray:
        arrays = [stored(x) for x in self.operands]
        return getattr(fastdrop, self.name)(
            *arrays, p=0.4, training=training, rng=KEY if training else None, **self.keywords
        )


def stored(x: torch.Tensor) -> np.ndarray:
    x = x.detach().contiguous()
    if x.dtype is torch.bfloat16:
        ml_dtypes = pytest.importorskip("ml_dtypes")
        return x.view(torch.uint16).numpy().view(ml_dtypes.bfloat16)
    return x.numpy()


def same(y: torch.Tensor, wanted: np.ndarray) -> bool:
    return stored(y).tobytes() == wanted.tobytes()


def case(
    name: str,
    dtype: torch.dtype = torch.float32,
    shape: tuple[int, ...] = (2, 3, 4, 5),
    bias: bool = True,
) -> Case:
    generator = torch.Generator().manual_seed(1)
    n, keywords = SEVERAL[name]
    shapes = [shape] * n + [shape[-1:]] * (bias and n == 1)
    tensors = [
        torch.randn(s, generator=generator, dtype=torch.float64).mul(2).to(dtype) for s in shapes
    ]
    tensors[0].view(-1)[:2] = -0.0
    return Case(name.partition(" ")[0], keywords, tuple(tensors))


every = pytest.mark.parametrize("name", SEVERAL)
DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16]
