"""How many floating-point operations ours are, for `torch.utils.flop_counter`.

Counted is what PyTorch counts of its own: products of matrices, each multiplication and each
addition as one, masked or not. Compilers ask for it, too, which under a memory budget compute again
what costs little.
"""

from __future__ import annotations

from math import prod
from typing import Any, TypeAlias

import torch
from torch.utils.flop_counter import register_flop_formula

from . import _attention, _linear  # noqa: F401 - they define the operators

Shape: TypeAlias = "tuple[int, ...]"


@register_flop_formula(torch.ops.fastdrop.attention)
def _of_attention(query: Shape, key: Shape, value: Shape, *_: Any, **__: Any) -> int:
    """Scores and weighted values, for each head of the queries."""
    return 2 * prod(query[:3]) * key[2] * (query[3] + value[3])


@register_flop_formula(torch.ops.fastdrop.attention_backward)
def _of_attention_backward(
    gradient: Shape,  # noqa: ARG001
    query: Shape,
    key: Shape,
    value: Shape,
    *_: Any,
    **__: Any,
) -> int:
    """The scores again; the gradients of weights, values, queries and keys."""
    return 2 * prod(query[:3]) * key[2] * (3 * query[3] + 2 * value[3])


@register_flop_formula([torch.ops.fastdrop.dropconnect, torch.ops.fastdrop.dropconnect_dx])
def _of_dropconnect(a: Shape, weight: Shape, *_: Any, **__: Any) -> int:
    """A product of samples and weights of shape (outputs, inputs)."""
    return 2 * a[0] * prod(weight)


@register_flop_formula(torch.ops.fastdrop.dropconnect_dw)
def _of_dropconnect_dw(gradient: Shape, x: Shape, *_: Any, **__: Any) -> int:
    return 2 * prod(gradient) * x[1]
