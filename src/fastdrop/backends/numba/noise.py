"""Normal variates."""

from typing import Any

import numpy as np

from fastdrop.backends._coefficients import NORMAL, NORMAL_CENTRE

from .halves import bits_of, float_of
from .jit import jit

_ROWS = np.array(NORMAL)


@jit
def normal(word: Any) -> Any:
    """The variate of a word: ``normal`` of numpy/functions.py."""
    t = np.float32(np.int32(np.uint32(word | np.uint32(1))))
    bits = bits_of(t)
    octave = np.uint32(np.uint32(bits >> np.uint32(23)) & np.uint32(31))
    significand = np.uint32(bits & np.uint32(0x007FFFFF))
    f = float_of(np.uint32(significand | np.uint32(0x3F800000))) - NORMAL_CENTRE
    z = _ROWS[5, octave]
    for k in range(4, -1, -1):
        z = z * f + _ROWS[k, octave]
    return float_of(np.uint32(bits_of(z) ^ np.uint32(bits & np.uint32(0x80000000))))
