"""PyTorch's attention, with dropout that keeps no weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch._C import _are_functorch_transforms_active as _transforms_active
from torch.autograd import forward_ad
from torch.nn import functional as F  # noqa: N812 - its usual name
from torch.overrides import handle_torch_function, has_torch_function

from fastdrop._plan import check_factor

from ._attention import attended, attention_op, composed
from ._autograd import is_ordinary
from ._bridge import taken
from ._call import word_for
from ._seeding import AnyGenerator, Seed
from .functional import probability

__all__ = ["scaled_dot_product_attention"]


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
    *,
    generator: AnyGenerator = None,
    seed: Seed = None,
) -> Tensor:
    """Attention with dropout of its weights: PyTorch's `scaled_dot_product_attention`.

    ``dropout(softmax(query @ key.mT * scale + mask)) @ value``. With dropout, PyTorch's CPU code
    holds all weights and a mask of them, and keeps them for the backward pass. Here some queries'
    weights are computed at a time, in memory that stays in the cache, and again in the backward
    pass: nothing but the arguments is kept. Causal attention skips keys that no query of a tile
    sees.

    Parameters
    ----------
    query : Tensor
        Of shape (..., L, E). Tensors of float16, bfloat16, float32 or float64 in the CPU's memory
        are computed here, the 16-bit ones in float32; every other tensor is left to PyTorch's own
        operator.
    key : Tensor
        Of shape (..., S, E), of query's dtype. Leading axes are broadcast.
    value : Tensor
        Of shape (..., S, Ev), of query's dtype.
    attn_mask : Tensor, optional
        Broadcastable to the weights, (..., L, S); it is not expanded in memory. Either bool, True
        for what takes part, or of query's dtype or float32 and added to the scaled scores.
    dropout_p : float, default 0.0
        Probability of dropping a weight, from 0 to 1. It is applied whenever it is not 0, as in
        PyTorch: pass 0.0 in evaluation. With 0 the call is PyTorch's own.
    is_causal : bool, default False
        Query i sees keys 0 to i. Not together with `attn_mask`.
    scale : float, optional
        What scores are multiplied by; ``1 / sqrt(E)`` by default. With dropout, a finite number.
    enable_gqa : bool, default False
        Let each head of key and value, on axis -3, serve as many heads of query in a row as there
        are more of them. The heads are repeated in memory.
    generator, seed
        As for `dropout`; the mask takes one position for each weight, in C order of (..., L, S).

    Returns
    -------
    Tensor
        Of shape (..., L, Ev) and query's dtype. As in PyTorch, four-dimensional results lie in
        memory in order (batch, query, head, feature).

    Raises
    ------
    ValueError
        `dropout_p` is not between 0 and 1; `scale` is not finite; both `generator` and `seed` are
        given; a seed outside 0..2**64-1.
    TypeError
        An argument has the wrong type.
    RuntimeError
        Whatever PyTorch does not accept: shapes or dtypes that do not fit, a mask with `is_causal`.
    NotImplementedError
        `generator` or `seed` for tensors that are left to PyTorch.

    Notes
    -----
    Sources: Vaswani et al., "Attention Is All You Need", NIPS 2017, section 3.2.1; computing by
    tiles and again in the backward pass: Dao et al., "FlashAttention", NeurIPS 2022, section 3.

    A query that sees nothing gets 0, as in PyTorch. The weights' mask is that of
    ``fastdrop.torch.dropout`` with the same seed, for any number of threads and in any tiles; sums
    are PyTorch's, and may differ in the last places.

    All weights are held at once, as by PyTorch, for second derivatives, within the transforms of
    `torch.func`, for tangents (forward-mode AD), where `attn_mask` has a gradient, and where
    value's leading axes are more than those of query, key and mask together.

    Examples
    --------
    >>> import torch
    >>> import fastdrop.torch
    >>> query, key, value = torch.randn(3, 2, 4, 16, 8)
    >>> y = fastdrop.torch.scaled_dot_product_attention(
    ...     query, key, value, dropout_p=0.1, is_causal=True
    ... )
    >>> y.shape
    torch.Size([2, 4, 16, 8])

    With the unit matrix as value, what comes back are the weights:

    >>> zeros = torch.zeros(4, 1)
    >>> fastdrop.torch.scaled_dot_product_attention(
    ...     zeros, zeros, torch.eye(4), dropout_p=0.5, seed=1
    ... )
    tensor([[0.0000, 0.0000, 0.5000, 0.0000],
            [0.0000, 0.5000, 0.0000, 0.0000],
            [0.0000, 0.0000, 0.5000, 0.5000],
            [0.5000, 0.0000, 0.0000, 0.5000]])
    """
    given = (query, key, value, attn_mask)
    if has_torch_function(given):
        result: Tensor = handle_torch_function(
            scaled_dot_product_attention, given, query, key, value, attn_mask, dropout_p,
            is_causal, scale=scale, enable_gqa=enable_gqa, generator=generator, seed=seed,
        )  # fmt: skip
        return result
    dropout_p = probability(dropout_p, "scaled_dot_product_attention", "dropout_p")
    if dropout_p != 0.0:
        query, key, value, mask = (_autocast(x) for x in given)
        if _fit(query, key, value, mask, is_causal, enable_gqa):
            if enable_gqa:
                key, value = (_repeated(x, query.shape[-3]) for x in (key, value))
            if scale is None:
                scale = query.shape[-1] ** -0.5
            else:
                scale = check_factor(scale, "scale", "float64")
            p = float(dropout_p)
            return _attend(query, key, value, mask, p, is_causal, scale, generator, seed)
        if generator is not None or seed is not None:
            raise NotImplementedError(
                "generator and seed have to be left out for arguments that PyTorch's own operator "
                "takes, or refuses: it knows neither"
            )
    return F.scaled_dot_product_attention(
        *given, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa
    )


def _autocast(x: Any) -> Any:
    """An argument as autocast hands it to PyTorch's operator."""
    if not torch.is_autocast_enabled("cpu") or not isinstance(x, Tensor):
        return x
    if not x.is_floating_point() or x.dtype is torch.float64 or x.device.type != "cpu":
        return x
    return x.to(torch.get_autocast_dtype("cpu"))


def _fit(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    causal: bool,
    grouped: bool,
) -> bool:
    """Whether the arguments are such as are computed here; PyTorch knows what to say to others."""
    for x in (query, key, value):
        if not isinstance(x, Tensor) or not taken(x) or x.is_nested or x.dim() < 2:
            return False
        if x.dtype is not query.dtype or x.numel() == 0:
            return False
    if key.shape[-1] != query.shape[-1] or value.shape[-2] != key.shape[-2]:
        return False
    if grouped and not _divide(query, key, value):
        return False
    if mask is None:
        return True
    if causal or not isinstance(mask, Tensor) or mask.device.type != "cpu":
        return False
    return mask.layout is torch.strided and mask.dtype in (torch.bool, torch.float32, query.dtype)


def _divide(query: Tensor, key: Tensor, value: Tensor) -> bool:
    """Whether the heads of key and value can each serve as many of query's."""
    if query.dim() < 3 or key.dim() < 3 or value.dim() < 3:
        return False
    heads = query.shape[-3]
    return heads % key.shape[-3] == 0 and heads % value.shape[-3] == 0


def _repeated(x: Tensor, heads: int) -> Tensor:
    return x if x.shape[-3] == heads else x.repeat_interleave(heads // x.shape[-3], -3)


def _attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    p: float,
    causal: bool,
    scale: float,
    generator: AnyGenerator,
    seed: Seed,
) -> Tensor:
    scores = (query.shape[-2], key.shape[-2])
    lead = whole = query.shape[:-2]
    if mask is not None or key.shape[:-2] != lead or value.shape[:-2] != lead:
        masked = () if mask is None else (mask.shape[:-2],)
        lead = torch.broadcast_shapes(lead, key.shape[:-2], *masked)
        whole = torch.broadcast_shapes(lead, value.shape[:-2])
    if mask is not None:
        mask = mask.expand(*lead, *scores)
    n = scores[0] * scores[1]
    for length in lead:
        n *= length
    learns = mask is not None and mask.requires_grad and torch.is_grad_enabled()
    ordinary = all(is_ordinary(x) for x in (query, key, value, mask) if x is not None)
    word = word_for(query, n, generator, seed)
    followed = forward_ad._current_level >= 0 if ordinary else _transforms_active()
    if whole != lead or learns or followed:
        if lead != query.shape[:-2]:
            query = query.expand(*lead, *query.shape[-2:])
        return composed(query, key, value, mask, word, p, causal, scale)
    query, key, value = (_of_four(x, lead) for x in (query, key, value))
    mask = None if mask is None else _of_four(mask, lead)
    attend = attended if ordinary else attention_op
    y = attend(query, key, value, mask, word, p, causal, scale)
    return y if len(lead) == 2 else y.reshape(*lead, *y.shape[-2:])


def _of_four(x: Tensor, lead: torch.Size) -> Tensor:
    """Batch and heads: the last of the leading axes are the heads."""
    if x.shape[:-2] != lead:
        x = x.expand(*lead, *x.shape[-2:])
    if len(lead) == 2:
        return x
    if len(lead) < 2:
        return x[(None,) * (2 - len(lead))]
    return x.reshape(-1, *x.shape[-3:])
