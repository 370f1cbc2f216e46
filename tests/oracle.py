"""The oracle: the random stream, version 1, and what it means, from the definition alone.

Python's integers and fractions, one element at a time, no NumPy and nothing of fastdrop: slow, and
short enough to be checked by eye against the definition of the stream.
"""

import itertools
import math
import re
from fractions import Fraction
from pathlib import Path

# --- the stream -------------------------------------------------------------------------------

G = 0x9E3779B97F4A7C15
WORD = 2**64


def mix(z: int) -> int:
    z %= WORD
    z ^= z >> 30
    z = z * 0xBF58476D1CE4E5B9 % WORD
    z ^= z >> 27
    z = z * 0x94D049BB133111EB % WORD
    return z ^ z >> 31


def keys(seed: int, stream: int) -> tuple[int, int]:
    return mix(mix(seed + G) ^ stream), mix(mix(seed + 2 * G) + stream)


def block_words(seed: int, stream: int, block: int) -> tuple[int, int, int]:
    k0, k1 = keys(seed, stream)
    a = mix(k0 + block * G)
    return a, mix(k1 + block * G), mix(a + 17 * G)


def lane_state(a: int, b: int, j: int) -> tuple[int, int]:
    return mix(a + (j + 1) * G), mix(b + (j + 1) * G) | 1


class Stream:
    """The fields and thresholds of one (seed, stream), by position."""

    def __init__(self, seed: int, stream: int) -> None:
        self.seed, self.stream = seed, stream
        self.blocks: dict[int, list[list[int]]] = {}

    def outputs(self, block: int) -> list[list[int]]:
        """r[t][j] of the block."""
        if block not in self.blocks:
            a, b, _ = block_words(self.seed, self.stream, block)
            states = [lane_state(a, b, j) for j in range(16)]
            rows = []
            for _ in range(64):
                rows.append([(s0 + s1) % WORD for s0, s1 in states])
                for j, (s0, s1) in enumerate(states):
                    x = (s0 ^ s0 << 23) % WORD
                    states[j] = s1, x ^ s1 ^ x >> 18 ^ s1 >> 5
            self.blocks[block] = rows
        return self.blocks[block]

    def field(self, position: int) -> int:
        """The 16 bits at a position, unsigned."""
        e = position % WORD
        r = self.outputs(e >> 12)[e >> 6 & 63][e >> 2 & 15]
        return r >> 16 * (e & 3) & 0xFFFF

    def threshold(self, position: int, p: float) -> int:
        threshold, fraction = plan(p)
        _, _, u = block_words(self.seed, self.stream, position % WORD >> 12)
        return threshold + (u < fraction)

    def keep(self, position: int, threshold: int) -> bool:
        field = self.field(position)
        signed = field - 65536 if field >= 32768 else field
        return signed >= threshold - 32768


def plan(p: float) -> tuple[int, int]:
    x = 65536 * Fraction(p)
    threshold = math.floor(x)
    return threshold, math.floor((x - threshold) * WORD)


def mask(seed: int, stream: int, offset: int, p: float, n: int) -> list[bool]:
    source = Stream(seed, stream)
    thresholds: dict[int, int] = {}
    decisions = []
    for position in range(offset, offset + n):
        block = position >> 12
        if block not in thresholds:
            thresholds[block] = source.threshold(position, p)
        decisions.append(source.keep(position, thresholds[block]))
    return decisions


def packed(decisions: list[bool]) -> bytes:
    result = bytearray((len(decisions) + 7) // 8)
    for e, keep in enumerate(decisions):
        result[e >> 3] |= keep << (e & 7)
    return bytes(result)


def fnv1a(data: bytes) -> int:
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 % WORD
    return value


def hexadecimal(number: int, bits: int = 64) -> str:
    return f"0x{number:0{bits // 4}x}"


# --- floating point ---------------------------------------------------------------------------

# kind: (bits in all, bits of the exponent, bits of the mantissa), and the kind products are made in
FORMATS = {
    "float16": (16, 5, 10),
    "bfloat16": (16, 8, 7),
    "float32": (32, 8, 23),
    "float64": (64, 11, 52),
}
COMPUTE = {"float16": "float32", "bfloat16": "float32", "float32": "float32", "float64": "float64"}


def decode(bits: int, kind: str) -> tuple[int, Fraction | str]:
    """The sign bit, and the magnitude or "inf" or "nan"."""
    width, exponent_bits, mantissa_bits = FORMATS[kind]
    sign = bits >> width - 1
    exponent = bits >> mantissa_bits & 2**exponent_bits - 1
    mantissa = bits & 2**mantissa_bits - 1
    if exponent == 2**exponent_bits - 1:
        return sign, "nan" if mantissa else "inf"
    if exponent:
        mantissa += 2**mantissa_bits
    bias = 2 ** (exponent_bits - 1) - 1
    return sign, mantissa * Fraction(2) ** (max(exponent, 1) - bias - mantissa_bits)


def encode(sign: int, value: Fraction | str, kind: str) -> int:
    """The bits of the nearest number, to even, or of inf. A nan has no certain bits."""
    width, exponent_bits, mantissa_bits = FORMATS[kind]
    infinity = 2**exponent_bits - 1 << mantissa_bits
    if isinstance(value, str):
        assert value == "inf"
        return sign << width - 1 | infinity
    bias = 2 ** (exponent_bits - 1) - 1
    # The lengths of numerator and denominator give the exponent, or one more.
    exponent = value.numerator.bit_length() - value.denominator.bit_length() + bias
    if value < Fraction(2) ** (exponent - bias):
        exponent -= 1
    exponent = max(exponent, 1) if value else 1  # subnormals and 0 share the smallest one
    # In units of the last place; Fraction rounds to even. A carry out of the mantissa, up to
    # infinity, is an addition of 1 to the exponent beside it.
    units = round(value / Fraction(2) ** (exponent - bias - mantissa_bits))
    magnitude = (exponent - 1 << mantissa_bits) + units
    return sign << width - 1 | min(magnitude, infinity)


def rounded(value: Fraction, kind: str) -> Fraction:
    result = decode(encode(0, value, kind), kind)[1]
    assert isinstance(result, Fraction)
    return result


def scales(p: float, kind: str) -> tuple[Fraction, Fraction]:
    """1 / (1 - p) and 1 - p: computed in binary64, then rounded to the compute type."""
    kept = rounded(1 - Fraction(p), "float64")
    inverse = rounded(1 / kept, "float64")
    return rounded(inverse, COMPUTE[kind]), rounded(kept, COMPUTE[kind])


def multiply(x: int, scale: Fraction, kind: str) -> str:
    sign, value = decode(x, kind)
    if value == "nan":
        return "nan"
    if isinstance(value, Fraction):
        product = encode(sign, value * scale, COMPUTE[kind])
        sign, value = decode(product, COMPUTE[kind])
    return hexadecimal(encode(sign, value, kind), FORMATS[kind][0])


# --- normal variates --------------------------------------------------------------------------

# The polynomials' coefficients are a part of the stream's definition that is too long to repeat.
COEFFICIENTS = Path(__file__).parents[1] / "csrc" / "coefficients.h"


def normal_rows() -> list[list[Fraction]]:
    """Row k: the coefficients of (f - 3/2)^k, by the octave's lowest five bits."""
    table = COEFFICIENTS.read_text(encoding="ascii").partition("fd_normal_f32[6][32] = {")[2]
    numbers = re.findall(r"-?0x[0-9a-f.]+p[+-]\d+(?=f)", table.partition("};")[0])
    exact = [Fraction(float.fromhex(number)) for number in numbers]
    assert len(exact) == 6 * 32
    return [exact[i : i + 32] for i in range(0, len(exact), 32)]


def rounded_sum(value: Fraction) -> Fraction:
    """To binary32, of either sign; 0 has none here, and none of the sums is 0."""
    return rounded(abs(value), "float32") * (1 if value >= 0 else -1)


def normal(word: int, rows: list[list[Fraction]]) -> int:
    """The bits of the variate of a word, every operation rounded to binary32."""
    s = word | 1
    number = Fraction(s - 2**32 if s >= 2**31 else s)
    bits = encode(number < 0, abs(number), "float32")
    octave = bits >> 23 & 31
    f = decode(bits & 0x007FFFFF | 0x3F800000, "float32")[1]
    assert isinstance(f, Fraction)
    f = rounded_sum(f - Fraction(3, 2))
    z = rows[5][octave]
    for k in range(4, -1, -1):
        z = rounded_sum(rounded_sum(z * f) + rows[k][octave])
    return encode(z < 0, abs(z), "float32") ^ bits & 0x80000000


# --- DropBlock ---------------------------------------------------------------------------------


def seed_rate(p: float, block: int, lengths: list[int]) -> float:
    """Gamma of DropBlock, rounded once to binary64; it is at most p."""
    volume = math.prod(lengths)
    places = math.prod(n - block + 1 for n in lengths)
    return float(Fraction(p) / block ** len(lengths) * volume / places)


def block_mask(
    seed: int, stream: int, offset: int, gamma: float, block: int, planes: int, lengths: list[int]
) -> list[bool]:
    """Every element of every plane: kept if no block with a seed at its lowest corner holds it."""
    corners = [range(n - block + 1) for n in lengths]
    no_seed = mask(seed, stream, offset, gamma, planes * math.prod(map(len, corners)))
    dropped = set()
    for (plane, *corner), none in zip(
        itertools.product(range(planes), *corners), no_seed, strict=True
    ):
        if not none:
            dropped |= {
                (plane, *element)
                for element in itertools.product(*(range(c, c + block) for c in corner))
            }
    elements = itertools.product(range(planes), *map(range, lengths))
    return [element not in dropped for element in elements]
