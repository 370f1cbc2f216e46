"""PyTorch's module for attention, with dropout computed here."""

from __future__ import annotations

from types import FunctionType, SimpleNamespace
from typing import Any

from torch import nn
from torch.nn import functional as F  # noqa: N812 - its usual name

from .attention import scaled_dot_product_attention
from .functional import dropout

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
    twin.__kwdefaults__ = function.__kwdefaults__
    twin.__doc__ = function.__doc__
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


class MultiheadAttention(nn.MultiheadAttention):
    """`torch.nn.MultiheadAttention`, whose dropout is computed by fastdrop.

    It is made, called and saved as PyTorch's; `fastdrop.torch.replace` makes PyTorch's to it. The
    masks come from PyTorch's default generator of the CPU. Without weights to return
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

    forward = _with(nn.MultiheadAttention.forward, F=_functional)
