"""Bias, activation and dropout in one pass, and the gradients."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fastdrop._arrays import Array
from fastdrop._bias import Activation
from fastdrop._rng import RNGLike
from fastdrop._window import WindowLike
from fastdrop.pipeline import compiled, run
from fastdrop.variants import BIAS_ACT_DROPOUT, BIAS_ACT_DROPOUT_BACKWARD

__all__ = ["bias_act_dropout", "bias_act_dropout_backward"]

# Rows summed in the compute type; sums of so many rows are then added in float64.
_ROWS = 128


def bias_act_dropout(
    x: npt.ArrayLike,
    bias: npt.ArrayLike | None = None,
    act: Activation = "none",
    p: float = 0.5,
    training: bool = True,
    *,
    rng: RNGLike = None,
    out: Array | None = None,
    window: WindowLike | None = None,
) -> Array:
    """Add a bias, apply an activation and drop, in one pass: ``dropout(act(x + bias), p)``.

    The gradients are those of `bias_act_dropout_backward`.

    Parameters
    ----------
    x, bias : array_like
        Of shapes (..., features) and (features,) and one dtype, as for `dropout`. The bias may be
        None, and `x` then of any shape.
    act : {"none", "relu", "gelu", "gelu_tanh", "silu"}, default "none"
        "gelu" is x Φ(x) with the normal distribution function Φ, "gelu_tanh" its approximation
        x (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2, and "silu" is x / (1 + exp(-x)).
    p, training, rng, out, window
        As for `dropout`; with a `window` both operands are a part of larger ones.

    Returns
    -------
    ndarray
        `out`, or a new array of x's shape and dtype; evaluation gives ``act(x + bias)``.

    Raises
    ------
    TypeError, ValueError, OverflowError
        As for `dropout`; TypeError if `bias` has another dtype than `x`, ValueError if it has not
        the length of x's last axis or overlaps `out`, or `act` is unknown.

    Notes
    -----
    Sum, activation and product are computed in float32 (float64 for float64 arrays) in a fixed
    sequence of operations that gives the same bits everywhere, and rounded to the dtype at the
    end. In float32 "gelu" is within 6.5 units in the last place of the exact value, "silu" within
    3, both also for large negative numbers, where 1 + tanh or 1 + erf would cancel.
    Source: Hendrycks and Gimpel, "Gaussian Error Linear Units (GELUs)", arXiv:1606.08415 (2016),
    section 2, also for silu; dropout after the activation is in Srivastava et al., "Dropout", JMLR
    15 (2014), section 4.

    Examples
    --------
    >>> import fastdrop
    >>> x, bias = [[-1.0, 0, 1], [2, 3, 4]], [1.0, 1, -1]
    >>> fastdrop.bias_act_dropout(x, bias, "relu", 0.5, rng=1)
    array([[0., 0., 0.],
           [0., 0., 6.]])
    >>> fastdrop.bias_act_dropout(x, bias, "relu", training=False)
    array([[0., 1., 0.],
           [3., 4., 3.]])
    """
    return run(BIAS_ACT_DROPOUT, (x,), p, training, rng, out, window, act=(act, bias))


def bias_act_dropout_backward(
    dy: npt.ArrayLike,
    x: npt.ArrayLike,
    bias: npt.ArrayLike | None = None,
    act: Activation = "none",
    p: float = 0.5,
    training: bool = True,
    *,
    rng: RNGLike = None,
    out: Array | None = None,
    window: WindowLike | None = None,
) -> tuple[Array, Array | None]:
    """The gradients of `bias_act_dropout` with respect to `x` and `bias`.

    Parameters
    ----------
    dy : array_like
        The gradient with respect to the result, of x's shape and dtype.
    x, bias, act, p, training, rng, out, window
        What `bias_act_dropout` was called with, a `Key` as `rng` for the same decisions; but `out`
        is where the gradient with respect to `x` goes, also `dy` itself.

    Returns
    -------
    dx : ndarray
        `out`, or a new array of x's shape and dtype: ``dropout(dy) * act'(x + bias)``.
    dbias : ndarray or None
        The sum of `dx` over all axes but the last, in x's dtype; None where there is no bias.

    Raises
    ------
    TypeError, ValueError, OverflowError
        As for `bias_act_dropout`; also if `dy` has another dtype, or another shape, than `x`.

    Notes
    -----
    Blocks of 128 rows are summed in float32 (float64 for float64 arrays) and the blocks in
    float64: the error of an element of `dbias` is at most 128 units of 2**-24 (2**-53) of the sum
    of absolute values, and one rounding to the dtype.

    Source: the chain rule, for Hendrycks and Gimpel, arXiv:1606.08415 (2016), section 2.

    Examples
    --------
    >>> import fastdrop
    >>> x = dy = [[1.0] * 3] * 2
    >>> fastdrop.bias_act_dropout_backward(dy, x, [1.0, -2, 1], "relu", 0.5, rng=1)
    (array([[0., 0., 2.],
           [0., 0., 2.]]), array([0., 0., 4.]))
    """
    dx = run(BIAS_ACT_DROPOUT_BACKWARD, (x, dy), p, training, rng, out, window, act=(act, bias))
    return dx, None if bias is None else _sum_of_rows(dx)


@compiled("sum_front")
def _sum_of_rows(x: Array) -> Array:
    """The sum over all axes but the last, of rows in their order."""
    x = np.asarray(x)
    rows = x.reshape(-1, x.shape[-1]) if x.size else np.zeros((1, x.shape[-1]), x.dtype)
    compute = np.float64 if x.dtype == np.float64 else np.float32
    if len(rows) <= _ROWS:  # the same without float64; what is added makes -0.0 what it is below
        few: Array = np.add.reduce(rows.astype(compute, copy=False)) + 0.0
        return few.astype(x.dtype, copy=False)
    total = np.zeros(x.shape[-1], np.float64)
    for start in range(0, len(rows), _ROWS):
        total += rows[start : start + _ROWS].astype(compute, copy=False).sum(axis=0)
    return total.astype(x.dtype)
