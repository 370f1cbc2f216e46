"""The module of plain dropout."""

from __future__ import annotations

from torch import nn

from fastdrop.torch import masks

from .base import Simple, forward_of

__all__ = ["Dropout"]


class Dropout(Simple, nn.Dropout):
    """`torch.nn.Dropout`, computed by fastdrop: see `fastdrop.torch.dropout`.

    It has no parameters and no buffers, and the representation of PyTorch's.

    Parameters
    ----------
    p : float, default 0.5
        Probability of dropping an element, from 0 to 1. May be assigned later.
    inplace : bool, default False
        Write the result to the input.
    generator : torch.Generator or fastdrop.Generator, optional
        What the module draws from. By default PyTorch's default generator of the CPU.
    seed : int or fastdrop.Key, optional
        Gives the module a `fastdrop.Generator` of its own, which begins there.

    Raises
    ------
    ValueError
        `p` is not between 0 and 1; both `generator` and `seed` are given; a seed outside
        0..2**64-1.
    TypeError
        An argument has the wrong type.

    Notes
    -----
    `torch.get_rng_state` saves PyTorch's default generator only. Where a generator of the module's
    own stands is in its ``state_dict()``, as ``_extra_state``, and is loaded from there if it is
    there; a module that draws from the default generator takes it for an unexpected key.

    A copy of a module with a generator of its own (`copy.deepcopy`, `pickle`) goes on from where
    the module stands: both draw the same masks. Where they should differ, give each its own seed.

    Under `torch.utils.checkpoint` all modules draw the same masks again: each thread notes the keys
    that it draws, and what is computed again gets those of the first time.

    Examples
    --------
    >>> import torch
    >>> import fastdrop.torch
    >>> drop = fastdrop.torch.Dropout(0.5, seed=1)
    >>> drop
    Dropout(p=0.5, inplace=False)
    >>> drop(torch.ones(8))
    tensor([0., 0., 2., 0., 0., 2., 0., 0.])
    >>> drop.eval()(torch.ones(3))
    tensor([1., 1., 1.])
    """

    _function = staticmethod(masks.dropout)
    _torch_forward = forward_of(nn.Dropout)
