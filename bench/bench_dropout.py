"""Dropout with every implementation: in place and out of place, every dtype, 16 to 64 M elements.

The limit is NumPy's multiplication over the same memory.
"""

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from . import measure
from .measure import ALL_SIZES, FEW_SIZES, NAMES, SIZES, SLOW, Bench

WAYS = {
    "in place": ("dropout(x, p, out=x, rng=rng)", measure.LIMIT_IN_PLACE),
    "out of place": ("dropout(x, p, out=y, rng=rng)", measure.LIMIT_OUT_OF_PLACE),
}

FLOAT32 = [
    ("float32", size, name)
    for size in SIZES
    for name in NAMES
    if (size, name) not in [("64 M", slow) for slow in SLOW]
]
OTHERS = [
    (kind, size, name)
    for kind in ("float64", "float16", "bfloat16")
    for size in FEW_SIZES
    for name in NAMES
]


@pytest.mark.parametrize(("kind", "size", "name"), FLOAT32 + OTHERS)
@pytest.mark.parametrize("way", WAYS)
def test_dropout(benchmark: BenchmarkFixture, way: str, kind: str, size: str, name: str) -> None:
    implementation = measure.implementation(name)
    dtype, n = measure.dtype_of(kind), ALL_SIZES[size]
    statement, limit = WAYS[way]
    measure.run(
        benchmark,
        Bench(
            who=f"fastdrop {name}",
            what=way,
            statement=statement,
            limit=limit,
            names=measure.names_for(n, dtype),
            n=n,
            moved=2 * n * dtype.itemsize,
            dtype=kind,
            implementation=implementation,
        ),
    )
