"""The self-check of ``python -m fastdrop``: every implementation against known answers.

An implementation is a backend, and for the compiled one also an instruction set. The answers are
checksums, computed once from the definition of the random stream by a programme that shares no
code with fastdrop; the test suite computes them anew.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

from . import backends
from ._arrays import KINDS, Array
from ._config import _core, show_config
from ._rates import make_plan
from ._rng import Key
from .backends.call import Call
from .functions.masks import dropout, dropout_, dropout_mask


class Implementation(NamedTuple):
    """A backend, and the instruction set that it uses if it has a choice."""

    backend: str
    isa: str | None = None

    def __str__(self) -> str:
        return self.backend if self.isa is None else f"{self.backend}-{self.isa}"


def implementations() -> list[Implementation]:
    """All that can run here, the best first."""
    config = show_config(mode="dicts")
    isas = {"c": config["instruction_sets"]["available"]}
    names = config["backend"]["available"]
    return [Implementation(name, isa) for name in names for isa in isas.get(name, [None])]


@contextmanager
def using(implementation: Implementation) -> Iterator[None]:
    """Use ``implementation`` inside a ``with`` statement, in the whole process."""
    with backends.backend(implementation.backend):
        if implementation.isa is None or _core is None:
            yield
            return
        before = _core.get_isa()
        _core.set_isa(implementation.isa)
        try:
            yield
        finally:
            _core.set_isa(before)


class Case(NamedTuple):
    """A call, and the CRC-32 of its packed mask and of its results in `KINDS`' order."""

    seed: int
    stream: int
    offset: int
    p: float
    n: int
    mask: int
    results: tuple[int, int, int, int]


_FAR, _LAST = 4096 * 1_000_003 + 37, 2**64 - 1

CASES = (
    Case(0, 0, 0, 0.5, 4161, 0xC108E7DB, (0x3B478864, 0x249CEAC8, 0x81B44B86, 0x33FE8C46)),
    Case(1, 0, 0, 0.1, 1000, 0x61603114, (0x6FAEDED7, 0x5595B0C5, 0x01169952, 0x8E0AFB36)),
    Case(42, 7, _FAR, 0.3, 4200, 0xE4D52530, (0x2F0BDBC8, 0xC1C72774, 0xEE322E01, 0xA4695688)),
    Case(
        _LAST,
        _LAST,
        _LAST - 1999,
        0.15,
        2000,
        0x712CB973,
        (0x7F753B65, 0xF69C18DF, 0x8F696B43, 0x4334935B),
    ),
    # Only one field value in 65,536 tells a block's two thresholds apart: these keys cover both.
    Case(
        2026, 2**63, 16200, 0.1, 100, 0x56F3A028, (0x72CEF8B3, 0xF909B630, 0xB627F7FA, 0x3D001846)
    ),
    Case(
        2026, 2**63, 91600, 0.1, 100, 0xAB36C2ED, (0xCA724F2E, 0x4D4CD81D, 0xE56E70C8, 0x975E9F43)
    ),
    Case(3, 5, 8191, 0.99, 700, 0xA3BA1BD4, (0xD07A8170, 0x9BEA7A8A, 0x10B90BAE, 0x095AD6D6)),
    Case(12345, 678, 1, 0.05, 1, 0xA505DF1B, (0x78F6ED30, 0xA4315EB5, 0x8E19ED3C, 0xBF0CD2F8)),
    Case(9, 9, 9, 0.0, 70, 0x7044DA20, (0xC5344305, 0x93C2F626, 0x76572A84, 0x2C5E18B3)),
    Case(9, 9, 9, 1.0, 70, 0xE60914AE, (0x84FAD56C, 0x32C5F669, 0xCE771B9E, 0xCE771B9E)),
)
"""Whole blocks and parts of them, from the stream's first position to its last."""


def pattern(kind: str, n: int) -> Array:
    """Numbers of every size and sign, subnormal ones too, but neither inf nor nan."""
    width = {"float32": 32, "float64": 64}.get(kind, 16)
    words = np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    bits = (words >> np.uint64(64 - width)).astype(f"u{width // 8}")
    # Clearing the exponent's highest bit where all of its bits are set leaves no inf and no nan.
    exponent = {"float32": 0x7F800000, "float64": 0x7FF0 << 48, "float16": 0x7C00}.get(kind, 0x7F80)
    top = {"float32": 1 << 30, "float64": 1 << 62}.get(kind, 1 << 14)
    bits[(bits & exponent) == exponent] &= ~np.array(top, bits.dtype)
    return bits.view(kind) if width > 16 else bits


def checksum(array: Array) -> int:
    """CRC-32 of an array's bits, lowest byte first on every machine."""
    bits = array.view(f"u{array.itemsize}")
    return zlib.crc32(bits.astype(bits.dtype.newbyteorder("<")).tobytes())


def _mistakes_in_masks(case: Case, key: Key) -> Iterator[str]:
    backend, plan = backends.active(), make_plan(case.p, "float32")
    bits = np.full((case.n + 7) // 8, 0xA5, np.uint8)
    backend.mask_packed(bits, case.n, key, plan)
    keep = np.zeros(case.n, np.bool_)
    backend.mask_bool(keep, key, plan)
    for words, found in (
        ("packed mask", bits),
        ("bool mask", np.packbits(keep, bitorder="little")),
        ("dropout_mask", dropout_mask(case.n, case.p, rng=key, packed=True)),
    ):
        if checksum(found) != case.mask:
            yield words


def _mistakes_in_results(case: Case, key: Key, kind: str, expected: int) -> Iterator[str]:
    backend, plan, x = backends.active(), make_plan(case.p, kind), pattern(kind, case.n)
    keep = dropout_mask(case.n, case.p, rng=key)
    out = np.ones_like(x)
    drawn = Call("scale", kind, (x,), (out,), (plan.scale,), key, plan)
    given = drawn._replace(key=None, plan=None, mask=np.packbits(keep, bitorder="little"))
    for words, call in (
        ("dropout", drawn),
        ("dropout in place", drawn._replace(reads=(out,))),
        ("a packed mask applied", given),
        ("a bool mask applied", given._replace(mask=keep)),
    ):
        out[...] = x if call.reads[0] is out else 1
        backend.run(call)
        if checksum(out) != expected:
            yield f"{words}, {kind}"
    if x.dtype == kind:
        # Also check the public functions: they reach the kernels through the compiled front.
        for function in (dropout, dropout_):
            if checksum(function(x, case.p, rng=key)) != expected:
                yield f"fastdrop.{function.__name__}, {kind}"


def mistakes(implementation: Implementation) -> list[str]:
    """What ``implementation`` computes differently from the known answers, in words."""
    found = []
    with using(implementation):
        for case in CASES:
            key = Key(case.seed, case.stream, case.offset)
            wrong = [*_mistakes_in_masks(case, key)]
            for kind, expected in zip(KINDS, case.results, strict=True):
                wrong += _mistakes_in_results(case, key, kind, expected)
            found += [f"{what}: {key}, p={case.p}, {case.n} elements" for what in wrong]
    return found
