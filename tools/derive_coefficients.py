"""Derive the constants of the mathematical functions, for C and for Python.

    python tools/derive_coefficients.py            print what is derived, and its errors
    python tools/derive_coefficients.py --check    fail if a file of the repository differs
    python tools/derive_coefficients.py --write    write csrc/coefficients.h and
                                                   src/fastdrop/backends/_coefficients.py

Every polynomial is a minimax approximation, found by Remez' exchange on a grid of Chebyshev points
in 50-digit arithmetic. Its coefficients are then rounded to the type that computes with them, the
highest first, and after each the lower ones are fitted anew, so that they make up for what the
rounding of the higher ones has cost. Nothing depends on the machine: mpmath computes with integers.

How the constants are used stands in src/fastdrop/backends/numpy/functions.py, one operation after
another.
"""

import argparse
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist

import mpmath as mp

ROOT = Path(__file__).resolve().parents[1]
C_FILE = ROOT / "csrc" / "coefficients.h"
PYTHON_FILE = ROOT / "src" / "fastdrop" / "backends" / "_coefficients.py"

Function = Callable[[mp.mpf], mp.mpf]

mp.mp.dps = 50


@dataclass(frozen=True)
class Format:
    """A binary floating-point format."""

    name: str
    precision: int  # bits of the significand, the hidden one included
    bias: int

    def round(self, x: mp.mpf) -> mp.mpf:
        """``x`` to nearest even: every constant is far from the format's limits."""
        with mp.workprec(self.precision):
            return +x


F32 = Format("f32", 24, 127)
F64 = Format("f64", 53, 1023)


# --- Minimax polynomials ----------------------------------------------------------------------


def polynomial(coefficients: Sequence[mp.mpf], x: mp.mpf) -> mp.mpf:
    """A polynomial's value by Horner's rule, lowest coefficient first.

    ``mp.polyval`` takes the highest first, and deprecates that order from mpmath 1.4 on.
    """
    value = mp.mpf(0)
    for coefficient in reversed(coefficients):
        value = value * x + coefficient
    return value


@dataclass(frozen=True)
class Problem:
    """Values ``y`` at points ``x`` in rising order; what counts is the error times ``w``."""

    x: list[mp.mpf]
    y: list[mp.mpf]
    w: list[mp.mpf]

    def errors(self, coefficients: Sequence[mp.mpf]) -> list[mp.mpf]:
        """The weighted errors of a polynomial, lowest coefficient first."""
        return [
            (polynomial(coefficients, x) - y) * w
            for x, y, w in zip(self.x, self.y, self.w, strict=True)
        ]

    def less(self, coefficient: mp.mpf, power: int) -> "Problem":
        """What is left for the other coefficients once this one is fixed."""
        y = [y - coefficient * x**power for x, y in zip(self.x, self.y, strict=True)]
        return Problem(self.x, y, self.w)


def problem(
    function: Function, weight: Function, low: float | mp.mpf, high: float | mp.mpf, points: int
) -> Problem:
    """A function at Chebyshev points from ``low`` to ``high``, both included."""
    x = [
        (mp.mpf(low) + high) / 2 - mp.cos(mp.pi * i / (points - 1)) * (mp.mpf(high) - low) / 2
        for i in range(points)
    ]
    return Problem(x, [function(a) for a in x], [weight(a) for a in x])


def peaks(errors: list[mp.mpf], count: int) -> list[int]:
    """Where the error is largest between two changes of its sign, ``count`` of them."""
    found: list[int] = []
    for i, e in enumerate(errors):
        if found and (errors[found[-1]] > 0) == (e > 0):
            if abs(e) > abs(errors[found[-1]]):
                found[-1] = i
        else:
            found.append(i)
    # Signs have to alternate: an inner one goes with its smaller neighbour, one alone at an end.
    size = [abs(errors[i]) for i in found]
    while len(found) > count:
        last = len(found) - 1
        least = min(range(len(found)), key=size.__getitem__)
        if len(found) == count + 1 and 0 < least < last:
            least = 0 if size[0] < size[last] else last
        gone = {least}
        if 0 < least < last:
            gone.add(least - 1 if size[least - 1] < size[least + 1] else least + 1)
        found = [i for k, i in enumerate(found) if k not in gone]
        size = [abs(errors[i]) for i in found]
    return found


def minimax(task: Problem, degree: int) -> list[mp.mpf]:
    """The coefficients of least maximal error on the points, lowest first (Remez)."""
    count = degree + 2
    last = len(task.x) - 1
    chosen = [round(last * i / (count - 1)) for i in range(count)]
    for _ in range(40):
        # w P(x) + (-1)^i E = w y at the chosen points.
        a = mp.matrix(count, count)
        b = mp.matrix(count, 1)
        for row, i in enumerate(chosen):
            for power in range(degree + 1):
                a[row, power] = task.w[i] * task.x[i] ** power
            a[row, degree + 1] = (-1) ** row
            b[row] = task.w[i] * task.y[i]
        solution = mp.lu_solve(a, b)
        coefficients = list(solution)[:-1]
        errors = task.errors(coefficients)
        if max(map(abs, errors)) <= abs(solution[degree + 1]) * mp.mpf("1.0001"):
            return coefficients
        found = peaks(errors, count)
        if len(found) < count:
            raise ArithmeticError(f"only {len(found)} of {count} alternating peaks")
        chosen = found
    raise ArithmeticError("the exchange does not converge")


def fitted(task: Problem, degree: int, form: Format) -> list[mp.mpf]:
    """Minimax coefficients that are numbers of the format, lowest first."""
    rounded: list[mp.mpf] = []
    left = task
    for power in range(degree, -1, -1):
        c = form.round(minimax(left, power)[power])
        rounded.append(c)
        left = left.less(c, power)
    return rounded[::-1]


def worst(task: Problem, coefficients: Sequence[mp.mpf]) -> float:
    """The largest weighted error of the polynomial, in exact arithmetic."""
    return float(max(map(abs, task.errors(coefficients))))


# --- What is approximated ---------------------------------------------------------------------


Numbers = mp.mpf | list["Numbers"]


@dataclass(frozen=True)
class Value:
    """A number, a polynomial with its lowest coefficient first, or a table of one for each row."""

    name: str
    form: Format
    value: Numbers
    comment: str


def number(name: str, form: Format, x: mp.mpf | float, comment: str) -> Value:
    """A constant, rounded to the format."""
    return Value(name, form, form.round(mp.mpf(x)), comment)


def exponential(form: Format, degree: int) -> Iterator[Value]:
    """The constants of exp(x) for x <= 0: x = n ln 2 + r, exp(x) = 2^n (1 + (r + r^2 q(r)))."""
    lifted = 64
    magic = mp.mpf(3) * 2 ** (form.precision - 2) + form.bias + lifted
    lowest = -104 if form is F32 else -746
    # n ln2_high has to be exact, for n down to lowest / ln 2.
    bits = form.precision - (8 if form is F32 else 11)
    with mp.workprec(bits):
        ln2_high = +mp.ln(2)
    yield number("log2e", form, 1 / mp.ln(2), "log2(e)")
    yield number("magic", form, magic, f"1.5 * 2^{form.precision - 1} + bias + {lifted}")
    yield number("ln2_high", form, ln2_high, f"ln 2 in {bits} bits: times any n it is exact")
    yield number("ln2_low", form, mp.ln(2) - ln2_high, "the rest of ln 2")
    yield number("exp_lowest", form, lowest, "below, exp(x) is 0")
    yield number("lowered", form, mp.mpf(2) ** -lifted, f"2^-{lifted}")

    def quotient(r: mp.mpf) -> mp.mpf:
        return (mp.expm1(r) - r) / r**2

    def weight(r: mp.mpf) -> mp.mpf:
        return r**2 / mp.exp(r)

    half = mp.ln(2) / 2 * (1 + mp.mpf(2) ** -13)
    points = 30 * (degree + 1)  # even: 0 is none of them
    task = problem(quotient, weight, -half, half, points)
    q = fitted(task, degree, form)
    comment = f"q(r) = (exp(r) - 1 - r) / r^2; relative error of exp {worst(task, q):.2g}"
    yield Value("exp_q", form, q, comment)


def normal_tail(form: Format, degree: int, centre: mp.mpf) -> Iterator[Value]:
    """The constants of Phi(-a) = exp(-a^2 / 2) R(a), and of what is made of it.

    R falls from 1/2 to 1/37 or 1/97, but R(a) (a + K) hardly changes: it takes the rounding of
    coefficients well. The variable t = (a - K) / (a + K) maps all a to an interval.
    """
    farthest = mp.mpf("14.5") if form is F32 else mp.mpf("38.75")

    def ratio(t: mp.mpf) -> mp.mpf:
        a = centre * (1 + t) / (1 - t)
        return mp.erfc(a / mp.sqrt(2)) * mp.exp(a * a / 2) / 2 * (a + centre)

    yield number("farthest", form, farthest, "from here on Phi(-a) and phi(a) are 0")
    yield number("tail_centre", form, centre, "K")
    last = (farthest - centre) / (farthest + centre)
    task = problem(ratio, lambda t: 1 / ratio(t), -1, last, 20 * (degree + 1))
    r = fitted(task, degree, form)
    comment = f"R(a) (a + K) in t = (a - K) / (a + K); relative error {worst(task, r):.2g}"
    yield Value("tail_r", form, r, comment)
    yield number("density", form, 1 / mp.sqrt(2 * mp.pi), "1 / sqrt(2 pi)")
    linear = 2 * mp.sqrt(2 / mp.pi)
    yield number("tanh_linear", form, linear, "2 sqrt(2 / pi)")
    yield number("tanh_cubic", form, linear * mp.mpf("0.044715"), "0.044715 times that")
    yield number("tanh_slope", form, 3 * linear * mp.mpf("0.044715"), "and 3 times that")


NORMAL_DEGREE = 5
NORMAL_CENTRE = mp.mpf("1.5")


def quantile(u: mp.mpf) -> mp.mpf:
    """-Phi^-1(u), for u from 2^-32 to 1/2."""
    z = mp.mpf(-NormalDist().inv_cdf(float(u))) if u != 0.5 else mp.mpf(0)
    for _ in range(2):  # Newton: from 16 digits to 32, to 50
        z += (mp.erfc(z / mp.sqrt(2)) / 2 - u) / mp.npdf(z)
    return z


def normal_octave(octave: int) -> Problem:
    """-Phi^-1(U) for U = f 2^(octave - 32), as a function of f - 1.5, f in [1, 2]."""

    def function(h: mp.mpf) -> mp.mpf:
        return quantile((h + NORMAL_CENTRE) * mp.mpf(2) ** (octave - 32))

    return problem(function, lambda _: mp.mpf(1), -0.5, 0.5, 121)


def normal_variates() -> Iterator[Value]:
    """The table of the normal variates: a polynomial for each octave of |t|."""
    columns: list[list[mp.mpf]] = [[mp.mpf(0)] * (NORMAL_DEGREE + 1) for _ in range(32)]
    largest = 0.0
    for octave in range(31):  # in octave 31 lies 2^31 alone, whose variate is 0
        task = normal_octave(octave)
        c = fitted(task, NORMAL_DEGREE, F32)
        largest = max(largest, worst(task, c))
        columns[(octave + F32.bias) & 31] = c
    yield number("normal_centre", F32, NORMAL_CENTRE, "f - 1.5 is exact")
    comment = f"row k: of (f - 1.5)^k, by (bits of t >> 23) & 31; error {largest:.2g}"
    rows: Numbers = [[column[k] for column in columns] for k in range(NORMAL_DEGREE + 1)]
    yield Value("normal", F32, rows, comment)


def derive() -> list[Value]:
    """All constants."""
    return [
        *exponential(F32, degree=4),
        *normal_tail(F32, degree=9, centre=mp.mpf("2.75")),
        *exponential(F64, degree=9),
        *normal_tail(F64, degree=22, centre=mp.mpf(4)),
        *normal_variates(),
    ]


# --- Text -------------------------------------------------------------------------------------


def digits(x: mp.mpf) -> str:
    """A hexadecimal literal, exact: every constant is a binary64 as well."""
    mantissa, exponent = float(x).hex().split("p")
    return f"{mantissa.rstrip('0').rstrip('.')}p{exponent}"


def wrapped(numbers: Sequence[str], separator: str, indent: str) -> str:
    """Numbers one after another, as many on a line as there is room for."""
    lines = textwrap.wrap(separator.join(numbers), 100 - len(indent), break_on_hyphens=False)
    return textwrap.indent("\n".join(lines), indent)


def c_array(value: list[Numbers], suffix: str, indent: str = "") -> str:
    """The initializer of a list of numbers, or of such lists."""
    inner = indent + "    "
    if isinstance(value[0], list):
        text = ",\n".join(inner + c_array(row, suffix, inner) for row in value)
    else:
        text = wrapped([digits(x) + suffix for x in value], ", ", inner)
    return f"{{\n{text},\n{indent}}}"


def c_text(values: list[Value]) -> str:
    """csrc/coefficients.h."""
    text = """\
/* The constants of the mathematical functions: how they are used stands in
   src/fastdrop/backends/numpy/functions.py. Written by tools/derive_coefficients.py: change that,
   and run it with --write. Polynomials have their lowest coefficient first. */
#ifndef FD_COEFFICIENTS_H
#define FD_COEFFICIENTS_H

// clang-format off
"""
    for v in values:
        name = f"{v.name}_{v.form.name}"
        suffix, kind = ("f", "float") if v.form is F32 else ("", "double")
        if not isinstance(v.value, list):
            text += f"#define FD_{name.upper()} {digits(v.value)}{suffix} /* {v.comment} */\n"
            continue
        shape, inner = "", v.value
        while isinstance(inner, list):
            shape, inner = f"{shape}[{len(inner)}]", inner[0]
        text += f"/* {v.comment} */\n"
        text += f"static const {kind} fd_{name}{shape} = {c_array(v.value, suffix)};\n"
    return text + "// clang-format on\n\n#endif\n"


def python_value(value: Numbers, form: Format, indent: str = "") -> str:
    """A number, or a tuple of numbers, or of such tuples."""
    if not isinstance(value, list):
        return f'{form.name}("{digits(value)}")'
    inner = indent + "    "
    if isinstance(value[0], list):
        rows = [f"{inner}{python_value(row, form, inner)},\n" for row in value]
        return f"(\n{''.join(rows)}{indent})"
    return f'{form.name}("""\n{wrapped([digits(x) for x in value], " ", inner)}\n{indent}""")'


def python_text(values: list[Value]) -> str:
    """src/fastdrop/backends/_coefficients.py."""
    text = '''\
"""The constants of the mathematical functions (see ``numpy/functions.py``).

Written by tools/derive_coefficients.py: change that, and run it with --write. Polynomials have
their lowest coefficient first.
"""

from typing import Any, NamedTuple

import numpy as np


def f64(digits: str, number: Any = np.float64) -> Any:
    """A binary64 from its hexadecimal digits, or a tuple from those of several."""
    numbers = tuple(number(float.fromhex(one)) for one in digits.split())
    return numbers if len(numbers) > 1 else numbers[0]


def f32(digits: str) -> Any:
    """The same of binary32."""
    return f64(digits, np.float32)


class Constants(NamedTuple):
    """The constants of the functions, in one format."""

'''
    shared = [v.name for v in values if v.form is F64]
    kinds = {True: "tuple[np.floating[Any], ...]", False: "np.floating[Any]"}
    text += "".join(
        f"    {v.name}: {kinds[isinstance(v.value, list)]}\n" for v in values if v.form is F64
    )

    def line(v: Value, start: str, end: str, indent: str) -> str:
        value = f"{indent}{start}{python_value(v.value, v.form, indent)}{end}"
        comment = f"# {v.comment}"
        if isinstance(v.value, list):
            return f"{indent}{comment}\n{value}\n"
        return f"{value}  {comment}\n"

    for form in (F32, F64):
        ours = [v for v in values if v.form is form and v.name in shared]
        lines = "".join(line(v, f"{v.name}=", ",", "    ") for v in ours)
        text += f"\n\n{form.name.upper()} = Constants(\n{lines})\n"
    for v in values:
        if v.name not in shared:
            text += "\n" + line(v, f"{v.name.upper()} = ", "", "")
    return text


def main(arguments: Sequence[str] | None = None) -> int:
    """Print, check or write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--check", action="store_true", help="fail if a file differs")
    choice.add_argument("--write", action="store_true", help="write the files")
    options = parser.parse_args(arguments)
    values = derive()
    stale = 0
    for path, text in ((C_FILE, c_text(values)), (PYTHON_FILE, python_text(values))):
        if options.write:
            path.write_text(text, encoding="utf-8")
        elif not options.check:
            print(text)
        elif path.read_text(encoding="utf-8") != text:
            print(f"{path.relative_to(ROOT)} is not what is derived")
            stale = 1
    return stale


if __name__ == "__main__":
    sys.exit(main())
