"""A product whose weights are dropped: DropConnect."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - its usual name

from fastdrop import _arrays

from ._autograd import is_ordinary
from ._bridge import check_stored, taken
from ._call import word_for
from ._declared import drops, not_taken, overridable
from ._linear import composed, dropconnect_op
from ._private import forward_ad, transforms_active
from ._seeding import AnyGenerator, Seed

__all__ = ["dropconnect_linear"]


@overridable
def dropconnect_linear(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    p: float = 0.5,
    training: bool = True,
    *,
    per_sample: bool = True,
    generator: AnyGenerator = None,
    seed: Seed = None,
) -> Tensor:
    """A linear layer whose connections are dropped, anew for each sample: DropConnect.

    Each weight is dropped with probability `p`, on its own; the others are divided by 1 - p. The
    mask is drawn inside the product, and again inside those of the backward pass, and stored
    nowhere.

    Parameters
    ----------
    input : Tensor
        Of shape (..., inputs). Dtypes as for `dropout`; only tensors in the CPU's memory.
    weight : Tensor
        Of shape (outputs, inputs) and the input's dtype.
    bias : Tensor, optional
        Of shape (outputs,) and the input's dtype. It is not dropped.
    p : float, default 0.5
        Probability of dropping a weight, from 0 to 1.
    training : bool, default True
        False keeps all weights: `torch.nn.functional.linear`, as with p = 0.
    per_sample : bool, default True
        False draws one mask for all samples.
    generator, seed
        As for `dropout`; the mask takes one position for each (sample, output, input), or for each
        (output, input).

    Returns
    -------
    Tensor
        Of shape (..., outputs).

    Raises
    ------
    ValueError
        A tensor of the wrong shape; otherwise as for `dropout`.
    TypeError
        A tensor that is not computed here, or of another dtype than the input; an argument of the
        wrong type.

    Notes
    -----
    Source: Wan, Zeiler, Zhang, LeCun and Fergus, "Regularization of Neural Networks using
    DropConnect", ICML 2013. The values are those of `fastdrop.dropconnect_linear` for one seed.

    Gradients of every order go by the same products. Tangents and the transforms of `torch.func` go
    by PyTorch's operators, with the same decisions and all weights of all samples in memory.

    There is no `window`: a product needs whole rows of weights.

    Examples
    --------
    >>> import torch
    >>> import fastdrop.torch
    >>> x, w = torch.ones(2, 4), torch.ones(3, 4)
    >>> fastdrop.torch.dropconnect_linear(x, w, p=0.5, seed=1)
    tensor([[2., 2., 4.],
            [4., 4., 4.]])
    >>> fastdrop.torch.dropconnect_linear(x, w, training=False)
    tensor([[4., 4., 4.],
            [4., 4., 4.]])
    """
    dropping = drops(input, p, training, "dropconnect_linear")
    shared = not _arrays.check_flag(per_sample, "per_sample")
    _check(input, weight, bias)
    samples = math.prod(input.shape[:-1])
    n = weight.numel() * (1 if shared else samples)
    if not dropping or n == 0 or samples == 0:
        return F.linear(input, weight, bias)
    x = input.reshape(samples, input.shape[-1])
    if torch.is_autocast_enabled("cpu"):  # as it is for PyTorch's linear
        dtype = torch.get_autocast_dtype("cpu")
        x, weight = x.to(dtype), weight.to(dtype)
        bias = None if bias is None else bias.to(dtype)
    if is_ordinary(x):
        check_stored(x, weight, bias)
    decided = weight if shared else weight.expand(samples, *weight.shape)
    word = word_for(decided, None, generator, seed)
    slow = transforms_active() or (is_ordinary(x) and forward_ad._current_level >= 0)
    y: Tensor = (composed if slow else dropconnect_op)(x, weight, bias, word, float(p), shared)
    # Not where there is nothing to do: its derivative takes no sparse gradients.
    return y if input.dim() == 2 else y.reshape(*input.shape[:-1], y.shape[-1])


def _check(input: Tensor, weight: object, bias: object) -> None:
    for name, x in (("input", input), ("weight", weight), ("bias", bias)):
        if x is None and name == "bias":
            continue
        if not isinstance(x, Tensor) or not taken(x):
            raise not_taken(x, name)
        if x.dtype != input.dtype:
            raise TypeError(f"{name} has to have input's dtype {input.dtype}, but got {x.dtype}")
        shape = tuple(x.shape)
        if name == "input" and not shape:
            raise ValueError("input has to have at least 1 axis, but got shape ()")
        if name == "weight" and (len(shape) != 2 or shape[1] != input.shape[-1]):
            raise ValueError(
                f"weight has to have the shape (outputs, {input.shape[-1]}) for input's shape "
                f"{tuple(input.shape)}, but got {shape}"
            )
        if name == "bias" and isinstance(weight, Tensor) and shape != tuple(weight.shape[:1]):
            raise ValueError(f"bias has to have the shape ({len(weight)},), but got {shape}")
