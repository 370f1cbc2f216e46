"""How sparse activations are: what dropout does to them, in numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fastdrop import _arrays
from fastdrop._arrays import Array
from fastdrop._rates import check_limit

__all__ = ["Sparsity", "sparsity"]


@dataclass(frozen=True, eq=False)
class Sparsity:
    """What `sparsity` found.

    Parameters
    ----------
    fraction : float
        The share of the elements that are at most `tol` away from 0, from 0 to 1.
    counts, edges : ndarray
        How many elements fall into each bin, as integers; the bins' edges, one more than bins.

    Examples
    --------
    >>> import fastdrop
    >>> fastdrop.sparsity([0.0, 0.0, 1.0, 3.0]).fraction
    0.5
    """

    fraction: float
    counts: Array
    edges: Array


def sparsity(
    a: npt.ArrayLike,
    tol: float = 0.0,
    bins: int | Sequence[float] | Array | str = 50,
    range: tuple[float, float] | None = None,  # noqa: A002 - as numpy.histogram has it
) -> Sparsity:
    """Say which share of the activations is 0, or nearly, and how they are distributed.

    Parameters
    ----------
    a : array_like
        Activations, of any shape with at least one element. Dtypes as for `dropout`.
    tol : float, default 0.0
        An element counts as 0 if its absolute value is at most this; at least 0.
    bins : int, sequence of floats or str, default 50
        As for `numpy.histogram`: how many of equal width, or their edges, or the name of a rule.
    range : tuple of two floats, optional
        Where the bins begin and end: by default at the smallest and the largest finite element.

    Returns
    -------
    Sparsity
        With `fraction`, `counts` and `edges`.

    Raises
    ------
    TypeError, ValueError
        As for `dropout` and, of `bins` and `range`, `numpy.histogram`; TypeError if `tol` is no
        number, ValueError if it is below 0 or nan, or `a` is empty.

    Notes
    -----
    Source: Srivastava et al., "Dropout", JMLR 15 (2014), section 7.2 and its figure: with dropout,
    histograms of hidden units' activations have a sharp peak at 0, and those of the units' mean
    activations, ``sparsity(a.mean(axis=0))`` for activations of (samples, units), lie closer to 0.
    A nan is no 0, and neither is an inf: they count among the elements whose share is given, and
    stand in no bin. The bins are in float32 for 16-bit floats, else in a's dtype.

    Examples
    --------
    >>> import fastdrop
    >>> hidden = [[0, 0.5, 0, 2], [0, 1.5, 1e-3, 0]]
    >>> fastdrop.sparsity(hidden, tol=0.01, bins=4)
    Sparsity(fraction=0.625, counts=array([5, 1, 0, 2]), edges=array([0. , 0.5, 1. , 1.5, 2. ]))
    """
    array = _arrays.as_operand(a, "a")
    limit = check_limit(tol, "tol")
    if not array.size:
        raise ValueError(f"a has to have at least one element, but got shape {array.shape}")
    if array.dtype.itemsize == 2:
        array = array.astype(np.float32)
    limit = min(limit, float(np.finfo(array.dtype).max))  # an inf is above each
    fraction = int(np.count_nonzero(np.abs(array) <= limit)) / array.size
    counts, edges = np.histogram(array[np.isfinite(array)], bins=bins, range=range)
    return Sparsity(fraction, counts, edges)
