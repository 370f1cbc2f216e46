"""The oracle: known answers of the random stream, version 1, from its definition alone.

Python's integers and fractions, one element at a time, no NumPy and nothing of fastdrop: slow, and
short enough to be checked by eye against the definition of the stream.

    python tests/make_known_answers.py            writes known_answers.txt beside this file
    python tests/make_known_answers.py --check    fails where the file says something else
"""

import itertools
import math
import re
import struct
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

PATH = Path(__file__).with_name("known_answers.txt")

HEADER = """\
# Known answers of fastdrop's random stream, version 1.
#
# A line is a kind of record and its entries, separated by blanks; lines that begin with # are
# comments. Integers are decimal, or hexadecimal after 0x: what C's strtoull(text, 0, 0) reads.
# Floating-point numbers are given by their bits: p always as a binary64. A mask is pairs of
# hexadecimal digits, the bytes of its packed form: bit e & 7 of byte e >> 3 is element e, 1 = keep.
#
#   mix       z result                               SplitMix64's finaliser
#   child     stream i result                        the stream of child i
#   keys      seed stream K0 K1
#   block     seed stream block A B u
#   lane      seed stream block j s0 s1              lane j of the block, before its first step
#   fields    seed stream position field*16          16-bit fields from the position on, unsigned
#   plan      p threshold fraction
#   mask      seed stream offset p n mask            n decisions from the offset on
#   digest    seed stream offset p n kept hash       kept: how many of n; hash: FNV-1a, 64 bits, of
#                                                    the bytes of the packed mask
#   scale     kind p inverted standard               1 / (1 - p) and 1 - p in the compute type
#   multiply  kind scale x y                         a kept element, all by their bits (scale: of
#                                                    the compute type); "nan" is any nan
#   dropblock seed stream offset p block planes depth height width gamma kept mask
#                                                    DropBlock's mask of all elements of all planes
#                                                    (an axis that is not there is 0); gamma: the
#                                                    rate of the seeds, as p; kept: how many
#   normal    word z                                 the normal variate of a 32-bit word, a binary32
#   variates  seed stream offset n z*n               n of them: each of the fields at two positions,
#                                                    the lower half of its word first
#
# Positions are modulo 2^64: the position after 0xffffffffffffffff is 0.
"""

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


# --- the file ---------------------------------------------------------------------------------

SEEDS = (0, 1, 0x0123456789ABCDEF, WORD - 1)
STREAMS = (0, 1, 0xFEDCBA9876543210, WORD - 1)
LAST = 2**52 - 1
PROBABILITIES = (
    5e-324, 2.0**-80, 2.0**-60, 1e-9, 2.0**-17, 2.0**-16, 1e-3, 0.1, 0.2, 0.3, 0.5,
    0.7, 0.9, 0.999, 1 - 1e-9, 1 - 2.0**-53,
)  # fmt: skip


def hexadecimal(number: int, bits: int = 64) -> str:
    return f"0x{number:0{bits // 4}x}"


def p_bits(p: float) -> str:
    return hexadecimal(struct.unpack("<Q", struct.pack("<d", p))[0])


def line(record: str, *entries: int | str) -> str:
    words = (str(e) if isinstance(e, str) or e < 10**6 else hexadecimal(e) for e in entries)
    return " ".join((record, *words))


def stream_lines() -> Iterator[str]:
    for z in (0, 1, G, 2**63, WORD - 1):
        yield line("mix", z, hexadecimal(mix(z)))
    for stream, i in ((0, 0), (0, 1), (1, 0), (WORD - 1, 12345)):
        yield line("child", stream, i, hexadecimal(mix(stream + (i + 1) * G)))
    pairs = [(seed, stream) for seed in SEEDS for stream in STREAMS]
    for seed, stream in pairs:
        yield line("keys", seed, stream, *map(hexadecimal, keys(seed, stream)))
    for seed, stream in pairs:
        for block in (0, 1, 2**40, LAST):
            words = map(hexadecimal, block_words(seed, stream, block))
            yield line("block", seed, stream, block, *words)
    for seed, stream, block in ((0, 0, 0), (1, 2, 3), (WORD - 1, WORD - 1, LAST)):
        a, b, _ = block_words(seed, stream, block)
        for j in range(16):
            yield line("lane", seed, stream, block, j, *map(hexadecimal, lane_state(a, b, j)))
    for seed, stream in pairs:
        source = Stream(seed, stream)
        for start in (0, 60, 4088, 2**63 + 1, WORD - 8):
            fields = (hexadecimal(source.field(start + i), 16) for i in range(16))
            yield line("fields", seed, stream, start, *fields)


def mask_lines() -> Iterator[str]:
    for p in (0.0, *PROBABILITIES, 1.0):
        threshold, fraction = plan(p)
        yield line("plan", p_bits(p), threshold, hexadecimal(fraction))
    places = [
        (0, 0, 0, 200),
        (1, 0, 0, 17),
        (1, 2, 1, 63),
        (0x0123456789ABCDEF, 0xFEDCBA9876543210, 4095, 130),
        (5, 6, 2**63 + 63, 65),
        (WORD - 1, WORD - 1, WORD - 77, 77),
        (7, 8, WORD - 77, 154),
    ]
    for p in (0.0, 0.1, 0.5, 0.9, 1.0):
        for seed, stream, offset, n in places:
            bits = packed(mask(seed, stream, offset, p, n)).hex()
            yield line("mask", seed, stream, offset, p_bits(p), n, bits)
    for i, p in enumerate((0.0, *PROBABILITIES, 1.0)):
        for seed, stream, offset, n in (
            (2 * i, 3 * i, 0, 12365),
            (mix(i), mix(i + 100), mix(i + 200), 8193),
        ):
            decisions = mask(seed, stream, offset, p, n)
            digest = hexadecimal(fnv1a(packed(decisions)))
            yield line("digest", seed, stream, offset, p_bits(p), n, sum(decisions), digest)


def arithmetic_lines() -> Iterator[str]:
    for kind, (width, exponent_bits, mantissa_bits) in FORMATS.items():
        compute = COMPUTE[kind]
        compute_width = FORMATS[compute][0]
        for p in (0.0, *PROBABILITIES):
            both = (hexadecimal(encode(0, s, compute), compute_width) for s in scales(p, kind))
            yield line("scale", kind, p_bits(p), *both)
        one = 2 ** (exponent_bits - 1) - 1 << mantissa_bits
        infinity = 2**exponent_bits - 1 << mantissa_bits
        smallest_normal = 1 << mantissa_bits
        magnitudes = [
            0, 1, 2, 3, 5, smallest_normal // 2 + 1, smallest_normal - 1, smallest_normal,
            smallest_normal + 1, one - 1, one, one + 1, one + 3, infinity // 2,
            infinity - smallest_normal, infinity - 3, infinity - 1, infinity, infinity + 1,
            2 ** (width - 1) - 1, *(mix(i) % infinity for i in range(6)),
        ]  # fmt: skip
        for p in (0.1, 0.3, 1 - 2.0**-53):
            for scale in dict.fromkeys(scales(p, kind)):
                bits = hexadecimal(encode(0, scale, compute), compute_width)
                for sign in (0, 1):
                    for magnitude in magnitudes:
                        x = sign << width - 1 | magnitude
                        y = multiply(x, scale, kind)
                        yield line("multiply", kind, bits, hexadecimal(x, width), y)


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


def block_lines() -> Iterator[str]:
    for p, block_size, planes, *lengths in (
        (0.0, 3, 2, 9),
        (0.3, 1, 3, 65),
        (0.3, 3, 5, 65),
        (0.4, 4, 1, 200),
        (0.9, 7, 9, 3),
        (1.0, 2, 3, 2),
        (0.1, 7, 9, 28, 28),
        (0.5, 3, 17, 5, 7),
        (0.5, 2, 3, 1, 70),
        (0.2, 5, 3, 11, 65),
        (0.5, 2, 10, 3, 4, 5),
        (0.3, 3, 2, 4, 3, 66),
        (1.0, 3, 3, 5, 5, 5),
    ):
        block = min(block_size, *lengths)
        gamma = seed_rate(p, block, lengths)
        shape = [0] * (3 - len(lengths)) + lengths
        for seed, stream, offset in ((1, 2, 0), (mix(3), mix(4), 4095), (5, 6, WORD - 77)):
            keep = block_mask(seed, stream, offset, gamma, block, planes, lengths)
            yield line(
                "dropblock", seed, stream, offset, p_bits(p), block_size, planes, *shape,
                p_bits(gamma), sum(keep), packed(keep).hex(),
            )  # fmt: skip


def normal_lines() -> Iterator[str]:
    rows = normal_rows()
    words = [0, WORD // 2**32 - 1, 2**31, 2**31 - 1]
    for octave in range(1, 31):
        low = 2**octave
        words += [low, low + low // 2, 2 * low - 1, 2**32 - low, 2**32 - low - low // 3]
    words += [mix(i) >> 32 for i in range(40)]
    for word in dict.fromkeys(words):
        bits = normal(word, rows)
        yield line("normal", hexadecimal(word, 32), hexadecimal(bits, 32))
    for seed, stream, offset, n in (
        (0, 0, 0, 65),
        (1, 2, 1, 40),
        (0x0123456789ABCDEF, 0xFEDCBA9876543210, 4095, 33),
        (5, 6, 2 * 4096 - 40, 40),
        (WORD - 1, WORD - 1, WORD - 77, 38),
        (7, 8, WORD - 77, 60),
    ):
        source = Stream(seed, stream)
        pairs = [(source.field(offset + 2 * i), source.field(offset + 2 * i + 1)) for i in range(n)]
        z = (hexadecimal(normal(low | high << 16, rows), 32) for low, high in pairs)
        yield line("variates", seed, stream, offset, n, *z)


def text() -> str:
    lines = ["version 1", *stream_lines(), *mask_lines(), *arithmetic_lines(), *block_lines()]
    lines += normal_lines()
    return HEADER + "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    if arguments == ["--check"]:
        same = PATH.read_text(encoding="ascii") == text()
        print(f"{PATH.name} {'is as it should be' if same else 'DIFFERS from the definition'}")
        return 0 if same else 1
    PATH.write_text(text(), encoding="ascii", newline="\n")
    print(f"wrote {PATH.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
