"""Max-norm regularisation: weights are projected onto a ball."""

from __future__ import annotations

import math

import numpy as np
from numpy.lib.stride_tricks import as_strided

from fastdrop import _arrays, backends
from fastdrop._arrays import Array
from fastdrop._rates import check_limit

__all__ = ["max_norm_"]


def max_norm_(w: Array, c: float, axis: int | tuple[int, ...] | None = 1) -> Array:
    """Limit the L2 norms of weights to `c`, in place: max-norm regularisation.

    Of each group of numbers along `axis` whose norm passes `c`, all are multiplied by c / norm;
    the others are left untouched, bit for bit. It is called after an update of the weights.

    Parameters
    ----------
    w : ndarray
        The weights, changed in place; of any shape and strides. Dtypes as for `dropout`.
    c : float
        The largest norm, at least 0; inf is no limit.
    axis : int, tuple of ints or None, default 1
        The axes that are summed over, as in `numpy.linalg.norm`: of (outputs, inputs), 1 limits the
        weights that come into each output, and 0 those that leave each input; of (outputs, inputs,
        height, width), (1, 2, 3) limits filters of convolutions. None is all axes: one norm.

    Returns
    -------
    ndarray
        `w`.

    Raises
    ------
    TypeError, ValueError
        As for `dropout_`, of `w`; `c` is no number, or below 0 or nan; `axis` is no axis of `w`, or
        names one twice, or none.

    Notes
    -----
    Source: Srivastava et al., "Dropout", JMLR 15 (2014), section 5.1: "constraining the norm of the
    incoming weight vector at each hidden unit to be upper bounded by a fixed constant c" by
    "projecting w onto the surface of a ball of radius c, whenever w went out of it."

    Squares are summed in float32 (float64 for float64), 256 of them, and these sums in float64;
    where a square overflows, or underflows so that it matters, that is done again in float64 with
    numbers times a power of 2. The factor is rounded to float32 (float64 for float64), and each
    product to the dtype. The norms are then at most ``c * (1 + e)``, where e is 2**-21 for float32,
    2**-49 + n * 2**-62 for n numbers of float64, 2**-10 for float16 and 2**-7 for bfloat16, as long
    as neither the factor nor what makes up the norm is subnormal.

    A group of zeros stays as it is, and so does one with an inf or a nan, which no factor brings
    within `c`. With c = 0 all else becomes zeros with the signs of the numbers.
    The sums have one order, that of the numbers in C order of the axes: the bits are the same in
    all backends, for every number of threads, and for every layout in memory. What is contiguous
    along `axis`, or beside it (a matrix with axis 0), is changed where it lies, else by a copy.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop
    >>> fastdrop.max_norm_(np.array([[3, 4], [0.3, 0.4], [0, 0]]), 2)
    array([[1.2, 1.6],
           [0.3, 0.4],
           [0. , 0. ]])
    >>> fastdrop.max_norm_(np.ones((8, 4, 3, 3)), 3, axis=(1, 2, 3))[0, 0, 0]
    array([0.5, 0.5, 0.5])
    """
    array = _arrays.check_inplace(w, "w")
    kind = _arrays.kind_of(array.dtype, "w")
    limit = check_limit(c, "c")
    axes = _arrays.axes_in(axis, array.shape, "axis", "w")
    _arrays.check_written(array, "w")
    limit_norms(array, kind, limit, axes)
    return w


def limit_norms(array: Array, kind: str, limit: float, axes: tuple[int, ...]) -> None:
    """`max_norm_` for a checked array, or the 16-bit storage of one."""
    if not array.size:
        return
    backend = backends.active()
    matrices = _matrices(array, axes) if axes else array.reshape(1, 1, 1)
    if matrices is not None:
        backend.max_norm(_arrays.storage(matrices, kind), kind, limit)
        return
    last = tuple(range(array.ndim - len(axes), array.ndim))
    moved = np.moveaxis(array, axes, last)
    rows = moved.copy(order="C")
    n = math.prod(moved.shape[last[0] :])
    backend.max_norm(_arrays.storage(rows.reshape(-1, n, 1), kind), kind, limit)
    moved[...] = rows


def _matrices(array: Array, axes: tuple[int, ...]) -> Array | None:
    """`array` as matrices whose columns are the groups along `axes`, if memory allows it.

    The view has three axes: matrices, in any order; the numbers of a group, in C order; and groups
    that are adjacent in memory (one group where its own numbers are adjacent).
    """
    first, end = axes[0], axes[-1] + 1
    if array.flags.c_contiguous and end - first == len(axes):
        shape = array.shape
        return array.reshape(-1, math.prod(shape[first:end]), math.prod(shape[end:]))
    groups: list[tuple[int, int]] = []  # strides and lengths
    numbers: list[tuple[int, int]] = []
    backwards = (stride < 0 and i not in axes for i, stride in enumerate(array.strides))
    corner = array[tuple(slice(None, None, -1 if back else 1) for back in backwards)]
    for i, (stride, length) in enumerate(zip(corner.strides, array.shape, strict=True)):
        if length > 1:
            (numbers if i in axes else groups).append((stride, length))
    groups = _joined(sorted(groups, reverse=True))
    numbers = _joined(numbers)
    size = array.itemsize
    if len(numbers) > 1:
        return None
    step, n = numbers[0] if numbers else (size, 1)
    inner = groups.pop()[1] if groups and groups[-1][0] == size else 1
    if len(groups) > 1 or (inner == 1 and step != size):
        return None
    outer_step, outer = groups[0] if groups else (size, 1)
    return as_strided(corner, (outer, n, inner), (outer_step, step, size))


def _joined(axes: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Merge axes that step evenly through memory: fewer axes over the same elements in order."""
    joined: list[tuple[int, int]] = []
    for stride, length in axes:
        if joined and joined[-1][0] == stride * length:
            length *= joined.pop()[1]
        joined.append((stride, length))
    return joined
