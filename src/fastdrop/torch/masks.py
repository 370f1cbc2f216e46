"""PyTorch's `dropout`, with the signature, errors and warnings that it has there."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.compiler import is_compiling

from fastdrop._window import WindowLike

from ._arguments import hand_over, probability
from ._autograd import apply
from ._bridge import drawn_tensor, overridden
from ._call import call
from ._declared import not_taken
from ._seeding import WORD, AnyGenerator, Seed
from ._windows import windowed

__all__ = ["dropout"]

# As they are now: later ours may stand in their place.
_dropout, _dropout_ = torch.dropout, torch.dropout_


def dropout(
    input: Tensor,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    *,
    generator: AnyGenerator = None,
    seed: Seed = None,
    window: WindowLike | None = None,
) -> Tensor:
    """Set elements of a tensor to zero at random, and scale the others: PyTorch's `dropout`.

    Each element is dropped with probability `p`, on its own; the others are divided by 1 - p.
    Where PyTorch multiplies with a mask of the input's dtype, which it keeps for the backward pass,
    here the mask is drawn again from a seed: nothing is kept.

    Parameters
    ----------
    input : Tensor
        Of any shape and strides. Tensors of float16, bfloat16, float32 or float64 in the CPU's
        memory are computed here; every other tensor is left to PyTorch's own operator.
    p : float, default 0.5
        Probability of dropping an element, from 0 to 1.
    training : bool, default True
        False returns `input` itself.
    inplace : bool, default False
        Write the result to `input`.
    generator : torch.Generator or fastdrop.Generator, optional
        Where the randomness comes from. By default one number is drawn from PyTorch's default
        generator of the CPU.
    seed : int or fastdrop.Key, optional
        Gives the same mask in every call: that of ``fastdrop.dropout(x, p, rng=seed)``.
    window : pair of tuple of int, optional
        ``(shape, start)``: `input` is the part of a tensor of that shape that begins at the index
        `start`, and gets its part of the mask that the whole tensor gets; its gradient, too. A
        `DTensor` needs none: its shards get their parts of the whole's mask.

    Returns
    -------
    Tensor
        Of the shape, dtype and strides that ``torch.empty_like(input)`` has; `input` itself where
        it is written to, in evaluation, with p = 0, and where it is empty.

    Raises
    ------
    ValueError
        `p` is not between 0 and 1; both `generator` and `seed` are given; a seed outside
        0..2**64-1; `window` as for `fastdrop.dropout`.
    TypeError
        An argument has the wrong type.
    RuntimeError
        A tensor that PyTorch does not let be written to in place.
    NotImplementedError
        `generator`, `seed` or `window` for a tensor that is left to PyTorch; `window` within the
        transforms of `torch.func`; a `DTensor` that is placed in a way that no part of the mask is
        known for.

    Notes
    -----
    Source: Srivastava et al., "Dropout", JMLR 15 (2014), section 4, in the inverted form of section
    10.

    It differs from PyTorch's in that a dropped inf or nan becomes 0 (there nan) and a dropped
    negative number +0.0 (there -0.0), and in the masks, for the same ``torch.manual_seed``.

    Examples
    --------
    >>> import torch
    >>> import fastdrop.torch
    >>> fastdrop.torch.dropout(torch.ones(8), 0.5, seed=1)
    tensor([0., 0., 2., 0., 0., 2., 0., 0.])
    >>> x = torch.ones(8, requires_grad=True)
    >>> y = fastdrop.torch.dropout(x, 0.5)
    >>> y.sum().backward()
    >>> torch.equal(x.grad, y)
    True

    The second half of a tensor alone, with its part of the mask:

    >>> fastdrop.torch.dropout(torch.ones(4), 0.5, seed=1, window=((8,), (4,)))
    tensor([0., 2., 0., 0.])
    """
    if (
        training is True
        and generator is None
        and seed is None
        and window is None
        and not is_compiling()
    ):
        y = drawn_tensor(input, p, inplace, WORD, apply)
        if y is not None:
            return y
    if overridden((input,)):
        return hand_over(dropout, input, p, training, inplace, generator, seed, window)
    if type(p) is not float or not 0.0 <= p <= 1.0:
        p = probability(p, "dropout")
    if window is not None:
        if not isinstance(input, Tensor):
            raise not_taken(input, "input")
        part = (input, None, None)
        return windowed(part, p, training, inplace, generator, seed, window)
    if training is True and p != 0.0:
        y = call(input, p if type(p) is float else float(p), inplace, generator, seed)
        if y is not None:
            return y
    elif isinstance(input, Tensor) and (training is False or training is True):
        return input
    return (_dropout_ if inplace else _dropout)(input, p, training)
