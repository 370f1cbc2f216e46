"""The benchmarks' own tools: the chart and the table of targets. The benchmarks run in CI."""

import json
from pathlib import Path

import numpy as np
import pytest

from fastdrop import _selfcheck

pytest.importorskip("pytest_benchmark")
# Where an installed fastdrop is tested apart from its repository, there are no benchmarks.
pytest.importorskip("bench.measure")

import fastdrop
from bench import family, small_calls, targets, variants
from bench.peers import PEERS
from fastdrop.variants import VARIANTS


def saved_run() -> dict[str, object]:
    """A run as pytest-benchmark saves it, as far as the chart reads it."""
    every = {"dtype": "float32", "p": 0.1, "threads": 1, "cpu": "a processor"}
    infos = [
        {"who": who, "what": what, "elements": n, "gel_s": n / 1e6, "limit_gel_s": n / 5e5, **every}
        for who in ("np.multiply", "fastdrop c-avx512", "PyTorch", "somebody new")
        for n in (16, 1 << 12, 1 << 20)
        for what in ("in place", "out of place", "apply a bool mask")
    ]
    return {"benchmarks": [{"extra_info": info} for info in infos]}


@pytest.mark.heavy
def test_a_saved_run_becomes_a_chart_with_every_curve_and_the_limit(tmp_path: Path) -> None:
    plot = pytest.importorskip("bench.plot")
    run, chart = tmp_path / "run.json", tmp_path / "chart.svg"
    run.write_text(json.dumps(saved_run()), encoding="utf-8")
    plot.main([str(run), str(chart)])
    assert "<svg" in chart.read_text(encoding="utf-8")
    for axes in plot.chart(saved_run()).axes:
        names = [line.get_label() for line in axes.get_lines()]
        assert names == ["limit: np.multiply", "fastdrop c-avx512", "PyTorch", "somebody new"]
        assert axes.get_xscale() == axes.get_yscale() == "log"
        limit = np.asarray(axes.get_lines()[0].get_ydata())
        assert limit.tolist() == [n / 5e5 for n in (16, 1 << 12, 1 << 20)]


def test_a_run_without_dropout_makes_no_chart() -> None:
    plot = pytest.importorskip("bench.plot")
    with pytest.raises(SystemExit, match="no float32 dropout"):
        plot.chart({"benchmarks": []})


def test_every_peer_is_named_once_in_each_way() -> None:
    assert len(PEERS) == len({(peer.who, peer.what) for peer in PEERS})


@pytest.mark.parametrize(
    ("what", "value", "isa", "verdict"),
    [
        ("in place, 1 M", 0.88, "avx512", "| at least 0.88 | reached |"),
        ("in place, 1 M", 0.87, "avx512", "| at least 0.88 | SHORT |"),
        ("in place, 1 M", 0.87, "avx2", "| at least 0.6 | reached |"),
        ("in place, 1 M", 0.87, "neon", "|  |  |"),
        ("in place, 1 M", None, "avx2", "| - | at least 0.6 |  |"),
        ("a call on 16 elements, microseconds", 0.8, "avx2", "| at most 0.8 | reached |"),
        ("a call on 16 elements, microseconds", 0.9, "avx2", "| at most 0.8 | SHORT |"),
        ("Numba, 1 M, Gel/s", 1.0, "avx2", "|  |  |"),
    ],
)
def test_verdicts(what: str, value: float | None, isa: str, verdict: str) -> None:
    assert verdict in targets.line(targets.Figure(what, value, ""), isa)


@pytest.mark.heavy
def test_every_goal_is_measured() -> None:
    one = _selfcheck.implementations()[0]
    figures = [*targets.small_call(one, 0.0), *targets.fallbacks(0.0)]
    for measure in (targets.product, targets.noise, targets.norms, targets.windows):
        figures += measure(one, 0.0)
    measured = [figure.what for figure in figures]
    measured += [f"{way}, {size}" for way, size, *_ in targets.WAYS]
    assert set(measured) <= set(targets.GOALS)


@pytest.mark.heavy
def test_peak_memory_of_a_call() -> None:
    one = _selfcheck.Implementation("numpy")
    if not Path("/proc/self/status").exists():
        pytest.skip("the peak is read from /proc")
    # The reference works on 512 K elements at a time, which takes some MB.
    assert 1 < targets.peak_memory(one, 1, 1 << 20) < 200


def test_every_declared_function_is_measured() -> None:
    assert len(variants.CASES) == len({case.what for case in variants.CASES})
    measured = {case.function for case in variants.CASES}
    assert measured >= {variant.function for variant in VARIANTS}
    assert measured <= set(fastdrop.__all__)


def test_every_declared_function_is_called_on_few_elements() -> None:
    found = small_calls.cases()
    assert set(found) >= {variant.function for variant in VARIANTS}
    for case in found.values():
        names = small_calls.small_names(case)
        eval(f"fastdrop.{case.ours}", names)
        assert names["x"].size == small_calls.N  # type: ignore[attr-defined]


@pytest.mark.heavy
def test_a_row_of_the_family() -> None:
    case = next(iter(variants.family()))
    cells = family.line(case, _selfcheck.implementations()[0], 0.0).strip("| ").split(" | ")
    assert cells[:2] == [f"`{case.function}`", case.what]
    assert all(float(cell) > 0 for cell in cells[2:])


def test_the_documentation_has_every_row_of_the_family() -> None:
    page = Path(__file__).parents[1] / "docs" / "benchmarks.md"
    if not page.exists():
        pytest.skip("an installed fastdrop is tested apart from its repository")
    tables = page.read_text(encoding="utf-8").split(family.HEAD)[1:]
    assert tables
    for table in tables:
        rows = [line.split(" | ")[:2] for line in table.partition("\n\n")[0].splitlines()[2:]]
        assert rows == [[f"| `{case.function}`", case.what] for case in variants.family()]
