"""What all benchmarks share: sizes, arrays, and the measuring of a subject beside its limit.

A limit is the same memory traffic with as little arithmetic as there can be. It is measured in the
same test, in turn with the subject (A B A B ...), because the speed of a machine changes from one
minute to the next; the medians make the ratio.

Environment: ``FASTDROP_BENCH_QUICK=1`` takes few sizes and short measurements, to see that all of
it runs; ``FASTDROP_BENCH_THREADS`` is the number of threads for fastdrop (default 1).
"""

import os
import statistics
from collections.abc import Mapping
from contextlib import ExitStack
from timeit import Timer
from typing import Any, NamedTuple

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import fastdrop
from fastdrop import _throughput, backends
from fastdrop._arrays import Array
from fastdrop._selfcheck import Implementation, implementations, using
from fastdrop._throughput import P, Row, cpu_name, samples, using_threads

QUICK = os.environ.get("FASTDROP_BENCH_QUICK", "") not in ("", "0")
THREADS = int(os.environ.get("FASTDROP_BENCH_THREADS", "1"))

ALL_SIZES = {
    "16": 16,
    "256": 256,
    "1 K": 1 << 10,
    "4 K": 1 << 12,
    "64 K": 1 << 16,
    "1 M": 1 << 20,
    "16 M": 1 << 24,
    "64 M": 1 << 26,
}
SIZES = ["16", "64 K", "1 M"] if QUICK else list(ALL_SIZES)
FEW_SIZES = ["64 K"] if QUICK else ["64 K", "1 M", "16 M"]

NAMES = ("c-avx512", "c-avx2", "c-neon", "c-vec128", "c-scalar", "numba", "numpy")
"""Every implementation there is; a benchmark of one that cannot run here is skipped visibly."""

# At the largest size these would take a minute and show what the size below it shows.
SLOW = ("c-scalar", "numpy")

_SECONDS = 0.01 if QUICK else 0.3
_LEAST_SAMPLES = 3 if QUICK else 5


class Bench(NamedTuple):
    """A statement to measure, what it is, and the limit it is compared with."""

    who: str
    what: str
    statement: str
    limit: str
    names: Mapping[str, object]
    n: int
    moved: int
    dtype: str = "float32"
    implementation: Implementation | None = None


def implementation(name: str) -> Implementation:
    """The implementation called ``name``, or a skip that says why it cannot run here."""
    for found in implementations():
        if str(found) == name:
            return found
    backend, _, isa = name.partition("-")
    reason = backends.available()[backend]
    if isa and reason is None:
        unavailable = fastdrop.show_config(mode="dicts")["instruction_sets"]["unavailable"]
        reason = unavailable.get(isa, "not part of this build")
    pytest.skip(f"{name} cannot run here: {reason}")


def dtype_of(kind: str) -> np.dtype[Any]:
    """The dtype called ``kind``, or a skip where the package that defines it is missing."""
    if kind == "bfloat16":
        kind = pytest.importorskip("ml_dtypes").bfloat16
    return np.dtype(kind)


_buffers: dict[str, Array] = {}


def array(name: str, n: int, dtype: np.dtype[Any]) -> Array:
    """An array of ones in memory that the next array of this name gets again."""
    if name not in _buffers or _buffers[name].nbytes < n * dtype.itemsize:
        _buffers[name] = np.empty(n * dtype.itemsize, np.uint8)
    result = _buffers[name][: n * dtype.itemsize].view(dtype)
    # Always anew: what is left of another dtype may be subnormal, which some processors find slow.
    result[...] = 1
    return result


def names_for(n: int, dtype: np.dtype[Any]) -> dict[str, object]:
    """The names in the statements: arrays ``x`` and ``y``, their memory as float32, and so on."""
    x, y = array("x", n, dtype), array("y", n, dtype)
    x_limit, y_limit = x, y
    if dtype.itemsize == 2:
        # NumPy multiplies 16-bit floats in software: float32 of as many bytes is their limit. In
        # memory of its own, because as float32 what is left of them would often be subnormal.
        float32 = np.dtype(np.float32)
        x_limit, y_limit = (array(f"{name}_limit", n // 2, float32) for name in "xy")
    return {
        **_throughput.namespace(0),
        "fastdrop": fastdrop,
        "x": x,
        "y": y,
        "x_limit": x_limit,
        "y_limit": y_limit,
        "s": np.ones((), x_limit.dtype)[()],
    }


LIMIT_IN_PLACE = "np.multiply(x_limit, s, out=x_limit)"
LIMIT_OUT_OF_PLACE = "np.multiply(x_limit, s, out=y_limit)"


def run(benchmark: BenchmarkFixture, bench: Bench) -> None:
    """Measure, and leave the figures in the benchmark's ``extra_info``."""
    names = dict(bench.names)
    rows = [
        Row(bench.who, Timer(bench.statement, globals=names), bench.implementation, THREADS),
        Row("limit", Timer(bench.limit, globals=names)),
    ]
    subject, limit = map(statistics.median, samples(rows, _SECONDS, _LEAST_SAMPLES))
    one = bench.implementation
    benchmark.group = f"{bench.what}, {bench.dtype}, {bench.n} elements"
    benchmark.extra_info.update(
        who=bench.who,
        what=bench.what,
        statement=bench.statement,
        backend=None if one is None else one.backend,
        isa=None if one is None else one.isa,
        dtype=bench.dtype,
        elements=bench.n,
        p=P,
        threads=THREADS,
        seconds=subject,
        gel_s=bench.n / subject / 1e9,
        gb_s=bench.moved / subject / 1e9,
        limit=bench.limit,
        limit_gel_s=bench.n / limit / 1e9,
        ratio_to_limit=limit / subject,
        cpu=cpu_name(),
    )
    call = eval(f"lambda: {bench.statement}", names)
    with ExitStack() as stack:
        stack.enter_context(using_threads(THREADS))
        if one is not None:
            stack.enter_context(using(one))
        # As many calls a round as last 1 ms, and as many rounds as last as long as the above.
        calls = max(1, int(1e-3 / subject))
        rounds = min(1000, max(3, int(_SECONDS / 2 / (calls * subject))))
        benchmark.pedantic(call, rounds=rounds, iterations=calls)  # type: ignore[no-untyped-call]
