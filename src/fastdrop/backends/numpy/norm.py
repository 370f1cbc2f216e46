"""Max-norm: limiting the norms of groups of numbers."""

import numpy as np

from fastdrop._arrays import Array

from .arithmetic import rounded, widened
from .draw import CHUNK
from .sums import SQUARES, row_sums

_LARGEST = np.finfo(np.float64).max


def _squares(v: Array) -> tuple[Array, Array]:
    """The sums of squares of the rows, and the scale that the numbers were multiplied by.

    Squares are taken of numbers as they are, and summed in their own type, 256 of them. Where that
    shows that some overflowed, or that some underflowed that matter, it is all done in float64,
    of numbers times another scale.
    """
    sums, scales = row_sums(np.square(v), SQUARES), np.ones(len(v))
    narrow = v.dtype != np.float64
    small = sums < (2.0**-90 if narrow else 2.0**-900)
    large = ~(small | (sums <= _LARGEST))
    power = 100 if narrow else 600
    for rows, scale in ((small, 2.0**power), (large, 2.0**-power)):
        if rows.any():
            sums[rows] = row_sums(np.square(v[rows].astype(np.float64) * scale), SQUARES)
            scales[rows] = scale
    return sums, scales


def _limit(v: Array, limit: float) -> tuple[Array, Array]:
    """Which rows exceed the limit, and the factors that bring them to it."""
    sums, scales = _squares(v)
    norms = np.sqrt(sums)
    over = (norms > limit * scales) & (norms <= _LARGEST)
    norm, scale = norms[over], scales[over]
    factors = np.where(scale < 1, limit / norm * scale, limit * scale / norm)
    return over, factors.astype(v.dtype)


@np.errstate(all="ignore")
def max_norm(w: Array, kind: str, limit: float) -> None:
    """Multiply each ``w[i, :, j]`` whose norm passes the limit with ``limit / norm``."""
    outer, n, inner = w.shape
    if not w.size:
        return
    across = max(1, min(inner, CHUNK // n))
    down = max(1, CHUNK // (n * across))
    for i in range(0, outer, down):
        for j in range(0, inner, across):
            part = w[i : i + down, :, j : j + across].transpose(0, 2, 1)
            v = widened(part.reshape(-1, n), kind)
            over, factors = _limit(v, limit)
            part[over.reshape(part.shape[:2])] = rounded(v[over] * factors[:, None], kind)
