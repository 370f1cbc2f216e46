"""Dask arrays: the bits of the NumPy functions, for every chunking and every scheduler."""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cases
import numpy as np
import pytest
from cases import Arrays, Case
from fresh import example, output

import fastdrop
from fastdrop import Generator, Key
from fastdrop.variants import VARIANTS

dask = pytest.importorskip("dask", reason="Dask is not installed")
da = pytest.importorskip("dask.array", reason="Dask's arrays need NumPy and more")

import fastdrop.dask  # noqa: E402

KEY = Key(7, 8, 9)
SHAPE = (6, 5, 8, 7)
X = np.random.default_rng(1).standard_normal(SHAPE).astype(np.float32)
CASES = [case for case in cases.CASES if hasattr(fastdrop.dask, case.name) and case.shape]
CHUNKS: dict[str, Callable[[int, int], Any]] = {
    "one": lambda n, _: n,
    "halves": lambda n, _: -(-n // 2) or 1,
    "along the first axis": lambda n, axis: n if axis else n // 5 + 1,
    "along the other axes": lambda n, axis: n // 3 + 1 if axis else n,
    "of any size": lambda n, axis: (1, 0, n - 1) if axis % 2 else (n // 3, n - n // 3, 0),
}
"""From an axis' length and number to the blocks along it."""


def lazy(case: Case, operands: Arrays, chunks: str) -> dict[str, Any]:
    """A bias has blocks of its own."""
    by = tuple(CHUNKS[chunks](n, axis) for axis, n in enumerate(case.shape))
    return {
        name: da.from_array(x, by if x.shape == case.shape else 4) for name, x in operands.items()
    }


def in_dask(case: Case, blocks: dict[str, Any], **more: Any) -> Any:
    more = {case.rate: 0.4, **case.options, **more}
    return getattr(fastdrop.dask, case.name)(**blocks, rng=KEY, **more)


@pytest.mark.parametrize("chunks", CHUNKS)
@cases.parametrize(CASES)
def test_the_bits_of_the_whole_array(case: Case, chunks: str) -> None:
    operands = case.operands()
    blocks = lazy(case, operands, chunks)
    first = blocks[case.variant.operands[0]]
    wanted = case(operands, rng=KEY)
    y = in_dask(case, blocks)
    assert y.shape == wanted.shape
    assert y.dtype == wanted.dtype
    assert y.chunks == first.chunks
    assert type(y._meta) is np.ndarray
    for scheduler in ("threads", "synchronous"):
        assert y.compute(scheduler=scheduler).tobytes() == wanted.tobytes()
    evaluated = in_dask(case, blocks, training=False)
    plain = case(operands, training=False)
    assert (evaluated is first) == (case.evaluated is None)
    assert evaluated.compute(scheduler="synchronous").tobytes() == plain.tobytes()


def test_every_variant_that_takes_windows_is_here() -> None:
    names = {v.function for v in VARIANTS if not v.block_axes and "_backward" not in v.function}
    assert {case.name for case in CASES} == names
    assert set(fastdrop.dask.__all__) == names | {"dropout_mask"}
    for name in names:  # the NumPy functions' arguments, in their order
        ours = list(inspect.signature(getattr(fastdrop.dask, name)).parameters)
        theirs = list(inspect.signature(getattr(fastdrop, name)).parameters)
        assert ours == [argument for argument in theirs if argument not in ("out", "window")]


@cases.parametrize([case for case in CASES if len(case.shapes) > 1])
def test_operands_that_do_not_fit(case: Case) -> None:
    blocks = lazy(case, case.operands(), "halves")
    first, *others = blocks
    for name in others:
        with pytest.raises(ValueError, match=f"{name} has to have .*shape"):
            in_dask(case, {**blocks, name: blocks[name][1:]})
        with pytest.raises(TypeError, match=f"{name} has to have {first}'s dtype float32"):
            in_dask(case, {**blocks, name: blocks[name].astype(float)})
        with pytest.raises(TypeError, match=f"{name} has to be a Dask array"):
            in_dask(case, {**blocks, name: case.operands()[name]})


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_other_dtypes(dtype: str) -> None:
    x = X.astype(dtype)
    y = fastdrop.dask.dropout(da.from_array(x, 4), 0.5, rng=KEY)
    assert y.dtype == x.dtype
    assert np.array_equal(y.compute(scheduler="threads"), fastdrop.dropout(x, 0.5, rng=KEY))


@pytest.mark.parametrize("chunks", ["auto", 3, ((1, 3), (2, 0, 3)), (-1, 2)])
def test_masks(chunks: Any) -> None:
    mask = fastdrop.dask.dropout_mask((4, 5), 0.3, rng=KEY, chunks=chunks)
    assert mask.dtype == bool
    wanted = fastdrop.dropout_mask((4, 5), 0.3, rng=KEY)
    assert np.array_equal(mask.compute(scheduler="threads"), wanted)
    one = fastdrop.dask.dropout_mask(9, rng=1)
    assert np.array_equal(one.compute(scheduler="threads"), fastdrop.dropout_mask(9, rng=1))


def test_names_follow_from_what_is_computed() -> None:
    x = da.from_array(X, 3, name="x")

    def name(rng: Any = KEY, p: Any = 0.3, x: Any = x, **options: Any) -> str:
        return fastdrop.dask.dropout(x, p, rng=rng, **options).name

    assert name() == name()
    assert name(1) == name(Key(1))
    code = f"""
        import dask.array as da, numpy as np, fastdrop.dask
        x = da.zeros({SHAPE}, dtype="f4", chunks=3, name="x")
        print(fastdrop.dask.dropout(x, 0.3, rng=fastdrop.Key(7, 8, 9)).name)
    """
    assert output(code) == name()
    different = [
        name(), name(Key(7, 8, 10)), name(p=0.4), name(x=x.rechunk(2)), name(noise_shape=(1,)),
        name(training=False, mode="standard"), name(mode="standard"),
        fastdrop.dask.alpha_dropout(x, 0.3, rng=KEY).name,
    ]  # fmt: skip
    assert len(set(different)) == len(different)
    assert name().startswith("fastdrop-dropout-")


def test_positions_are_reserved_where_the_graph_is_made() -> None:
    ours, theirs = Generator(1), Generator(1)
    x = da.from_array(X, 3)
    calls = (("dropout", 0.5), ("gaussian_dropout", 0.2), ("dropout2d", 0.5))
    lazily = [getattr(fastdrop.dask, name)(x, p, rng=ours) for name, p in calls]
    wanted = [getattr(fastdrop, name)(X, p, rng=theirs) for name, p in calls]
    assert ours.state == theirs.state
    for y, want in zip(lazily * 2, wanted * 2, strict=True):
        assert np.array_equal(y.compute(scheduler="threads"), want)
    fastdrop.dask.dropout(x, training=False, rng=ours)
    fastdrop.dask.dropout(da.zeros((0, 3)), rng=ours)
    assert ours.state == theirs.state
    fastdrop.manual_seed(3)
    a = fastdrop.dask.dropout(x)
    fastdrop.manual_seed(3)
    assert np.array_equal(a.compute(scheduler="threads"), fastdrop.dropout(X))


def test_blocks_are_pickled_without_the_rest() -> None:
    y = fastdrop.dask.dropout(da.ones((10_000, 10_000), chunks=1000), 0.5, rng=1)
    assert len(pickle.dumps(dict(y.__dask_graph__()))) < 1e6


def test_errors() -> None:
    x, drop, generator = da.from_array(X, 3), fastdrop.dask.dropout, Generator(1)
    huge = da.ones((2**40, 2**24), chunks=(2**34, 2**20), dtype="f4")
    ints = "float16, bfloat16, float32 or float64, but got int"
    for error, words, call in (
        (TypeError, r"x has to be a Dask array, but got numpy.ndarray; ", lambda: drop(X)),
        (ValueError, r"chunks of known sizes.*compute_chunk_sizes", lambda: drop(x[x > 0])),
        (ValueError, r"x has to give at most \d+ elements", lambda: drop(huge)),
        (TypeError, ints, lambda: drop(x.astype(int))),
        (ValueError, r"between 0 and 1, but got 1\.5", lambda: drop(x, 1.5)),
        (ValueError, "x has to have 2 or 3 axes", lambda: fastdrop.dask.dropout1d(x)),
        (ValueError, "broadcastable", lambda: drop(x, noise_shape=(2, 1))),
        (TypeError, "without a mask", lambda: drop(da.ma.masked_equal(x, 0))),
        (ValueError, "mode", lambda: drop(x, rng=generator, mode="other")),
    ):
        with pytest.raises(error, match=words):
            call()
    assert generator.offset == 0


@pytest.mark.heavy
def test_the_example(tmp_path: Path) -> None:
    options = ("--images", "16", "--side", "64", "--samples", "3", "--memory", "1000")
    done = example("image_stack.py", *options, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "100% Completed" in done.stdout
    assert "image 8 alone, without Dask" in done.stdout


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    distributed = pytest.importorskip("distributed", reason="dask.distributed is not installed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as connected,
    ):
        yield connected


@pytest.mark.heavy
@pytest.mark.filterwarnings("ignore")  # distributed's own
@cases.parametrize([case for case in cases.FIRST if case in CASES])
def test_two_worker_processes(client: Any, case: Case) -> None:
    operands = case.operands()
    y = in_dask(case, lazy(case, operands, "halves"))
    assert np.array_equal(client.compute(y).result(), case(operands, rng=KEY))


@pytest.mark.heavy
@pytest.mark.filterwarnings("ignore")
def test_workers_that_come_and_go(client: Any) -> None:
    """A block that is computed again, elsewhere, is the same block."""
    y = fastdrop.dask.dropout(da.from_array(X, 2), 0.5, rng=KEY)
    first = client.persist(y).compute()
    client.restart()
    for got in (first, client.compute(y).result()):
        assert np.array_equal(got, fastdrop.dropout(X, 0.5, rng=KEY))
