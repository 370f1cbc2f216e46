"""Memory that is not in C order, and decisions shared by short rows.

The mask follows the logical order, so its bits are permuted to the order of memory. The limit,
NumPy's multiplication over the same arrays, takes the elements in the order of memory.
"""

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import fastdrop
from fastdrop.variants import BY_FUNCTION

from . import measure
from .measure import NAMES, QUICK, Bench
from .variants import CASES, MATRIX

FLOAT32 = np.dtype(np.float32)
SIDE = 64 if QUICK else 1024
SAMPLES = 2 if QUICK else 32
ROWS = 1 << (12 if QUICK else 19)

LAYOUTS = {
    "transposed": ((SIDE, SIDE), (1, 0), None),
    "channels last in memory": ((SAMPLES, 28, 28, 64), (0, 3, 1, 2), None),
    "3 channels last in memory": ((SAMPLES, 112, 112, 3), (0, 3, 1, 2), None),
    "small matrices transposed": ((SAMPLES * 256, 8, 16), (0, 2, 1), None),
    "axes reversed": ((8, 16, SAMPLES, 32), (3, 2, 1, 0), None),
    "inner axes rotated": ((8, 16, SAMPLES, 32), (1, 3, 2, 0), None),
} | {
    what: layout
    for run in (2, 3, 9, 28, 33, 64, 784)
    for what, layout in {
        f"rows of {run} share a decision": ((ROWS * 3 // run, run), (0, 1), (ROWS * 3 // run, 1)),
        f"{run} decisions for all rows": ((ROWS * 3 // run, run), (0, 1), (1, run)),
    }.items()
}


# Dense memory in another order, and the other operations: each is to be as near its limit there as
# plain dropout is.
PERMUTED = ("transposed", "channels last in memory", "small matrices transposed", "axes reversed")
OTHERS = {
    case.what: case
    for case in CASES
    if case.shape == MATRIX
    and case.function in BY_FUNCTION
    and BY_FUNCTION[case.function].operation != "scale"
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("what", OTHERS)
@pytest.mark.parametrize("layout", PERMUTED)
def test_other_operations(benchmark: BenchmarkFixture, layout: str, what: str, name: str) -> None:
    implementation = measure.implementation(name)
    shape, order, _ = LAYOUTS[layout]
    n = int(np.prod(shape))
    arrays = {key: measure.array(key, n, FLOAT32).reshape(shape).transpose(order) for key in "xyh"}
    measure.run(
        benchmark,
        Bench(
            who=f"fastdrop {name}",
            what=f"{layout}: {what}",
            statement=f"fastdrop.{OTHERS[what].ours}".format("y"),
            limit=OTHERS[what].limit.format("y"),
            names={
                **measure.names_for(1, FLOAT32),
                **arrays,
                "key": fastdrop.Key(1, 0, 0),
                "b": np.ones(arrays["x"].shape[-1], np.float32),
            },
            n=n,
            moved=2 * n * FLOAT32.itemsize,
            implementation=implementation,
        ),
    )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("what", LAYOUTS)
def test_layout(benchmark: BenchmarkFixture, what: str, name: str) -> None:
    implementation = measure.implementation(name)
    shape, order, noise_shape = LAYOUTS[what]
    n = int(np.prod(shape))
    names = measure.names_for(n, FLOAT32)
    for key in ("x", "x_limit"):
        array = names[key]
        assert isinstance(array, np.ndarray)
        names[key] = array.reshape(shape).transpose(order)
    measure.run(
        benchmark,
        Bench(
            who=f"fastdrop {name}",
            what=f"{what}, in place",
            statement=f"fastdrop.dropout(x, p, rng=rng, out=x, noise_shape={noise_shape})",
            limit=measure.LIMIT_IN_PLACE,
            names=names,
            n=n,
            moved=2 * n * FLOAT32.itemsize,
            implementation=implementation,
        ),
    )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("layout", PERMUTED)
def test_into_c_order(benchmark: BenchmarkFixture, layout: str, name: str) -> None:
    """From memory in another order: elements are gathered, as the limit gathers them."""
    implementation = measure.implementation(name)
    shape, order, _ = LAYOUTS[layout]
    n = int(np.prod(shape))
    x = measure.array("x", n, FLOAT32).reshape(shape).transpose(order)
    measure.run(
        benchmark,
        Bench(
            who=f"fastdrop {name}",
            what=f"{layout}, into C order",
            statement="fastdrop.dropout(x, p, rng=rng, out=y)",
            limit="np.multiply(x, s, out=y)",
            names={
                **measure.names_for(1, FLOAT32),
                "x": x,
                "y": measure.array("y", n, FLOAT32).reshape(x.shape),
            },
            n=n,
            moved=2 * n * FLOAT32.itemsize,
            implementation=implementation,
        ),
    )
