"""Dropout in place with software prefetching and without: which of the two a processor gains by."""

from collections.abc import Iterator

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from . import measure
from .measure import ALL_SIZES, SIZES, Bench

_core = pytest.importorskip("fastdrop._core", exc_type=ImportError)


@pytest.fixture(params=[True, False], ids=["prefetch", "no prefetch"])
def prefetches(request: pytest.FixtureRequest) -> Iterator[bool]:
    """Each choice, whatever is known of the processor."""
    before = _core.get_prefetch()
    _core.set_prefetch(request.param)
    yield request.param
    _core.set_prefetch(before)


@pytest.mark.parametrize("size", SIZES)
def test_prefetch(benchmark: BenchmarkFixture, prefetches: bool, size: str) -> None:
    name = f"c-{_core.get_isa()}"
    dtype, n = measure.dtype_of("float32"), ALL_SIZES[size]
    measure.run(
        benchmark,
        Bench(
            who=f"fastdrop {name}" + (", prefetching" if prefetches else ""),
            what="in place",
            statement="dropout(x, p, out=x, rng=rng)",
            limit=measure.LIMIT_IN_PLACE,
            names=measure.names_for(n, dtype),
            n=n,
            moved=2 * n * dtype.itemsize,
            dtype="float32",
            implementation=measure.implementation(name),
        ),
    )
