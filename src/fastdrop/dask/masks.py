"""Element-wise dropout of Dask arrays, and masks."""

from __future__ import annotations

import dask.array as da

from fastdrop import _arrays
from fastdrop._arrays import NoiseShape
from fastdrop._rates import check_mode, check_p
from fastdrop._rng import RNGLike
from fastdrop.functions.masks import Mode
from fastdrop.variants import DROPOUT, DROPOUT_STANDARD

from ._blocks import lazily, lazy_mask

__all__ = ["dropout", "dropout_mask"]


def dropout(
    x: da.Array,
    p: float = 0.5,
    training: bool = True,
    *,
    rng: RNGLike = None,
    noise_shape: NoiseShape | None = None,
    mode: Mode = "inverted",
) -> da.Array:
    """Set elements of a Dask array to zero at random, and scale the others.

    What a block is computed to depends on where it is in the array, not on how the array is cut
    into blocks, nor on where, when or in which order they are computed.

    Parameters
    ----------
    x : dask.array.Array
        Of any shape and chunks of known sizes; its blocks are NumPy arrays of float16, bfloat16
        (of ml_dtypes), float32 or float64.
    p : float, default 0.5
        Probability of dropping an element, from 0 to 1.
    training : bool, default True
        False evaluates: nothing is drawn, and `mode` says what is returned.
    rng : None, int, Key, Generator, numpy.random.SeedSequence or numpy.random.Generator
        Where the randomness comes from, as for `fastdrop.dropout`. The graph holds a key: a
        `fastdrop.Generator` moves on when this is called, and not when blocks are computed, and
        computing twice gives the same numbers.
    noise_shape : tuple of int or None, optional
        As for `fastdrop.dropout`, of the whole array: decisions may be shared across blocks.
    mode : {"inverted", "standard"}, default "inverted"
        As for `fastdrop.dropout`.

    Returns
    -------
    dask.array.Array
        Lazy, of x's shape, dtype and chunks: ``fastdrop.dropout`` of the whole array, bit for bit,
        whatever the chunks. Inverted evaluation returns `x` itself.

    Raises
    ------
    TypeError
        What is no Dask array of NumPy blocks; otherwise as for `fastdrop.dropout`.
    ValueError
        Chunks of unknown sizes; otherwise as for `fastdrop.dropout`.
    OverflowError
        The positions needed pass the end of the stream, 2**64.

    Notes
    -----
    The array's name follows from its input, `p` and the key: making the same graph again gives the
    same names, and what a scheduler has computed is found.

    Source: Srivastava et al., "Dropout", JMLR 15 (2014), section 4.

    Examples
    --------
    >>> import dask.array as da
    >>> import numpy as np
    >>> import fastdrop.dask
    >>> x = da.ones((4, 6), dtype=np.float32, chunks=(2, 4))
    >>> y = fastdrop.dask.dropout(x, 0.5, rng=1)
    >>> y.chunks
    ((2, 2), (4, 2))
    >>> bool((y.compute() == fastdrop.dropout(x.compute(), 0.5, rng=1)).all())
    True
    >>> z = fastdrop.dask.dropout(x.rechunk(1), 0.5, rng=1)
    >>> bool((y == z).all())
    True
    """
    variant = DROPOUT if check_mode(mode) == "inverted" else DROPOUT_STANDARD
    return lazily(variant, (x,), p, training, rng, {"noise_shape": noise_shape}, {"mode": mode})


def dropout_mask(
    shape: int | tuple[int, ...],
    p: float = 0.5,
    *,
    rng: RNGLike = None,
    chunks: int | str | tuple[object, ...] = "auto",
) -> da.Array:
    """Draw the mask that `dropout` would apply with the same `rng` and `p`: 1 is keep.

    Parameters
    ----------
    shape, p, rng
        As for `fastdrop.dropout_mask`.
    chunks : int, str or tuple, default "auto"
        How the mask is cut, as `dask.array` takes it.

    Returns
    -------
    dask.array.Array
        Lazy, bool, of the given shape: ``fastdrop.dropout_mask(shape, p)``, whatever the chunks.

    Raises
    ------
    TypeError, ValueError, OverflowError
        As for `fastdrop.dropout_mask`; chunks that do not fit the shape.

    Notes
    -----
    Source: Srivastava et al., "Dropout", JMLR 15 (2014), section 4.

    Examples
    --------
    >>> import fastdrop.dask
    >>> fastdrop.dask.dropout_mask((2, 4), 0.5, rng=1, chunks=(1, 2)).compute()
    array([[False, False,  True, False],
           [False,  True, False, False]])
    """
    lengths, _ = _arrays.check_shape(shape)
    return lazy_mask(lengths, check_p(p), rng, chunks)
