"""Max-norm regularisation of a module's weights."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.compiler import is_compiling

from fastdrop import _arrays
from fastdrop._rates import check_limit
from fastdrop.functions.norms import limit_norms

from . import _bridge
from ._arguments import number
from ._autograd import is_ordinary
from ._call import check_writable
from ._declared import not_taken, overridable

__all__ = ["max_norm_"]


@torch.library.custom_op("fastdrop::max_norm_", mutates_args=("tensor",), device_types="cpu")
def _max_norm_op(tensor: Tensor, c: float, axes: Sequence[int]) -> None:
    _limit(tensor, c, tuple(axes))


def _limit(tensor: Tensor, c: float, axes: tuple[int, ...]) -> None:
    with _bridge.limits(fresh=False):
        limit_norms(_bridge.array_of(tensor), _bridge.KINDS[tensor.dtype], c, axes)


@overridable
def max_norm_(tensor: Tensor, c: float, dim: int | tuple[int, ...] | None = 1) -> Tensor:
    """Limit the L2 norms of weights to `c`, in place: max-norm regularisation.

    Of each group of numbers along `dim` whose norm passes `c`, all are multiplied by c / norm; the
    others are left untouched. It is called after the optimizer's step, and autograd does not record
    it, whether it is recording or not.

    Parameters
    ----------
    tensor : Tensor
        The weights, such as ``linear.weight``, changed in place. Dtypes as for `dropout`; only
        tensors in the CPU's memory.
    c : float
        The largest norm, at least 0; inf is no limit.
    dim : int, tuple of ints or None, default 1
        The axis or axes that are summed over, as in `torch.linalg.vector_norm` (and unlike in
        `torch.renorm`, which names the axis that is kept): 1 for a matrix of (outputs, inputs),
        (1, 2, 3) for the filters of `torch.nn.Conv2d`. None is all axes: one norm.

    Returns
    -------
    Tensor
        `tensor`.

    Raises
    ------
    RuntimeError
        An inference tensor, outside of inference mode.
    TypeError
        A tensor that is not computed here; an argument of the wrong type.
    ValueError
        `c` below 0 or nan; an axis that the tensor does not have, or the same one twice, or none; a
        tensor whose elements share memory.

    Notes
    -----
    Source: Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from Overfitting",
    JMLR 15 (2014), section 5.1. The values are those of `fastdrop.max_norm_`. The tensor's version
    moves on, so that a backward pass which needs the weights as they were raises an error.

    Examples
    --------
    >>> import torch
    >>> import fastdrop.torch
    >>> layer = torch.nn.Linear(2, 2)
    >>> _ = torch.nn.init.constant_(layer.weight, 4.0)
    >>> fastdrop.torch.max_norm_(layer.weight, 2.0)
    Parameter containing:
    tensor([[1.4142, 1.4142],
            [1.4142, 1.4142]], requires_grad=True)
    """
    if not isinstance(tensor, Tensor) or not _bridge.taken(tensor):
        raise not_taken(tensor, "tensor")
    limit = check_limit(number(c, "max_norm_", "c"), "c")
    axes = _arrays.axes_in(dim, tuple(tensor.shape), "dim", "tensor")
    if not is_compiling():
        check_writable(tensor)
    if not is_ordinary(tensor):
        with torch.no_grad():
            _max_norm_op(tensor, limit, axes)
        return tensor
    plain = _bridge.readable(tensor)
    _arrays.check_written(_bridge.array_of(plain), "tensor")
    _limit(plain, limit, axes)
    if plain is not tensor:
        with torch.no_grad():
            return tensor.copy_(plain)
    if not tensor.is_inference():
        torch.autograd.graph.increment_version(tensor)
    return tensor
