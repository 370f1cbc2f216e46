"""Normal variates, the exponential and the activations, as fixed sequences of operations.

The reference: the other backends do the same operations in the same order, and so get the same
bits. Each line below is one or a few of

- ``+ - * /`` in the format of the argument, each rounded to nearest even, never fused,
- comparisons that choose (``numpy.where``), which are False for nan,
- ``& | ^``, ``+`` and shifts by constants on the bits, unsigned and as wide as the number.

No library is called, and each function takes either format: binary32 or binary64. float16 and
bfloat16 are computed in binary32. nan gives nan. The errors that tests/test_functions.py holds them
to (for binary32 at every argument) are, at most

===================  ===========================================================================
``exp``              1 unit in the last place of the exact result
``sigmoid``          2.5
``normal_cdf``       5.75
``gelu``             6.5; where Phi(x) is subnormal, 6.5 |x| of the smallest subnormal
``silu``             3.5; where sigmoid(x) is subnormal, 3.5 |x| of the smallest subnormal
``gelu_tanh``        3 for positive x, 3 (1 + 2|u|) for negative x (2u is below), and as silu
``gelu_slope``       3.5 units in the last place of numbers from 1/2 to 1, like the next two:
``silu_slope``       2; no derivative of the three can have a small relative error, because
``gelu_tanh_slope``  2.5; each has a zero at a number that is no binary fraction
``normal``           3.6e-6, absolute, of |z| up to 6.23; it does not rise with |t| but to the last
===================  ===========================================================================
"""

from typing import Any

import numpy as np

from fastdrop._arrays import Array
from fastdrop.backends._coefficients import F32, F64, NORMAL, NORMAL_CENTRE, Constants

_NORMAL = np.array(NORMAL)

# Infinities, subnormal numbers and nan go through here as through any arithmetic.
_quiet = np.errstate(all="ignore")


def _constants(x: Array) -> Constants:
    """The constants in the format of ``x``."""
    return F32 if x.dtype == np.float32 else F64


def _bits(x: Array) -> Array:
    return x.view(f"u{x.itemsize}")


def _number(bits: Array) -> Array:
    return bits.view(f"f{bits.itemsize}")


def _polynomial(coefficients: Any, x: Array) -> Array:
    """Horner's rule: a multiplication and an addition for each coefficient but the highest."""
    y = coefficients[-1]
    for c in coefficients[-2::-1]:
        y = y * x + c
    return np.asarray(y)


def _mirrored(x: Array, below: Array) -> Array:
    """f(x) from f(-|x|), where f(x) + f(-x) = 1."""
    return np.where(x < 0, below, 1 - below)


# --- Normal variates --------------------------------------------------------------------------


def normal(w: Array) -> Array:
    """Normal variates of 32-bit words (uint32 to float32), each from one word.

    The lowest bit is set: s = w | 1, read as signed, is odd, so that it is symmetric about 0 and
    never 0. It is rounded to t, and z = sign(t) * -Phi^-1(|t| / 2^32). In each octave of |t| a
    polynomial of degree 5 is evaluated in the significand of |t|, less 1.5.
    """
    t = (w | np.uint32(1)).view(np.int32).astype(np.float32)
    bits = _bits(t)
    octave = (bits >> 23) & 31  # 2^0 has index 31, 2^1 has 0, and so on; the sign is shifted out
    f = _number((bits & 0x007FFFFF) | 0x3F800000)  # |t| / 2^octave, in [1, 2)
    z = _polynomial(_NORMAL[:, octave], f - NORMAL_CENTRE)
    return _number(_bits(z) ^ (bits & 0x80000000))


# --- The exponential --------------------------------------------------------------------------
#
# x = n ln 2 + r with a whole n. Adding `magic`, one and a half times the number whose unit in the
# last place is 1, rounds x log2(e) to n, and leaves n in the lowest bits of the sum. `magic` also
# holds the exponent's bias and 64: shifted to the exponent's place these bits are 2^(n + 64), which
# is a normal number however small 2^n is. The last multiplication, by 2^-64, rounds to a subnormal
# result or to 0 where it has to.


def _exp_from(k: Array, r: Array, c: Constants) -> Array:
    """2**n * exp(r) for ``k`` = n + magic."""
    shift = 23 if k.dtype == np.float32 else 52
    p = ((r * r) * _polynomial(c.exp_q, r) + r) + 1
    y: Array = (p * _number(_bits(k) << shift)) * c.lowered
    return y


@_quiet
def exp(x: Array) -> Array:
    """exp(x) for x <= 0, which is all that is needed here: -inf gives 0, nan gives nan."""
    c = _constants(x)
    x = np.where(c.exp_lowest > x, c.exp_lowest, x)
    k = x * c.log2e + c.magic
    n = k - c.magic
    r = (x - n * c.ln2_high) - n * c.ln2_low
    return _exp_from(k, r, c)


def _exp_half_square(a: Array, c: Constants) -> Array:
    """exp(-a * a / 2) for 0 <= a <= farthest.

    Rounding a * a would cost up to 50 units in the last place of the result (binary64: 380). So the
    square is taken in two parts: that of the upper half of a's bits, exact, and the small rest.
    """
    upper = 0xFFFFF000 if a.dtype == np.float32 else 0xFFFFFFFFF8000000
    h = _number(_bits(a) & upper)
    high = (h * h) * -0.5
    low = ((a - h) * (a + h)) * -0.5
    k = (high + low) * c.log2e + c.magic
    n = k - c.magic
    r = ((high - n * c.ln2_high) + low) - n * c.ln2_low
    return _exp_from(k, r, c)


# --- The logistic function --------------------------------------------------------------------


@_quiet
def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), without cancellation or overflow."""
    e = exp(-np.abs(x))
    y: Array = np.where(x >= 0, 1, e) / (1 + e)
    return y


# --- The normal distribution ------------------------------------------------------------------


def _tail(x: Array, c: Constants) -> tuple[Array, Array, Array]:
    """The parts of Phi(-a) = E * R for a = |x|, at most farthest: a, E = exp(-a * a / 2), R."""
    a = np.abs(x)
    a = np.where(c.farthest < a, c.farthest, a)
    q = 1 / (a + c.tail_centre)
    t = (a - c.tail_centre) * q
    return a, _exp_half_square(a, c), _polynomial(c.tail_r, t) * q


@_quiet
def normal_cdf(x: Array) -> Array:
    """Phi(x), the normal distribution function, without cancellation for negative x."""
    _, e, r = _tail(x, _constants(x))
    return _mirrored(x, e * r)


# --- Activations and their derivatives --------------------------------------------------------
#
# Where a factor tends to 0 as x tends to -inf, x is cut off where that factor is 0 already, so that
# no inf * 0 arises. Of the smooth ones' derivatives g' the negative half is computed; the other is
# g'(x) = 1 - g'(-x).


def relu(x: Array) -> Array:
    """The larger of x and 0."""
    return np.where(x <= 0, np.zeros_like(x), x)


def relu_slope(x: Array) -> Array:
    """Of relu: 1 for positive x, else 0."""
    return np.where(x > 0, np.ones_like(x), relu(x))


@_quiet
def gelu(x: Array) -> Array:
    """The Gaussian error linear unit, x Phi(x)."""
    lowest = -_constants(x).farthest
    y: Array = np.where(lowest > x, lowest, x) * normal_cdf(x)
    return y


@_quiet
def gelu_slope(x: Array) -> Array:
    """Of gelu: Phi(x) + x phi(x); at x = -a that is E * (R - a / sqrt(2 pi))."""
    c = _constants(x)
    a, e, r = _tail(x, c)
    below = e * (r - a * c.density)
    return _mirrored(x, below)


@_quiet
def silu(x: Array) -> Array:
    """The sigmoid linear unit, x sigmoid(x)."""
    lowest = _constants(x).exp_lowest
    y: Array = np.where(lowest > x, lowest, x) * sigmoid(x)
    return y


@_quiet
def silu_slope(x: Array) -> Array:
    """Of silu: s (1 + x (1 - s)), s = sigmoid(x); at x = -a, s = e d and 1 - s = d."""
    c = _constants(x)
    a = np.abs(x)
    a = np.where(-c.exp_lowest < a, -c.exp_lowest, a)
    e = exp(-a)
    d = 1 / (1 + e)
    below = (e * d) * (1 - a * d)
    return _mirrored(x, below)


@_quiet
def gelu_tanh(x: Array) -> Array:
    """Gelu by tanh: x (1 + tanh(u)) / 2 = x sigmoid(2 u), u = sqrt(2 / pi) (x + 0.044715 x^3)."""
    c = _constants(x)
    x = np.where(-c.farthest > x, -c.farthest, x)
    v = x * ((x * x) * c.tanh_cubic + c.tanh_linear)  # 2 u
    y: Array = x * sigmoid(v)
    return y


@_quiet
def gelu_tanh_slope(x: Array) -> Array:
    """Of gelu_tanh: S + x S (1 - S) 2 u', S = sigmoid(2 u); at x = -a, S = e d, 1 - S = d."""
    c = _constants(x)
    a = np.abs(x)
    a = np.where(c.farthest < a, c.farthest, a)
    square = a * a
    v = a * (square * c.tanh_cubic + c.tanh_linear)  # 2 |u|
    e = exp(-v)
    d = 1 / (1 + e)
    slope = square * c.tanh_slope + c.tanh_linear  # 2 u'
    below = (e * d) * (1 - (a * d) * slope)
    return _mirrored(x, below)
