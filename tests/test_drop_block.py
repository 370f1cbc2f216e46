"""DropBlock: its rates and scale, the backends' masks of blocks, and memory.

That it is the paper's algorithm is seen over the table of cases, where that is written out. Every
number of threads: test_threads.c.
"""

import itertools
import math
from typing import Any

import numpy as np
import oracle
from support import Guarded, core_or_skip, double, number, peak_of, records

import fastdrop
from fastdrop import Key, backends
from fastdrop._rates import kept_scale, make_block_plan

# --- numbers ------------------------------------------------------------------------------------


def test_the_rate_of_seeds_is_rounded_once() -> None:
    for p, lengths, block in (
        (0.1, (28, 28), 7),
        (0.3, (9, 65), 4),
        (1 / 3, (5, 6, 7), 3),
        (0.999, (13,), 13),
        (1e-300, (50, 50), 7),
        (2.0**-60, (64,), 5),
        (1.0, (28, 28), 7),
    ):
        gamma = oracle.seed_rate(p, block, list(lengths))
        assert make_block_plan(p, lengths, block)[:2] == oracle.plan(gamma)


def test_the_rate_of_seeds_is_never_above_p() -> None:
    for p, n in itertools.product((0.3, 1.0), range(1, 40)):
        for block in range(1, n + 1):
            plan = make_block_plan(p, (n, n), block)[:2]
            assert (plan == oracle.plan(p)) if block in (1, n) else (plan < oracle.plan(p))


def test_the_scale_is_rounded_to_binary64_and_then_to_the_compute_type() -> None:
    sizes = np.random.default_rng(3).integers(1, 2**40, 500).tolist()
    for size, kept in ((size, max(1, size // (i % 97 + 1))) for i, size in enumerate(sizes)):
        assert kept_scale(size, kept, "float64") == size / kept
        for kind in ("float32", "float16", "bfloat16"):
            assert kept_scale(size, kept, kind) == np.float32(size / kept)
    assert kept_scale(7, 7, "float32") == 1


# --- the backends' operation ----------------------------------------------------------------------

SHAPES = (
    *((planes, n) for planes in (1, 9) for n in (1, 2, 63, 64, 65, 127, 128, 129, 200)),
    *((7, n, n + 1) for n in (1, 8, 27, 63, 64, 65)),
    (64, 28, 28),
    (100, 9, 65),
    (3, 7, 200),
    (11, 1, 3, 64),
    (13, 5, 6, 7),
    (3, 4, 3, 129),
    (1, 70_001),
    (2, 301, 300),
    (1200, 25, 25),  # several chunks of every backend
)


def masks_of(backend: Any, shape: tuple[int, ...], block: int, p: float, key: Key) -> Guarded:
    """The packed mask, which is also what was counted, in memory that held something else."""
    n = math.prod(shape)
    guarded = Guarded((n + 7) // 8, np.dtype(np.uint8), misalignment=n % 64)
    guarded.array[:] = 0xA5
    plan = make_block_plan(p, shape[1:], block)
    kept = backend.drop_block_packed(guarded.array, shape, block, key, plan)
    assert guarded.intact()
    assert kept == np.bitwise_count(guarded.array).sum()
    if n % 8:
        assert guarded.array[-1] >> n % 8 == 0
    return guarded


def test_all_implementations_draw_the_same_blocks(impl: Any, reference: Any) -> None:
    offsets = (0, 1, 4095, 4096, 2**63 + 17, 2**64 - 1000)
    dropped = 0
    for i, shape in enumerate(SHAPES):
        for j, block_size in enumerate((1, 2, 3, 4, 5, 7, 8, 64, 65)):
            block = min(block_size, *shape[1:])
            key = Key(i, j, offsets[(i + j) % len(offsets)])
            p = (0.01, 0.3, 0.8)[(i + j) % 3]
            got = masks_of(impl, shape, block, p, key)
            want = masks_of(reference, shape, block, p, key)
            assert np.array_equal(got.array, want.array), (shape, block, p, key)
            dropped += math.prod(shape) - int(np.bitwise_count(want.array).sum())
    assert dropped > 100_000


def test_known_blocks(impl: Any) -> None:
    lines = list(records("dropblock"))
    assert len(lines) >= 39
    for seed, stream, offset, p, block_size, planes, *lengths, gamma, kept, mask in lines:
        shape = (number(planes), *(n for n in map(number, lengths) if n))
        block = min(number(block_size), *shape[1:])
        plan = make_block_plan(double(p), shape[1:], block)
        assert plan[:2] == oracle.plan(double(gamma))
        bits = np.full(len(mask) // 2, 0xA5, np.uint8)
        key = Key(number(seed), number(stream), number(offset))
        assert impl.drop_block_packed(bits, shape, block, key, plan) == number(kept)
        assert bits.tobytes().hex() == mask


# --- memory ---------------------------------------------------------------------------------------


def test_no_full_mask_is_made() -> None:
    """Beside the result, a bit for each element."""
    core_or_skip()
    x = np.ones((8, 16, 64, 64), np.float32)
    rng = np.random.SeedSequence(1)  # the compiled front, whose memory is not traced, takes none
    with backends.backend("c"):
        fastdrop.drop_block2d(x, 0.1, rng=rng, out=x)  # what is made once is made before
        peak = peak_of(lambda: fastdrop.drop_block2d(x, 0.1, rng=rng, out=x))
    assert x.size // 8 <= peak < x.size // 8 + 10_000
