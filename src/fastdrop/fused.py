"""Dropout in one pass with what stands next to it in a network."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from . import _arrays, backends
from ._arrays import Array
from ._plan import make_plan
from ._rng import RNGLike, check_unused, resolve
from ._runs import key_at, over_runs


def dropout_add(
    x: npt.ArrayLike,
    residual: npt.ArrayLike,
    p: float = 0.5,
    training: bool = True,
    *,
    rng: RNGLike = None,
    out: Array | None = None,
) -> Array:
    """Add dropout of `x` to `residual`, in one pass: ``residual + dropout(x, p)``.

    The gradient with respect to `x` is ``dropout(dy, p, rng=key)`` with the same `Key`, and with
    respect to `residual` it is ``dy``.

    Parameters
    ----------
    x : array_like
        Of any shape. Dtypes as for `dropout`.
    residual : array_like
        Of x's shape and dtype.
    p, training, rng
        As for `dropout`.
    out : ndarray, optional
        Where the result goes: of x's shape and dtype; `x` or `residual` itself, or memory of its
        own.

    Returns
    -------
    ndarray
        `out`, or a new array of x's shape and dtype; evaluation gives ``residual + x``.

    Raises
    ------
    TypeError
        `residual` or `out` has another dtype than `x`; otherwise as for `dropout`.
    ValueError
        `residual` or `out` has another shape than `x`; `p` outside [0, 1]; `out` read-only, or
        overlapping an operand in part.
    OverflowError
        The positions needed pass the end of the stream, 2**64.

    Notes
    -----
    Product and sum are each rounded in float32 (float64 for float64 arrays), and the sum, for
    16-bit floats, once more to the dtype.

    Source: Vaswani et al., "Attention Is All You Need", NIPS 2017, section 5.4: dropout on the
    output of each sub-layer, before it is added to its input.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop
    >>> x = np.ones(6, np.float32)
    >>> fastdrop.dropout_add(x, np.arange(6, dtype=np.float32), 0.5, rng=1)
    array([0., 1., 4., 3., 4., 7.], dtype=float32)
    """
    array = _arrays.as_operand(x)
    kind = _arrays.kind_of(array.dtype)
    other = _arrays.as_operand_like(residual, array, "residual")
    plan = make_plan(p, kind)
    training = _arrays.check_flag(training, "training")
    if out is None:
        target = out = np.empty(array.shape, array.dtype)
    else:
        target = _arrays.check_out(out, array)
        _arrays.check_overlap(target, other, "residual")
    if not training or not array.size:
        check_unused(rng)
        np.add(other, array, out=target)
        return out
    key = resolve(rng, array.size)
    backend = backends.active()

    def run(start: int, x: Array, residual: Array, out: Array) -> None:
        backend.dropout_add(x, residual, out, kind, key_at(key, start), plan)

    over_runs(
        run,
        [_arrays.storage(array, kind), _arrays.storage(other, kind)],
        [_arrays.storage(target, kind)],
    )
    return out
