"""Check fastdrop's speed targets on this machine: ``python -m bench.targets``.

Everything that is compared is measured in turn (A B A B ...) on one thread, and the medians make
the ratios. The targets are those of an AVX-512 machine, or of AVX2 with ``--isa avx2``; with other
instruction sets the figures are shown without one.
"""

import argparse
import importlib.util
import subprocess
import sys
from collections.abc import Iterator, Sequence
from timeit import Timer
from typing import Any, NamedTuple

import numpy as np

import fastdrop
from fastdrop._selfcheck import Implementation, implementations
from fastdrop._throughput import IN_PLACE, LIMIT, OUT_OF_PLACE, Row, cpu_name, medians

from .measure import ALL_SIZES, names_for
from .peers import BLOCK, TORCH_BLOCKS, TORCH_IN_PLACE, torch_block_names, torch_names
from .variants import PAST_THE_CACHE, falling_limits

FLOAT32 = np.dtype(np.float32)
MULTIPLY_OUT_OF_PLACE = "np.multiply(x, s, out=y)"
SOFTMAX = "fastdrop.softmax_dropout(x, p, rng=rng, out=y)"
PRODUCT = "fastdrop.dropconnect_linear(x, w, None, p, rng=rng, out=y)"

# The target of each figure, with AVX-512 and with AVX2.
GOALS: dict[str, tuple[float | None, float | None]] = {
    "in place, 64 K": (0.9, 0.6),
    "in place, 1 M": (0.88, 0.6),
    "in place, 4 M": (0.97, 0.8),
    "in place, 16 M": (0.95, 0.95),
    "in place, 64 M": (0.95, 0.95),
    "out of place, 64 M": (1.25, 1.20),
    "against PyTorch in place, 1 M": (95.0, 55.0),
    "bfloat16 in place, 16 M: GB/s relative to float32": (0.7, 0.4),
    "float16 in place, 16 M: GB/s relative to float32": (0.7, 0.4),
    "a call on 16 elements, microseconds": (0.8, 0.8),
    "DropBlock in place, (32, 256, 28, 28), blocks of 7": (0.3, 0.3),
    "DropBlock against PyTorch's max_pool2d": (10.0, 10.0),
    "softmax_dropout against torch.softmax, (8, 6, 256, 256)": (1.0, 0.77),
    "dropconnect_linear, (64, 1024, 1024), G multiply-adds/s": (15.0, None),
    "gaussian_dropout in place, 1 M, Gel/s": (3.0, 1.0),
    "max_norm_ in place, (1024, 1024), rows": (0.6, 0.6),
    "max_norm_ in place, (1024, 1024), columns": (0.6, 0.6),
    "max_norm_ in place, (1024, 1024), rows within the limit": (None, None),
    "a window along the first axis, 16 M, relative to the plain call": (0.95, 0.95),
    "a window of 1024 of 2048 columns, 16 M, Gel/s": (1.5, None),
    "a window of 1024 of 16384 columns, 16 M, relative to its share of blocks": (1.0, 1.0),
    "Numba, 1 M, Gel/s": (3.0, None),
    "NumPy reference, 1 M, Gel/s": (0.05, 0.05),
    "memory of a call in place, 64 M, beyond the array, MB": (1.0, 1.0),
}
AT_MOST = ("a call on 16", "memory")


class Figure(NamedTuple):
    """A measured figure, and the speeds behind it; None where it cannot be measured here."""

    what: str
    value: float | None
    made_of: str


def gel(n: int, seconds: float) -> str:
    return f"{n / seconds / 1e9:.3g}"


WAYS = [
    *(("in place", size, LIMIT, IN_PLACE) for size in ("64 K", "1 M", "4 M", "16 M", "64 M")),
    ("out of place", "64 M", MULTIPLY_OUT_OF_PLACE, OUT_OF_PLACE),
    *(
        (f"{case.function} out of place", "64 M", case.limit.format("y"), case.call("y"))
        for case in PAST_THE_CACHE
    ),
]
"""What is measured, of how many elements, its limit, and the call."""

GOALS |= {f"{case.function} out of place, 64 M": (1.0, 1.0) for case in PAST_THE_CACHE}


def against_limits(one: Implementation, seconds: float) -> Iterator[Figure]:
    for way, size, limit, statement in WAYS:
        n = (ALL_SIZES | {"4 M": 1 << 22})[size]
        names = names_for(n, FLOAT32)
        if ", h" in limit:
            names["h"] = np.ones(n, np.float32)
        rows = [
            Row(limit, Timer(limit, globals=names)),
            Row(statement, Timer(statement, globals=names), one),
        ]
        bound, ours = medians(rows, seconds)
        made_of = f"{gel(n, ours)} of {limit.partition('(')[0]}'s {gel(n, bound)} Gel/s"
        yield Figure(f"{way}, {size}", bound / ours, made_of)


def against_torch(one: Implementation, seconds: float) -> Iterator[Figure]:
    what, n = "against PyTorch in place, 1 M", ALL_SIZES["1 M"]
    if importlib.util.find_spec("torch") is None:
        yield Figure(what, None, "torch is not installed")
        return
    names = names_for(n, FLOAT32)
    names |= torch_names(np.ones(n, np.float32))
    rows = [
        Row("torch", Timer(TORCH_IN_PLACE, globals=names)),
        Row("fastdrop", Timer(IN_PLACE, globals=names), one),
        Row("limit", Timer(LIMIT, globals=names)),
    ]
    torch, ours, bound = medians(rows, seconds)
    made_of = f"{gel(n, ours)} against {gel(n, torch)} Gel/s; np.multiply {torch / bound:.3g} times"
    yield Figure(what, torch / ours, made_of)


def half_precision(one: Implementation, seconds: float) -> Iterator[Figure]:
    n = ALL_SIZES["16 M"]
    kinds: dict[str, np.dtype[Any]] = {"float32": FLOAT32, "float16": np.dtype(np.float16)}
    if importlib.util.find_spec("ml_dtypes") is not None:
        import ml_dtypes

        kinds["bfloat16"] = np.dtype(ml_dtypes.bfloat16)
    rows = []
    for kind, dtype in kinds.items():
        names = {**names_for(1, FLOAT32), "x": np.ones(n, dtype)}
        rows.append(Row(kind, Timer(IN_PLACE, globals=names), one))
    speeds = {
        row.label: 2 * n * kinds[row.label].itemsize / t / 1e9
        for row, t in zip(rows, medians(rows, seconds), strict=True)
    }
    for kind in ("bfloat16", "float16"):
        what = f"{kind} in place, 16 M: GB/s relative to float32"
        if kind not in speeds:
            yield Figure(what, None, "ml_dtypes is not installed")
            continue
        made_of = f"{speeds[kind]:.3g} and {speeds['float32']:.3g} GB/s"
        yield Figure(what, speeds[kind] / speeds["float32"], made_of)


def small_call(one: Implementation, seconds: float) -> Iterator[Figure]:
    names = names_for(16, FLOAT32)
    rows = [
        Row("fastdrop", Timer(IN_PLACE, globals=names), one),
        Row("np.multiply", Timer(LIMIT, globals=names)),
    ]
    if importlib.util.find_spec("torch") is not None:
        names |= torch_names(np.ones(16, np.float32))
        rows.append(Row("PyTorch", Timer(TORCH_IN_PLACE, globals=names)))
    ours, *others = (1e6 * t for t in medians(rows, seconds))
    made_of = ", ".join(f"{row.label} {t:.2f}" for row, t in zip(rows[1:], others, strict=True))
    yield Figure("a call on 16 elements, microseconds", ours, made_of)


def blocks(one: Implementation, seconds: float) -> Iterator[Figure]:
    x = np.ones((32, 256, 28, 28), np.float32)
    names = {**names_for(1, FLOAT32), "x": x}
    statement = f"fastdrop.drop_block2d(x, p, {BLOCK}, rng=rng, out=x)"
    rows = [
        Row("np.multiply", Timer("np.multiply(x, s, out=x)", globals=names)),
        Row("fastdrop", Timer(statement, globals=names), one),
    ]
    bound, ours = medians(rows, seconds)
    made_of = f"{gel(x.size, ours)} of np.multiply's {gel(x.size, bound)} Gel/s"
    yield Figure("DropBlock in place, (32, 256, 28, 28), blocks of 7", bound / ours, made_of)
    what = "DropBlock against PyTorch's max_pool2d"
    if importlib.util.find_spec("torch") is None:
        yield Figure(what, None, "torch is not installed")
        return
    names |= torch_block_names(x)
    rows.append(Row("torch", Timer(TORCH_BLOCKS, globals=names)))
    bound, ours, torch = medians(rows, seconds)
    made_of = f"{gel(x.size, ours)} against {gel(x.size, torch)} Gel/s"
    yield Figure(what, torch / ours, made_of)


def attention(one: Implementation, seconds: float) -> Iterator[Figure]:
    what = "softmax_dropout against torch.softmax, (8, 6, 256, 256)"
    if importlib.util.find_spec("torch") is None:
        yield Figure(what, None, "torch is not installed")
        return
    names = names_for(1, FLOAT32)
    x = np.random.default_rng(1).standard_normal((8, 6, 256, 256), np.float32)
    names |= {"x": x, "y": np.empty_like(x)} | torch_names(x)
    rows = [
        Row("torch", Timer("F.softmax(t, -1)", globals=names)),
        Row(
            "fastdrop", Timer("fastdrop.softmax_dropout(x, p, rng=rng, out=y)", globals=names), one
        ),
    ]
    torch, ours = medians(rows, seconds)
    yield Figure(what, torch / ours, f"{gel(x.size, ours)} against {gel(x.size, torch)} Gel/s")


def product(one: Implementation, seconds: float) -> Iterator[Figure]:
    samples, outputs, inputs = 64, 1024, 1024
    names = names_for(1, FLOAT32)
    names |= {
        "x": np.ones((samples, inputs), np.float32),
        "w": np.ones((outputs, inputs), np.float32),
        "y": np.empty((samples, outputs), np.float32),
    }
    rows = [
        Row("np.matmul", Timer("np.matmul(x, w.T, out=y)", globals=names)),
        Row("fastdrop", Timer(PRODUCT, globals=names), one),
    ]
    n = samples * outputs * inputs
    bound, ours = medians(rows, seconds)
    what = "dropconnect_linear, (64, 1024, 1024), G multiply-adds/s"
    yield Figure(what, n / ours / 1e9, f"np.matmul without masks {gel(n, bound)}")


def noise(one: Implementation, seconds: float) -> Iterator[Figure]:
    """With so little noise that repeated calls leave the array what it is; it costs the same."""
    n = ALL_SIZES["1 M"]
    names = names_for(n, FLOAT32)
    names |= {"source": np.random.default_rng(1), "sigma": np.float32(1e-6)}
    usual = "x * (1 + sigma * source.standard_normal(x.shape, dtype=np.float32))"
    rows = [
        Row(
            "fastdrop",
            Timer("fastdrop.gaussian_dropout(x, 1e-12, rng=rng, out=x)", globals=names),
            one,
        ),
        Row("np.multiply", Timer(LIMIT, globals=names)),
        Row("NumPy's standard_normal", Timer(usual, globals=names)),
    ]
    if importlib.util.find_spec("torch") is not None:
        names |= {"torch": importlib.import_module("torch")} | torch_names(np.ones(n, np.float32))
        rows.append(
            Row("PyTorch's randn", Timer("t * (1 + 1e-6 * torch.randn_like(t))", globals=names))
        )
    ours, *others = medians(rows, seconds)
    made_of = ", ".join(f"{row.label} {gel(n, t)}" for row, t in zip(rows[1:], others, strict=True))
    yield Figure("gaussian_dropout in place, 1 M, Gel/s", n / ours / 1e9, made_of)


def norms(one: Implementation, seconds: float) -> Iterator[Figure]:
    """Every group is over the limit, which falls from call to call; beside NumPy's way."""
    x = np.random.default_rng(1).standard_normal((1024, 1024), np.float32)
    names = {**names_for(1, FLOAT32), "x": x, "limits": falling_limits()}
    for what, axis, c in (
        ("rows", 1, "next(limits)"),
        ("columns", 0, "next(limits)"),
        ("rows within the limit", 1, "1e9"),
    ):
        usual = f"np.multiply(x, np.minimum(1, {c} / norm(x, axis={axis}, keepdims=True)), out=x)"
        rows = [
            Row("np.multiply", Timer("np.multiply(x, s, out=x)", globals=names)),
            Row("fastdrop", Timer(f"fastdrop.max_norm_(x, {c}, {axis})", globals=names), one),
            Row("norm", Timer(usual, globals=names | {"norm": np.linalg.norm})),
        ]
        if importlib.util.find_spec("torch") is not None:
            theirs = f"t.renorm_(2, {1 - axis}, {c})"
            rows.append(Row("renorm_", Timer(theirs, globals=names | torch_names(x))))
        bound, ours, *others = medians(rows, seconds)
        made_of = f"{gel(x.size, ours)} of np.multiply's {gel(x.size, bound)} Gel/s; " + ", ".join(
            f"{row.label} {gel(x.size, t)}" for row, t in zip(rows[2:], others, strict=True)
        )
        yield Figure(f"max_norm_ in place, (1024, 1024), {what}", bound / ours, made_of)


def fallbacks(seconds: float) -> Iterator[Figure]:
    n = ALL_SIZES["1 M"]
    for backend, name in (("numba", "Numba"), ("numpy", "NumPy reference")):
        what, one = f"{name}, 1 M, Gel/s", Implementation(backend)
        if one not in implementations():
            yield Figure(what, None, "cannot run here")
            continue
        names = names_for(n, FLOAT32)
        rows = [
            Row(backend, Timer(IN_PLACE, globals=names), one),
            Row(LIMIT, Timer(LIMIT, globals=names)),
        ]
        ours, bound = medians(rows, seconds)
        yield Figure(what, n / ours / 1e9, f"np.multiply {gel(n, bound)}")


def windows(one: Implementation, seconds: float) -> Iterator[Figure]:
    """Parts of larger arrays in place, the second half of an axis or its last columns."""
    n = ALL_SIZES["16 M"]
    cases = {
        "a window along the first axis, 16 M, relative to the plain call": (4096, 4096, 2),
        "a window of 1024 of 2048 columns, 16 M, Gel/s": (n // 1024, 1024, 2048),
        "a window of 1024 of 16384 columns, 16 M, relative to its share of blocks": (
            n // 1024, 1024, 16384
        ),
    }  # fmt: skip
    for what, (rows, columns, of) in cases.items():
        whole, start = (rows, of), (0, of - columns)
        if "first" in what:
            whole, start = (rows * of, columns), (rows, 0)
        names = names_for(1, FLOAT32)
        names |= {"x": np.ones((rows, columns), np.float32), "window": (whole, start)}
        statement = "fastdrop.dropout(x, p, rng=rng, out=x, window=window)"
        timed = [
            Row("plain", Timer(IN_PLACE, globals=names), one),
            Row("window", Timer(statement, globals=names), one),
        ]
        plain, ours = medians(timed, seconds)
        made_of = f"{gel(n, ours)} of the plain call's {gel(n, plain)} Gel/s"
        if what.endswith("Gel/s"):
            yield Figure(what, n / ours / 1e9, made_of)
        else:
            # A row of the window lies in one block of 4096 positions, and uses a quarter of it.
            share = columns / 4096 if what.endswith("blocks") else 1.0
            yield Figure(what, plain / ours / share, made_of)


PEAK = """
import re, sys
from pathlib import Path
import numpy as np
import fastdrop
from fastdrop._selfcheck import Implementation, using

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])

backend, isa, threads, n = sys.argv[1], sys.argv[2] or None, int(sys.argv[3]), int(sys.argv[4])
fastdrop.set_num_threads(threads)
x, rng = np.ones(n, np.float32), fastdrop.Generator(1)
with using(Implementation(backend, isa)):
    before = peak()
    fastdrop.dropout(x, 0.1, out=x, rng=rng)
    print(peak() - before)
"""


def peak_memory(one: Implementation, threads: int, n: int) -> float:
    """By how many MB a first call in place raises the peak memory of a process of its own."""
    arguments = [one.backend, one.isa or "", str(threads), str(n)]
    done = subprocess.run(
        [sys.executable, "-c", PEAK, *arguments], capture_output=True, text=True, check=True
    )
    return int(done.stdout) * 1024 / 1e6


def memory(one: Implementation) -> Iterator[Figure]:
    what = "memory of a call in place, 64 M, beyond the array, MB"
    if sys.platform != "linux":
        yield Figure(what, None, "measured on Linux only")
        return
    n, most = ALL_SIZES["64 M"], fastdrop.get_num_threads()
    peaks = {threads: peak_memory(one, threads, n) for threads in sorted({1, most})}
    made_of = ", ".join(f"{mb:.2f} with threads={threads}" for threads, mb in peaks.items())
    yield Figure(what, max(peaks.values()), made_of)


def figures(one: Implementation, seconds: float) -> Iterator[Figure]:
    """All figures, ``seconds`` for each comparison."""
    yield from against_limits(one, seconds)
    yield from against_torch(one, seconds)
    yield from half_precision(one, seconds)
    yield from small_call(one, seconds)
    yield from blocks(one, seconds)
    yield from attention(one, seconds)
    yield from product(one, seconds)
    yield from noise(one, seconds)
    yield from norms(one, seconds)
    yield from windows(one, seconds)
    yield from fallbacks(seconds)
    yield from memory(one)


def goal(what: str, isa: str | None) -> float | None:
    """The target, or none with other instruction sets than the two it is set for."""
    return dict(zip(("avx512", "avx2"), GOALS[what], strict=True)).get(isa or "")


def line(figure: Figure, isa: str | None) -> str:
    """A row of the table, in Markdown."""
    wanted = goal(figure.what, isa)
    value = "-" if figure.value is None else f"{figure.value:.3g}"
    bound = verdict = ""
    if wanted is not None:
        at_most = figure.what.startswith(AT_MOST)
        bound = f"{'at most' if at_most else 'at least'} {wanted:g}"
        if figure.value is not None:
            reached = figure.value <= wanted if at_most else figure.value >= wanted
            verdict = "reached" if reached else "SHORT"
    return f"| {figure.what} | {value} | {bound} | {verdict} | {figure.made_of} |"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.targets", description=__doc__)
    parser.add_argument("--isa", help="instruction set (default: the one in use)")
    parser.add_argument("--seconds", type=float, default=3.0, help="per comparison (%(default)s)")
    options = parser.parse_args(arguments)
    compiled = [one for one in implementations() if one.backend == "c"]
    chosen = [one for one in compiled if options.isa in (None, one.isa)]
    if not chosen:
        parser.error(f"can run here: {', '.join(map(str, compiled)) or 'no compiled backend'}")
    one = chosen[0]
    print(f"{cpu_name()}, {one}, fastdrop {fastdrop.__version__}, NumPy {np.__version__}\n")
    print("| float32 and one thread unless said | measured | target | | made of |")
    print("|---|---|---|---|---|")
    for figure in figures(one, options.seconds):
        print(line(figure, one.isa), flush=True)


if __name__ == "__main__":
    main()
