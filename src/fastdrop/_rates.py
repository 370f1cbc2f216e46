"""From ``p``, the mode and the dtype to what a kernel needs: a threshold and a scale."""

import functools
import math
import numbers
from collections.abc import Callable
from fractions import Fraction
from typing import Any, Final, Literal, NamedTuple, TypeVar

import numpy as np

Choice = TypeVar("Choice", bound=str)

_DROP_ALL = 65536
_LARGEST_BINARY64 = (2 - 2.0**-52) * 2.0**1023
_LARGEST_BINARY32 = (2 - 2.0**-23) * 2.0**127


class Plan(NamedTuple):
    """``p`` as backends take it.

    A block's threshold is ``threshold``, or one more where the block's threshold word is below
    ``fraction``; an element is dropped where its signed 16-bit field is below the block's
    threshold - 32768. A threshold of 65536 drops all, 0 with a fraction of 0 keeps all.
    """

    threshold: int
    fraction: int
    scale: float


class Affine(NamedTuple):
    """Coefficients of alpha dropout: ``x * scale + shift`` where kept, ``dropped`` elsewhere.

    Scale and shift are rounded to the compute type, ``dropped`` to the type of the array.
    """

    scale: float
    shift: float
    dropped: float


def _real(value: object, argument: str) -> Any:
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
        raise TypeError(f"{argument} has to be a real number, but got {type(value).__name__}")
    return value  # the typing of numbers.Real knows no comparison


def check_p(p: object) -> float:
    """``p`` as a binary64 number, if it is a probability."""
    number: Any = p if type(p) is float else _real(p, "p")
    # Compared before it is converted: an int may be too large for a float.
    if not 0 <= number <= 1:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {number}")
    return float(number)


def check_factor(value: object, argument: str, kind: str) -> float:
    """``value`` as a finite number, rounded to the type that ``kind`` is computed in."""
    number = _nearest_float(_real(value, argument))
    largest = _LARGEST_BINARY64 if kind == "float64" else _LARGEST_BINARY32
    if not -largest <= number <= largest:
        raise ValueError(f"{argument} has to be a finite number, but got {value}")
    return math.copysign(_rounded(abs(number), kind), number)


def check_limit(value: object, argument: str) -> float:
    """``value`` as a number of at least 0, which may be inf."""
    number = _real(value, argument)
    if not number >= 0:
        raise ValueError(f"{argument} has to be at least 0, but got {number}")
    return abs(_nearest_float(number))  # no -0.0


def _nearest_float(number: Any) -> float:
    """A number as binary64; one that is too large, as an int or a fraction may be, as inf."""
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def check_choice(value: object, argument: str, choices: tuple[Choice, ...]) -> Choice:
    """``value``, if it is one of the names."""
    for choice in choices:
        if isinstance(value, str) and value == choice:
            return choice
    names = ", ".join(f'"{name}"' for name in choices[:-1])
    raise ValueError(f'{argument} has to be {names} or "{choices[-1]}", but got {value!r}')


def check_mode(mode: object) -> Literal["inverted", "standard"]:
    """``mode``, if it is one of the two."""
    return check_choice(mode, "mode", ("inverted", "standard"))


def make_plan(p: float, kind: str, mode: str = "inverted") -> Plan:
    """The plan for dropping with probability ``p`` in training."""
    return _plan(check_p(p), kind, check_mode(mode) == "inverted")


@functools.lru_cache(maxsize=64)  # a program uses few rates, in every step
def _plan(p: float, kind: str, inverted: bool) -> Plan:
    if p == 1:
        # Nothing is kept, so nothing is scaled; 1 / (1 - p) would divide by zero.
        return Plan(_DROP_ALL, 0, 1.0)
    x = 65536 * p  # exact, as is the subtraction below: both only move the binary point
    threshold = math.floor(x)
    fraction = int((x - threshold) * 2.0**64)
    scale = 1.0
    if inverted:
        numerator, denominator = _keep_probability(p).as_integer_ratio()
        scale = _rounded(_nearest(denominator, numerator, 53), kind)
    return Plan(threshold, fraction, scale)


@functools.lru_cache(maxsize=64)
def make_block_plan(p: float, lengths: tuple[int, ...], block: int) -> Plan:
    """The plan for drawing the seeds of blocks, in planes of such lengths.

    Their rate, p / block**k * product(n / (n - block + 1)), is rounded once. It is never above p,
    as n <= block * (n - block + 1), and at p = 1 mostly below 1.
    """
    numerator, denominator = check_p(p).as_integer_ratio()
    for n in lengths:
        numerator *= n
        denominator *= block * (n - block + 1)
    return make_plan(_nearest(numerator, denominator, 53), "float64", "standard")


@functools.lru_cache(maxsize=1024)  # small arrays give few different counts
def kept_scale(size: int, kept: int, kind: str) -> float:
    """``size / kept``: the scale where the number of kept elements is known."""
    return _rounded(_nearest(size, kept, 53), kind)


def evaluation_scale(p: float, kind: str) -> float:
    """1 - p in the compute type: the factor of evaluation in mode "standard"."""
    return _rounded(_keep_probability(check_p(p)), kind)


def make_affine(p: float, kind: str) -> Affine:
    """The coefficients of alpha dropout."""
    p = check_p(p)
    # Everything is dropped to +0.0 at 1, where the formula would divide by zero.
    return Affine(1.0, 0.0, 0.0) if p == 1 else _affine(p, kind)


def check_noise_p(p: object) -> float:
    """``p`` as a probability that Gaussian dropout takes."""
    probability = check_p(p)
    if probability == 1:
        raise ValueError(f"p has to be less than 1, where the noise is infinite, but got {p}")
    return probability


def check_deviation(value: object, argument: str, kind: str) -> float:
    """``value`` as a standard deviation: finite and not negative, rounded for ``kind``."""
    number = check_factor(value, argument, kind)
    if number < 0:
        raise ValueError(f"{argument} has to be at least 0, but got {value}")
    return number


class Rate(NamedTuple):
    """A variant's numbers for one p and dtype: the threshold, and those of the operation."""

    plan: Plan | None
    numbers: tuple[float, ...]


_Value = TypeVar("_Value")


def _remembered(function: Callable[[float, str], _Value]) -> Callable[[Any, str], _Value]:
    """Cache `function` for arguments of type float; a program uses few rates."""
    memory = functools.lru_cache(maxsize=64)(function)

    @functools.wraps(function)
    def remembering(p: Any, kind: str) -> _Value:
        return memory(p, kind) if type(p) is float else function(p, kind)

    return remembering


@_remembered
def factor_rate(p: float, kind: str) -> Rate:
    """Kept elements are multiplied by 1 / (1 - p)."""
    plan = make_plan(p, kind)
    return Rate(plan, (plan.scale,))


@_remembered
def standard_rate(p: float, kind: str) -> Rate:
    """Kept elements are multiplied by 1."""
    plan = make_plan(p, kind, "standard")
    return Rate(plan, (plan.scale,))


@_remembered
def plain_rate(p: float, kind: str) -> Rate:
    """Decisions without a scale."""
    return Rate(make_plan(p, kind), ())


@_remembered
def lowest_rate(p: float, kind: str) -> Rate:
    """Dropped to -inf; kept as they are: to add -0.0 changes nothing, not even another -0.0."""
    return Rate(make_plan(p, kind), (1.0, -0.0, -math.inf))


@_remembered
def affine_rate(p: float, kind: str) -> Rate:
    """The coefficients of alpha dropout."""
    return Rate(make_plan(p, kind), tuple(make_affine(p, kind)))


@_remembered
def affine_slope_rate(p: float, kind: str) -> Rate:
    """The slope of alpha dropout, for its gradient."""
    return Rate(make_plan(p, kind), (make_affine(p, kind).scale,))


def block_rate(p: float, _kind: str) -> Rate:
    """DropBlock: p itself, because the threshold of its seeds also depends on the array's shape."""
    return Rate(None, (check_p(p),))


@_remembered
def deviation_rate(p: float, kind: str) -> Rate:
    """Noise with dropout's variance: sqrt(p / (1 - p)) in binary64, then rounded."""
    return Rate(None, (_rounded(float(_noise_deviation(check_noise_p(p))), kind),))


@_remembered
def noise_rate(std: float, kind: str) -> Rate:
    """Noise of a given standard deviation."""
    return Rate(None, (check_deviation(std, "std", kind),))


def no_scale(_p: float, _kind: str) -> tuple[float, ...]:
    """Nothing is scaled."""
    return (1.0,)


def evaluation_scales(p: float, kind: str) -> tuple[float, ...]:
    """The factor 1 - p of an evaluation."""
    return (evaluation_scale(p, kind),)


def both_scales(p: float, kind: str) -> tuple[float, ...]:
    """The factors 1 - p and p of an evaluation."""
    return evaluation_scale(p, kind), _rounded(check_p(p), kind)


# Scales are computed in integers: floating-point arithmetic rounds as the calling thread has set,
# and the result must not depend on that.


@functools.lru_cache(maxsize=256)
def _keep_probability(p: float) -> float:
    numerator, denominator = p.as_integer_ratio()
    return _nearest(denominator - numerator, denominator, 53)


def _rounded(scale: float, kind: str) -> float:
    """``scale`` rounded to the type that products of ``kind`` are computed in."""
    return scale if kind == "float64" else _nearest(*scale.as_integer_ratio(), 24)


def _nearest(numerator: int, denominator: int, digits: int) -> float:
    """The fraction, which is not negative, rounded to so many binary digits, to nearest even."""
    if numerator == 0:
        return 0.0
    shift = digits + 1 - numerator.bit_length() + denominator.bit_length()
    numerator <<= max(shift, 0)
    denominator <<= max(-shift, 0)
    quotient, remainder = divmod(numerator, denominator)
    excess = quotient.bit_length() - digits  # one or two digits too many
    kept, lost = quotient >> excess, quotient & ((1 << excess) - 1)
    half = 1 << (excess - 1)
    if lost > half or (lost == half and (remainder or kept & 1)):
        kept += 1
    return math.ldexp(kept, excess - shift)


# -scale * alpha of SELU, in binary64: what its output tends to for large negative input.
_SATURATION: Final = Fraction(1.7580993408473766)

# Binary digits of each kind, and the exponent of its smallest normal number.
_FORMATS: Final = {
    "float16": (11, -14),
    "bfloat16": (8, -126),
    "float32": (24, -126),
    "float64": (53, -1022),
}


def _binary64(x: Fraction) -> Fraction:
    """Rounded to binary64; ``x`` is not negative."""
    return Fraction(_nearest(x.numerator, x.denominator, 53))


def _root(x: Fraction) -> Fraction:
    """The square root, rounded to binary64."""
    shift = max(0, 128 - x.numerator.bit_length() + x.denominator.bit_length()) // 2
    square, rest = divmod(x.numerator << 2 * shift, x.denominator)
    root = math.isqrt(square)
    # Half a unit more stands for all that is lost: with 64 digits it cannot be a tie for 53.
    inexact = rest != 0 or root * root != square
    return _binary64(Fraction(2 * root + inexact, 2 << shift))


@functools.lru_cache(maxsize=256)
def _affine(p: float, kind: str) -> Affine:
    """Each operation of the formulas rounded to binary64."""
    drop, keep = Fraction(p), Fraction(_keep_probability(p))
    variance = _binary64(keep * _binary64(1 + _binary64(drop * _binary64(_SATURATION**2))))
    scale = _binary64(1 / _root(variance))
    below = _binary64(scale * _SATURATION)  # -scale * alpha'
    shift = _binary64(below * drop)
    dropped = -float(_binary64(below - shift)) if below > shift else 0.0
    a, b = _rounded(float(scale), kind), _rounded(float(shift), kind)
    return Affine(a, b, _stored(dropped, kind))


def _stored(value: float, kind: str) -> float:
    """``value`` rounded to the type of arrays of ``kind``, which it is in the range of."""
    digits, least = _FORMATS[kind]
    unit = max(math.frexp(value)[1], least + 1) - digits
    return math.copysign(math.ldexp(round(abs(Fraction(value)) / Fraction(2) ** unit), unit), value)


@functools.lru_cache(maxsize=256)
def _noise_deviation(p: float) -> Fraction:
    return _root(_binary64(Fraction(p) / Fraction(_keep_probability(p))))
