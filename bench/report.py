"""Compare fastdrop with its limits and its peers: ``python -m bench.report``.

Everything that is compared is measured in one process, in turn (A B C A B C ...), and the medians
make the ratios; ``docs/benchmarks.md`` says how to read them. Written are ``results.json``,
``report.md``, and its charts as SVG and PNG. It takes about five minutes; with ``--quick`` half a
minute, to see that all of it runs. ``--from results.json`` measures nothing, and writes the rest
anew.
"""

import argparse
import datetime as dt
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from .charts import all_charts, name, select, sizes, time_text
from .comparison import FULL, QUICK, Comparison
from .machine import about
from .plot import LIMIT, Info, save, size_text, throughput

FORMAT = 1
"""Of the JSON file; a reader of another one has to be told."""

Results = dict[str, Any]


def measure(quick: bool) -> Results:
    """Everything that the report says, ready for JSON."""
    comparison = Comparison(QUICK if quick else FULL)
    return {
        "format": FORMAT,
        "date": dt.datetime.now(tz=dt.UTC).date().isoformat(),
        "quick": quick,
        "machine": about(),
        "measurements": comparison.results(),
        "skipped": comparison.skipped,
    }


def load(path: Path) -> Results:
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SystemExit(f"{path}: {error}") from error
    if not isinstance(results, dict) or results.get("format") != FORMAT:
        raise SystemExit(f"{path} has to be what bench.report saved as results.json")
    return results


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Markdown, all columns but the first to the right."""
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def by_size(infos: Sequence[Info], group: str, cell: Callable[[Info], str]) -> str:
    """A row for everybody in the group, a column for every size."""
    ns = sizes(infos, group)
    rows: dict[str, dict[int, str]] = {}
    for info in select(infos, group):
        rows.setdefault(name(info), {})[info["elements"]] = cell(info)
    return table(
        ["", *map(size_text, ns)],
        [[who, *(cells.get(n, "") for n in ns)] for who, cells in rows.items()],
    )


def speed(info: Info) -> str:
    return f"{info['gel_s']:.3g} ({info['ratio_to_limit']:.2g})"


def call(info: Info) -> str:
    return time_text(info["seconds"])


def spread(info: Info) -> float:
    """How far apart the quartiles are, relative to the median."""
    low, high = info["quartiles"]
    return float((high - low) / info["seconds"])


def machine_lines(results: Results) -> Iterator[str]:
    machine = results["machine"]
    caches = ", ".join(f"{level} {size}" for level, size in machine["caches"].items())
    sets = machine["fastdrop"]["instruction_sets"]
    yield f"- {machine['cpu_name']}, {machine['architecture']}, {machine['operating_system']}"
    yield f"- data caches of a CPU: {caches or 'unknown'}"
    yield f"- instruction sets: {', '.join(sets['available'])}; flags: " + (
        " ".join(machine["cpu_flags"]) or "unknown"
    )
    have = {package: version for package, version in machine["versions"].items() if version}
    yield f"- {', '.join(f'{package} {version}' for package, version in have.items())}"
    yield f"- measured on {results['date']}"


def peers_section(infos: Sequence[Info]) -> Iterator[str]:
    yield "## Peers"
    yield "![Peers as bars on a log scale](peers.svg)"
    yield (
        "One thread, forward pass alone. Peers return a new array unless in place; fastdrop does "
        "so in the row `new array`, and writes into a given one in the rows `out of place`. In "
        "brackets the speed relative to the limit, `np.multiply` in place or out of place."
    )
    yield by_size(infos, "peers", speed)


def scaling_section(infos: Sequence[Info]) -> Iterator[str]:
    yield "## Threads"
    yield "![Speed over threads](scaling.svg)"
    yield (
        "In place, Gel/s, and in brackets relative to one thread. The limit is `np.multiply` by as "
        "many Python threads, each on its part of the array, where the array is large enough for "
        "that."
    )
    counts = sorted({info["threads"] for info in select(infos, "scaling")})
    rows = []
    for n in sizes(infos, "scaling"):
        those = select(infos, "scaling", elements=n)
        for who in dict.fromkeys(info["who"] for info in those):
            speeds = {info["threads"]: info["gel_s"] for info in those if info["who"] == who}
            cells = (f"{v:.3g} ({v / speeds[1]:.2g})" for v in speeds.values())
            by_count = dict(zip(speeds, cells, strict=True))
            rows.append([f"{size_text(n)}: {who}", *(by_count.get(k, "") for k in counts)])
    yield table(["threads", *map(str, counts)], rows)


def sections(results: Results) -> Iterator[str]:
    """The report, a paragraph at a time."""
    infos = results["measurements"]
    p = infos[0]["p"]
    yield "# Benchmark report"
    if results["quick"]:
        yield "**A quick run**: it shows that everything runs, and its figures mean little."
    yield "\n".join(machine_lines(results))
    yield (
        f"float32, p = {p:g}, one thread unless said. Gel/s is 1e9 elements a second. What is in "
        "one column of a table was measured in turn, in one process; the figures are medians. "
        "Compare within a column: from one minute to the next a machine may change its speed by "
        f"half. Noise: from quartile to quartile it is {median(map(spread, infos)):.0%} of the "
        f"median in the middle one of {len(infos)} measurements, and "
        f"{max(map(spread, infos)):.0%} in the worst."
    )
    yield "## Throughput"
    yield "![Throughput over size](throughput.svg)"
    yield (
        f"In brackets the speed relative to the limit: `{LIMIT}` over the same memory. `np.copyto` "
        "is a plain copy."
    )
    yield by_size(infos, "throughput", speed)
    yield from peers_section(infos)
    yield "## Calls on small arrays"
    yield "![Time of a call](calls.svg)"
    yield by_size(infos, "calls", call)
    yield from scaling_section(infos)
    yield "## Not measured"
    yield "\n".join(f"- {who}: {why}" for who, why in results["skipped"].items()) or "Nothing."


def write(results: Results, folder: Path) -> None:
    """The report and its charts."""
    (folder / "report.md").write_text("\n\n".join(sections(results)) + "\n", encoding="utf-8")
    for stem, figure in all_charts(results["measurements"]).items():
        for suffix in (".svg", ".png"):
            save(figure, folder / f"{stem}{suffix}")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.report",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, help="folder (default: build/report, or RESULTS')")
    parser.add_argument("--quick", action="store_true", help="few sizes, short measurements")
    parser.add_argument("--from", dest="results", type=Path, help="results.json to draw anew")
    parser.add_argument("--chart", type=Path, help="write the throughput chart to this file too")
    options = parser.parse_args(arguments)
    if options.results:
        results, folder = load(options.results), options.out or options.results.parent
    else:
        results, folder = measure(options.quick), options.out or Path("build/report")
    folder.mkdir(parents=True, exist_ok=True)
    if not options.results:
        text = json.dumps(results, indent=1)
        (folder / "results.json").write_text(text + "\n", encoding="utf-8")
    write(results, folder)
    if options.chart:
        options.chart.parent.mkdir(parents=True, exist_ok=True)
        save(throughput(select(results["measurements"], "throughput")), options.chart)
    for who, why in results["skipped"].items():
        print(f"not measured: {who}: {why}", file=sys.stderr)
    print(folder / "report.md")


if __name__ == "__main__":
    main()
