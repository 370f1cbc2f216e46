"""The mathematical functions of ``numpy/functions.py`` on one number: the same operations.

Every constant has the type of the number, because Numba computes in binary64 where a whole number
of Python's meets a binary32. Comparisons are written out: for nan they have to choose one way.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from fastdrop.backends._coefficients import F32, F64, Constants

from .jit import jit

Function = Callable[[Any], Any]


@functools.cache
def functions(compute: type[np.floating[Any]]) -> dict[str, Function]:
    """The functions of numpy.float32 or numpy.float64, by their names.

    A slope is the derivative of what it is named after.
    """
    single = compute is np.float32
    return _make(F32 if single else F64, compute, np.uint32 if single else np.uint64)


def _make(c: Constants, number: Any, word: Any) -> dict[str, Function]:
    (log2e, magic, ln2_high, ln2_low) = c[:4]
    exp_lowest, lowered, exp_q, farthest, tail_centre, tail_r = c[4:10]
    density, linear, cubic, tanh_slope = c[10:]
    zero, one, minus_half = number(0), number(1), number(-0.5)
    shift = word(23 if word is np.uint32 else 52)
    upper_half = word(0xFFFFF000 if word is np.uint32 else 0xFFFFFFFFF8000000)

    @jit
    def bits(x: Any) -> Any:
        return word(number(x).view(word))

    @jit
    def from_bits(w: Any) -> Any:
        return number(word(w).view(number))

    @jit
    def polynomial(coefficients: Any, x: Any) -> Any:
        y = coefficients[len(coefficients) - 1]
        for i in range(len(coefficients) - 2, -1, -1):
            y = y * x + coefficients[i]
        return y

    @jit
    def mirrored(x: Any, below: Any) -> Any:
        return below if x < zero else one - below

    @jit
    def exp_from(k: Any, r: Any) -> Any:
        p = ((r * r) * polynomial(exp_q, r) + r) + one
        return (p * from_bits(bits(k) << shift)) * lowered

    @jit
    def exp(x: Any) -> Any:
        x = exp_lowest if exp_lowest > x else x
        k = x * log2e + magic
        n = k - magic
        return exp_from(k, (x - n * ln2_high) - n * ln2_low)

    @jit
    def exp_half_square(a: Any) -> Any:
        h = from_bits(bits(a) & upper_half)
        high = (h * h) * minus_half
        low = ((a - h) * (a + h)) * minus_half
        k = (high + low) * log2e + magic
        n = k - magic
        return exp_from(k, ((high - n * ln2_high) + low) - n * ln2_low)

    @jit
    def sigmoid(x: Any) -> Any:
        e = exp(-abs(x))
        return (e if x < zero else one) / (one + e)

    @jit
    def tail(x: Any) -> Any:
        a = abs(x)
        a = farthest if farthest < a else a
        q = one / (a + tail_centre)
        t = (a - tail_centre) * q
        return a, exp_half_square(a), polynomial(tail_r, t) * q

    @jit
    def none(x: Any) -> Any:
        return x

    @jit
    def none_slope(_: Any) -> Any:
        return one

    @jit
    def relu(x: Any) -> Any:
        return zero if x <= zero else x

    @jit
    def relu_slope(x: Any) -> Any:
        return one if x > zero else relu(x)

    @jit
    def gelu(x: Any) -> Any:
        _, e, r = tail(x)
        cut = -farthest if -farthest > x else x
        return cut * mirrored(x, e * r)

    @jit
    def gelu_slope(x: Any) -> Any:
        a, e, r = tail(x)
        return mirrored(x, e * (r - a * density))

    @jit
    def silu(x: Any) -> Any:
        cut = exp_lowest if exp_lowest > x else x
        return cut * sigmoid(x)

    @jit
    def silu_slope(x: Any) -> Any:
        a = abs(x)
        a = -exp_lowest if -exp_lowest < a else a
        e = exp(-a)
        d = one / (one + e)
        return mirrored(x, (e * d) * (one - a * d))

    @jit
    def gelu_tanh(x: Any) -> Any:
        x = -farthest if -farthest > x else x
        return x * sigmoid(x * ((x * x) * cubic + linear))

    @jit
    def gelu_tanh_slope(x: Any) -> Any:
        a = abs(x)
        a = farthest if farthest < a else a
        square = a * a
        e = exp(-(a * (square * cubic + linear)))
        d = one / (one + e)
        return mirrored(x, (e * d) * (one - (a * d) * (square * tanh_slope + linear)))

    made = (
        exp, none, none_slope, relu, relu_slope, gelu, gelu_slope, gelu_tanh, gelu_tanh_slope, silu,
        silu_slope,
    )  # fmt: skip
    return {function.__name__: function for function in made}
