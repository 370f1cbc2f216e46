"""Attention for the models of Hugging Face's Transformers."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor, nn

from .attention import scaled_dot_product_attention

__all__ = ["register_attention"]


def register_attention(name: str = "fastdrop") -> str:
    """Let models of Transformers compute their attention by fastdrop, by that name.

    From then on ``from_pretrained(..., attn_implementation="fastdrop")``,
    ``AutoModel.from_config(config, attn_implementation="fastdrop")`` and
    ``model.set_attn_implementation("fastdrop")`` choose
    `fastdrop.torch.scaled_dot_product_attention`. Models that choose another one are not touched.

    Parameters
    ----------
    name : str, default "fastdrop"
        The name of the implementation. One of Transformers' own, such as "sdpa", is replaced for
        all models.

    Returns
    -------
    str
        `name`.

    Raises
    ------
    ImportError
        Transformers is not installed, or older than its interfaces for attention and masks.
    TypeError
        `name` is no str.

    Notes
    -----
    Masks are those of Transformers' ``sdpa``: None or bool. Padding and sliding windows in them
    save what they leave out, heads of keys and values are not repeated for grouped queries, and in
    evaluation the call is PyTorch's own. A position bias that is learned, T5's, needs the gradient
    of all weights, which are held at once as by PyTorch.

    Sources: Vaswani et al., "Attention Is All You Need", NIPS 2017, section 3.2; Transformers'
    documentation, "Attention Interface".

    As with ``sdpa``, the weights are not returned (``output_attentions``), and models that cap
    their scores (``softcap``) need ``eager``.

    Examples
    --------
    >>> import fastdrop.torch
    >>> fastdrop.torch.register_attention()  # doctest: +SKIP
    >>> model = AutoModel.from_config(config, attn_implementation="fastdrop")  # doctest: +SKIP
    """
    if not isinstance(name, str):
        raise TypeError(f"name has to be a str, but got {type(name).__name__}")
    try:
        from transformers import AttentionInterface, AttentionMaskInterface
        from transformers.masking_utils import sdpa_mask
    except ImportError as error:
        raise ImportError(
            "register_attention needs Transformers with its interfaces for attention and masks: "
            "pip install 'transformers>=4.53'"
        ) from error
    AttentionInterface.register(name, _forward)
    AttentionMaskInterface.register(name, sdpa_mask)
    return name


def _forward(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    is_causal: bool | None = None,
    position_bias: Tensor | None = None,
    **more: Any,
) -> tuple[Tensor, None]:
    """Attention as Transformers' models call it, of (batch, heads, tokens, width)."""
    if more.get("softcap") is not None:
        raise ValueError("attention by fastdrop does not support softcap: eager does")
    if more.get("output_attentions"):
        warnings.warn(
            "attention by fastdrop does not return its weights (output_attentions): eager does",
            stacklevel=2,
        )
    if is_causal is None:
        is_causal = getattr(module, "is_causal", True)
    # A mask says all; and the only query of a decoding step sees all keys.
    causal = bool(is_causal and attention_mask is None and query.shape[2] > 1)
    y = scaled_dot_product_attention(
        query,
        key,
        value,
        _biased(attention_mask, position_bias),
        dropout,
        causal,
        scale=scaling,
        enable_gqa=query.shape[1] != key.shape[1],
    )
    return y.transpose(1, 2).contiguous(), None


def _biased(mask: Tensor | None, bias: Tensor | None) -> Tensor | None:
    """What is added to the scores, and what takes part, as one mask."""
    if mask is None or bias is None:
        return mask if bias is None else bias
    if mask.dtype is torch.bool:
        return torch.where(mask, bias, -torch.inf)
    return bias + mask
