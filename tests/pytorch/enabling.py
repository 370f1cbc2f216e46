"""What tests that compare functions with PyTorch's share, those of `enable` first."""

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch.nn import functional as F  # noqa: N812

SEED = 3
FUNCTIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "dropout": lambda x: F.dropout(x, 0.3),
    "dropout, in place": lambda x: F.dropout(x * 1, 0.3, inplace=True),
    "dropout, view in place": lambda x: (y := x * 1, F.dropout(y[1:], 0.3, inplace=True), y)[2],
    "dropout2d": lambda x: F.dropout2d(x[..., None, None], 0.3),
    "alpha_dropout": lambda x: F.alpha_dropout(x, 0.3, True),
    "feature_alpha_dropout": lambda x: F.feature_alpha_dropout(x[..., None], 0.3, True),
    "native_dropout": lambda x: torch.native_dropout(x, 0.3, True)[0],
    "attention": lambda x: F.scaled_dot_product_attention(x, x, x, dropout_p=0.3),
}
"""What `enable` is about, as calls of a matrix."""
Result = TypeVar("Result")


def seeded(function: Callable[..., Result], *args: Any, **kwargs: Any) -> Result:
    """What the function gives right after ``torch.manual_seed``."""
    torch.manual_seed(SEED)
    return function(*args, **kwargs)


def outcome(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """The same, or the error: its type and what it says."""
    try:
        return seeded(function, *args, **kwargs)
    except (RuntimeError, TypeError, ValueError, NotImplementedError, IndexError) as error:
        # Below their first line some errors tell where in PyTorch they were raised.
        return type(error), str(error).splitlines()[0]


def alike(a: Any, b: Any) -> bool:
    """Whether two outcomes are the same: bits, dtype, strides, and what else describes a tensor."""
    if not isinstance(a, torch.Tensor) or not isinstance(b, torch.Tensor):
        if isinstance(a, tuple | list) and isinstance(b, tuple | list):
            return len(a) == len(b) and all(map(alike, a, b))
        return bool(a == b)
    if type(a) is not type(b) or a.dtype != b.dtype or a.layout != b.layout or a.shape != b.shape:
        return False
    if a.requires_grad != b.requires_grad or a.device != b.device:
        return False
    if a.layout is torch.strided and not a.is_nested and a.stride() != b.stride():
        return False
    if a.device.type == "meta":
        return True
    if a.is_sparse:
        a, b = a.to_dense(), b.to_dense()
    if a.is_quantized:
        a, b = a.int_repr(), b.int_repr()
    return torch.equal(bits(a), bits(b))


def bits(x: torch.Tensor) -> torch.Tensor:
    """The memory of the elements, in C order: tells -0.0 from 0.0, and nan is equal to nan."""
    x = x.detach().resolve_conj().resolve_neg().contiguous()
    return x.view(torch.uint8) if x.dim() else x.reshape(1).view(torch.uint8)


def numbers(*shape: int, dtype: torch.dtype = torch.float32, seed: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)
