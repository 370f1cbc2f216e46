"""Every variant beside its limit, and PyTorch's way beside the same; float32, one thread.

The limit is NumPy's multiplication over as much memory, whatever the shape of the mask; where two
arrays are read, NumPy's addition; for products of matrices, NumPy's product.
"""

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from . import measure
from .measure import NAMES, QUICK, SLOW, Bench
from .peers import MissingError, torch_family_names
from .variants import CASES, FLOAT32, Case, names_for, work

WHO = [name for name in NAMES if not (QUICK and name in SLOW)]
WAYS = {"out of place": "y", "in place": "x"}


def bench(case: Case, who: str, statement: str, way: str) -> Bench:
    n = work(case)
    return Bench(
        who=who,
        what=f"{case.what}, {way}",
        statement=statement,
        limit=case.limit.format(WAYS[way]),
        names=names_for(case),
        n=n,
        moved=2 * n * FLOAT32.itemsize,
    )


@pytest.mark.parametrize("name", WHO)
@pytest.mark.parametrize(
    ("case", "way"),
    [
        pytest.param(case, way, id=f"{case.what}-{way}")
        for case in CASES
        for way in WAYS
        if case.in_place or way == "out of place"
    ],
)
def test_variant(benchmark: BenchmarkFixture, case: Case, way: str, name: str) -> None:
    implementation = measure.implementation(name)
    statement = case.call(WAYS[way])
    ours = bench(case, f"fastdrop {name}", statement, way)
    measure.run(benchmark, ours._replace(implementation=implementation))


@pytest.mark.parametrize("case", [case for case in CASES if case.torch], ids=lambda case: case.what)
def test_torch(benchmark: BenchmarkFixture, case: Case) -> None:
    assert case.torch is not None
    theirs = bench(case, "PyTorch", case.torch, "out of place")
    try:
        names = {**theirs.names, **torch_family_names(theirs.names)}
    except MissingError as error:
        pytest.skip(str(error))
    measure.run(benchmark, theirs._replace(names=names))
