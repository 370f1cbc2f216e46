"""Operations that take several contiguous arrays, element by element."""

from typing import Any

import numpy as np

from fastdrop._plan import Plan
from fastdrop.stream import Key

from .arithmetic import factor, masked, rounded, widened
from .draw import CHUNK, keep

Array = np.ndarray[Any, np.dtype[Any]]


def dropout_add(x: Array, residual: Array, out: Array, kind: str, key: Key, plan: Plan) -> None:
    """``residual`` plus what dropout makes of ``x``, rounded to the storage type once."""
    for start in range(0, x.size, CHUNK):
        part = slice(start, min(start + CHUNK, x.size))
        with np.errstate(all="ignore"):
            product = widened(x[part], kind) * factor(plan.scale, kind)
            total = masked(product, keep(key, plan, part.start, part.stop))
            total += widened(residual[part], kind)
        out[part] = rounded(total, kind)
