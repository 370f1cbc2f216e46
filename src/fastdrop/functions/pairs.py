"""Fused operations of two inputs: dropout + residual addition, and zoneout."""

from __future__ import annotations

import numpy.typing as npt

from fastdrop._arrays import Array
from fastdrop._rng import RNGLike
from fastdrop._window import WindowLike
from fastdrop.pipeline import run
from fastdrop.variants import DROPOUT_ADD, ZONEOUT, ZONEOUT_BACKWARD

__all__ = ["dropout_add", "zoneout", "zoneout_backward"]


def dropout_add(
    x: npt.ArrayLike,
    residual: npt.ArrayLike,
    p: float = 0.5,
    training: bool = True,
    *,
    rng: RNGLike = None,
    out: Array | None = None,
    window: WindowLike | None = None,
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
    window : pair of tuple of int, optional
        As for `dropout`: the operands are a part of larger ones.

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
        overlapping an operand in part; `window` as for `dropout`.
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
    result: Array = run(DROPOUT_ADD, (x, residual), p, training, rng, out, window)
    return result


def zoneout(
    h_new: npt.ArrayLike,
    h_old: npt.ArrayLike,
    p: float = 0.5,
    training: bool = True,
    *,
    rng: RNGLike = None,
    out: Array | None = None,
    window: WindowLike | None = None,
) -> Array:
    """Keep hidden units of the step before: dropout of a recurrent network's update.

    In training, each unit of `h_new` is replaced with that of `h_old` with probability `p`; in
    evaluation, the two are mixed: ``(1 - p) * h_new + p * h_old``. Nothing is scaled.

    Parameters
    ----------
    h_new : array_like
        The hidden state after the step, of any shape. Dtypes as for `dropout`.
    h_old : array_like
        The hidden state before it, of h_new's shape and dtype.
    p : float, default 0.5
        Probability that a unit stays as it was, from 0 to 1.
    training, rng
        As for `dropout`.
    out : ndarray, optional
        Where the result goes: of h_new's shape and dtype; `h_new` or `h_old` itself, or memory of
        its own.
    window : pair of tuple of int, optional
        As for `dropout`: the operands are a part of larger ones.

    Returns
    -------
    ndarray
        `out`, or a new array of h_new's shape and dtype.

    Raises
    ------
    TypeError
        `h_old` or `out` has another dtype than `h_new`; otherwise as for `dropout`.
    ValueError
        `h_old` or `out` has another shape than `h_new`; `p` outside [0, 1]; `out` read-only, or
        overlapping an operand in part; `window` as for `dropout`.
    OverflowError
        The positions needed pass the end of the stream, 2**64.

    See Also
    --------
    zoneout_backward : The gradients.

    Notes
    -----
    Source: Krueger et al., "Zoneout: Regularizing RNNs by Randomly Preserving Hidden
    Activations", ICLR 2017 (arXiv:1606.01305), section 3.

    In evaluation 1 - p and p, the products and their sum are each rounded in float32 (float64 for
    float64 arrays), and the sum, for 16-bit floats, once more to the dtype.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop
    >>> new, old = np.ones(6, np.float32), np.zeros(6, np.float32)
    >>> fastdrop.zoneout(new, old, 0.5, rng=1)
    array([0., 0., 1., 0., 0., 1.], dtype=float32)
    >>> fastdrop.zoneout(new, old, 0.25, training=False)
    array([0.75, 0.75, 0.75, 0.75, 0.75, 0.75], dtype=float32)
    """
    result: Array = run(ZONEOUT, (h_new, h_old), p, training, rng, out, window)
    return result


def zoneout_backward(
    dy: npt.ArrayLike,
    p: float = 0.5,
    training: bool = True,
    *,
    rng: RNGLike = None,
    window: WindowLike | None = None,
) -> tuple[Array, Array]:
    """The gradients of `zoneout` with respect to `h_new` and `h_old`.

    Parameters
    ----------
    dy : array_like
        The gradient with respect to the result of `zoneout`.
    p, training, rng
        What `zoneout` was called with; `rng` is a `Key` or a seed, so that the decisions are the
        same. Training needs it.
    window : pair of tuple of int, optional
        What the forward pass was called with.

    Returns
    -------
    tuple of ndarray
        Two new arrays of dy's shape and dtype. In training each element of `dy` goes to one of
        them, and the other gets 0; in evaluation they are ``(1 - p) * dy`` and ``p * dy``.

    Raises
    ------
    TypeError, ValueError, OverflowError
        As for `dropout`.

    Notes
    -----
    Source: Krueger et al., "Zoneout: Regularizing RNNs by Randomly Preserving Hidden
    Activations", ICLR 2017 (arXiv:1606.01305), section 3.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop
    >>> d_new, d_old = fastdrop.zoneout_backward(np.ones(6, np.float32), 0.5, rng=1)
    >>> d_new
    array([0., 0., 1., 0., 0., 1.], dtype=float32)
    >>> d_old
    array([1., 1., 0., 1., 1., 0.], dtype=float32)
    """
    gradients: tuple[Array, Array] = run(ZONEOUT_BACKWARD, (dy,), p, training, rng, None, window)
    return gradients
