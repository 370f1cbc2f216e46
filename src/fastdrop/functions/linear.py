"""A linear layer whose connections are dropped anew for each sample."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from fastdrop import _arrays, backends
from fastdrop._arrays import Array
from fastdrop._rates import make_plan
from fastdrop._rng import RNGLike, check_repeatable, check_unused, resolve

__all__ = ["dropconnect_linear", "dropconnect_linear_backward"]


def dropconnect_linear(
    x: npt.ArrayLike,
    w: npt.ArrayLike,
    bias: npt.ArrayLike | None = None,
    p: float = 0.5,
    training: bool = True,
    *,
    per_sample: bool = True,
    rng: RNGLike = None,
    out: Array | None = None,
) -> Array:
    """Multiply with weights of which each sample drops its own: a linear layer with DropConnect.

    ``y[n, o] = sum over i of m[n, o, i] w[o, i] x[n, i] / (1 - p) + bias[o]``, where m is 1 with
    probability 1 - p and 0 otherwise. The mask, as large as samples times weights, exists nowhere:
    it is drawn inside the product, a few thousand decisions at a time, and drawn again by
    `dropconnect_linear_backward`.

    Parameters
    ----------
    x : array_like
        Of shape (..., inputs): all axes but the last count samples. Dtypes as for `dropout`.
    w, bias : array_like
        Of shapes (outputs, inputs) and (outputs,), and of x's dtype. The bias may be None.
    p, training, rng, out
        As for `dropout`; `out` has the shape (..., outputs) and memory of its own. (The paper
        writes p for keeping.)
    per_sample : bool, default True
        False draws one mask for all samples of the call, as ``drop_connect(w)`` would.

    Returns
    -------
    ndarray
        `out`, or a new array of shape (..., outputs); evaluation gives ``x @ w.T + bias``.

    Raises
    ------
    TypeError, ValueError, OverflowError
        As for `dropout`; TypeError if `w` or `bias` has another dtype than `x`, or `per_sample` is
        no bool, ValueError if `x` has no axis, `w` or `bias` has the wrong shape, or `out` overlaps
        an operand. Positions needed are samples * outputs * inputs.

    Notes
    -----
    ``dropout_mask((samples, outputs, inputs), p, rng=key)`` is the mask of a call with that key, or
    with (outputs, inputs) where samples share it: decisions are numbered in C order.
    In training, products and sums are rounded in float32 (float64 for float64 arrays), in one
    order, so that backends, instruction sets and numbers of threads all give the same bits; the
    result is rounded once more to 16-bit floats. With u = 2**-24 (2**-53), a sum of n terms is
    within ``(n / 32 + 9) u`` times the sum of the terms' magnitudes (n up to 4096; then one u more
    for each further 4096). Evaluation is NumPy's product, and rounds as that does.

    Operands that are not contiguous are copied. Beyond this, a call takes less than 100 KiB.
    Source: Wan, Zeiler, Zhang, LeCun and Fergus, "Regularization of Neural Networks using
    DropConnect", ICML 2013, section 3: a mask for each example, equation 4 for the gradient.
    Evaluation takes the weights' mean, where section 3.2 samples from a normal approximation.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop
    >>> x, w = np.ones((3, 4)), np.ones((2, 4))
    >>> y = fastdrop.dropconnect_linear(x, w, p=0.5, rng=1)
    >>> y
    array([[2., 2.],
           [4., 4.],
           [4., 4.]])
    >>> mask = fastdrop.dropout_mask((3, 2, 4), 0.5, rng=1)
    >>> bool(np.all(y == np.einsum("noi,oi,ni->no", mask, w, x) * 2))
    True
    """
    array = _arrays.as_input(x)
    kind = _arrays.kind_of(array.dtype)
    weights = _arrays.as_weights(w, array)
    outputs, inputs = weights.shape
    operands = {"x": array, "w": weights}
    constant = None
    if bias is not None:
        operands["bias"] = constant = _arrays.as_operand_of(bias, array, (outputs,), "bias")
    plan = make_plan(p, kind)
    training = _arrays.check_flag(training, "training")
    shared = not _arrays.check_flag(per_sample, "per_sample")
    shape = (*array.shape[:-1], outputs)
    target = _arrays.out_apart(out, array, shape, operands)
    if not training:
        check_unused(rng)
        found = _widened(array) @ _widened(weights).T
        if constant is not None:
            found += _widened(constant)
        target[...] = _rounded(found, array.dtype)
        return _arrays.itself(out, target)
    samples = target.size // outputs if outputs else 0
    key = resolve(rng, samples and (1 if shared else samples) * weights.size)
    y = target if target.flags.c_contiguous else np.empty(shape, array.dtype)
    if y.size:
        a, b = _matrix(array, samples, inputs, kind), _matrix(weights, outputs, inputs, kind)
        c = None if constant is None else _arrays.storage(np.ascontiguousarray(constant), kind)
        result = _matrix(y, samples, outputs, kind)
        backends.active().dropconnect(a, b, c, result, kind, key, plan, shared)
    if y is not target:
        target[...] = y
    return _arrays.itself(out, target)


def dropconnect_linear_backward(
    dy: npt.ArrayLike,
    x: npt.ArrayLike,
    w: npt.ArrayLike,
    p: float = 0.5,
    training: bool = True,
    *,
    per_sample: bool = True,
    rng: RNGLike,
) -> tuple[Array, Array, Array]:
    """The gradients of `dropconnect_linear` with respect to `x`, `w` and `bias`.

    With s = 1 / (1 - p): ``dx[n, i] = sum over o of m[n, o, i] w[o, i] s dy[n, o]``,
    ``dw[o, i] = sum over n of m[n, o, i] x[n, i] s dy[n, o]`` and ``db[o] = sum over n of
    dy[n, o]``. The mask is drawn again, a few thousand decisions at a time.

    Parameters
    ----------
    dy : array_like
        The gradient with respect to the result: of shape (..., outputs) and x's dtype.
    x, w, p, training, per_sample, rng
        What `dropconnect_linear` was called with; a `Key` as `rng` gives the same decisions.

    Returns
    -------
    tuple of ndarray
        dx, dw and db, new arrays of the shapes of `x`, `w` and `bias` and of x's dtype.

    Raises
    ------
    TypeError, ValueError, OverflowError
        As for `dropconnect_linear`; TypeError if `dy` has another dtype than `x`, or `rng` gives
        another mask in every call, ValueError if `dy` has the wrong shape.

    Notes
    -----
    Rounding is as for `dropconnect_linear`, and the bits are the same everywhere for dx and dw in
    training. Their sums run over outputs and samples one after the other: with u as there, a sum of
    n terms is within ``(n + 3) u`` times the sum of the terms' magnitudes. db and the gradients of
    an evaluation are NumPy's sums and products.

    Source: Wan et al., ICML 2013, section 3.1, equation 4; see `dropconnect_linear`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop
    >>> x, w = np.ones((3, 4)), np.ones((2, 4))
    >>> dx, dw, db = fastdrop.dropconnect_linear_backward(np.ones((3, 2)), x, w, 0.5, rng=1)
    >>> dw, db
    (array([[0., 0., 6., 4.],
           [4., 4., 0., 2.]]), array([3., 3.]))
    """
    array = _arrays.as_input(x)
    kind = _arrays.kind_of(array.dtype)
    weights = _arrays.as_weights(w, array)
    outputs, inputs = weights.shape
    gradient = _arrays.as_operand_of(dy, array, (*array.shape[:-1], outputs), "dy")
    plan = make_plan(p, kind)
    training = _arrays.check_flag(training, "training")
    shared = not _arrays.check_flag(per_sample, "per_sample")
    dx, dw = np.zeros(array.shape, array.dtype), np.zeros(weights.shape, array.dtype)
    samples = math.prod(array.shape[:-1])
    wide = _widened(gradient)
    rows = wide.reshape(samples, outputs)
    db = rows.sum(axis=0)
    if not training:
        check_unused(rng)
        dx[...] = _rounded(wide @ _widened(weights), array.dtype)
        dw[...] = _rounded(rows.T @ _widened(array).reshape(samples, inputs), array.dtype)
        return dx, dw, _rounded(db, array.dtype)
    check_repeatable(rng)
    key = resolve(rng, samples and (1 if shared else samples) * weights.size)
    if gradient.size and inputs:
        backend = backends.active()
        a = _matrix(array, samples, inputs, kind)
        b = _matrix(weights, outputs, inputs, kind)
        d = _matrix(gradient, samples, outputs, kind)
        backend.dropconnect_dx(d, b, _matrix(dx, samples, inputs, kind), kind, key, plan, shared)
        backend.dropconnect_dw(d, a, _matrix(dw, outputs, inputs, kind), kind, key, plan, shared)
    return dx, dw, _rounded(db, array.dtype)


def _matrix(array: Array, rows: int, columns: int, kind: str) -> Array:
    """`array` as backends take a matrix: contiguous, with two axes."""
    return _arrays.storage(np.ascontiguousarray(array).reshape(rows, columns), kind)


def _widened(array: Array) -> Array:
    """The numbers in the type that sums are computed in."""
    return array if array.itemsize >= 4 else array.astype(np.float32)


def _rounded(array: Array, dtype: np.dtype[Any]) -> Array:
    with np.errstate(over="ignore"):
        return array.astype(dtype, copy=False)
