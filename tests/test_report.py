"""The benchmark report: tables and charts of made-up results, and who takes part."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("pytest_benchmark")
# Where an installed fastdrop is tested apart from its repository, there are no benchmarks.
pytest.importorskip("bench.measure")

from bench import charts, comparison, machine, report
from bench.peers import PEERS, MissingError, Peer

pytestmark = pytest.mark.heavy

WHO = {"fastdrop c-avx512": 8.0, "np.multiply": 10.0, "NumPy by hand": 0.5, "somebody new": 0.01}


def made_up(group: str, who: str, elements: int, **other: object) -> dict[str, Any]:
    gel_s = WHO[who]
    seconds = elements / gel_s / 1e9
    return {
        "group": group, "who": who, "what": "in place", "statement": "", "dtype": "float32",
        "elements": elements, "p": 0.1, "threads": 1, "seconds": seconds,
        "quartiles": [0.9 * seconds, 1.2 * seconds], "samples": 5, "gel_s": gel_s,
        "cpu": "a processor", "limit_gel_s": 10.0, "ratio_to_limit": gel_s / 10.0, **other,
    }  # fmt: skip


@pytest.fixture
def results() -> dict[str, Any]:
    sizes = {"throughput": (1 << 12, 1 << 20), "peers": (1 << 20,), "calls": (16, 256)}
    measurements = [
        made_up(group, who, n) for group, those in sizes.items() for n in those for who in WHO
    ]
    # The second size is too small for a limit on several threads.
    measurements += [
        made_up("scaling", who, n, threads=k, gel_s=k * WHO[who])
        for n, who, counts in (
            (1 << 26, "fastdrop c-avx512", (1, 2)), (1 << 26, "np.multiply", (1, 2)),
            (1 << 20, "fastdrop c-avx512", (1, 2)), (1 << 20, "np.multiply", (1,)),
        )
        for k in counts
    ]  # fmt: skip
    return {
        "format": report.FORMAT, "date": "2000-01-01", "quick": False,
        "machine": {
            "cpu_name": "a processor", "cpu_flags": ["avx2", "fma"], "caches": {"L1": "48K"},
            "architecture": "x86_64", "operating_system": "Linux",
            "fastdrop": {"instruction_sets": {"available": ["avx2", "scalar"]}},
            "versions": {"numpy": "2.0.0", "torch": None},
        },
        "measurements": measurements, "skipped": {"PyTorch": "torch is not installed"},
    }  # fmt: skip


def text(results: dict[str, Any]) -> str:
    return "\n\n".join(report.sections(results))


def test_the_report_says_who_where_and_how_fast(results: dict[str, Any]) -> None:
    found = text(results)
    for words in (
        "- a processor, x86_64, Linux",
        "- data caches of a CPU: L1 48K",
        "- instruction sets: avx2, scalar; flags: avx2 fma",
        "- numpy 2.0.0\n",
        "- measured on 2000-01-01",
        "|  | 4 K | 1 M |\n| --- | ---: | ---: |\n",
        "| fastdrop c-avx512, in place | 8 (0.8) | 8 (0.8) |",
        "| somebody new, in place | 1.6 µs | 25.6 µs |",
        "| threads | 1 | 2 |",
        "| 64 M: np.multiply | 10 (1) | 20 (2) |",
        "| 1 M: np.multiply | 10 (1) |  |",
        "- PyTorch: torch is not installed",
        "30% of the median",
    ):
        assert words in found, words
    assert "quick run" not in found
    assert "**A quick run**" in text({**results, "quick": True})
    assert text({**results, "skipped": {}}).endswith("## Not measured\n\nNothing.")


def test_the_same_results_make_the_same_files(results: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text(json.dumps(results), encoding="utf-8")
    arguments = ["--from", str(tmp_path / "results.json"), "--chart", str(tmp_path / "a/chart.svg")]
    report.main(arguments)
    report.main([*arguments, "--out", str(tmp_path / "again")])
    again = {path.name: path.read_bytes() for path in (tmp_path / "again").iterdir()}
    names = charts.all_charts(results["measurements"])
    pictures = {f"{name}{suffix}" for name in names for suffix in (".svg", ".png")}
    assert set(again) == {"report.md", *pictures}
    for name, content in again.items():
        assert (tmp_path / name).read_bytes() == content, name
        if name.endswith(".svg"):
            assert content.startswith(b"<?xml")
            assert str(tmp_path).encode() not in content
    assert (tmp_path / "a/chart.svg").read_bytes() == again["throughput.svg"]
    for name in pictures:
        assert f"({name})" in again["report.md"].decode() or name.endswith(".png")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"benchmarks": []}', '{"format": 0}'])
def test_only_its_own_results_are_drawn(tmp_path: Path, content: str) -> None:
    saved = tmp_path / "results.json"
    saved.write_text(content, encoding="utf-8")
    with pytest.raises(SystemExit, match=r"results\.json"):
        report.main(["--from", str(saved)])
    with pytest.raises(SystemExit, match="no such"):
        report.main(["--from", str(tmp_path / "no such")])


def test_bars_are_there_for_everybody_the_fastest_on_top(results: dict[str, Any]) -> None:
    (axes,) = charts.peers(results["measurements"]).axes
    labels = [label.get_text() for label in axes.get_yticklabels()]
    wanted = sorted(WHO, key=lambda who: -WHO[who])
    assert labels == [f"{who}, in place" for who in wanted]
    assert [bar.get_width() for bar in axes.patches] == [WHO[who] for who in wanted]
    bottom, top = axes.get_ylim()
    assert bottom > top
    assert axes.get_xscale() == "log"


def test_every_size_of_small_calls_has_a_panel(results: dict[str, Any]) -> None:
    panels = charts.calls(results["measurements"]).axes
    assert [axes.get_title() for axes in panels] == ["16 elements", "256 elements"]
    assert all(bottom > top for bottom, top in (axes.get_ylim() for axes in panels))


def test_scaling_has_the_limit_of_as_many_threads(results: dict[str, Any]) -> None:
    small, large = charts.scaling(results["measurements"]).axes
    lines = {line.get_label(): list(line.get_ydata()) for line in large.get_lines()}
    assert lines == {
        "fastdrop c-avx512": [8, 16],
        "limit: np.multiply, as many Python threads": [10, 20],
    }
    labels = [line.get_label() for line in small.get_lines()]
    assert labels == ["fastdrop c-avx512", "limit: np.multiply, 1 thread"]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(2, "2 s"), (1.234e-3, "1.23 ms"), (4.5e-6, "4.5 µs"), (3.9e-7, "390 ns"), (1e-9, "1 ns")],
)
def test_times(seconds: float, words: str) -> None:
    assert charts.time_text(seconds) == words


def test_thread_counts() -> None:
    for counts in ([1], [1, 2, 3, 4, 5, 6], [1, 2, 4, 8, 12], [1, 2, 4, 8, 16, 32, 64]):
        assert comparison.thread_counts(counts[-1]) == counts


def test_flags_of_processors() -> None:
    x86 = "model name\t: a processor\nflags\t\t: fpu sse2 smep avx avx512_bf16 fma rdtscp bmi2\n"
    assert machine.cpu_flags(x86) == ["avx", "avx512_bf16", "bmi2", "fma", "sse2"]
    arm = "Features\t: fp asimd crc32 asimdhp sve bf16 sme\n"
    assert machine.cpu_flags(arm) == ["asimd", "asimdhp", "bf16", "sme", "sve"]
    assert machine.cpu_flags("") == []


def test_what_is_said_of_the_machine_can_be_saved() -> None:
    about = machine.about()
    assert json.loads(json.dumps(about)) == about
    assert about["versions"]["numpy"]
    assert about["fastdrop"]["instruction_sets"]


TINY = comparison.Effort(
    throughput=[64], peers=[64], calls=[16], scaling=[64], least=2, compile=False,
    seconds=dict.fromkeys(("throughput", "peers", "calls", "scaling"), 0.0),
)  # fmt: skip


def test_everybody_is_measured_or_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: object) -> dict[str, object]:
        raise MissingError("it is not installed")

    others = [peer for peer in PEERS if peer.who.startswith(("np.", "NumPy"))]
    absent = [Peer(who, "in place", "", missing) for who in ("PyTorch", "JAX")]
    compiled = [peer for peer in PEERS if peer.who == "PyTorch compiled"]
    monkeypatch.setattr(comparison, "PEERS", [*others, *absent, *compiled])
    found = comparison.Comparison(TINY)
    infos = found.results()
    assert found.skipped["PyTorch"] == found.skipped["JAX"] == "it is not installed"
    assert "quick" in found.skipped["PyTorch compiled"]
    by_hand = {(info["group"], info["what"]) for info in infos if info["who"] == "NumPy by hand"}
    assert by_hand == {(group, "out of place") for group in ("throughput", "peers", "calls")}
    ours = {info["who"] for info in charts.select(infos, "peers")}
    assert ours >= {f"fastdrop {one}" for one in found.implementations}
    for info in infos:
        assert info["quartiles"][0] <= info["seconds"] <= info["quartiles"][1]
        if info["who"] == "np.multiply":
            assert info["ratio_to_limit"] == 1
    threads = [info["threads"] for info in charts.select(infos, "scaling")]
    assert threads == [*comparison.thread_counts(), 1]
    # What was measured can be written, as it can be saved.
    saved = {"format": report.FORMAT, "date": "", "quick": True, "machine": machine.about()}
    saved |= {"measurements": infos, "skipped": found.skipped}
    assert "JAX: it is not installed" in text(json.loads(json.dumps(saved)))
    assert set(charts.all_charts(copy.deepcopy(infos)))


def test_the_limit_of_large_arrays_is_threaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "THREADED_LIMIT_FROM", 64)
    monkeypatch.setattr(comparison, "thread_counts", lambda: [1, 2, 3])
    infos = comparison.Comparison(TINY).scaling(64)
    assert [info["threads"] for info in infos] == [1, 2, 3, 1, 2, 3]
    assert [i["limit_gel_s"] for i in infos[:3]] == [i["gel_s"] for i in infos[3:]]
