"""Known answers of the random stream, version 1, as the oracle gives them.

What every implementation of the stream is held to, in Python and in C.

    python tests/make_known_answers.py            writes known_answers.txt beside this file
    python tests/make_known_answers.py --check    fails where the file says something else

The comments at the file's head, which explain the records, stand there alone and stay as they are.
"""

import itertools
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

import oracle
from oracle import WORD, G, encode, hexadecimal, mix

PATH = Path(__file__).with_name("known_answers.txt")

SEEDS = (0, 1, 0x0123456789ABCDEF, WORD - 1)
STREAMS = (0, 1, 0xFEDCBA9876543210, WORD - 1)
LAST = 2**52 - 1
PROBABILITIES = (
    5e-324, 2.0**-80, 2.0**-60, 1e-9, 2.0**-17, 2.0**-16, 1e-3, 0.1, 0.2, 0.3, 0.5,
    0.7, 0.9, 0.999, 1 - 1e-9, 1 - 2.0**-53,
)  # fmt: skip


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
    pairs = list(itertools.product(SEEDS, STREAMS))
    for seed, stream in pairs:
        yield line("keys", seed, stream, *map(hexadecimal, oracle.keys(seed, stream)))
    for (seed, stream), block in itertools.product(pairs, (0, 1, 2**40, LAST)):
        words = map(hexadecimal, oracle.block_words(seed, stream, block))
        yield line("block", seed, stream, block, *words)
    for seed, stream, block in ((0, 0, 0), (1, 2, 3), (WORD - 1, WORD - 1, LAST)):
        a, b, _ = oracle.block_words(seed, stream, block)
        for j in range(16):
            yield line(
                "lane", seed, stream, block, j, *map(hexadecimal, oracle.lane_state(a, b, j))
            )
    for seed, stream in pairs:
        source = oracle.Stream(seed, stream)
        for start in (0, 60, 4088, 2**63 + 1, WORD - 8):
            fields = (hexadecimal(source.field(start + i), 16) for i in range(16))
            yield line("fields", seed, stream, start, *fields)


def mask_lines() -> Iterator[str]:
    for p in (0.0, *PROBABILITIES, 1.0):
        threshold, fraction = oracle.plan(p)
        yield line("plan", p_bits(p), threshold, hexadecimal(fraction))
    places = [
        (0, 0, 0, 200), (1, 0, 0, 17), (1, 2, 1, 63),
        (0x0123456789ABCDEF, 0xFEDCBA9876543210, 4095, 130), (5, 6, 2**63 + 63, 65),
        (WORD - 1, WORD - 1, WORD - 77, 77), (7, 8, WORD - 77, 154),
    ]  # fmt: skip
    for p, (*key, n) in itertools.product((0.0, 0.1, 0.5, 0.9, 1.0), places):
        bits = oracle.packed(oracle.mask(*key, p, n)).hex()
        yield line("mask", *key, p_bits(p), n, bits)
    for i, p in enumerate((0.0, *PROBABILITIES, 1.0)):
        hashed = mix(i), mix(i + 100), mix(i + 200)
        for key, n in (((2 * i, 3 * i, 0), 12365), (hashed, 8193)):
            decisions = oracle.mask(*key, p, n)
            digest = hexadecimal(oracle.fnv1a(oracle.packed(decisions)))
            yield line("digest", *key, p_bits(p), n, sum(decisions), digest)


def arithmetic_lines() -> Iterator[str]:
    for kind, (width, exponent_bits, mantissa_bits) in oracle.FORMATS.items():
        compute = oracle.COMPUTE[kind]
        compute_width = oracle.FORMATS[compute][0]
        for p in (0.0, *PROBABILITIES):
            both = (
                hexadecimal(encode(0, s, compute), compute_width) for s in oracle.scales(p, kind)
            )
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
        factors = [magnitude + sign for sign in (0, 2 ** (width - 1)) for magnitude in magnitudes]
        for p in (0.1, 0.3, 1 - 2.0**-53):
            for scale in dict.fromkeys(oracle.scales(p, kind)):
                bits = hexadecimal(encode(0, scale, compute), compute_width)
                for x in factors:
                    y = oracle.multiply(x, scale, kind)
                    yield line("multiply", kind, bits, hexadecimal(x, width), y)


def block_lines() -> Iterator[str]:
    for p, block_size, planes, *lengths in (
        (0.0, 3, 2, 9), (0.3, 1, 3, 65), (0.3, 3, 5, 65), (0.4, 4, 1, 200), (0.9, 7, 9, 3),
        (1.0, 2, 3, 2), (0.1, 7, 9, 28, 28), (0.5, 3, 17, 5, 7), (0.5, 2, 3, 1, 70),
        (0.2, 5, 3, 11, 65), (0.5, 2, 10, 3, 4, 5), (0.3, 3, 2, 4, 3, 66), (1.0, 3, 3, 5, 5, 5),
    ):  # fmt: skip
        block = min(block_size, *lengths)
        gamma = oracle.seed_rate(p, block, lengths)
        shape = [0] * (3 - len(lengths)) + lengths
        given = p_bits(p), block_size, planes, *shape, p_bits(gamma)
        for key in ((1, 2, 0), (mix(3), mix(4), 4095), (5, 6, WORD - 77)):
            keep = oracle.block_mask(*key, gamma, block, planes, lengths)
            yield line("dropblock", *key, *given, sum(keep), oracle.packed(keep).hex())


def normal_lines() -> Iterator[str]:
    rows = oracle.normal_rows()
    words = [0, WORD // 2**32 - 1, 2**31, 2**31 - 1]
    for octave in range(1, 31):
        low = 2**octave
        words += [low, low + low // 2, 2 * low - 1, 2**32 - low, 2**32 - low - low // 3]
    words += [mix(i) >> 32 for i in range(40)]
    for word in dict.fromkeys(words):
        bits = oracle.normal(word, rows)
        yield line("normal", hexadecimal(word, 32), hexadecimal(bits, 32))
    for seed, stream, offset, n in (
        (0, 0, 0, 65), (1, 2, 1, 40), (0x0123456789ABCDEF, 0xFEDCBA9876543210, 4095, 33),
        (5, 6, 2 * 4096 - 40, 40), (WORD - 1, WORD - 1, WORD - 77, 38), (7, 8, WORD - 77, 60),
    ):  # fmt: skip
        source = oracle.Stream(seed, stream)
        pairs = [(source.field(offset + 2 * i), source.field(offset + 2 * i + 1)) for i in range(n)]
        z = (hexadecimal(oracle.normal(low | high << 16, rows), 32) for low, high in pairs)
        yield line("variates", seed, stream, offset, n, *z)


def text() -> str:
    makers = stream_lines, mask_lines, arithmetic_lines, block_lines, normal_lines
    head = PATH.read_text(encoding="ascii").partition("version 1\n")[:2]
    lines = itertools.chain.from_iterable(make() for make in makers)
    return "".join(head) + "\n".join(lines) + "\n"


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        same = PATH.read_text(encoding="ascii") == text()
        sys.exit(None if same else f"{PATH.name} DIFFERS from the definition")
    PATH.write_text(text(), encoding="ascii", newline="\n")
