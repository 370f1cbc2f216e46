"""Softmax and dropout in one pass: the weights of attention."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fastdrop import _arrays, backends
from fastdrop._arrays import Array
from fastdrop._rates import Plan, check_factor, make_plan
from fastdrop._rng import Key, RNGLike, check_repeatable, check_unused, resolve
from fastdrop._score_rows import Rows
from fastdrop.pipeline import compiled
from fastdrop.variants import DROPOUT

from .masks import dropout, dropout_

__all__ = ["softmax_dropout", "softmax_dropout_backward"]


@compiled("softmax_front", DROPOUT)
def softmax_dropout(
    scores: npt.ArrayLike,
    p: float = 0.5,
    training: bool = True,
    *,
    axis: int = -1,
    mask: npt.ArrayLike | None = None,
    scale: float = 1.0,
    rng: RNGLike = None,
    out: Array | None = None,
) -> Array:
    """Softmax, and dropout of the weights that it gives, in one pass.

    The scores are multiplied by `scale`, masked, turned to weights ``exp(z) / sum(exp(z))`` along
    `axis`, and dropped like `attention_dropout` drops them: each with probability `p`, the others
    divided by 1 - p. Evaluation gives the weights. The gradient: `softmax_dropout_backward`.

    Parameters
    ----------
    scores : array_like
        Such as (samples, heads, queries, keys), with at least one axis. Dtypes as for `dropout`.
    p, training, rng, out
        As for `dropout`; `out` shares no memory with `mask`.
    axis : int, default -1
        The axis that the weights sum to 1 along. Only the last one is served in one pass: along
        another, copies are made, and 16-bit floats are rounded twice, as by softmax and `dropout`.
    mask : array_like, optional
        Broadcastable to the scores' shape; it is not expanded in memory. Either bool, True for
        what takes part (as in PyTorch), or of the scores' dtype and added to the scaled scores.
    scale : float, default 1.0
        What the scores are multiplied by, such as ``1 / sqrt(width)``; finite, and rounded to
        float32 unless the scores are float64.

    Returns
    -------
    ndarray
        `out`, or a new array of the scores' shape and dtype.

    Raises
    ------
    TypeError, ValueError, OverflowError
        As for `dropout`; TypeError if `mask` is neither bool nor of the scores' dtype, or `axis`
        or `scale` has the wrong type, ValueError if `mask` cannot be broadcast to the scores or
        overlaps `out`, `axis` is none of theirs, or `scale` is not finite.

    Notes
    -----
    Source: Vaswani et al., "Attention Is All You Need", NIPS 2017, section 3.2.1: scaled scores,
    masked with -inf, and softmax. Dropout on the weights is in the authors' code for the paper.

    Decisions are numbered in C order of the scores, whatever `axis` is. Where nothing takes part,
    or all scores are -inf, all weights are +0.0, where PyTorch's softmax gives nan. A nan or inf
    among the scores makes all weights nan that belong together, but those dropped, which are +0.0.

    Backends and numbers of threads all give the same bits: exp is a fixed sequence of operations,
    and the order of a sum is fixed. A weight whose scaled score is d below the largest of n is
    within 10 + d + min(n, 4096) / 64 units in the last place (float32's; float64's for float64).

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop
    >>> scores = np.log([[1, 2, 5, 8], [3, 1, 4, 9]])
    >>> seen = np.array([[True, True, True, True], [True, True, False, False]])
    >>> fastdrop.softmax_dropout(scores, training=False, mask=seen).round(4)
    array([[0.0625, 0.125 , 0.3125, 0.5   ],
           [0.75  , 0.25  , 0.    , 0.    ]])
    >>> fastdrop.softmax_dropout(scores, 0.5, mask=seen, rng=3).round(4)
    array([[0.   , 0.25 , 0.625, 0.   ],
           [0.   , 0.   , 0.   , 0.   ]])
    """
    call = _check(_arrays.as_operand(scores, "scores"), p, axis, mask, scale)
    training = _arrays.check_flag(training, "training")
    if out is None:
        target = out = np.empty_like(call.scores, subok=False)
    else:
        target = _arrays.check_out(out, call.scores, "scores")
        call.check_mask_apart(target)
    result, source = call.in_rows(target, call.scores)
    key = resolve(rng, target.size) if training and target.size else None
    if key is None:
        check_unused(rng)
    call.over_rows(key, result, source)
    if result is not target:
        call.moved(target)[...] = result
    if key is not None and not call.is_last:
        dropout_(target, p, rng=key)
    return out


@compiled("softmax_backward_front", DROPOUT)
def softmax_dropout_backward(
    dy: npt.ArrayLike,
    scores: npt.ArrayLike,
    p: float = 0.5,
    training: bool = True,
    *,
    axis: int = -1,
    mask: npt.ArrayLike | None = None,
    scale: float = 1.0,
    rng: RNGLike,
    out: Array | None = None,
) -> Array:
    """The gradient of `softmax_dropout` with respect to the scores.

    The weights are computed again from the scores, and the decisions from the key, so that nothing
    else has to be kept between the two.

    Parameters
    ----------
    dy : array_like
        The gradient with respect to the result, of the scores' shape and dtype.
    scores, p, training, axis, mask, scale, rng, out
        What `softmax_dropout` was called with, a `Key` as `rng` for the same decisions; but `out`
        is where the gradient goes, also `dy` itself.

    Returns
    -------
    ndarray
        `out`, or a new array of the scores' shape and dtype; +0.0 where nothing takes part.

    Raises
    ------
    TypeError, ValueError, OverflowError
        As for `softmax_dropout`; TypeError if `dy` has another dtype than the scores or `rng` moves
        with every call, ValueError if `dy` has another shape, or overlaps `out` in part.

    Notes
    -----
    With the weights w = softmax(z) and g = dy * m / (1 - p), where m is 1 for what is kept, else 0:
    ``scale * w * (g - sum(w * g))``. A mask that is added has the same gradient, but for `scale`.

    Source: Vaswani et al., "Attention Is All You Need", NIPS 2017, section 3.2.1, for the function.

    Examples
    --------
    >>> import fastdrop
    >>> fastdrop.softmax_dropout_backward([[1.0, 2, 4, 8]], [[0.0] * 4], 0.5, rng=3)
    array([[-0.75,  0.25,  1.25, -0.75]])
    """
    call = _check(_arrays.as_operand(scores, "scores"), p, axis, mask, scale)
    gradient = _arrays.as_operand_like(dy, call.scores, "dy", "scores")
    training = _arrays.check_flag(training, "training")
    if out is None:
        target = out = np.empty_like(call.scores, subok=False)
    else:
        target = _arrays.check_out(out, gradient, "dy")
        _arrays.check_overlap(target, call.scores, "scores")
        call.check_mask_apart(target)
    if training:
        check_repeatable(rng)
    key = resolve(rng, target.size) if training and target.size else None
    if key is None:
        check_unused(rng)
    elif not call.is_last:
        gradient = dropout(gradient, p, rng=key)
    result, source, other = call.in_rows(target, call.scores, gradient)
    call.over_rows(key, result, source, other)
    if result is not target:
        call.moved(target)[...] = result
    return out


class SoftmaxCall(NamedTuple):
    """The checked arguments that both directions have."""

    scores: Array
    kind: str
    axis: int
    mask: Array | None  # a view of the scores' shape
    scale: float
    plan: Plan

    @property
    def is_last(self) -> bool:
        """Whether the rows come in the order of the decisions' positions."""
        return self.axis == self.scores.ndim - 1

    def check_mask_apart(self, target: Array) -> None:
        """The mask must not lie in what is written."""
        if self.mask is not None:
            _arrays.check_apart(self.mask, target, "mask")

    def moved(self, array: Array) -> Array:
        """The array with the axis of the softmax last."""
        return array if self.is_last else np.moveaxis(array, self.axis, -1)

    def in_rows(self, target: Array, *operands: Array) -> list[Array]:
        """Memory for the rows of the result, and those of the operands, all contiguous.

        They are the arrays themselves, or copies; the first copy serves the result, too.
        """
        result, *moved = [self.moved(array) for array in (target, *operands)]
        rows = [array if array.flags.c_contiguous else array.copy(order="C") for array in moved]
        if not result.flags.c_contiguous:
            copies = [row for row, array in zip(rows, moved, strict=True) if row is not array]
            result = copies[0] if copies else np.empty(result.shape, result.dtype)
        return [result, *rows]

    def over_rows(
        self, key: Key | None, result: Array, scores: Array, dy: Array | None = None
    ) -> None:
        """The operation on contiguous rows; decisions are drawn here if they come in this order."""
        if not scores.size:
            return
        plan = self.plan
        if key is None or not self.is_last:
            plan, key = make_plan(0, self.kind), Key(0)
        x, y = self._storage(scores), self._storage(result)
        n = x.shape[1]
        rows = Rows(self.scale, self._mask_of_rows(), max(len(x), 1), x.size, n, n)
        backend = backends.active()
        if dy is None:
            backend.softmax_dropout(x, y, self.kind, rows, key, plan)
        else:
            gradient = self._storage(dy)
            backend.softmax_dropout_backward(x, gradient, y, None, self.kind, rows, key, plan)

    def _storage(self, array: Array) -> Array:
        return _arrays.storage(array, self.kind).reshape(-1, array.shape[-1])

    def _mask_of_rows(self) -> Array | None:
        if self.mask is None:
            return None
        mask = self.moved(self.mask)
        if mask.dtype != np.bool_:
            mask = mask.view(_arrays.storage(self.scores, self.kind).dtype)
        # Some NumPy functions take fewer axes than an array can have.
        long = tuple(n for n in mask.shape[:-1] if n != 1)
        return mask.reshape(*(long or (1,)), mask.shape[-1])


def _check(
    scores: Array, p: float, axis: object, mask: npt.ArrayLike | None, scale: object
) -> SoftmaxCall:
    kind = _arrays.kind_of(scores.dtype, "scores")
    number = _arrays.axis_in(_arrays.check_axis(axis, "axis"), scores.shape, "axis", "scores")
    seen = None if mask is None else _arrays.score_mask(mask, scores)
    plan = make_plan(p, kind)
    return SoftmaxCall(scores, kind, number, seen, check_factor(scale, "scale", kind), plan)
