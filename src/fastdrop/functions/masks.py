"""Element-wise dropout: decisions for each element, or shared as the caller says; and masks."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from fastdrop import _arrays, backends
from fastdrop._arrays import Array, NoiseShape
from fastdrop._rates import check_mode, make_plan
from fastdrop._rng import RNGLike
from fastdrop._window import Place, WindowLike, check_window, place_of
from fastdrop.backends.call import Call, room_for
from fastdrop.pipeline import compiled, run
from fastdrop.variants import DROPOUT, DROPOUT_STANDARD

__all__ = ["apply_mask", "dropout", "dropout_", "dropout_mask"]

Mode: TypeAlias = Literal["inverted", "standard"]


@compiled("dropout_front", DROPOUT)
def dropout(
    x: npt.ArrayLike,
    p: float = 0.5,
    training: bool = True,
    *,
    rng: RNGLike = None,
    out: Array | None = None,
    noise_shape: NoiseShape | None = None,
    mode: Mode = "inverted",
    window: WindowLike | None = None,
) -> Array:
    """Set elements of `x` to zero at random, and scale the others.

    Each element is dropped with probability `p`, on its own. Dropped elements are +0.0, also
    where `x` is infinite or nan. Which elements are dropped depends on the key (seed, stream,
    offset), on `p` and on the element's place in C order, and on nothing else: not on the
    dtype, the memory layout, the number of threads or the instruction set. The gradient with
    respect to `x` is the same call on the gradient with the same `Key`.

    Parameters
    ----------
    x : array_like
        Any shape and strides; float16, bfloat16 (of ml_dtypes), float32 or float64 in native
        byte order. What is no array is converted as `numpy.asarray` does, or by DLPack where it has
        nothing else. Of a subclass the plain array is taken; masked arrays are refused.
    p : float, default 0.5
        Probability of dropping an element, from 0 to 1. (The paper writes p for keeping.)
    training : bool, default True
        False evaluates: nothing is drawn, and `mode` says what is returned.
    rng : None, int, Key, Generator, numpy.random.SeedSequence or numpy.random.Generator
        Where the randomness comes from; None is `default_generator()`, which a forked process
        inherits as it is. A `Generator` moves on by ``x.size`` positions, rounded up to blocks of
        4096. An int (a seed), a `Key` or a `SeedSequence` gives the same mask in every call.
    out : ndarray, optional
        Where the result goes: an array of x's shape and dtype, `x` itself or memory apart from it.
        A new C-contiguous array by default.
    noise_shape : tuple of int or None, optional
        Shape of the mask, broadcastable to x's; None in an axis stands for x's length there.
        Elements along an axis of length 1 are dropped together.
    mode : {"inverted", "standard"}, default "inverted"
        "inverted" computes ``x * m / (1 - p)`` in training and ``x`` in evaluation, where m
        is 1 for kept elements and 0 for dropped ones. "standard", as in the paper, computes
        ``x * m`` in training and ``x * (1 - p)`` in evaluation.
    window : pair of tuple of int, optional
        ``(shape, start)``, each with a number for each axis: `x` is the part of an array of that
        shape that begins at the index `start`. What ``dropout(a, p, rng=key)[cut]`` is, is also
        ``dropout(a[cut], p, rng=key, window=(a.shape, start))``. Decisions that `noise_shape`
        shares are the whole array's, and a `Generator` moves on as far as for it.

    Returns
    -------
    ndarray
        `out`, or a plain array of x's shape and dtype. Inverted evaluation, or an empty `x`,
        without `out` returns `x` itself, a subclass too.

    Raises
    ------
    TypeError
        What is no array, is masked or is on a device that the CPU does not read; a dtype that is
        not listed above; `p`, `training`, `rng`, `out` or `noise_shape` of the wrong type.
    ValueError
        `p` outside [0, 1]; an unknown `mode`; `out` of another shape, read-only, overlapping itself
        or, in part, `x`; a `noise_shape` that does not broadcast to x's shape (to that of the whole
        array); a `window` that is no pair of as many numbers from 0 on, or does not hold `x`.
    OverflowError
        The positions needed pass the end of the stream, 2**64.

    Notes
    -----
    Source: Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov, "Dropout: A Simple Way to
    Prevent Neural Networks from Overfitting", JMLR 15 (2014), section 4; inverted: section 10.

    The scale is rounded once to float32 (float64 for float64 arrays), the product to float32
    (float64), and then to the array's dtype, each to nearest even.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop
    >>> x = np.ones(8, np.float32)
    >>> key = fastdrop.Generator(1).reserve(x.size)
    >>> fastdrop.dropout(x, 0.5, rng=key)
    array([0., 0., 2., 0., 0., 2., 0., 0.], dtype=float32)

    The gradient, with the same key and no stored mask, and the second half alone:

    >>> fastdrop.dropout(np.full(8, 3, np.float32), 0.5, rng=key)
    array([0., 0., 6., 0., 0., 6., 0., 0.], dtype=float32)
    >>> fastdrop.dropout(x[4:], 0.5, rng=key, window=((8,), (4,)))
    array([0., 2., 0., 0.], dtype=float32)
    """
    variant = DROPOUT if check_mode(mode) == "inverted" else DROPOUT_STANDARD
    return run(variant, (x,), p, training, rng, out, window, noise_shape)


@compiled("dropout_inplace_front", DROPOUT)
def dropout_(
    x: Array,
    p: float = 0.5,
    training: bool = True,
    *,
    rng: RNGLike = None,
    noise_shape: NoiseShape | None = None,
    mode: Mode = "inverted",
    window: WindowLike | None = None,
) -> Array:
    """Apply `dropout` to `x` in place.

    Source: Srivastava et al., "Dropout", JMLR 15 (2014), section 4.

    Parameters
    ----------
    x : ndarray
        The array to change: as for `dropout`, writeable, and without elements that share memory.
    p, training, rng, noise_shape, mode, window
        As for `dropout`, with the same defaults.

    Returns
    -------
    ndarray
        `x` itself.

    Raises
    ------
    TypeError, ValueError, OverflowError
        As for `dropout`, also for `p` outside [0, 1]; TypeError if `x` is not a NumPy array,
        ValueError if it is read-only or overlaps itself.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop
    >>> x = np.ones((2, 4))
    >>> fastdrop.dropout_(x, 0.5, rng=1) is x
    True
    >>> x
    array([[0., 0., 2., 0.],
           [0., 2., 0., 0.]])
    """
    array = _arrays.check_inplace(x)
    _arrays.check_written(array, "x")
    variant = DROPOUT if check_mode(mode) == "inverted" else DROPOUT_STANDARD
    run(variant, (array,), p, training, rng, array, window, noise_shape)
    return x


def dropout_mask(
    shape: int | tuple[int, ...],
    p: float = 0.5,
    *,
    rng: RNGLike = None,
    packed: bool = False,
    window: WindowLike | None = None,
) -> Array:
    """Draw the mask that `dropout` would apply with the same `rng` and `p`: 1 is keep.

    Parameters
    ----------
    shape : int or tuple of int
        Shape of the array that the mask is for.
    p, rng, window
        As for `dropout`; with a `window` the mask is for a part of a larger array.
    packed : bool, default False
        True packs 8 elements into a byte, the first in the lowest bit, as
        ``numpy.packbits(mask, bitorder="little")`` does.

    Returns
    -------
    ndarray
        A C-contiguous bool array of the given shape, True where an element is kept; or, for
        n elements packed, a 1-D uint8 array of ceil(n / 8) bytes with zeros in the padding.

    Raises
    ------
    TypeError, ValueError, OverflowError, MemoryError
        As for `dropout`, also for `p` outside [0, 1]; TypeError if `shape` or `packed` has the
        wrong type, ValueError if a length is negative or no array can have that many elements or
        axes, MemoryError if the mask does not fit into memory.

    Notes
    -----
    Source: Srivastava et al., "Dropout", JMLR 15 (2014), section 4, the mask r; p there is for
    keeping.
    Masks nest: with one key, what is dropped at `p` is dropped at every larger `p` too.

    Examples
    --------
    >>> import fastdrop
    >>> fastdrop.dropout_mask((2, 4), 0.5, rng=1)
    array([[False, False,  True, False],
           [False,  True, False, False]])
    >>> fastdrop.dropout_mask((2, 4), 0.5, rng=1, packed=True)
    array([36], dtype=uint8)
    """
    lengths, n = _arrays.check_shape(shape)
    plan = make_plan(p, "float32")
    packs = _arrays.check_flag(packed, "packed")
    place = Place(n, 0, None)
    if window is not None:
        part = check_window(window, lengths, "the mask")
        place = place_of(part.shape, lengths, part.start)
    backend = backends.active()
    mask = room_for(n) if packs else np.empty(lengths, np.bool_)
    key = place.key(rng)
    if n and packs:
        backend.mask_packed(mask, lengths, key, plan, place.steps)
    elif n:
        backend.mask_bool(mask, key, plan, place.steps)
    return mask


def apply_mask(
    x: npt.ArrayLike, mask: npt.ArrayLike, p: float, *, out: Array | None = None
) -> Array:
    """Apply a mask that the caller has: ``x / (1 - p)`` where it keeps, +0.0 where it drops.

    Source: Srivastava et al., "Dropout", JMLR 15 (2014), the inverted form of section 10.

    Parameters
    ----------
    x, out
        As for `dropout`; `out` shares no memory with the mask.
    mask : array_like
        1 is keep: bool of x's shape, or packed as `dropout_mask` packs it, 1-D uint8 of
        ceil(x.size / 8) bytes with zeros in the padding bits.
    p : float
        Probability of dropping that the mask was drawn with, from 0 to 1. With 1 the result
        is +0.0 everywhere, whatever the mask.

    Returns
    -------
    ndarray
        `out`, or an array of x's shape and dtype (an empty `x` itself).

    Raises
    ------
    TypeError, ValueError
        As for `dropout`, also for `p` outside [0, 1]; TypeError if `mask` is neither bool nor
        uint8, ValueError if it has the wrong shape, size or padding, or overlaps `out`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop
    >>> fastdrop.apply_mask([1.0, 2.0, 3.0], [True, False, True], 0.5)
    array([2., 0., 6.])
    >>> fastdrop.apply_mask([1.0, 2.0, 3.0], np.array([0b101], np.uint8), 0.5)
    array([2., 0., 6.])
    """
    array = _arrays.as_input(x)
    kind = _arrays.kind_of(array.dtype)
    plan = make_plan(p, kind)
    target = None if out is None else _arrays.check_out(out, array)
    keep, packed = _arrays.check_mask(mask, array)
    if out is None or target is None:
        if array.size == 0:
            return _arrays.itself(x, array)
        target = out = np.empty_like(array, subok=False)
    else:
        _arrays.check_apart(keep, target, "mask")
    source, result = _arrays.storage(array, kind), _arrays.storage(target, kind)
    if plan.threshold == 65536:
        result.fill(0)
    elif array.size:
        keep = keep if packed else keep.reshape(source.shape)
        backends.active().run(Call("scale", kind, (source,), (result,), (plan.scale,), mask=keep))
    return out
