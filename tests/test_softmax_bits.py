"""Softmax with dropout: every backend and instruction set gives the reference's bits.

Sums included: they have one order. Rows of every length around a boundary, groups of rows whose
positions lie apart, rows of which only a part is seen, masks of any strides.
"""

import hashlib
import itertools
from typing import Any

import numpy as np
import pytest
from computing import KINDS
from support import difference, guarded, same_bits, to_storage

from fastdrop import backends
from fastdrop._rates import make_plan
from fastdrop._score_rows import Rows
from fastdrop.stream import Key

LENGTHS = (
    1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 48, 49, 63, 64, 65, 79, 80, 81, 127, 128,
    129, 191, 192, 193, 255, 256, 257,
)  # fmt: skip
LONG = (4095, 4096, 4097, 8192 + 33)
REFERENCE = backends.load("numpy")


def pair(kind: str, count: int, n: int, seed: int | None = None, spread: float = 3) -> Any:
    """Scores and a gradient."""
    seed = n if seed is None else seed
    for i, size in enumerate((spread, 3)):
        values = np.random.default_rng(seed + i).standard_normal((count, n)) * size
        yield to_storage(values, kind)


def plain(count: int, n: int, scale: float = 0.25, mask: np.ndarray | None = None) -> Rows:
    return Rows(scale, mask, count, count * n, n, n)


_known: dict[object, list[np.ndarray]] = {}
"""What the reference said: it says so to every implementation."""


def reference(kind: str, x: np.ndarray, dy: np.ndarray, rows: Rows, key: Key, p: float) -> Any:
    operands = hashlib.sha256(x.tobytes() + dy.tobytes())
    if rows.mask is not None:
        operands.update(f"{rows.mask.dtype}".encode() + rows.mask.tobytes())
    case = (operands.digest(), x.shape, kind, rows._replace(mask=None), key, p)
    if case not in _known:
        plan = make_plan(p, kind)
        want = [np.empty_like(x) for _ in range(3)]
        REFERENCE.softmax_dropout(x, want[0], kind, rows, key, plan)
        REFERENCE.softmax_dropout_backward(x, dy, want[1], want[2], kind, rows, key, plan)
        assert same_bits(want[2], want[0], kind)
        _known[case] = want
    return _known[case]


def compare(impl, kind, x, dy, rows, key, p, at=(0, 0, 0)) -> None:
    """Forward and backward, apart and in place, against the reference."""
    case = (kind, x.shape, rows._replace(mask=None), key, p, at)
    plan = make_plan(p, kind)
    y, dx, weights = reference(kind, x, dy, rows, key, p)

    def check(memory, wanted, *what):
        for i, got in enumerate(memory):
            want = wanted[i] if i in wanted else (x, dy)[i]  # an operand is not written
            assert same_bits(got.array, want, kind), (*case, *what, i, difference(got.array, want))
            assert got.intact(), case

    for at_y in (0, 1):
        memory = [guarded(x, at[0]), guarded(dy, at[1])]
        impl.softmax_dropout(memory[0].array, memory[at_y].array, kind, rows, key, plan)
        check(memory, {at_y: y}, "forward", at_y)
    # dx and weights: apart, in the places of both operands, crossed, and without weights.
    for at_dx, at_weights in ((2, 3), (0, 1), (1, 0), (2, 0), (1, None)):
        used = range(1 + max(1, at_dx, at_weights or 0))
        memory = [guarded((x, dy, x, x)[i], (*at, at[2])[i]) for i in used]
        a, b, into = memory[0].array, memory[1].array, memory[at_dx].array
        more = None if at_weights is None else memory[at_weights].array
        impl.softmax_dropout_backward(a, b, into, more, kind, rows, key, plan)
        check(memory, {at_dx: dx, at_weights: weights}, "gradient", at_dx, at_weights)


@pytest.mark.parametrize("kind", KINDS)
def test_lengths(impl, kind):
    for n in LENGTHS + LONG:
        count = 5 if n <= 257 else 2
        compare(impl, kind, *pair(kind, count, n), plain(count, n), Key(3, 4, 77), 0.3)


@pytest.mark.parametrize("kind", KINDS)
def test_offsets_and_probabilities(impl, kind):
    for offset, p in itertools.product((0, 1, 4095, 2**64 - 2000), (0.0, 0.1, 1.0)):
        compare(impl, kind, *pair(kind, 7, 70, 1), plain(7, 70), Key(1, 0, offset), p)


@pytest.mark.parametrize("kind", KINDS)
def test_misaligned(impl, kind):
    for at in ((1, 0, 0), (0, 3, 1), (13, 7, 62), (4, 8, 16)):
        for n in (5, 64, 130):
            compare(impl, kind, *pair(kind, 3, n), plain(3, n), Key(5), 0.4, at)


@pytest.mark.parametrize("kind", KINDS)
def test_groups_and_what_is_seen(impl, kind):
    """A tile of attention: rows 5 to 8 of each of 3 heads with 96 queries and 300 keys."""
    for n, visible in ((128, 6), (100, 90), (65, 1), (64, 64), (70, 0)):
        rows = Rows(0.125, None, 4, 96 * 300, 300, visible)
        compare(impl, kind, *pair(kind, 12, n), rows, Key(2, 7, 5 * 300), 0.2)
    rows = Rows(1.0, None, 2, 9 * 4200, 4 * 4200, 4150)
    compare(impl, kind, *pair(kind, 4, 4200), rows, Key(2), 0.2)


def masks(kind: str, n: int) -> dict[str, np.ndarray]:
    """Masks for (2, 3, n) scores: of all strides, some broadcast, some rows without any part."""
    source = np.random.default_rng(n)
    full = source.random((2, 3, n)) < 0.7
    full[0, 1] = False
    add = to_storage(np.where(full, source.standard_normal(full.shape), -np.inf), kind)
    wide = np.zeros((2, 3, 2 * n), add.dtype)
    wide[..., ::2] = add
    return {
        "bool": full,
        "of another byte": np.where(full, np.uint8(7), 0).view(np.bool_),
        "keys": np.broadcast_to(full[:1, :1], full.shape),
        "rows": np.broadcast_to(full[..., :1], full.shape),
        "reversed": full[:, ::-1, ::-1],
        "one": np.broadcast_to(np.True_, full.shape),
        "added": add,
        "added to all": np.broadcast_to(add[1, 2], full.shape),
        "added to rows": np.broadcast_to(add[..., :1], full.shape),
        "added, every other": wide[..., ::2],
    }


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [1, 63, 64, 200, 4100])
def test_masks(impl, kind, n):
    x, dy = pair(kind, 6, n)
    chosen = masks(kind, n)
    if n > 4096:  # what is seen of a mask does not depend on the length, but its place does
        chosen = {name: chosen[name] for name in ("bool", "reversed", "added, every other")}
    for mask in chosen.values():
        compare(impl, kind, x, dy, plain(6, n, 0.5, mask), Key(1, 2, 3), 0.2)
        compare(impl, kind, x, dy, plain(6, n, -2.0, mask)._replace(visible=n // 2), Key(1), 0.2)


@pytest.mark.parametrize("kind", KINDS)
def test_special_numbers(impl, kind):
    special = [np.inf, -np.inf, np.nan, 0.0, -0.0, 1e-45, 5e-324, 65504, 3e38, -3e38, -90, -100]
    for n in (9, 64, 150):
        x, dy = pair(kind, 40, n, spread=20)
        some = to_storage(special, kind)
        for i, number in enumerate(some):
            x[2 * i, i % n] = number
            x[2 * i + 1] = number
        dy[30, 3], dy[31, 4], dy[32, 5] = some[0], some[2], some[1]
        x[36, :5] = some[1]
        for scale in (1.0, 0.0):
            compare(impl, kind, x, dy, plain(40, n, scale), Key(9), 0.3)


def test_exp_of_every_size(impl):
    """Weights of two scores, 0 and z <= 0: exp(z) decides the bits of both."""
    for kind, z in (
        ("float32", -np.geomspace(1e-8, 150, 100_001, dtype=np.float32)),
        ("float64", -np.geomspace(1e-17, 1200, 30_001)),
    ):
        x = np.stack([np.zeros_like(z), z], 1)
        rows, key = plain(len(z), 2, 1.0), Key(1)
        wanted = reference(kind, x, x, rows, key, 0.0)[0]
        y = np.empty_like(x)
        impl.softmax_dropout(x, y, kind, rows, key, make_plan(0.0, kind))
        assert same_bits(y, wanted, kind), difference(y, wanted)
