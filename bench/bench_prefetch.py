"""Software prefetching on and off: which of the two a processor gains by."""

from collections.abc import Iterator

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from . import measure
from .measure import ALL_SIZES, SIZES, Bench
from .variants import PAST_THE_CACHE

_core = pytest.importorskip("fastdrop._core", exc_type=ImportError)

IN_PLACE = ("in place", "dropout(x, p, out=x, rng=rng)", measure.LIMIT_IN_PLACE)
OUT_OF_PLACE = ("out of place", "dropout(x, p, out=y, rng=rng)", measure.LIMIT_OUT_OF_PLACE)
COMPUTE = [(case.function, case.call("y"), case.limit.format("y")) for case in PAST_THE_CACHE]


@pytest.fixture(params=[True, False], ids=["prefetch", "no prefetch"])
def prefetches(request: pytest.FixtureRequest) -> Iterator[bool]:
    """Each choice, whatever is known of the processor."""
    before = _core.get_prefetch()
    _core.set_prefetch(request.param)
    yield request.param
    _core.set_prefetch(before)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "way", [IN_PLACE, OUT_OF_PLACE, *COMPUTE], ids=lambda way: way[0].replace("_", " ")
)
def test_prefetch(
    benchmark: BenchmarkFixture, prefetches: bool, way: tuple[str, str, str], size: str
) -> None:
    what, statement, limit = way
    name = f"c-{_core.get_isa()}"
    dtype, n = measure.dtype_of("float32"), ALL_SIZES[size]
    measure.run(
        benchmark,
        Bench(
            who=f"fastdrop {name}" + (", prefetching" if prefetches else ""),
            what=what,
            statement=statement,
            limit=limit,
            names=measure.names_for(n, dtype) | {"h": np.ones(n, dtype)},
            n=n,
            moved=2 * n * dtype.itemsize,
            dtype="float32",
            implementation=measure.implementation(name),
        ),
    )
