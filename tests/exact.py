"""The functions behind the activations, from their definitions alone.

Of float64 arrays they are good to about 1e-13 of each result (of 1, for the slopes): enough to
judge binary32 by. Of arrays of mpmath's numbers they have the precision that mpmath is set to.
"""

import math
from typing import Any

import numpy as np
import pytest

mpmath = pytest.importorskip("mpmath", reason="the exact values come from mpmath")
special = pytest.importorskip("scipy.special", reason="the exact values come from SciPy")

_EXP = np.frompyfunc(mpmath.exp, 1, 1)
_ERFC = np.frompyfunc(mpmath.erfc, 1, 1)
_NUMBER = np.frompyfunc(mpmath.mpf, 1, 1)


def argument(x: np.ndarray) -> np.ndarray:
    """float32 as float64, and float64 as mpmath's numbers."""
    return x.astype(np.float64) if x.dtype == np.float32 else _NUMBER(x.astype(object))


def pi(x: np.ndarray) -> Any:
    return mpmath.pi() if x.dtype == object else math.pi


def exp(x: np.ndarray) -> np.ndarray:
    return _EXP(x) if x.dtype == object else np.exp(x)


def sigmoid(x: np.ndarray) -> np.ndarray:
    e = exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)


def normal_cdf(x: np.ndarray) -> np.ndarray:
    if x.dtype == object:
        return _ERFC(-x / mpmath.sqrt(2)) / 2
    return special.erfc(-x / math.sqrt(2)) / 2


def twice_u(x: np.ndarray) -> np.ndarray:
    """2 sqrt(2 / pi) (x + 0.044715 x^3): gelu_tanh(x) is x sigmoid(2 u)."""
    return 2 * (2 / pi(x)) ** 0.5 * (x + 0.044715 * x * x * x)


def gelu(x: np.ndarray) -> np.ndarray:
    return x * normal_cdf(x)


def silu(x: np.ndarray) -> np.ndarray:
    return x * sigmoid(x)


def gelu_tanh(x: np.ndarray) -> np.ndarray:
    return x * sigmoid(twice_u(x))


def gelu_slope(x: np.ndarray) -> np.ndarray:
    return normal_cdf(x) + x * exp(-x * x / 2) / (2 * pi(x)) ** 0.5


def silu_slope(x: np.ndarray) -> np.ndarray:
    return sigmoid(x) + x * sigmoid(x) * sigmoid(-x)


def gelu_tanh_slope(x: np.ndarray) -> np.ndarray:
    v = twice_u(x)
    v_slope = 2 * (2 / pi(x)) ** 0.5 * (1 + 3 * 0.044715 * x * x)
    return sigmoid(v) + x * sigmoid(v) * sigmoid(-v) * v_slope


def normal(w: np.ndarray) -> np.ndarray:
    """sign(s) * -Phi^-1(|s| / 2^32) for s = w | 1, read as signed."""
    s = (w | np.uint32(1)).view(np.int32).astype(np.float64)
    return np.copysign(special.ndtri(np.abs(s) / 2**32), s)
