"""PyTorch's module for attention, with dropout computed here."""

from __future__ import annotations

from types import FunctionType, SimpleNamespace
from typing import Any, Final

from torch import nn
from torch.nn import functional as F  # noqa: N812 - its usual name

from fastdrop.torch.attention import scaled_dot_product_attention
from fastdrop.torch.masks import dropout

from .base import Leaf

__all__ = ["MultiheadAttention"]


def _with(function: Any, **names: object) -> Any:
    """A PyTorch function whose global names are others in part.

    Nothing of PyTorch is changed, so that other threads and modules see nothing of it.
    """
    missing = [name for name in names if name not in function.__code__.co_names]
    if missing:
        raise ImportError(
            f"PyTorch's {function.__qualname__} has to use {', '.join(missing)}, but does not: "
            "fastdrop.torch does not know this version of PyTorch"
        )
    scope = {**function.__globals__, **names}
    # Compilers look names up in the module of this name, if there is one.
    del scope["__name__"]
    twin = FunctionType(
        function.__code__, scope, function.__name__, function.__defaults__, function.__closure__
    )
    # What it hands over to modes and subclasses is itself, or they would call PyTorch's.
    scope[function.__name__] = twin
    twin.__kwdefaults__ = function.__kwdefaults__
    twin.__doc__ = function.__doc__
    return twin


def standing_in(function: Any, original: type[nn.Module]) -> Any:
    """A method for objects of a class of PyTorch's, of which TorchScript compiles PyTorch's source.

    It finds the source by ``__wrapped__``, and the names in it by the function's globals.
    """
    scope = {**original.forward.__globals__, **function.__globals__}
    # Compilers look names up in the module of this name, if there is one.
    del scope["__name__"]
    twin = FunctionType(function.__code__, scope, "forward", function.__defaults__)
    twin.__doc__ = function.__doc__
    twin.__wrapped__ = original.forward  # type: ignore[attr-defined]
    return twin


_functional = SimpleNamespace(
    **{
        **vars(F),
        "multi_head_attention_forward": _with(
            F.multi_head_attention_forward,
            scaled_dot_product_attention=scaled_dot_product_attention,
            dropout=dropout,
        ),
    }
)

attend: Final = _with(nn.MultiheadAttention.forward, F=_functional)
"""What `torch.nn.MultiheadAttention` does, with dropout computed here."""


def _forward(self: Any, *arguments: Any, **keywords: Any) -> Any:
    """Attend, with PyTorch's arguments and results: see `torch.nn.MultiheadAttention`."""
    return attend(self, *arguments, **keywords)


class MultiheadAttention(Leaf, nn.MultiheadAttention):
    """`torch.nn.MultiheadAttention`, whose dropout is computed by fastdrop.

    It is made, called and saved as PyTorch's; `fastdrop.torch.replace` lets PyTorch's compute so.
    The masks come from PyTorch's default generator of the CPU. Without weights to return
    (``need_weights=False``, as in `torch.nn.Transformer`), attention is
    `fastdrop.torch.scaled_dot_product_attention`, which keeps no weights; with them, the weights
    are dropped by `fastdrop.torch.dropout`.

    Parameters
    ----------
    embed_dim, num_heads, dropout, bias, add_bias_kv, add_zero_attn, kdim, vdim, batch_first, \
device, dtype
        As for PyTorch's module; `dropout` is the probability of dropping a weight.

    Notes
    -----
    Source: Vaswani et al., "Attention Is All You Need", NIPS 2017, section 3.2.2.

    Examples
    --------
    >>> import torch
    >>> import fastdrop.torch
    >>> attention = fastdrop.torch.MultiheadAttention(16, 2, dropout=0.1, batch_first=True)
    >>> x = torch.randn(3, 5, 16)
    >>> attention(x, x, x, need_weights=False)[0].shape
    torch.Size([3, 5, 16])
    """

    forward = standing_in(_forward, nn.MultiheadAttention)


def _tell_quantization() -> None:
    """Eager quantization knows modules by their exact class: say what becomes of this one."""
    try:
        from torch.ao.nn import quantizable, quantized
        from torch.ao.quantization import get_default_custom_config_dict
    except ImportError:  # pragma: no cover - PyTorch means to move it to a package of its own
        return

    class Observed(quantizable.MultiheadAttention):  # type: ignore[misc]
        _FLOAT_MODULE = MultiheadAttention

    known = get_default_custom_config_dict()
    known["float_to_observed_custom_module_class"][MultiheadAttention] = Observed
    known["observed_to_quantized_custom_module_class"][Observed] = quantized.MultiheadAttention


_tell_quantization()
