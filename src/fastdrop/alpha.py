"""Alpha dropout: for networks of SELUs, whose activations keep their mean and variance."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from . import _arrays, backends
from ._arrays import Array
from ._plan import check_p, make_affine, make_plan
from ._rng import RNGLike, check_repeatable, check_unused, resolve
from .elementwise import draw_and_apply


def feature_shape(x: Array, argument: str = "x") -> tuple[int, ...]:
    """One decision for each sample and channel of `x`, which the caller knows as `argument`."""
    _arrays.check_rank(x, 2, None, argument)
    return x.shape[:2] + (1,) * (x.ndim - 2)


def alpha_dropout(
    x: npt.ArrayLike,
    p: float = 0.5,
    training: bool = True,
    *,
    rng: RNGLike = None,
    out: Array | None = None,
) -> Array:
    """Set elements of `x` to SELU's negative saturation at random, and restore mean and variance.

    Each element is dropped with probability `p`, on its own: it becomes alpha' =
    -1.7580993408473766, to which SELU tends for large negative input. An affine map of all elements
    then makes the result's mean 0 and variance 1 where x's are: a kept element becomes ``a x + b``
    and a dropped one ``a alpha' + b``, with ``a = ((1 - p) (1 + p alpha'^2))^(-1/2)`` and
    ``b = -a alpha' p``.

    Parameters
    ----------
    x : array_like
        Of any shape. Dtypes as for `dropout`.
    p, training, rng, out
        As for `dropout`, and the decisions too: with the same key they are those of
        `dropout_mask`.

    Returns
    -------
    ndarray
        `out`, or an array of x's shape and dtype; evaluation returns `x` itself. With ``p = 1``
        all elements are +0.0.

    Raises
    ------
    TypeError
        As for `dropout`.
    ValueError
        `p` outside [0, 1]; `out` as for `dropout`.
    OverflowError
        The positions needed pass the end of the stream, 2**64.

    See Also
    --------
    alpha_dropout_backward : The gradient, which has another form.

    Notes
    -----
    Source: Klambauer, Unterthiner, Mayr and Hochreiter, "Self-Normalizing Neural Networks", NIPS
    2017, section "Alpha dropout". The paper writes q for the probability of keeping, 1 - p.

    The constants are computed in float64, each operation rounded. For float32 and 16-bit arrays a
    and b are rounded to float32; then product and sum are rounded each, and, for 16-bit floats, the
    sum once more to the dtype. ``a alpha' + b`` is computed in float64 and rounded once, to the
    dtype.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop
    >>> x = np.random.default_rng(1).standard_normal(100_000, np.float32)
    >>> y = fastdrop.alpha_dropout(x, 0.2, rng=1)
    >>> print(f"{abs(y.mean()):.2f} {y.std():.2f}")
    0.00 1.00
    """
    return _run(x, p, training, rng, out, shared=False)


def feature_alpha_dropout(
    x: npt.ArrayLike,
    p: float = 0.5,
    training: bool = True,
    *,
    rng: RNGLike = None,
    out: Array | None = None,
) -> Array:
    """Apply `alpha_dropout` to whole channels.

    Each channel of each sample is dropped with probability `p`, all elements of it together. What
    becomes of dropped and of kept elements is as in `alpha_dropout`.

    Parameters
    ----------
    x : array_like
        Of shape (samples, channels, ...), with at least these two axes. Dtypes as for `dropout`.
    p, training, rng, out
        As for `dropout`; the mask takes one position for each sample and channel.

    Returns
    -------
    ndarray
        `out`, or an array of x's shape and dtype; evaluation returns `x` itself. With ``p = 1``
        all elements are +0.0.

    Raises
    ------
    TypeError
        As for `dropout`.
    ValueError
        `x` has fewer than 2 axes; `p` outside [0, 1]; `out` as for `dropout`.
    OverflowError
        The positions needed pass the end of the stream, 2**64.

    See Also
    --------
    feature_alpha_dropout_backward : The gradient, which has another form.

    Notes
    -----
    Source: Klambauer, Unterthiner, Mayr and Hochreiter, "Self-Normalizing Neural Networks", NIPS
    2017, section "Alpha dropout", on the decisions of spatial dropout (Tompson et al., CVPR 2015).

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop
    >>> y = fastdrop.feature_alpha_dropout(np.ones((2, 3, 4, 4)), 0.5, rng=3)
    >>> y[:, :, 0, 0].round(3)
    array([[-0.779,  1.666,  1.666],
           [-0.779, -0.779, -0.779]])
    >>> bool(np.all(y == y[:, :, :1, :1]))
    True
    """
    return _run(x, p, training, rng, out, shared=True)


def alpha_dropout_backward(
    dy: npt.ArrayLike,
    p: float = 0.5,
    training: bool = True,
    *,
    rng: RNGLike,
    out: Array | None = None,
) -> Array:
    """The gradient of `alpha_dropout` with respect to `x`: ``a dy`` where it kept, else +0.0.

    Parameters
    ----------
    dy : array_like
        The gradient with respect to the result of `alpha_dropout`. Dtypes as for `dropout`.
    p, training
        As they were for `alpha_dropout`.
    rng : int, Key or numpy.random.SeedSequence
        The key of `alpha_dropout`: what gives the same mask again.
    out : ndarray, optional
        Where the gradient goes, as for `dropout`.

    Returns
    -------
    ndarray
        `out`, or an array of dy's shape and dtype; of an evaluation, `dy` itself.

    Raises
    ------
    TypeError
        `rng` gives another mask in every call; otherwise as for `dropout`.
    ValueError
        `p` outside [0, 1]; `out` as for `dropout`.
    OverflowError
        The positions needed pass the end of the stream, 2**64.

    Notes
    -----
    Source: Klambauer et al., "Self-Normalizing Neural Networks", NIPS 2017, section "Alpha
    dropout": the derivative of its affine map.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop
    >>> key = fastdrop.Generator(1).reserve(6)
    >>> y = fastdrop.alpha_dropout(np.zeros(6), 0.5, rng=key)
    >>> fastdrop.alpha_dropout_backward(np.ones(6), 0.5, rng=key).round(3)
    array([0.   , 0.   , 0.886, 0.   , 0.   , 0.886])
    """
    return _run(dy, p, training, rng, out, shared=False, backward=True)


def feature_alpha_dropout_backward(
    dy: npt.ArrayLike,
    p: float = 0.5,
    training: bool = True,
    *,
    rng: RNGLike,
    out: Array | None = None,
) -> Array:
    """The gradient of `feature_alpha_dropout` with respect to `x`.

    Parameters
    ----------
    dy : array_like
        The gradient with respect to the result of `feature_alpha_dropout`. Dtypes as for `dropout`.
    p, training
        As they were for `feature_alpha_dropout`.
    rng : int, Key or numpy.random.SeedSequence
        The key of `feature_alpha_dropout`: what gives the same mask again.
    out : ndarray, optional
        Where the gradient goes, as for `dropout`.

    Returns
    -------
    ndarray
        `out`, or an array of dy's shape and dtype; of an evaluation, `dy` itself.

    Raises
    ------
    TypeError
        `rng` gives another mask in every call; otherwise as for `dropout`.
    ValueError
        `dy` has fewer than 2 axes; `p` outside [0, 1]; `out` as for `dropout`.
    OverflowError
        The positions needed pass the end of the stream, 2**64.

    Notes
    -----
    Source: Klambauer et al., "Self-Normalizing Neural Networks", NIPS 2017, section "Alpha
    dropout": the derivative of its affine map.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop
    >>> dx = fastdrop.feature_alpha_dropout_backward(np.ones((2, 3, 4)), 0.5, rng=3)
    >>> dx[:, :, 0].round(3)
    array([[0.   , 0.886, 0.886],
           [0.   , 0.   , 0.   ]])
    """
    return _run(dy, p, training, rng, out, shared=True, backward=True)


def _run(
    value: npt.ArrayLike,
    p: float,
    training: bool,
    rng: RNGLike,
    out: Array | None,
    *,
    shared: bool,
    backward: bool = False,
) -> Array:
    argument = "dy" if backward else "x"
    array = _arrays.as_operand(value, argument)
    kind = _arrays.kind_of(array.dtype)
    mask_shape = feature_shape(array, argument) if shared else array.shape
    p = check_p(p)
    training = _arrays.check_flag(training, "training")
    target = None if out is None else _arrays.check_out(out, array, argument)
    if backward:
        check_repeatable(rng)
    if not training or array.size == 0:
        check_unused(rng)
        if target is not None:
            np.copyto(target, array)
        return _arrays.itself(value, array) if out is None else out
    if target is None:
        target = out = np.empty_like(array, subok=False)
    source, result = _arrays.storage(array, kind), _arrays.storage(target, kind)
    mask_shape = _arrays.storage_shape(mask_shape, array)
    draw_and_apply_alpha(source, result, kind, p, rng, mask_shape, backward=backward)
    return target if out is None else out


def draw_and_apply_alpha(
    source: Array,
    result: Array,
    kind: str,
    p: float,
    rng: RNGLike,
    mask_shape: tuple[int, ...],
    *,
    backward: bool,
) -> None:
    """Draw from `rng` and write the result, or the gradient, for arrays as backends take them."""
    plan, affine = make_plan(p, kind), make_affine(p, kind)
    backend = backends.active()
    if backward:
        draw_and_apply(source, result, kind, plan._replace(scale=affine.scale), rng, mask_shape)
    elif mask_shape == source.shape:
        backend.dropout_affine(source, result, kind, resolve(rng, source.size), plan, affine)
    else:
        n = math.prod(mask_shape)
        bits = np.empty((n + 7) // 8, np.uint8)
        backend.mask_packed(bits, n, resolve(rng, n), plan)
        backend.apply_affine(source, result, kind, bits, mask_shape, affine)
