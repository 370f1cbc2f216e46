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
    x, residual : array_like
        Of any shape, and both of one shape and dtype. Dtypes as for `dropout`.
    p, training, rng, out, window
        As for `dropout`; `out` may be `x` or `residual` itself, a `window` is one of both operands.

    Returns
    -------
    ndarray
        `out`, or a new array of x's shape and dtype; evaluation gives ``residual + x``.

    Raises
    ------
    TypeError, ValueError, OverflowError
        As for `dropout`; TypeError if `residual` has another dtype than `x`, ValueError if it has
        another shape, or `out` overlaps it in part.

    Notes
    -----
    Product and sum are each rounded in float32 (float64 for float64 arrays), and the sum, for
    16-bit floats, once more to the dtype. Source: Vaswani et al., "Attention Is All You Need", NIPS
    2017, section 5.4: dropout on the output of each sub-layer, before it is added to its input.

    Examples
    --------
    >>> import fastdrop
    >>> fastdrop.dropout_add([1.0] * 6, [0.0, 1, 2, 3, 4, 5], 0.5, rng=1)
    array([0., 1., 4., 3., 4., 7.])
    """
    return run(DROPOUT_ADD, (x, residual), p, training, rng, out, window)


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
    evaluation they are mixed: ``(1 - p) * h_new + p * h_old``. The gradient: `zoneout_backward`.

    Parameters
    ----------
    h_new, h_old : array_like
        The hidden state after the step and before it, of one shape and dtype, as for `dropout`.
    p : float, default 0.5
        Probability that a unit stays as it was, from 0 to 1.
    training, rng, out, window
        As for `dropout_add`; `out` may be `h_new` or `h_old` itself.

    Returns
    -------
    ndarray
        `out`, or a new array of h_new's shape and dtype.

    Raises
    ------
    TypeError, ValueError, OverflowError
        As for `dropout_add`, with `h_new` and `h_old`.

    Notes
    -----
    Source: Krueger et al., "Zoneout: Regularizing RNNs by Randomly Preserving Hidden
    Activations", ICLR 2017 (arXiv:1606.01305), section 3.
    In evaluation 1 - p and p, the products and their sum are each rounded in float32 (float64 for
    float64 arrays), and the sum, for 16-bit floats, once more to the dtype.

    Examples
    --------
    >>> import fastdrop
    >>> new, old = [1.0] * 6, [0.0] * 6
    >>> fastdrop.zoneout(new, old, 0.5, rng=1)
    array([0., 0., 1., 0., 0., 1.])
    >>> fastdrop.zoneout(new, old, 0.25, training=False)
    array([0.75, 0.75, 0.75, 0.75, 0.75, 0.75])
    """
    return run(ZONEOUT, (h_new, h_old), p, training, rng, out, window)


def zoneout_backward(
    dy: npt.ArrayLike,
    p: float = 0.5,
    training: bool = True,
    *,
    rng: RNGLike = None,
    window: WindowLike | None = None,
) -> tuple[Array, Array]:
    """The gradients of `zoneout` with respect to `h_new` and `h_old`.

    Source: Krueger et al., ICLR 2017, section 3; see `zoneout`.

    Parameters
    ----------
    dy : array_like
        The gradient with respect to the result of `zoneout`.
    p, training, rng, window
        What `zoneout` was called with; in training a `Key` or a seed as `rng`, for its decisions.

    Returns
    -------
    tuple of ndarray
        Two new arrays of dy's shape and dtype. In training each element of `dy` goes to one of
        them, and the other gets 0; in evaluation they are ``(1 - p) * dy`` and ``p * dy``.

    Raises
    ------
    TypeError, ValueError, OverflowError
        As for `dropout`.

    Examples
    --------
    >>> import fastdrop
    >>> fastdrop.zoneout_backward([1.0] * 6, 0.5, rng=1)
    (array([0., 0., 1., 0., 0., 1.]), array([1., 1., 0., 1., 1., 0.]))
    """
    return run(ZONEOUT_BACKWARD, (dy,), p, training, rng, None, window)  # type: ignore[return-value]
