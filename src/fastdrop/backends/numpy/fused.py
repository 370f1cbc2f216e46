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


def zoneout(new: Array, old: Array, out: Array, key: Key, plan: Plan) -> None:
    """``new`` where the decision is to keep, else ``old``."""
    for start in range(0, new.size, CHUNK):
        part = slice(start, min(start + CHUNK, new.size))
        out[part] = np.where(keep(key, plan, part.start, part.stop), new[part], old[part])


def zoneout_split(dy: Array, new: Array, old: Array, key: Key, plan: Plan) -> None:
    """The gradients of both: ``dy`` goes to one of them, and the other gets +0.0."""
    for start in range(0, dy.size, CHUNK):
        part = slice(start, min(start + CHUNK, dy.size))
        kept = keep(key, plan, part.start, part.stop)
        gradient = dy[part].copy()  # `new` may be the same memory
        new[part] = masked(gradient, kept)
        old[part] = masked(gradient, ~kept)
