"""DropBlock: against the paper's algorithm, written out, and between implementations.

The reference draws its seeds with `dropout_mask` under the same key, with gamma as the probability
of dropping, and drops block after block in plain loops.
"""

import itertools
import math
import tracemalloc
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import oracle
import pytest
from support import Guarded, core_or_skip, double, number, records

import fastdrop
from fastdrop import Generator, Key, backends
from fastdrop._plan import kept_scale, make_block_plan
from fastdrop._rng import RNGLike

KEY = Key(11, 22, 3 * 4096 + 5)
FUNCTIONS = (fastdrop.drop_block1d, fastdrop.drop_block2d, fastdrop.drop_block3d)


class Case(NamedTuple):
    """A function by its number of spatial axes, a shape that it takes, and a size of blocks."""

    axes: int
    shape: tuple[int, ...]
    block_size: int

    def __call__(self, x: Any, p: float = 0.3, *, rng: RNGLike = KEY, **options: Any) -> np.ndarray:
        return FUNCTIONS[self.axes - 1](x, p, self.block_size, rng=rng, **options)

    @property
    def lengths(self) -> tuple[int, ...]:
        return self.shape[-self.axes :]

    @property
    def block(self) -> int:
        return min(self.block_size, *self.lengths)

    @property
    def corners(self) -> tuple[int, ...]:
        return (*self.shape[: -self.axes], *(n - self.block + 1 for n in self.lengths))


CASES = [
    Case(1, (2, 3, 11), 3),
    Case(1, (5, 20), 4),
    Case(1, (2, 3, 5), 7),  # shorter than the block
    Case(1, (3, 3, 1), 2),
    Case(1, (2, 2, 200), 9),
    Case(2, (2, 3, 9, 10), 3),
    Case(2, (3, 12, 7), 2),
    Case(2, (2, 2, 3, 14), 7),  # lower than the block
    Case(2, (2, 2, 14, 3), 7),
    Case(2, (2, 3, 6, 65), 5),
    Case(2, (2, 3, 5, 7), 1),
    Case(3, (2, 2, 5, 4, 6), 2),
    Case(3, (3, 4, 5, 3), 3),
    Case(3, (2, 1, 3, 4, 66), 7),
]
ALL = pytest.mark.parametrize("case", CASES, ids=[f"{c.shape}-{c.block_size}" for c in CASES])


def dtype_of(dtype: str) -> np.dtype[Any]:
    if dtype == "bfloat16":
        return np.dtype(pytest.importorskip("ml_dtypes").bfloat16)
    return np.dtype(dtype)


def values(shape: tuple[int, ...], dtype: Any = np.float64) -> np.ndarray:
    return np.random.default_rng(1).uniform(0.5, 2, shape).astype(dtype)


def reference_mask(case: Case, p: float, key: Key) -> np.ndarray:
    """Algorithm 1: a seed with probability gamma, a block of zeros for every seed."""
    gamma = Fraction(p) / case.block**case.axes
    for n in case.lengths:
        gamma *= Fraction(n, n - case.block + 1)
    seed = ~fastdrop.dropout_mask(case.corners, float(gamma), rng=key)
    keep = np.ones(case.shape, np.bool_)
    for place in itertools.product(*map(range, case.corners)):
        if seed[place]:
            for step in itertools.product(range(case.block), repeat=case.axes):
                corner = place[-case.axes :]
                keep[
                    (*place[: -case.axes], *(i + j for i, j in zip(corner, step, strict=True)))
                ] = 0
    return keep


def reference(case: Case, x: np.ndarray, p: float, key: Key) -> np.ndarray:
    """x m count(m) / sum(m), the scale and the product rounded as the dtype's rules say."""
    keep = reference_mask(case, p, key)
    compute = np.float64 if x.dtype == np.float64 else np.float32
    y = np.zeros_like(x)
    for index in itertools.product(*map(range, x.shape)):
        if keep[index]:
            scale = compute(np.float64(keep.size) / np.float64(keep.sum()))
            y[index] = (x[index].astype(compute) * scale).astype(x.dtype)
    return y


@pytest.mark.usefixtures("impl")
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
@ALL
def test_the_algorithm(case: Case, dtype: str) -> None:
    x = values(case.shape, dtype_of(dtype))
    before = x.copy()
    for p in (0.2, 0.7):
        y = case(x, p)
        assert y.dtype == x.dtype
        assert y.shape == x.shape
        assert np.array_equal(y, reference(case, x, p, KEY))
    assert np.array_equal(x, before)


def test_the_defaults() -> None:
    x = values((2, 3, 16, 16))
    want = fastdrop.drop_block2d(x, 0.5, 7, True, rng=1)
    assert np.array_equal(fastdrop.drop_block2d(x, rng=1), want)
    assert np.array_equal(fastdrop.drop_block2d(x, p=0.5, block_size=7, training=1, rng=1), want)


@pytest.mark.usefixtures("impl")
@ALL
def test_where_the_result_goes(case: Case) -> None:
    x = values(case.shape)
    want = case(x)
    out = np.full_like(x, 7)
    assert case(x, out=out) is out
    assert np.array_equal(out, want)
    every_other = np.full((*x.shape, 2), 7.0)[..., 0]
    case(x.copy(order="F"), out=every_other)
    assert np.array_equal(every_other, want)
    reverse = tuple(slice(None, None, -1) for _ in x.shape)
    assert np.array_equal(case(x[reverse].copy(order="C")[reverse]), want)
    assert np.array_equal(case(x.tolist()), want)
    assert case(x, out=x) is x
    assert np.array_equal(x, want)


@ALL
def test_evaluation_draws_nothing(case: Case) -> None:
    x, generator = values(case.shape), Generator(1)
    assert case(x, training=False, rng=generator) is x
    out = np.zeros_like(x)
    assert case(x, training=False, rng=generator, out=out) is out
    assert np.array_equal(out, x)
    assert generator.offset == 0


@pytest.mark.parametrize(("axes", "shape"), [(1, (0, 3, 5)), (1, (2, 3, 0)), (3, (2, 0, 3, 0, 4))])
def test_an_empty_array_draws_nothing(axes: int, shape: tuple[int, ...]) -> None:
    generator, case = Generator(1), Case(axes, shape, 3)
    x, out = np.ones(shape, np.float32), np.ones(shape, np.float32)
    assert case(x, rng=generator) is x
    assert case(x, rng=generator, out=out) is out
    assert generator.offset == 0


@pytest.mark.parametrize("p", [0, 0.3, 1])
def test_what_is_reserved_is_the_places_of_blocks(p: float) -> None:
    generator = Generator(1)
    shape = (3, 5, 40, 30)
    assert 2 * 4096 < 3 * 5 * 36 * 26 < 4 * 4096 < math.prod(shape)
    fastdrop.drop_block2d(np.ones(shape, np.float32), p, 5, rng=generator)
    assert generator.offset == 4 * 4096


def test_the_last_positions_of_the_stream() -> None:
    x = values((1, 2, 9, 9))
    last = 2**64 - 2 * 7 * 7
    assert (fastdrop.drop_block2d(x, 0.5, 3, rng=Key(1, 0, last)) == 0).any()
    with pytest.raises(OverflowError, match="98 positions"):
        fastdrop.drop_block2d(x, 0.5, 3, rng=Key(1, 0, last + 1))


@pytest.mark.usefixtures("impl")
@ALL
def test_at_0_all_is_kept_as_it_is(case: Case) -> None:
    x = values(case.shape)
    x.reshape(-1)[:3] = np.inf, -0.0, 5e-324
    y = case(x, 0)
    assert y is not x
    assert y.tobytes() == x.tobytes()


@pytest.mark.usefixtures("impl")
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
def test_where_nothing_is_kept_all_is_zero(dtype: str) -> None:
    """At p = 1 with one place for a block, gamma is 1."""
    x = np.full((3, 4, 5, 5), -1, dtype_of(dtype))
    x[0, 0, 0] = np.inf, -np.inf, np.nan, -0.0, 1
    for out in (np.full_like(x, 7), x, None):
        y = fastdrop.drop_block2d(x, 1, 5, rng=KEY, out=out)
        assert not y.view(f"u{x.itemsize}").any()


@pytest.mark.usefixtures("impl")
def test_dropped_elements_are_zero_whatever_they_were() -> None:
    case = Case(2, (2, 3, 9, 10), 3)
    keep = reference_mask(case, 0.5, KEY)
    for value in (np.inf, -np.inf, np.nan, -1.0):
        y = case(np.full(case.shape, value, np.float32), 0.5)
        assert not y[~keep].view(np.uint32).any()
        assert np.array_equal(y[keep], np.full(keep.sum(), y[keep][0]), equal_nan=True)
        assert y[keep][0] != 0


@pytest.mark.usefixtures("impl")
@pytest.mark.parametrize("p", [0.1, 0.5])
def test_blocks_of_1_are_dropout(p: float) -> None:
    x = values((3, 5, 13, 17), np.float32)
    mask = fastdrop.dropout_mask(x.shape, p, rng=KEY)
    scale = np.float32(mask.size / mask.sum())
    for block_size in (1, np.int64(1)):
        y = fastdrop.drop_block2d(x, p, block_size, rng=KEY)
        assert np.array_equal(y, np.where(mask, x * scale, np.float32(0)))


@ALL
def test_masks_nest(case: Case) -> None:
    x = np.ones(case.shape)
    before = np.ones(case.shape, np.bool_)
    for p in (0.05, 0.2, 0.5, 0.9, 1):
        keep = case(x, p) != 0
        assert not np.any(keep & ~before)
        before = keep


@pytest.mark.usefixtures("impl")
@ALL
def test_the_sum_of_a_constant_stays(case: Case) -> None:
    for key in (Key(1), Key(2)):
        y = case(np.ones(case.shape), rng=key)
        assert y.sum() == pytest.approx(y.size, rel=1e-14)


@pytest.mark.usefixtures("impl")
@ALL
def test_the_gradient_is_the_same_call(case: Case) -> None:
    """Of sum(c * y) with respect to x, by finite differences in one random direction."""
    x, c = values(case.shape), values(case.shape)[::-1]
    direction, step = values(case.shape) - 1, 1e-6
    ends = [(c * case(x + sign * step * direction)).sum() for sign in (1, -1)]
    gradient = case(c)
    assert (ends[0] - ends[1]) / (2 * step) == pytest.approx((gradient * direction).sum(), rel=1e-7)


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


@pytest.mark.parametrize("p", [0.3, 1.0])
def test_the_rate_of_seeds_is_never_above_p(p: float) -> None:
    for n in range(1, 40):
        for block in range(1, n + 1):
            plan = make_block_plan(p, (n, n), block)
            if block in (1, n):
                assert plan[:2] == oracle.plan(p)
            else:
                assert plan[:2] < oracle.plan(p)


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


@pytest.mark.parametrize("shape", [(900, 28, 28), (1001, 27, 27), (53, 11, 9, 133), (35, 20_001)])
def test_the_same_blocks_for_every_number_of_threads(impl: Any, shape: tuple[int, ...]) -> None:
    if impl.name in ("numpy", "numba"):
        pytest.skip(f"the {impl.name} backend computes on one thread")
    before = fastdrop.get_num_threads()
    try:
        fastdrop.set_num_threads(1)
        want = masks_of(impl, shape, 3, 0.2, KEY)
        for threads in (2, 3, 16):
            fastdrop.set_num_threads(threads)
            assert np.array_equal(masks_of(impl, shape, 3, 0.2, KEY).array, want.array), threads
    finally:
        fastdrop.set_num_threads(before)


# --- memory ---------------------------------------------------------------------------------------


def test_no_full_mask_is_made() -> None:
    """Beside the result, a bit for each element."""
    core_or_skip()
    x = np.ones((8, 16, 64, 64), np.float32)
    with backends.backend("c"):
        fastdrop.drop_block2d(x, 0.1, rng=1, out=x)  # what is made once is made before
        tracemalloc.start()
        try:
            fastdrop.drop_block2d(x, 0.1, rng=1, out=x)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert x.size // 8 <= peak < x.size // 8 + 10_000
