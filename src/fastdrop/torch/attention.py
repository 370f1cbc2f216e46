"""PyTorch's attention, with dropout that keeps no weights."""

from __future__ import annotations

from numbers import Real
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - its usual name

from fastdrop._arrays import check_flag

from ._arguments import number, probability, wrong_type
from ._attending import PYTORCHS, Call, attention, by_pytorch
from ._bridge import PLAIN
from ._seeding import AnyGenerator, Seed
from ._seen import EVERYTHING, Band

__all__ = ["scaled_dot_product_attention"]

_NAME: Final = "scaled_dot_product_attention"


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
    training: bool = True,
    sliding_window: tuple[int, int] | None = None,
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
        for what takes part, or of query's dtype or float32 and added to the scaled scores. A
        ``torch.nn.attention.bias.CausalBias`` is not made a tensor of. Keys before the first and
        after the last that any of some queries in a row may see cost next to nothing: a mask of
        causal attention with padding costs as much as `is_causal`.
    dropout_p : float, default 0.0
        Probability of dropping a weight, from 0 to 1. It is applied whenever it is not 0, as in
        PyTorch: pass 0.0 in evaluation. With 0 the call is PyTorch's own.
    is_causal : bool, default False
        Query i sees keys 0 to i. Other than in PyTorch it may stand beside `attn_mask`, one for
        padding for example: then a key takes part where both let it.
    scale : float, optional
        What scores are multiplied by; ``1 / sqrt(E)`` by default. With dropout, a finite number. A
        tensor without axes is taken for its number, as by PyTorch.
    enable_gqa : bool, default False
        Let each head of key and value, on axis -3, serve as many heads of query in a row as there
        are more of them. The heads are not repeated in memory, unless key and value have different
        numbers of them.
    training : bool, default True
        False is ``dropout_p=0.0``.
    sliding_window : (int, int), optional
        How many keys a query sees to the left and to the right of its own, -1 for no limit. Query i
        has key i for its own, as for `is_causal`; beside a mask of
        ``torch.nn.attention.bias.causal_lower_right``, the key that ends its row there. Keys
        outside of it cost nothing.
    generator, seed
        As for `dropout`; the mask takes one position for each weight, in C order of (..., L, S).

    Returns
    -------
    Tensor
        Of shape (..., L, Ev) and query's dtype. With dropout it is contiguous, as PyTorch's is;
        PyTorch's without dropout mostly lies in memory in order (batch, query, head, feature).

    Raises
    ------
    ValueError
        `dropout_p` is not between 0 and 1; `scale` is not finite; a negative number in
        `sliding_window`, but for -1; both `generator` and `seed` are given; a seed outside
        0..2**64-1.
    TypeError
        An argument has the wrong type; `dropout_p` or `scale` is a tensor that has a gradient.
    RuntimeError
        Whatever PyTorch does not accept: shapes or dtypes that do not fit.
    NotImplementedError
        `generator` or `seed` for tensors that are left to PyTorch; dropout of a `DTensor`, of which
        PyTorch would drop the same weights in each shard.

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

    There is no `window`: a softmax needs all keys that a query sees.

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
    rate: Any = dropout_p
    if not isinstance(rate, (Tensor, Real, torch.SymFloat, torch.SymInt)):
        raise wrong_type(_NAME, "dropout_p", "float", rate)
    p = probability(dropout_p, _NAME, "dropout_p")
    for name, flag in (("is_causal", is_causal), ("enable_gqa", enable_gqa)):
        if type(flag) not in (bool, torch.SymBool):
            raise wrong_type(_NAME, name, "bool", flag)
    factor: Any = None if scale is None else number(scale, _NAME, "scale")
    if not check_flag(training, "training"):
        p = 0.0
    low, high = _window(sliding_window)
    mask: Any = attn_mask
    if _is_causal_bias(mask):
        if is_causal:
            refused: Tensor = PYTORCHS(query, key, value, mask, p, True)
            return refused
        # PyTorch sees its own class itself, unless it cannot know its own function any more.
        patched = F.scaled_dot_product_attention is not PYTORCHS
        if p != 0.0 or patched or sliding_window is not None:
            lower_right = mask.variant.name == "LOWER_RIGHT"
            shift = mask.seq_len_kv - mask.seq_len_q if lower_right else 0
            low = None if low is None else low + shift
            high = shift if high is None else min(high + shift, shift)
            mask = None
    elif is_causal:
        high = 0 if high is None else min(high, 0)
    call = Call(query, key, value, mask, float(p), Band(low, high), factor, enable_gqa)
    if p == 0.0 and call.is_pytorchs:
        return by_pytorch(call)
    return attention(call, generator, seed)


def _is_causal_bias(mask: Any) -> bool:
    """Asked of other classes alone: the module of this one imports PyTorch's compiler."""
    if mask is None or type(mask) in PLAIN:
        return False
    from torch.nn.attention.bias import CausalBias

    return isinstance(mask, CausalBias)


def _not_a_window(came: object) -> TypeError:
    return TypeError(
        "sliding_window has to be a pair of ints, how many keys to the left and to the right of "
        f"its own a query sees, but got {came!r}"
    )


def _window(sliding_window: Any) -> Band:
    """How far queries see to both sides of their own key."""
    if sliding_window is None:
        return EVERYTHING
    if not isinstance(sliding_window, (tuple, list)) or len(sliding_window) != 2:
        raise _not_a_window(sliding_window)
    left, right = sliding_window
    for length in (left, right):
        if not isinstance(length, (int, torch.SymInt)) or isinstance(length, bool):
            raise _not_a_window(sliding_window)
        if length < -1:
            raise ValueError(
                "sliding_window has to hold numbers from 0 on, or -1 for no limit, "
                f"but got {sliding_window!r}"
            )
    return Band(None if left == -1 else -left, None if right == -1 else right)
